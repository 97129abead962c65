"""The step: what each update sees, learns and leaves behind, and that cutting a run into calls changes nothing."""
from typing import NamedTuple

from flax import linen as nn
import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import dcgan as dcgan_config
from configs import wgan_gp as wgan_gp_config
from gans.algorithms import wgan_gp
from gans.build import build, build_state, build_train_steps
from gans.core import sharding
from gans.core.game import Algorithm, GANState, Update, bind, create_player, create_state, variables_of
from gans.core.sampling import noise, noise_and_label
from gans.core.step import make_train_step, make_train_steps, make_update, update_ema, warm_up
from gans.core.tracing import trace_losses
from gans.data.batches import batch_shapes
from gans.data.dataset import Spec
from gans.data.schedule import step_indices
from gans.data.sources import load_dataset
from gans.errors import UserError
from gans.networks import mlp
from tests.conftest import set_optimizers
from tests.shrink import shrink

Z_DIM, BATCH, N_CRITIC = 4, 8, 5


class Game(NamedTuple):
  """Small fully connected players on points in the plane."""
  algorithm: Algorithm
  modules: dict
  optimizers: dict
  data: tuple  # (points [40,2], labels [40])

  def start(self) -> GANState:
    image, label = self.data
    batch = {'image': image[:BATCH], 'label': label[:BATCH]}
    first_inputs = trace_losses(self.algorithm, self.modules, batch).first_inputs
    create = jax.jit(lambda rng: create_state(rng, self.algorithm, self.modules, self.optimizers, first_inputs))
    return create(jax.random.PRNGKey(0))

  def step(self, algorithm: Algorithm | None = None):
    """Returns the jitted step of the game, or of another algorithm for the same players."""
    return jax.jit(make_train_step(algorithm or self.algorithm, self.modules, self.optimizers, 0.9))


@pytest.fixture(scope='module')
def game():
  modules = {'generator': mlp.Generator((2,), (8,), norm='batch', output='linear'), 'critic': mlp.Critic((8,))}
  optimizers = {'generator': optax.sgd(0.05), 'critic': optax.sgd(0.05)}
  data = jax.random.normal(jax.random.key(1), (40, 2)), jnp.zeros(40, jnp.int32)
  algorithm = wgan_gp.make_algorithm(wgan_gp.Fields(gp_weight=10.0, n_critic=N_CRITIC, z_dim=Z_DIM))
  return Game(algorithm, modules, optimizers, data)


def prepare(data, index, rng):
  del rng
  return {'image': data[0][index], 'label': data[1][index]}


def indices(steps: int):
  return jax.random.randint(jax.random.key(2), (steps, N_CRITIC, BATCH), 0, 40)


def make_algorithm(*updates: Update) -> Algorithm:
  return Algorithm(updates, inputs=noise_and_label(Z_DIM))


def no_loss(play, batch, rng):
  return jnp.zeros(()), {}


def assert_equal(a, b, **tolerance):
  compare = np.testing.assert_allclose if tolerance else np.testing.assert_array_equal
  jax.tree.map(lambda a, b: compare(a, b, **tolerance), a, b)


def params_of(state: GANState) -> dict:
  return {name: player.params for name, player in state.players.items()}


def model_states_of(state: GANState) -> dict:
  return {name: player.model_state for name, player in state.players.items()}


def test_scan_over_the_critic_equals_the_loop_of_the_paper(game):
  critic_update, generator_update = game.algorithm.updates
  batch = prepare(game.data, indices(1)[0], None)
  state, metrics = game.step()(game.start(), batch)

  def gradient(update: Update, player: str):
    def loss(params, state, batch, rng):
      play = bind(game.modules, params_of(state) | {player: params}, model_states_of(state), rng)
      value, _ = update.loss(play, batch, rng)
      return value, play.model_states

    return jax.jit(jax.value_and_grad(loss, has_aux=True))

  def descend(state, player, gradients, model_states):
    players = {name: old._replace(model_state=model_states[name]) for name, old in state.players.items()}
    learner = players[player]
    updates, opt_state = game.optimizers[player].update(gradients, learner.opt_state)
    players[player] = learner._replace(params=optax.apply_updates(learner.params, updates), opt_state=opt_state)
    return state._replace(players=players)

  want = game.start()
  rngs = jax.random.split(jax.random.fold_in(want.rng, 0), N_CRITIC + 1)
  losses, critic_gradient = [], gradient(critic_update, 'critic')
  for i in range(N_CRITIC):
    here = jax.tree.map(lambda x: x[i], batch)
    (loss, model_states), gradients = critic_gradient(want.players['critic'].params, want, here, rngs[i])
    want = descend(want, 'critic', gradients, model_states)
    losses.append(float(loss))
  generator_gradient = gradient(generator_update, 'generator')
  (_, model_states), gradients = generator_gradient(want.players['generator'].params, want, here, rngs[-1])
  want = descend(want, 'generator', gradients, model_states)

  assert_equal(params_of(state), params_of(want), rtol=1e-5, atol=1e-6)
  assert_equal(model_states_of(state), model_states_of(want), rtol=1e-5, atol=1e-6)
  assert int(state.step) == 1
  assert float(metrics['critic_loss']) == pytest.approx(np.mean(losses), rel=1e-5)


