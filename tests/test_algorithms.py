"""The algorithms through their own files: what they add to the game, and that their parts go together freely."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import acgan, cgan, dcgan, wgan, wgan_gp, wgan_gp_toy
from gans.algorithms import acgan as acgan_algorithm
from gans.core import sharding
from gans.core.step import make_train_step
from gans.data import dataset as datasets
from gans.data.sources import points
from gans.data.sources.digits import load
from gans.training import loop


def steps(config, count: int = 2):
  """Takes real steps on the real digits; returns (experiment, state, metrics of the last step)."""
  digits = load(config.dataset)
  experiment = loop.build(config, digits.spec)
  step = jax.jit(make_train_step(experiment.algorithm, experiment.optimizers, config.ema_decay))
  state = loop.create_state(config, experiment, digits.spec, sharding.make_mesh(config.batch_size, jax.devices()[:1]))
  for i in range(count):
    index = loop.step_indices(config, i, len(digits.images))[0]
    state, metrics = step(state, datasets.gather((digits.images, digits.labels), index, None))
  return experiment, state, jax.tree.map(float, metrics)


def test_wgan_clips_and_its_generator_meets_the_clipped_critic():
  config = wgan.get_config('test')
  config.optimizer.critic_learning_rate = 0.1  # far beyond the clip in one update
  _, state, _ = steps(config)
  leaves = [np.abs(leaf) for leaf in jax.tree.leaves(state.critic.params)]
  assert max(leaf.max() for leaf in leaves) == pytest.approx(config.clip)


def test_class_losses_by_hand():
  logits = jnp.log(jnp.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]))
  label = jnp.array([0, 2])
  assert float(acgan_algorithm.classification(logits, label)) == pytest.approx(-np.log(0.5 * 0.1) / 2)
  assert float(acgan_algorithm.accuracy(logits, label)) == 0.5


def conditional_wgan_gp():
  config = wgan_gp.get_config('test')
  config.generator.label_dim, config.critic.label_dim = 4, 1
  return config, {'gradient_penalty', 'wasserstein_estimate'}


def acgan_with_penalty_and_hinge():
  config = acgan.get_config('test')
  config.loss, config.gp_weight, config.critic.norm = 'hinge', 10.0, 'layer'
  return config, {'gradient_penalty', 'critic_class_loss'}


def least_squares_upsampling():
  config = dcgan.get_config('test')
  config.loss, config.critic.norm = 'least_squares', 'none'
  config.generator.upsample, config.generator.kernels, config.generator.norm = 'bilinear', 3, 'layer'
  return config, {'real_score'}


@pytest.mark.parametrize('combination', [conditional_wgan_gp, acgan_with_penalty_and_hinge, least_squares_upsampling])
def test_parts_go_together_from_config_fields_alone(combination):
  config, expected = combination()
  experiment, state, metrics = steps(config)
  assert expected <= metrics.keys() and np.isfinite(list(metrics.values())).all()
  assert 'gradient_penalty' in expected or 'gradient_penalty' not in metrics
  label = loop.grid_labels(config, load(config.dataset).spec)
  draw = jax.jit(lambda z, label: experiment.generator.apply(state.ema, z, label, train=False))
  images = draw(jnp.ones((len(label), config.z_dim)), label)
  if config.generator.label_dim:  # a row of eight per class; the same noise, so a row is one picture
    np.testing.assert_array_equal(label, np.repeat(np.arange(10), 8))
    assert (images[0] == images[7]).all() and (images[0] != images[8]).any()
  else:
    assert images.shape == (64, 28, 28, 1)


def test_points_are_plotted_in_thousands_and_evenly_over_their_classes():
  points = points.load('ring8', None)
  assert loop.grid_labels(wgan_gp_toy.get_config(), points.spec).tolist() == [0] * 2000
  conditional = loop.grid_labels(cgan.get_config(), points.spec)
  np.testing.assert_array_equal(np.bincount(conditional), [250] * 8)


def test_labels_where_there_are_none_are_refused():
  config = cgan.get_config('test')
  config.dataset.name = 'swiss_roll'
  from gans import data
  from gans.errors import UserError
  with pytest.raises(UserError, match='label_dim=10: the data set has no labels'):
    points = data.load(config.dataset)
    loop.create_state(config, loop.build(config, points.spec), points.spec, sharding.make_mesh(config.batch_size))
