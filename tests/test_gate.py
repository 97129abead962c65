"""An update with a gate, such as the critic's of 3D-GAN, learns from a batch only if its metrics allow that."""
import functools
from types import SimpleNamespace

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gans.algorithms import gan_3d
from gans.core.game import SEED_AXES, Algorithm, Update, create_state
from gans.core.step import make_train_step
from gans.core.tracing import trace_losses
from gans.errors import UserError

BATCH = 4


class Generator(nn.Module):
  """z [B,Z] -> points [B,2] not far from 0."""

  @nn.compact
  def __call__(self, z, label, *, train):
    return jnp.tanh(nn.Dense(2)(z))


class Critic(nn.Module):
  """The first coordinate of points, plus a bias."""

  @nn.compact
  def __call__(self, x, label, *, train):
    bias = self.param('bias', nn.initializers.zeros_init(), ())
    return x[:, 0] + bias


def points(distance: float, num: int = 1) -> dict:
  """Batches [num,BATCH] of real points so far from 0."""
  return {'image': np.full((num, BATCH, 2), distance, np.float32), 'label': np.zeros((num, BATCH), np.int32)}


class Game:
  """3D-GAN of points, or another algorithm, from its first step on."""
  modules = {'generator': Generator(), 'critic': Critic()}

  def __init__(self, algorithm: Algorithm, optimizer: optax.GradientTransformation, microbatches: int = 1):
    optimizers = dict.fromkeys(algorithm.networks, optimizer)
    modules = {name: self.modules[name] for name in algorithm.networks}
    batch = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), points(1))
    traced = trace_losses(algorithm, modules, batch)
    self.start = jax.jit(lambda seed: create_state(
        jax.random.PRNGKey(seed), algorithm, modules, optimizers, traced.first_inputs))
    self.step = make_train_step(algorithm, modules, optimizers, 0.9, microbatches)


def with_bias(state, bias: float):
  """Returns the state with a critic of this bias."""
  critic = state.players['critic']._replace(params={'bias': jnp.float32(bias)})
  return state._replace(players=state.players | {'critic': critic})


@pytest.fixture(scope='module')
def game():
  """3D-GAN, its step compiled, whose real points score 10 more than its bias and others about the bias."""
  made = Game(gan_3d.make_algorithm(gan_3d.Fields(z_dim=3)), optax.adam(0.1))
  made.take = jax.jit(made.step)
  return made


GOOD, POOR = -5.0, 20.0  # biases: all points are told apart, and all are taken for real


def assert_same(one, other):
  jax.tree.map(np.testing.assert_array_equal, one, other)


def test_a_critic_that_is_too_good_stays_bit_for_bit(game):
  before = with_bias(game.start(0), GOOD)
  after, metrics = game.take(before, points(10))
  assert metrics['critic_accuracy'] == 1
  assert_same(after.players['critic'], before.players['critic'])
  assert optax.tree_utils.tree_get(after.players['critic'].opt_state, 'count') == 0
  assert (after.players['generator'].params['Dense_0']['bias']
          != before.players['generator'].params['Dense_0']['bias']).any()
  assert optax.tree_utils.tree_get(after.players['generator'].opt_state, 'count') == 1


def test_one_that_is_not_too_good_learns(game):
  before = with_bias(game.start(0), POOR)
  after, metrics = game.take(before, points(10))
  assert metrics['critic_accuracy'] == 0.5
  assert float(after.players['critic'].params['bias']) == pytest.approx(POOR - 0.1)  # Adam's first step is its rate
  assert optax.tree_utils.tree_get(after.players['critic'].opt_state, 'count') == 1


def test_it_learns_again_where_the_accuracy_falls(game):
  state, _ = game.take(with_bias(game.start(0), GOOD), points(10))
  state, metrics = game.take(state, points(1))  # whose score is -4
  assert metrics['critic_accuracy'] == 0.5 and state.players['critic'].params['bias'] > GOOD


@pytest.mark.parametrize('most, learns', [(0.49, False), (0.5, True), (1.0, True)])
def test_the_limit_itself_is_allowed(most, learns):
  game = Game(gan_3d.make_algorithm(gan_3d.Fields(z_dim=3, max_accuracy=most)), optax.sgd(0.1))
  state, _ = jax.jit(game.step)(with_bias(game.start(0), POOR), points(10))
  assert (state.players['critic'].params['bias'] != POOR) == learns


def test_accuracy_by_hand():
  real, fake = jnp.array([1.0, 2.0, -1.0, 0.0]), jnp.array([-3.0, 1.0, -0.5, 2.0])
  assert gan_3d.accuracy(real, fake, 0.0) == (2 / 4 + 2 / 4) / 2
  assert gan_3d.accuracy(real, fake, 1.5) == (1 / 4 + 3 / 4) / 2
  patches = jnp.stack([real, fake])[..., None]
  assert gan_3d.accuracy(patches, -patches, 0.0) == (4 / 8 + 4 / 8) / 2


