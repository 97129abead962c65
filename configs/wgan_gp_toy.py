"""WGAN-GP on points in the plane, as in the released gan_toy of Gulrajani et al. 2017.

    python main.py --config=configs/wgan_gp_toy.py --workdir=/tmp/toy  # or --config.dataset.name=grid25, swiss_roll

Hardware: two CPU cores (AMD EPYC, AVX2). Time: 6 minutes for 1,500 steps, beside another run. Expect: all modes of
ring8 by then, at a learning rate of 1e-3 that falls to zero; the paper's 100,000 steps take hours. With narrower
networks tests/test_learning.py shows the same in seconds.
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
