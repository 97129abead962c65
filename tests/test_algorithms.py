"""The algorithms through their own files: what they add to the game, and that their parts go together freely."""
from collections import Counter
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import acgan, base, cgan, dcgan, gan, wgan, wgan_gp, wgan_gp_toy
from gans.algorithms import acgan as acgan_algorithm
from gans.build import Experiment, build, build_shapes, build_state, build_train_step
from gans.core import sharding
from gans.core.game import GANState, Update, bind
from gans.core.sampling import make_sampler
from gans.core.step import make_train_step
from gans.data.batches import batch_shapes, make_prepare
from gans.data.dataset import Dataset, Spec
from gans.data.kinds import labels_shown
from gans.data.schedule import step_indices
from gans.data.sources import load_dataset
from gans.data.sources.points import load_points
from gans.errors import UserError
from gans.system.events import read_scalars
from gans.training.loop import train
from gans.training.reporter import Reporter
from tests.conftest import set_optimizers
from tests.shrink import shrink


class Start(NamedTuple):
  """What the steps of a config begin with."""
  experiment: Experiment
  state: GANState
  digits: Dataset


def start(config) -> Start:
  digits = load_dataset(config.dataset)
  experiment = build(config, digits.spec)
  mesh = sharding.make_mesh(config.batch_size, jax.devices()[:1])
  return Start(experiment, build_state(config, experiment, mesh), digits)


def batch_of_step(config, experiment: Experiment, digits: Dataset, step: int) -> dict:
  index = step_indices(config, experiment.algorithm.batches_per_step, step, len(digits.images))[0]
  return make_prepare(digits.spec, flip=False)((digits.images, digits.labels), index, None)


def steps(config, count: int = 2):
  """Takes real steps on the real digits; returns (experiment, state, metrics of the last step)."""
  experiment, state, digits = start(config)
  step = jax.jit(build_train_step(config, experiment))
  for i in range(count):
    state, metrics = step(state, batch_of_step(config, experiment, digits, i))
  return experiment, state, jax.tree.map(float, metrics)


def test_wgan_clips_and_its_generator_meets_the_clipped_critic():
  config = shrink(wgan.get_config())
  config.critic.optimizer.learning_rate = 0.1  # far beyond the clip in one update
  _, state, _ = steps(config)
  leaves = [np.abs(leaf) for leaf in jax.tree.leaves(state.players['critic'].params)]
  assert max(leaf.max() for leaf in leaves) == pytest.approx(config.clip)


class CountedPlay:
  """Counts the calls of each player."""

  def __init__(self, play):
    self.play = play
    self.calls = Counter()

  def __getattr__(self, player: str):
    self.calls[player] += 1
    return getattr(self.play, player)


@pytest.mark.parametrize('config_file', [acgan, cgan, dcgan, gan, wgan, wgan_gp])
def test_a_generators_loss_passes_its_own_images_alone(config_file):
  config = shrink(config_file.get_config())
  spec = load_dataset(config.dataset).spec
  experiment = build(config, spec)
  update, = (update for update in experiment.algorithm.updates if update.players == ('generator',))
  state = build_shapes(config, experiment)
  calls = []

  def follow(players, batch, rng):
    params = {name: player.params for name, player in players.items()}
    model_states = {name: player.model_state for name, player in players.items()}
    play = CountedPlay(bind(experiment.modules, params, model_states, rng))
    loss, _ = update.loss(play, batch, rng)
    calls.append(play.calls)
    return loss

  jax.eval_shape(follow, state.players, batch_shapes(spec, config.batch_size), state.rng)
  assert calls == [{'generator': 1, 'critic': 1}]


def test_class_losses_by_hand():
  logits = jnp.log(jnp.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]))
  label = jnp.array([0, 2])
  assert float(acgan_algorithm.classification(logits, label)) == pytest.approx(-np.log(0.5 * 0.1) / 2)
  assert float(acgan_algorithm.accuracy(logits, label)) == 0.5