def batches_by_number(step: int) -> dict:
  """A step's batches, whose first number tells each from all others."""
  images = jnp.arange(N_CRITIC * BATCH * 2.0).reshape(N_CRITIC, BATCH, 2) + 1000 * step
  return {'image': images, 'label': jnp.zeros((N_CRITIC, BATCH), jnp.int32)}


def make_spy(seen: list):
  """Returns a loss that notes a draw of its noise and the first number of its batch."""
  def loss(play, batch, rng):
    draw = jax.random.normal(rng, ())
    jax.debug.callback(lambda *values: seen.append(tuple(float(v) for v in values)), draw, batch['image'][0, 0])
    return jnp.zeros(()), {}

  return loss


def test_every_repeat_sees_its_own_data_and_noise(game):
  seen = []
  spy = make_spy(seen)
  step = game.step(make_algorithm(Update(('critic',), spy, repeats=N_CRITIC), Update(('generator',), spy)))
  state = game.start()
  for i in range(2):
    state, _ = step(state, batches_by_number(i))
  jax.effects_barrier()
  noises, images = zip(*seen)
  assert len(seen) == 2 * (N_CRITIC + 1)  # n_critic updates of the critic, one of the generator
  assert len(set(noises)) == len(noises)
  assert len(set(images)) == 2 * N_CRITIC


def test_an_update_with_fewer_repeats_sees_the_last_batches(game):
  seen_by_critic, seen_by_generator = [], []
  critic = Update(('critic',), make_spy(seen_by_critic), repeats=N_CRITIC)
  generator = Update(('generator',), make_spy(seen_by_generator), repeats=2)
  batch = batches_by_number(0)
  game.step(make_algorithm(generator, critic))(game.start(), batch)
  jax.effects_barrier()
  numbers = batch['image'][:, 0, 0].tolist()
  assert [number for _, number in seen_by_critic] == numbers
  assert [number for _, number in seen_by_generator] == numbers[-2:]


def test_critic_is_projected_after_every_update(game):
  critic, generator = game.algorithm.updates
  clip = lambda params: optax.projections.projection_linf_ball(params, 0.01)
  algorithm = game.algorithm._replace(updates=(critic._replace(project=clip), generator))
  state, _ = game.step(algorithm)(game.start(), prepare(game.data, indices(1)[0], None))
  assert max(float(jnp.abs(p).max()) for p in jax.tree.leaves(state.players['critic'].params)) <= 0.01 + 1e-9


@pytest.mark.parametrize('players', [('critic',), ('generator',), ('critic', 'generator')])
def test_projection_is_of_the_learning_players_after_each_repeat(game, players):
  """A projection that adds 1, in an update that moves nothing else, adds 1 for every repeat."""
  def add_one(params):
    assert params.keys() == set(players)
    return jax.tree.map(lambda p: p + 1, params)

  update = Update(players, no_loss, repeats=3, project=add_one)
  start = game.start()
  state, _ = game.step(make_algorithm(update))(start, prepare(game.data, indices(1)[0], None))
  for name, player in state.players.items():
    added = 3 if name in players else 0
    assert_equal(player.params, jax.tree.map(lambda p, n=added: p + n, start.players[name].params), rtol=1e-6)


def test_players_learn_by_their_own_updates_alone(game):
  """One update of two players moves both, and one of a single player moves that player only."""
  loss = game.algorithm.updates[-1].loss
  for players in (('critic',), ('generator',), ('critic', 'generator')):
    start = game.start()
    state, _ = game.step(make_algorithm(Update(players, loss)))(start, prepare(game.data, indices(1)[0], None))
    for name, params in params_of(state).items():
      moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), params, params_of(start)[name])
      assert (max(jax.tree.leaves(moved)) > 1e-4) == (name in players)


