"""WGAN-GP learns: a toy that it must solve, through the real data, networks and steps."""
import jax
import numpy as np

from configs import wgan_gp_toy
from gans.build import build, build_state, build_train_steps
from gans.core import sharding
from gans.core.sampling import make_sampler
from gans.data.schedule import step_indices
from gans.data.sources import load_dataset
from gans.data.sources.points import ring_modes


def test_all_eight_modes_are_found():
  """The published toy (Gulrajani et al. 2017, gan_toy), with narrower networks and smaller batches."""
  config = wgan_gp_toy.get_config()
  config.update({'batch_size': 128, 'steps_per_call': config.num_steps, 'gp_weight': 1.0})
  config.generator.hidden = config.critic.hidden = (64, 64, 64)
  ring = load_dataset(config.dataset)
  experiment = build(config, ring.spec)
  mesh = sharding.make_mesh(config.batch_size)
  train_steps = build_train_steps(config, experiment, ring.spec, mesh)
  indices = step_indices(config, experiment.algorithm.batches_per_step, 0, len(ring.images))
  state, _ = train_steps(build_state(config, experiment, mesh), (ring.images, ring.labels), indices, config.num_steps)

  inputs = {'z': jax.random.normal(jax.random.key(7), (2500, config.z_dim)), 'label': np.zeros(2500, np.int32)}
  sample = make_sampler(experiment.algorithm, experiment.modules, ring.spec.kind.encode)
  points = np.asarray(sample(state.ema, inputs))
  distances = np.linalg.norm(points[:, None] - ring_modes(2 / 1.414), axis=-1)
  near = distances.min(1) < 0.2  # half the way to the next mode is 0.54
  shares = np.bincount(distances.argmin(1)[near], minlength=8) / len(points)
  assert near.mean() > 0.8
  assert shares.min() > 0.05 and shares.max() < 0.2  # 1/8 each