def conditional_wgan_gp():
  config = shrink(wgan_gp.get_config())
  config.generator.label_dim, config.critic.label_dim = 4, 1
  return config, {'gradient_penalty', 'wasserstein_estimate'}


def acgan_with_penalty_and_hinge():
  config = shrink(acgan.get_config())
  config.loss, config.critic.norm = 'hinge', 'layer'
  config.penalty.name, config.penalty.weight = 'gradient_penalty', 10.0
  return config, {'gradient_penalty', 'critic_class_loss'}


def least_squares_upsampling():
  config = shrink(dcgan.get_config())
  config.loss, config.critic.norm = 'least_squares', 'none'
  config.generator.upsample, config.generator.kernels, config.generator.norm = 'bilinear', 3, 'layer'
  return config, {'real_score'}


def labels_drawn(experiment: Experiment, spec: Spec) -> np.ndarray:
  """Labels of a run's sample grids."""
  return labels_shown(spec.kind, experiment.num_labels)


@pytest.mark.parametrize('combination', [conditional_wgan_gp, acgan_with_penalty_and_hinge, least_squares_upsampling])
def test_parts_go_together_from_config_fields_alone(combination):
  config, expected = combination()
  experiment, state, metrics = steps(config)
  assert expected <= metrics.keys() and np.isfinite(list(metrics.values())).all()
  assert 'gradient_penalty' in expected or 'gradient_penalty' not in metrics
  spec = load_dataset(config.dataset).spec
  assert experiment.num_labels == (10 if config.generator.label_dim else 0) and not experiment.translates
  label = labels_drawn(experiment, spec)
  sample = make_sampler(experiment.algorithm, experiment.modules, encode=jnp.asarray)
  images = sample(state.ema, {'z': jnp.ones((len(label), config.z_dim)), 'label': label})
  if config.generator.label_dim:  # a row of eight per class; the same noise, so a row is one picture
    np.testing.assert_array_equal(label, np.repeat(np.arange(10), 8))
    assert (images[0] == images[7]).all() and (images[0] != images[8]).any()
  else:
    assert images.shape == (64, 28, 28, 1)


def test_points_are_plotted_in_thousands_and_evenly_over_their_classes():
  unconditional, conditional = shrink(wgan_gp_toy.get_config()), shrink(cgan.get_config())
  spec = load_points(unconditional.dataset).spec
  assert labels_drawn(build(unconditional, spec), spec).tolist() == [0] * 2000
  np.testing.assert_array_equal(np.bincount(labels_drawn(build(conditional, spec), spec)), [250] * 8)


def test_labels_where_there_are_none_are_refused():
  config = shrink(cgan.get_config())
  config.dataset.name = 'swiss_roll'
  with pytest.raises(UserError, match='label_dim=10: the data set has no labels'):
    build(config, load_dataset(config.dataset).spec)


# Penalties of the config: `config.penalty.{name, weight, every}`.


def gan_with_penalty(**penalty):
  config = shrink(gan.get_config())
  config.penalty.update({'name': 'gradient_penalty', **penalty})
  return config


def acgan_with_penalty(**penalty):
  config = shrink(acgan.get_config())
  config.generator = base.mlp_generator(hidden=(8,), norm='batch', label_dim=2)
  config.critic = base.mlp_critic(hidden=(8,), classify=True)
  config.penalty.update({'name': 'gradient_penalty', **penalty})
  return config


TAKE_A_PENALTY = pytest.mark.parametrize('make_config', [gan_with_penalty, acgan_with_penalty])


def updates_taken(state: GANState) -> int:
  """How many updates the critic's Adam counted."""
  return int(state.players['critic'].opt_state[0].count)


@TAKE_A_PENALTY
def test_a_penalty_of_every_step_is_a_term_of_the_critics_loss(make_config):
  """Twice the weight adds the weighted penalty to the loss once more."""
  found = {}
  for weight in (3.0, 6.0):
    experiment, state, found[weight] = steps(make_config(weight=weight, every=1), count=1)
    assert [update.every for update in experiment.algorithm.updates] == [1, 1] and updates_taken(state) == 1
  once, twice = found[3.0], found[6.0]
  assert once['gradient_penalty'] == pytest.approx(twice['gradient_penalty'], rel=1e-6)
  assert twice['critic_loss'] - once['critic_loss'] == pytest.approx(3 * once['gradient_penalty'], rel=1e-4)