def test_a_skipped_update_leaves_everything_as_it_is_and_its_metrics_are_zeros(game):
  def loss(play, batch, rng):
    scores = play.critic(batch['image'], batch['label'])
    play.generator(jax.random.normal(rng, (BATCH, Z_DIM)), batch['label'])  # batch norm's averages move
    return jnp.mean(scores), {'mean_score': jnp.mean(scores), 'five': jnp.array(5), 'half': jnp.array(0.5)}

  step = game.step(make_algorithm(Update(('critic',), loss, repeats=2, every=3), Update((), no_loss)))
  state, taken = game.start(), []
  for i in range(7):
    before = state
    state, metrics = step(state, prepare(game.data, indices(7)[i], None))
    taken.append(float(metrics['five']) == 5)
    assert (float(metrics['five']), float(metrics['half'])) == ((5, 0.5) if taken[-1] else (0, 0))
    assert (float(metrics['mean_score']) != 0) == taken[-1]
    if taken[-1]:
      moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), state.players, before.players)
      assert max(jax.tree.leaves(moved['critic'].params)) > 0
      assert max(jax.tree.leaves(moved['generator'].model_state)) > 0
    else:
      assert_equal(state.players, before.players)
  assert taken == [True, False, False, True, False, False, True]


def test_any_cut_into_calls_gives_the_same_run(game):
  _, generator = game.algorithm.updates
  lazy = Update(('critic',), lambda *args: (generator.loss(*args)[0], {}), every=3)
  algorithm = game.algorithm._replace(updates=(*game.algorithm.updates, lazy))
  step = make_train_step(algorithm, game.modules, game.optimizers, 0.9)
  train_steps = make_train_steps(step, prepare)
  order = indices(7)
  whole, metrics = train_steps(game.start(), game.data, order, 7)
  cut, history = game.start(), []
  for begin, count in ((0, 3), (3, 1), (4, 3)):
    part = jnp.concatenate([order[begin:begin + count], jnp.zeros((7 - count, N_CRITIC, BATCH), jnp.int32)])
    cut, part_metrics = train_steps(cut, game.data, part, count)
    history.append(jax.tree.map(lambda m, n=count: m[:n], part_metrics))
  assert_equal(whole, cut)
  assert_equal(metrics, jax.tree.map(lambda *m: jnp.concatenate(m), *history))

  unrolled, step = game.start(), jax.jit(step)
  for i in range(7):
    unrolled, _ = step(unrolled, prepare(game.data, order[i], None))
  assert_equal(whole, unrolled, rtol=1e-5, atol=1e-6)


def test_average_forgets_the_start_and_holds_batch_statistics(game):
  state = game.start()
  assert state.ema.keys() == {'generator'} and 'batch_stats' in state.ema['generator']
  state = state._replace(ema=jax.tree.map(jnp.zeros_like, state.ema), step=jnp.array(5))
  variables = {'generator': variables_of(state.players['generator'])}
  want = {0.999: 1 - 6 / 15, 0.1: 0.9}  # min(decay, (1 + t) / (10 + t)) at t = 5
  for decay, share in want.items():
    averages = update_ema(state, warm_up(decay, state.step))
    assert_equal(averages, jax.tree.map(lambda v, s=share: s * v, variables), rtol=1e-5)


def test_every_averaged_player_has_its_average(game):
  algorithm = game.algorithm._replace(averaged=('critic', 'generator'))
  start = game._replace(algorithm=algorithm).start()
  state, _ = game.step(algorithm)(start, prepare(game.data, indices(1)[0], None))
  decay = 1 / 10  # of the first step
  for name in ('critic', 'generator'):
    old, new = variables_of(start.players[name]), variables_of(state.players[name])
    want = jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, old, new)
    assert_equal(state.ema[name], want, rtol=1e-5, atol=1e-7)


