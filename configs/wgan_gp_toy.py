"""WGAN-GP on points in the plane, the networks of the released gan_toy of Gulrajani et al. 2017.

    python main.py --config=configs/wgan_gp_toy.py --workdir=/tmp/toy  # or --config.dataset.name=grid25, swiss_roll
    python main.py --config=configs/wgan_gp_toy.py:narrow --workdir=/tmp/toy_narrow  # a quarter as wide, 8,000 steps
    python main.py --config=configs/wgan_gp_toy.py:paper --workdir=/tmp/toy_paper  # its 100,000 steps

Hardware: two CPU cores (AMD EPYC, AVX2). Time: 7 minutes, beside other work. Expect: all modes of ring8 and of grid25,
with some points on the way between them. The paper's 100,000 steps at a tenth of the learning rate take hours. With
narrower networks tests/test_learning.py shows the same in seconds.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; `configs/wgan_gp_toy.py:VARIANT` selects 'narrow', 'paper' or 'test' (tiny)."""
  config = base.get_config()
  config.dataset.name = 'ring8'
  config.batch_size = 256
  config.gp_weight = 0.1
  config.z_dim = 2
  config.num_steps, config.log_every, config.sample_every = 3000, 100, 500
  config.eval_every = 500
  config.optimizer.generator_learning_rate = config.optimizer.critic_learning_rate = 1e-3
  config.optimizer.schedule = 'linear'
  config.generator = base.mlp_generator(hidden=(512, 512, 512), output='linear')
  config.critic = base.mlp_critic(hidden=(512, 512, 512), leak=0.0)
  return base.variant_of(config, variant, narrow=narrow, paper=paper, test=test)


def narrow(config):
  """Networks a quarter as wide, a step of which takes a tenth of the time, and more steps for it."""
  config.num_steps, config.sample_every, config.eval_every = 8000, 1000, 1000
  config.generator.hidden = config.critic.hidden = (128, 128, 128)
  return config


def paper(config):
  """The published protocol: Adam 1e-4 (.5, .9), 100,000 steps."""
  config.num_steps, config.sample_every, config.checkpoint_every = 100_000, 2000, 10_000
  config.eval_every = 10_000
  config.optimizer.generator_learning_rate = config.optimizer.critic_learning_rate = 1e-4
  config.optimizer.schedule = 'constant'
  return config


def test(config):
  """A run of seconds."""
  config.generator.hidden = config.critic.hidden = (8, 8, 8)
  return base.test_size(config)
