"""WGAN-GP on points in the plane, as in the released gan_toy of Gulrajani et al. 2017.

    python main.py --config=configs/wgan_gp_toy.py --workdir=/tmp/toy  # or --config.dataset.name=grid25, swiss_roll

Hardware: two CPU cores. Time: not measured yet. Expect: all modes of ring8 and
grid25; tests/test_learning.py shows it for ring8 with narrower networks.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; `configs/wgan_gp_toy.py:test` is tiny."""
  config = base.get_config()
  config.dataset.name = 'ring8'
  config.batch_size = 256
  config.gp_weight = 0.1
  config.z_dim = 2
  config.num_steps, config.log_every, config.sample_every, config.checkpoint_every = 100_000, 100, 2000, 10_000
  config.generator = base.mlp_generator(hidden=(512, 512, 512), output='linear')
  config.critic = base.mlp_critic(hidden=(512, 512, 512), leak=0.0)
  return base.variant_of(config, variant, test=test)


def test(config):
  """A run of seconds."""
  config.generator.hidden = config.critic.hidden = (8, 8, 8)
  return base.test_size(config)