def test_bfloat16_moves_float32_parameters_nearly_as_float32_does():
  """Each player's step of SGD is within a tenth of float32's in norm, the metrics within 2 % or 0.01."""
  results = []
  for dtype in ('float32', 'bfloat16'):
    config = shrink(wgan_gp_config.get_config())
    config.generator.hidden, config.critic.hidden = (8, 4), (4, 8)
    config.dtype, config.batch_size = dtype, 32
    set_optimizers(config, 'sgd', learning_rate=0.02)
    digits = load_dataset(config.dataset)
    experiment = build(config, digits.spec)
    mesh = sharding.make_mesh(config.batch_size)
    start = build_state(config, experiment, mesh)
    weights = jax.tree.map(np.array, params_of(start))  # copies: the state is donated
    order = step_indices(config, experiment.algorithm.batches_per_step, 0, len(digits.images))
    train_steps = build_train_steps(config, experiment, digits.spec, mesh)
    state, metrics = train_steps(start, (digits.images, digits.labels), order, 1)
    dtypes = {leaf.dtype for leaf in jax.tree.leaves((params_of(state), model_states_of(state), state.ema, metrics))}
    assert dtypes == {jnp.dtype('float32')}
    moves = jax.tree.map(np.subtract, params_of(state), weights)
    results.append((moves, metrics))
  (want, full), (got, half) = results
  for player in ('generator', 'critic'):
    difference = optax.tree.norm(jax.tree.map(np.subtract, want[player], got[player]))
    assert 0 < difference < 0.1 * optax.tree.norm(want[player])
  for name in full:
    assert float(half[name][0]) == pytest.approx(float(full[name][0]), rel=0.02, abs=0.01), name


# What a call of a player leaves in its model state.


class Counter(nn.Module):
  """A memory: counts its calls, and returns their number with that of its examples."""

  @nn.compact
  def __call__(self, x, *, train):
    calls = self.variable('memory', 'calls', lambda: jnp.zeros((), jnp.int32))
    if train and not self.is_initializing():
      calls.value += 1
    return calls.value + 0 * jnp.sum(x)


X = jax.random.normal(jax.random.key(0), (BATCH, 2))
LABEL = jnp.zeros(BATCH, jnp.int32)
INSIDE = {  # score [B,2] -> [B], called inside another transformation
    'grad': lambda score, x: jax.grad(lambda x: jnp.sum(score(x)))(x)[:, 0],
    'value_and_grad': lambda score, x: jax.value_and_grad(lambda x: jnp.sum(score(x)))(x)[1][:, 0],
    'vmap': lambda score, x: jax.vmap(lambda x: score(x[None])[0])(x),
    'jit': lambda score, x: jax.jit(score)(x),
    'scan': lambda score, x: lax.scan(lambda _, x: (None, score(x)), None, x[None])[1][0],
    'cond': lambda score, x: lax.cond(jnp.sum(x) > 0, score, lambda x: -score(x), x),
    'jvp': lambda score, x: jax.jvp(score, (x,), (x,))[1],
}


@pytest.fixture(scope='module')
def critic():
  """A critic with batch norm: (module, params, model state)."""
  module = mlp.Critic((8,), norm='batch')
  player = create_player(module, None, jax.random.PRNGKey(0), (X, LABEL))
  return module, player.params, player.model_state


def bind_critic(critic, seed: int = 1):
  module, params, model_state = critic
  return bind({'critic': module}, {'critic': params}, {'critic': model_state}, jax.random.PRNGKey(seed))


def test_a_plain_call_records_batch_norms_averages(critic):
  module, params, model_state = critic
  play = bind_critic(critic)
  play.critic(X, LABEL)
  _, once = module.apply({'params': params, **model_state}, X, LABEL, train=True, mutable=['batch_stats'])
  assert_equal(play.model_states['critic'], once)
  play.critic(2 * X, LABEL)  # the second call begins with what the first left
  _, twice = module.apply({'params': params, **once}, 2 * X, LABEL, train=True, mutable=['batch_stats'])
  assert_equal(play.model_states['critic'], twice)
  moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), twice, model_state)
  assert min(jax.tree.leaves(moved)) > 1e-3


@pytest.mark.parametrize('inside', INSIDE)
def test_a_call_inside_another_transformation_records_nothing(critic, inside):
  _, _, model_state = critic
  play = bind_critic(critic)
  INSIDE[inside](lambda x: play.critic(x, jnp.zeros(len(x), jnp.int32)), X)
  assert_equal(play.model_states['critic'], model_state)


