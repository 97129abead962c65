"""WGAN-GP learns: a toy that it must solve, through the real data, networks and steps."""
import jax
import numpy as np

from configs import wgan_gp_toy
from gans import data
from gans.core import sampling, sharding
from gans.training import loop


def test_all_eight_modes_are_found():
  """The published toy (Gulrajani et al. 2017, gan_toy), with narrower networks and smaller batches."""
  config = wgan_gp_toy.get_config()
  config.update({'batch_size': 128, 'log_every': config.num_steps, 'gp_weight': 1.0})
  config.generator.hidden = config.critic.hidden = (64, 64, 64)
  ring = data.load(config.dataset)
  experiment = loop.build(config, ring.spec)
  mesh = sharding.make_mesh(config.batch_size)
  train_steps = loop.build_train_steps(config, experiment, mesh)
  state = loop.create_state(config, experiment, ring.spec, mesh)
  state, _ = train_steps(
      state, (ring.images, ring.labels), loop.step_indices(config, 0, len(ring.images)), config.num_steps)

  z = jax.random.normal(jax.random.key(7), (2500, config.z_dim))
  points = np.asarray(sampling.make_sampler(experiment.generator)(state.ema, z, None))
  distances = np.linalg.norm(points[:, None] - points.ring_modes(2 / 1.414), axis=-1)
  near = distances.min(1) < 0.2  # half the way to the next mode is 0.54
  shares = np.bincount(distances.argmin(1)[near], minlength=8) / len(points)
  assert near.mean() > 0.8
  assert shares.min() > 0.05 and shares.max() < 0.2  # 1/8 each