@TAKE_A_PENALTY
def test_no_penalty_adds_nothing(make_config):
  """The weight of a penalty of the name 'none' is read by nobody."""
  found = {}
  for weight in (10.0, 1e9):
    experiment, state, metrics = steps(make_config(name='none', weight=weight, every=3))
    assert len(experiment.algorithm.updates) == 2 and updates_taken(state) == 2
    assert not {'none', 'gradient_penalty'} & metrics.keys()
    found[weight] = state, metrics
  jax.tree.map(np.testing.assert_array_equal, found[10.0], found[1e9])


@TAKE_A_PENALTY
def test_a_lazy_penalty_is_an_update_of_its_own(make_config):
  config = make_config(weight=2.5, every=3)
  critic, penalty, generator = build(config, load_dataset(config.dataset).spec).algorithm.updates
  assert (critic.players, critic.every) == (('critic',), 1)
  assert (penalty.players, penalty.every, penalty.repeats) == (('critic',), 3, 1)
  assert (generator.players, generator.every) == (('generator',), 1)


@pytest.mark.parametrize('n_critic', [1, 5])
@TAKE_A_PENALTY
def test_a_lazy_penalty_has_the_weight_of_all_updates_that_it_stands_for(make_config, n_critic):
  """Of a linear critic, whose gradient is the same everywhere, the penalty is (|w| - 1)^2."""
  w = jnp.array([3.0, 0.0, 4.0])
  config = make_config(weight=2.5, every=3)
  config.n_critic = n_critic

  class LinearPlay:
    progress = 0.0

    def generator(self, z, label):
      return jnp.zeros((len(label), 3))

    def critic(self, x, label):
      scores = x @ w
      return (scores, jnp.zeros((len(x), 10))) if config.critic.classify else scores

  _, penalty, _ = build(config, load_dataset(config.dataset).spec).algorithm.updates
  batch = {'image': jnp.ones((4, 3)), 'label': jnp.zeros(4, jnp.int32)}
  loss, metrics = penalty.loss(LinearPlay(), batch, jax.random.PRNGKey(0))
  assert float(metrics['gradient_penalty']) == pytest.approx((5 - 1)**2)
  assert metrics.keys() == {'gradient_penalty'}
  assert float(loss) == pytest.approx(3 * n_critic * 2.5 * (5 - 1)**2)


@pytest.mark.parametrize('every', [1, 2])
@TAKE_A_PENALTY
def test_an_example_is_scored_at_its_own_label_by_every_penalty(make_config, every):
  """Of a critic that scores x by label |x|^2 / 2, whose gradient is label x."""
  x, x_tilde, label = jnp.array([[1.0], [2.0]]), jnp.array([[-3.0], [5.0]]), jnp.array([1, 4])

  class SquarePlay:
    progress = 0.0

    def generator(self, z, label):
      return x_tilde

    def critic(self, x, label):
      scores = label * jnp.sum(x**2, axis=1) / 2
      return (scores, jnp.zeros((len(x), 10))) if config.critic.classify else scores

  of_real, of_fake = (1 + 8**2) / 2 / 2, (3**2 + 20**2) / 2 / 2
  for name, want in {'r1': of_real, 'r2': of_fake, 'r1_r2': of_real + of_fake}.items():
    config = make_config(name=name, every=every)
    updates = build(config, load_dataset(config.dataset).spec).algorithm.updates
    _, metrics = updates[every - 1].loss(SquarePlay(), {'image': x, 'label': label}, jax.random.PRNGKey(0))
    assert float(metrics[name]) == pytest.approx(want)


