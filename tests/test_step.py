"""The alternating update: what each repeat sees, and that cutting a run into calls changes nothing."""
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import wgan_gp as wgan_gp_config
from gans import data
from gans.algorithms import wgan_gp
from gans.core import sharding
from gans.core.game import create_state
from gans.core.step import Algorithm, make_train_step, make_train_steps, update_ema
from gans.networks import mlp
from gans.training import loop

Z_DIM, BATCH, N_CRITIC = 4, 8, 5


class Config:
  z_dim, gp_weight = Z_DIM, 10.0


@pytest.fixture(scope='module')
def game():
  """Small fully connected players on points in the plane: (algorithm, optimizers, fresh state, data)."""
  generator, critic = mlp.Generator((2,), (8,), norm='batch', output='linear'), mlp.Critic((8,))
  optimizers = optax.sgd(0.05), optax.sgd(0.05)
  data = jax.random.normal(jax.random.key(1), (40, 2)), jnp.zeros(40, jnp.int32)
  example = {'image': data[0][:1], 'label': data[1][:1]}
  create = jax.jit(lambda rng: create_state(rng, generator, critic, optimizers, Z_DIM, example))
  return wgan_gp.make_algorithm(Config, generator, critic), optimizers, lambda: create(jax.random.PRNGKey(0)), data


def prepare(data, index, rng):
  del rng
  return {'image': data[0][index], 'label': data[1][index]}


def indices(steps: int):
  return jax.random.randint(jax.random.key(2), (steps, N_CRITIC, BATCH), 0, 40)


def assert_equal(a, b, **tolerance):
  compare = np.testing.assert_allclose if tolerance else np.testing.assert_array_equal
  jax.tree.map(lambda a, b: compare(a, b, **tolerance), a, b)


def test_scan_over_the_critic_equals_the_loop_of_the_paper(game):
  algorithm, (generator_optimizer, critic_optimizer), start, data = game
  batch = prepare(data, indices(1)[0], None)
  state, metrics = jax.jit(make_train_step(algorithm, game[1], 0.9))(start(), batch)

  want = start()
  rngs = jax.random.split(jax.random.fold_in(want.rng, 0), N_CRITIC + 1)
  losses, critic_gradient = [], jax.jit(jax.value_and_grad(algorithm.critic_loss, has_aux=True))
  for i in range(N_CRITIC):
    here = jax.tree.map(lambda x: x[i], batch)
    (loss, ((g, c), _)), gradients = critic_gradient(want.critic.params, want, here, rngs[i])
    updates, opt_state = critic_optimizer.update(gradients, want.critic.opt_state)
    critic = want.critic._replace(params=optax.apply_updates(want.critic.params, updates), opt_state=opt_state)
    want = want._replace(critic=critic._replace(model_state=c), generator=want.generator._replace(model_state=g))
    losses.append(float(loss))
  generator_gradient = jax.jit(jax.grad(algorithm.generator_loss, has_aux=True))
  gradients, ((g, _), _) = generator_gradient(want.generator.params, want, here, rngs[-1])
  updates, _ = generator_optimizer.update(gradients, want.generator.opt_state)
  params = optax.apply_updates(want.generator.params, updates)

  assert_equal(state.critic.params, want.critic.params, rtol=1e-5, atol=1e-6)
  assert_equal(state.generator.params, params, rtol=1e-5, atol=1e-6)
  assert_equal(state.generator.model_state, g, rtol=1e-5, atol=1e-6)
  assert int(state.step) == 1
  assert float(metrics['critic_loss']) == pytest.approx(np.mean(losses), rel=1e-5)


def test_every_repeat_sees_its_own_data_and_noise(game):
  _, optimizers, start, _ = game
  seen = []

  def critic_loss(params, state, batch, rng):
    noise = jax.random.normal(rng, ())
    jax.debug.callback(lambda *values: seen.append(tuple(float(v) for v in values)), noise, batch['image'][0, 0])
    return jnp.zeros(()), ((state.generator.model_state, state.critic.model_state), {})

  def generator_loss(params, state, batch, rng):
    return critic_loss(params, state, batch, rng)

  step = jax.jit(make_train_step(Algorithm(critic_loss, generator_loss), optimizers, 0.9))
  state = start()
  for i in range(2):
    images = jnp.arange(N_CRITIC * BATCH * 2.0).reshape(N_CRITIC, BATCH, 2) + 1000 * i
    state, _ = step(state, {'image': images, 'label': jnp.zeros((N_CRITIC, BATCH), jnp.int32)})
  jax.effects_barrier()
  noises, images = zip(*seen)
  assert len(seen) == 2 * (N_CRITIC + 1)  # n_critic updates of the critic, one of the generator
  assert len(set(noises)) == len(noises)
  assert len(set(images)) == 2 * N_CRITIC