def test_the_accuracy_is_that_of_the_loss():
  """Least squares wants 1 and 0, between which a half is undecided."""
  critic, _ = gan_3d.make_algorithm(gan_3d.Fields(loss='least_squares')).updates
  play = SimpleNamespace(critic=lambda x, label: x, generator=lambda z, label: jnp.full(4, 0.4))
  batch = {'image': jnp.array([0.6, 0.4, 0.9, 1.2]), 'label': jnp.zeros(4, jnp.int32)}
  _, metrics = critic.loss(play, batch, jax.random.PRNGKey(0))
  assert metrics['critic_accuracy'] == (3 / 4 + 4 / 4) / 2


@pytest.mark.parametrize('loss', ['wasserstein', 'relativistic', 'relativistic_average'])
def test_a_loss_without_an_accuracy_has_no_gate(loss):
  with pytest.raises(UserError, match=f"max_accuracy=0.8: of loss='{loss}' no score .* expected 1.0"):
    gan_3d.make_algorithm(gan_3d.Fields(loss=loss))
  critic, _ = gan_3d.make_algorithm(gan_3d.Fields(loss=loss, max_accuracy=1.0)).updates
  assert critic.gate({})


def test_of_seeds_side_by_side_each_has_its_own_gate(game):
  singles = [with_bias(game.start(seed), bias) for seed, bias in ((0, GOOD), (1, POOR), (2, GOOD))]
  stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *singles)._replace(step=singles[0].step)
  batch = jax.tree.map(lambda x: np.stack([x] * 3), points(10))
  side_by_side = jax.vmap(game.step, in_axes=(SEED_AXES, 0), out_axes=(SEED_AXES, 0))
  after, metrics = jax.jit(side_by_side)(stacked, batch)
  np.testing.assert_array_equal(metrics['critic_accuracy'], [1, 0.5, 1])
  np.testing.assert_allclose(after.players['critic'].params['bias'], [GOOD, POOR - 0.1, GOOD], rtol=1e-6)
  np.testing.assert_array_equal(
      optax.tree_utils.tree_get(after.players['critic'].opt_state, 'count'), [0, 1, 0])


def mean_score(play, batch, rng):
  """A loss whose gradient with respect to the bias is the mean of the first coordinate."""
  del rng
  bias = play.critic(jnp.zeros_like(batch['image']), batch['label'])
  mean = jnp.mean(batch['image'][:, 0])
  return jnp.mean(bias * batch['image'][:, 0]), {'mean': mean}


def is_small(metrics):
  return metrics['mean'] <= 1


def gated(gate=is_small, **fields) -> Algorithm:
  return Algorithm((Update(('critic',), mean_score, gate=gate, **fields),), inputs=None, averaged=())


def test_each_repeat_passes_the_gate_or_not():
  game = Game(gated(repeats=3), optax.sgd(1.0))
  batch = points(0, num=3)
  batch['image'] += np.array([0.5, 2, 1], np.float32)[:, None, None]
  state, metrics = jax.jit(game.step)(game.start(0), batch)
  assert state.players['critic'].params['bias'] == -(0.5 + 1)
  assert float(metrics['mean']) == pytest.approx(3.5 / 3)  # that of the repeat which does not count, too


def test_a_gate_sees_the_whole_batch_through_its_microbatches():
  game = Game(gated(), optax.sgd(1.0), microbatches=2)
  step = jax.jit(game.step)
  for values, moved in (([4, -3, 4, -3], 0.5), ([4, -1, 4, -1], 0)):  # parts have the means 4 and -3, then 4 and -1
    batch = points(0)
    batch['image'][0, :, 0] = values
    state, metrics = step(game.start(0), batch)
    assert state.players['critic'].params['bias'] == -moved and metrics['mean'] == np.mean(values)


def test_a_gate_goes_with_lazy_updates():
  game = Game(gated(every=2), optax.sgd(1.0))
  step = jax.jit(game.step)
  state = game.start(0)
  biases = []
  for distance in (1, 1, 2, 1, 0.5):  # the second and the fourth step skip the update, the third does not pass
    state, _ = step(state, points(distance))
    biases.append(float(state.players['critic'].params['bias']))
  assert biases == [-1, -1, -1, -1, -1.5]


@pytest.mark.parametrize('gate', [
    lambda metrics: metrics['mean'], lambda metrics: jnp.zeros(2, bool), lambda metrics: 1, lambda metrics: None])
def test_a_gate_that_is_no_bool_is_refused(gate):
  with pytest.raises(UserError, match=r"gate of the update of critic returns .*: expected a bool, such as metrics\['"):
    Game(gated(gate), optax.sgd(1.0))


def test_a_gate_of_a_metric_that_there_is_not_is_refused():
  with pytest.raises(UserError, match=r"gate of the update of critic reads the metric 'accuracy', .* \['mean'\]"):
    Game(gated(lambda metrics: metrics['accuracy'] < 1), optax.sgd(1.0))


def test_a_gate_may_be_fixed():
  for holds in (True, np.bool_(False)):
    game = Game(gated(functools.partial(lambda metrics, holds: holds, holds=holds)), optax.sgd(1.0))
    state, _ = jax.jit(game.step)(game.start(0), points(1))
    assert state.players['critic'].params['bias'] == -float(holds)