@TAKE_A_PENALTY
def test_a_lazy_penalty_is_taken_in_steps_0_every_and_twice_every_alone(make_config):
  config = make_config(weight=2.5, every=3)
  experiment, state, digits = start(config)
  step = jax.jit(build_train_step(config, experiment))
  counts, penalties = [], []
  for i in range(7):
    state, metrics = step(state, batch_of_step(config, experiment, digits, i))
    counts.append(updates_taken(state))
    penalties.append(float(metrics['gradient_penalty']))
  assert counts == [2, 3, 4, 6, 7, 8, 10]
  assert [penalty > 0 for penalty in penalties] == [True, False, False, True, False, False, True]
  assert [penalty == 0 for penalty in penalties] == [False, True, True, False, True, True, False]


@TAKE_A_PENALTY
def test_a_step_that_skips_the_penalty_is_a_step_without_it(make_config):
  """Parameters, optimizers, batch statistics and averages, under Adam; a step that takes it differs."""
  config = make_config(weight=2.5, every=3)
  set_optimizers(config, 'adam', learning_rate=2e-4, b1=0.5, b2=0.9, eps=1e-5)  # beyond the rounding of gradients
  experiment, state, digits = start(config)

  def nothing(play, batch, rng):  # keeps the number of the step's keys
    return jnp.zeros(()), {}

  critic, _, generator = experiment.algorithm.updates
  without_penalty = experiment.algorithm._replace(updates=(critic, Update((), nothing), generator))
  step = jax.jit(build_train_step(config, experiment))
  bare_step = jax.jit(make_train_step(without_penalty, experiment.modules, experiment.optimizers, config.ema_decay))
  for i in range(4):
    batch = batch_of_step(config, experiment, digits, i)
    bare_state, _ = bare_step(state, batch)
    state, _ = step(state, batch)
    if i in (0, 3):
      moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), state.players, bare_state.players)
      assert max(jax.tree.leaves(moved['critic'].params)) > 1e-6
    else:
      jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), state, bare_state)


def test_the_lazy_update_descends_on_the_weighted_penalty():
  """With SGD the critic moves in proportion to the penalty's weight and to `every`."""
  def moved_by(weight: float, every: int):
    config = gan_with_penalty(weight=weight, every=every)
    set_optimizers(config)
    experiment, state, digits = start(config)
    critic, penalty, _ = experiment.algorithm.updates
    alone = experiment.algorithm._replace(updates=(penalty,))
    step = jax.jit(make_train_step(alone, experiment.modules, experiment.optimizers, config.ema_decay))
    after, _ = step(state, batch_of_step(config, experiment, digits, 0))
    return jax.tree.map(np.subtract, after.players['critic'].params, state.players['critic'].params)

  once, more = moved_by(0.5, 2), moved_by(1.5, 4)
  assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(once)) > 1e-4
  jax.tree.map(lambda a, b: np.testing.assert_allclose(6 * a, b, rtol=1e-3, atol=1e-6), once, more)


def test_skipped_updates_are_left_out_of_the_logged_means(tmp_path, monkeypatch):
  config = gan_with_penalty(weight=2.5, every=3)
  config.num_steps, config.steps_per_call, config.log_every = 7, 4, 2
  seen = {'gradient_penalty': [], 'critic_loss': []}
  report = Reporter.metrics

  def metrics(self, stop, metrics, count):
    for name, values in seen.items():
      values.extend(np.asarray(metrics[name])[:count].tolist())
    report(self, stop, metrics, count)

  monkeypatch.setattr(Reporter, 'metrics', metrics)
  train(config, tmp_path)
  logged = read_scalars(tmp_path / 'events', lambda tag: tag.startswith('train/'))
  penalty, loss = seen['gradient_penalty'], seen['critic_loss']
  assert [value > 0 for value in penalty] == [True, False, False, True, False, False, True]
  # Points at the steps 2, 4 and 6, of two steps each, and at the end; no penalty was taken in the steps 4 and 5.
  assert logged['train/gradient_penalty'] == pytest.approx({2: penalty[0], 4: penalty[3], 7: penalty[6]})
  assert logged['train/critic_loss'] == pytest.approx(
      {2: np.mean(loss[0:2]), 4: np.mean(loss[2:4]), 6: np.mean(loss[4:6]), 7: loss[6]})