@pytest.mark.parametrize('inside', INSIDE)
def test_both_ways_in_one_compiled_and_differentiated_loss(critic, inside):
  """What the plain calls leave is there, nothing of the others is, and no tracer leaks."""
  module, params, model_state = critic

  def loss(params, record_after: bool):
    play = bind_critic((module, params, model_state))
    plain = jnp.mean(play.critic(X, LABEL)**2)
    nested = INSIDE[inside](lambda x: play.critic(x, jnp.zeros(len(x), jnp.int32)), 3 * X)
    if record_after:
      plain += jnp.mean(play.critic(2 * X, LABEL))
    return plain + jnp.mean(nested**2), play.model_states['critic']

  _, once = module.apply({'params': params, **model_state}, X, LABEL, train=True, mutable=['batch_stats'])
  _, twice = module.apply({'params': params, **once}, 2 * X, LABEL, train=True, mutable=['batch_stats'])
  for record_after, want in ((False, once), (True, twice)):
    with jax.checking_leaks():
      gradient = jax.jit(jax.grad(lambda params, after=record_after: loss(params, after), has_aux=True))
      gradients, found = gradient(params)
    assert_equal(found, want, rtol=1e-5, atol=1e-6)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


def test_both_ways_under_vmap_over_seeds(critic):
  module, params, model_state = critic

  def recorded(model_state):
    play = bind_critic((module, params, model_state))
    play.critic(X, LABEL)
    jax.grad(lambda x: jnp.sum(play.critic(x, LABEL)))(5 * X)
    return play.model_states['critic']

  one, two = model_state, jax.tree.map(lambda leaf: leaf + 1, model_state)
  both = jax.tree.map(lambda a, b: jnp.stack([a, b]), one, two)
  want = jax.tree.map(lambda a, b: jnp.stack([a, b]), recorded(one), recorded(two))
  assert_equal(jax.jit(jax.vmap(recorded))(both), want, rtol=1e-5, atol=1e-6)


def test_a_memory_counts_plain_calls_alone():
  model_state = {'memory': {'calls': jnp.array(0)}}
  play = bind({'memory': Counter()}, {'memory': {}}, {'memory': model_state}, jax.random.PRNGKey(0))
  numbers = [int(play.memory(X)) for _ in range(3)]
  jax.grad(lambda x: play.memory(x).astype(jnp.float32))(X)
  jax.jit(play.memory)(X)
  assert numbers == [1, 2, 3] and int(play.model_states['memory']['memory']['calls']) == 3


def test_every_call_has_a_key_of_its_own_which_its_number_decides():
  module = mlp.Critic((8,), dropout=0.5)
  player = create_player(module, None, jax.random.PRNGKey(0), (X, LABEL))
  critic = module, player.params, player.model_state
  play, again, other = bind_critic(critic), bind_critic(critic), bind_critic(critic, seed=2)
  first, second = play.critic(X, LABEL), play.critic(X, LABEL)
  assert (first != second).any() and (first != other.critic(X, LABEL)).any()
  assert_equal((first, second), (again.critic(X, LABEL), again.critic(X, LABEL)))


def test_a_player_that_is_not_there_is_named(critic):
  with pytest.raises(UserError, match=r"no player 'encoder' here: expected one of \['critic'\]"):
    bind_critic(critic).encoder(X)


# What the losses say before anything is computed.

BATCH_SHAPES = jax.eval_shape(lambda: {'image': X, 'label': LABEL})
FIRST_CALLS = {'plain': lambda score, x: score(x), **INSIDE}


@pytest.mark.parametrize('inside', FIRST_CALLS)
def test_a_player_is_initialised_by_its_first_call_wherever_that_is(inside):
  modules = {'critic': mlp.Critic((8,), norm='batch')}

  def loss(play, batch, rng):
    scores = FIRST_CALLS[inside](lambda x: play.critic(x, jnp.zeros(len(x), jnp.int32)), batch['image'])
    return jnp.mean(scores) + jnp.mean(play.critic(batch['image'], batch['label'])), {}

  with jax.checking_leaks():
    traced = trace_losses(make_algorithm(Update(('critic',), loss)), modules, BATCH_SHAPES)
  image, label = traced.first_inputs['critic']
  assert image.shape[1:] == (2,) and label.shape == image.shape[:1]
  assert (image.dtype, label.dtype) == (jnp.float32, jnp.int32)
  player = create_player(modules['critic'], optax.sgd(0.1), jax.random.PRNGKey(0), traced.first_inputs['critic'])
  assert player.params['Dense_0']['kernel'].shape == (2, 8)


def test_a_player_may_be_first_called_with_what_another_made(game):
  traced = trace_losses(game.algorithm, game.modules, BATCH_SHAPES)
  z, _ = traced.first_inputs['generator']
  image, label = traced.first_inputs['critic']
  assert (z.shape, image.shape, label.shape) == ((BATCH, Z_DIM), (BATCH, 2), (BATCH,))
  leaves = jax.tree.leaves(traced.first_inputs)
  assert leaves and all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in leaves)