def test_critic_is_projected_after_every_update(game):
  algorithm, optimizers, start, data = game
  project = lambda params: optax.projections.projection_linf_ball(params, 0.01)
  step = make_train_step(algorithm._replace(project_critic=project), optimizers, 0.9)
  state, _ = jax.jit(step)(start(), prepare(data, indices(1)[0], None))
  assert max(float(jnp.abs(p).max()) for p in jax.tree.leaves(state.critic.params)) <= 0.01 + 1e-9


def test_any_cut_into_calls_gives_the_same_run(game):
  algorithm, optimizers, start, data = game
  step = make_train_step(algorithm, optimizers, 0.9)
  train_steps = make_train_steps(step, prepare)
  order = indices(7)
  whole, metrics = train_steps(start(), data, order, 7)
  cut, history = start(), []
  for begin, count in ((0, 3), (3, 1), (4, 3)):
    part = jnp.concatenate([order[begin:begin + count], jnp.zeros((7 - count, N_CRITIC, BATCH), jnp.int32)])
    cut, part_metrics = train_steps(cut, data, part, count)
    history.append(jax.tree.map(lambda m, n=count: m[:n], part_metrics))
  assert_equal(whole, cut)
  assert_equal(metrics, jax.tree.map(lambda *m: jnp.concatenate(m), *history))

  unrolled, step = start(), jax.jit(step)
  for i in range(7):
    unrolled, _ = step(unrolled, prepare(data, order[i], None))
  assert_equal(whole, unrolled, rtol=1e-5, atol=1e-6)


def test_average_forgets_the_start_and_holds_batch_statistics(game):
  state = game[2]()
  assert 'batch_stats' in state.ema
  state = state._replace(ema=jax.tree.map(jnp.zeros_like, state.ema), step=jnp.array(5))
  variables = {'params': state.generator.params, **state.generator.model_state}
  want = {0.999: 1 - 6 / 15, 0.1: 0.9}  # min(decay, (1 + t) / (10 + t)) at t = 5
  for decay, share in want.items():
    assert_equal(update_ema(state, decay), jax.tree.map(lambda v, s=share: s * v, variables), rtol=1e-5)


def test_bfloat16_moves_float32_parameters_nearly_as_float32_does():
  """Each player's step of SGD is within a tenth of float32's in norm, the metrics within 2 % or 0.01."""
  results = []
  for dtype in ('float32', 'bfloat16'):
    config = wgan_gp_config.get_config('test')
    config.dtype, config.batch_size = dtype, 32
    config.optimizer = {'name': 'sgd', 'schedule': 'constant', 'generator_learning_rate': 0.02,
                        'critic_learning_rate': 0.02}
    digits = data.load(config.dataset)
    experiment = loop.build(config, digits.spec)
    start = loop.create_state(config, experiment, digits.spec, sharding.make_mesh(config.batch_size))
    weights = jax.tree.map(np.array, (start.generator.params, start.critic.params))  # copies: the state is donated
    state, metrics = loop.build_train_steps(config, experiment, sharding.make_mesh(config.batch_size))(
        start, (digits.images, digits.labels), loop.step_indices(config, 0, len(digits.images)), 1)
    dtypes = {leaf.dtype for leaf in jax.tree.leaves((state.generator, state.critic, state.ema, metrics))}
    assert dtypes == {jnp.dtype('float32')}
    moves = jax.tree.map(np.subtract, (state.generator.params, state.critic.params), weights)
    results.append((moves, metrics))
  (want, full), (got, half) = results
  for player in (0, 1):
    difference = optax.tree.norm(jax.tree.map(np.subtract, want[player], got[player]))
    assert 0 < difference < 0.1 * optax.tree.norm(want[player])
  for name in full:
    assert float(half[name][0]) == pytest.approx(float(full[name][0]), rel=0.02, abs=0.01), name
