"""A generator that collapses is noticed, one that learns is not suspected; reduced precision stays finite."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import gan, wgan_gp_toy
from gans.build import build, build_state, build_train_steps
from gans.core import sharding
from gans.data.schedule import step_indices
from gans.data.sources import load_dataset
from gans.training import health
from gans.training.loop import train
from tests.shrink import shrink


def test_rms_distance_by_hand():
  triangle = np.array([[0, 0], [3, 0], [0, 4]])  # sides 3, 4 and 5
  assert health.rms_distance(triangle) == pytest.approx(np.sqrt((9 + 16 + 25) / 3))
  assert health.rms_distance(np.full((5, 2, 2, 1), 200, np.uint8)) == 0
  assert health.rms_distance(np.array([[0], [255]], np.uint8)) == 255  # no overflow of the bytes


def messages(steps_and_samples, real) -> list[str]:
  said = []
  check = health.watch_collapse(real, len(real), said.append)
  for step, samples in steps_and_samples:
    check(step, samples)
  return said


def test_a_collapse_is_said_once_with_its_evidence():
  real = np.random.default_rng(0).normal(size=(100, 4))
  said = messages([(10, real * 0.9), (20, real * 0.09), (30, real * 0.01), (40, real), (50, real * 0.01)], real)
  number = health.rms_distance(real)
  assert len(said) == 1 and 'at step 20' in said[0]
  assert f'two samples is {0.09 * number:.3g}' in said[0] and f'two real examples {number:.3g}' in said[0]


def test_an_untrained_generator_is_not_suspected_but_one_that_never_learns_is():
  real = np.random.default_rng(0).normal(size=(100, 4))
  flat = real * 0.01
  assert messages([(step, flat) for step in range(0, health.LEARNT, 100)] + [(health.LEARNT, real)], real) == []
  assert len(messages([(step, flat) for step in range(0, health.LEARNT + 1, 100)], real)) == 1


def test_real_examples_are_taken_from_the_whole_set():
  sorted_by_class = np.repeat(np.eye(10), 50, axis=0)
  said = []
  health.watch_collapse(sorted_by_class, 20, said.append)(health.LEARNT, np.zeros((20, 10)))
  assert f'real examples {health.rms_distance(np.repeat(np.eye(10), 2, axis=0)):.3g}' in said[0]


@pytest.mark.parametrize('critic_learns', [True, False])
def test_a_real_run_that_collapses_and_one_that_does_not(tmp_path, capsys, critic_learns):
  """Against a critic that never changes, the best answer to it is the same image whatever the noise."""
  config = shrink(gan.get_config())
  config.num_steps, config.steps_per_call, config.log_every = 1000, 250, 250
  config.sample_every, config.checkpoint_every = 250, 1000
  config.loss, config.batch_size, config.generator.hidden, config.critic.hidden = 'wasserstein', 32, (64,), (32,)
  config.generator.norm, config.critic.dropout = 'none', 0.0  # batch norm would keep samples apart
  config.generator.optimizer.schedule = config.critic.optimizer.schedule = 'constant'
  config.generator.optimizer.learning_rate = 1e-3
  config.critic.optimizer.learning_rate = 1e-3 if critic_learns else 1e-30
  train(config, tmp_path)
  assert ('the samples have collapsed' in capsys.readouterr().out) == (not critic_learns)


def test_bfloat16_with_the_gradient_penalty_stays_finite_for_2000_steps():
  config = shrink(wgan_gp_toy.get_config())
  config.update({'dtype': 'bfloat16', 'batch_size': 32, 'n_critic': 2, 'num_steps': 2000, 'gp_weight': 10.0})
  config.steps_per_call = config.num_steps
  config.generator.hidden = config.critic.hidden = (16, 16)
  config.z_dim = 8
  ring = load_dataset(config.dataset)
  experiment = build(config, ring.spec)
  assert {module.dtype for module in experiment.modules.values()} == {jnp.dtype('bfloat16')}
  mesh = sharding.make_mesh(config.batch_size)
  train_steps = build_train_steps(config, experiment, ring.spec, mesh)
  indices = step_indices(config, experiment.algorithm.batches_per_step, 0, len(ring.images))
  state = build_state(config, experiment, mesh)
  state, metrics = train_steps(state, (ring.images, ring.labels), indices, config.num_steps)
  health.check_finite(0, metrics, config.num_steps, state)
  assert all(np.isfinite(values).all() and len(values) == 2000 for values in jax.tree.leaves(metrics))
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))