def test_every_metric_has_the_interval_of_its_update():
  def reporting(**metrics):
    return lambda play, batch, rng: (jnp.mean(play.critic(X, LABEL)), metrics)

  critic = Update(('critic',), reporting(loss=0.0))
  lazy = Update(('critic',), reporting(r1=0.0, r2=0.0), every=16)
  traced = trace_losses(make_algorithm(critic, lazy), {'critic': mlp.Critic((8,))}, BATCH_SHAPES)
  assert traced.intervals == {'loss': 1, 'r1': 16, 'r2': 16}


def test_a_player_that_no_loss_calls_is_refused(game):
  modules = game.modules | {'encoder': mlp.Critic((8,), outputs=3)}
  with pytest.raises(UserError, match="no loss calls the player 'encoder'"):
    trace_losses(game.algorithm, modules, BATCH_SHAPES)


def test_a_metric_of_two_updates_is_refused(game):
  critic, generator = game.algorithm.updates

  def loss(play, batch, rng):
    value, _ = generator.loss(play, batch, rng)
    return value, {'critic_loss': value}

  with pytest.raises(UserError, match="two updates report the metric 'critic_loss': give each a name of its own"):
    trace_losses(make_algorithm(critic, Update(('generator',), loss)), game.modules, BATCH_SHAPES)


def test_a_loss_that_is_no_scalar_is_refused(game):
  def loss(play, batch, rng):
    return play.critic(batch['image'], batch['label']), {}

  with pytest.raises(UserError, match=r"the loss of critic has the shape \(8,\): expected a scalar"):
    trace_losses(make_algorithm(Update(('critic',), loss)), game.modules, BATCH_SHAPES)


# No update computes what its loss does not ask for.


def dcgan_game():
  """DCGAN with batch norm in the critic: (experiment, state, batches [1,B,...], keys)."""
  config = shrink(dcgan_config.get_config())
  assert config.critic.norm == 'batch'
  spec = Spec((28, 28, 1), 10)
  experiment = build(config, spec)
  state = build_state(config, experiment, sharding.make_mesh(config.batch_size, jax.devices()[:1]))
  batches = jax.tree.map(lambda shape: jnp.ones((1, *shape.shape), shape.dtype), batch_shapes(spec, config.batch_size))
  return experiment, state, batches, jax.random.split(jax.random.PRNGKey(0), 1)


def flops_of(update: Update, experiment, *args) -> float:
  take = make_update(update, experiment.modules, experiment.optimizers)
  return jax.jit(take).lower(*args).cost_analysis()['flops']


def test_a_generators_update_runs_no_pass_on_the_real_images():
  """It takes the operations of one pass of each player; the compiler could not drop one more, as it moves averages."""
  experiment, *args = dcgan_game()
  _, update = experiment.algorithm.updates
  z_dim = experiment.traced.first_inputs['generator'][0].shape[1]

  def least(play, batch, rng):  # one pass of each player, written out
    x_tilde = play.generator(noise(rng, len(batch['label']), z_dim), batch['label'])
    fake = play.critic(x_tilde, batch['label'])
    return jnp.mean(optax.sigmoid_binary_cross_entropy(fake, jnp.ones_like(fake))), {}

  def with_a_pass(play, batch, rng):
    play.critic(batch['image'], batch['label'])
    return update.loss(play, batch, rng)

  found = flops_of(update, experiment, *args)
  assert found <= 1.001 * flops_of(update._replace(loss=least), experiment, *args)
  assert flops_of(update._replace(loss=with_a_pass), experiment, *args) > 1.1 * found


CALLS = []


class Counting(nn.Module):
  """A linear critic that counts how often Python calls it."""
  weights: list | tuple = (1.0,)

  @nn.compact
  def __call__(self, x, label, *, train):
    CALLS.append(x.shape)
    return nn.Dense(1)(x)[:, 0] * self.weights[0]


@pytest.mark.parametrize('weights', [(1.0,), [1.0]], ids=['hashable', 'with a list'])
def test_a_network_is_traced_once_for_all_its_calls_if_its_fields_have_a_hash(game, weights):
  counted = game._replace(modules=game.modules | {'critic': Counting(weights)})
  state = counted.start()
  CALLS.clear()
  batch = {'image': jnp.ones((N_CRITIC, BATCH, 2)), 'label': jnp.zeros((N_CRITIC, BATCH), jnp.int32)}
  jax.eval_shape(counted.step(), state, batch)
  assert not CALLS if isinstance(weights, tuple) else len(CALLS) > 3  # once was at the start
