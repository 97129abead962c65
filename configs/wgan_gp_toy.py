"""WGAN-GP on points in the plane, the networks of the released gan_toy of Gulrajani et al. 2017.

    python main.py --config=configs/wgan_gp_toy.py --workdir=/tmp/toy  # or --config.dataset.name=grid25, swiss_roll
    python main.py --config=configs/wgan_gp_toy.py:narrow --workdir=/tmp/toy_narrow  # a quarter as wide, 8,000 steps
    python main.py --config=configs/wgan_gp_toy.py:paper --workdir=/tmp/toy_paper  # its 100,000 steps

Hardware: two CPU cores (AMD EPYC, AVX2). Time: 7 minutes, beside other work. Expect: all modes of ring8 and of grid25,
with some points between them. The paper's 100,000 steps at a tenth of the learning rate take hours. With narrower
networks, tests/test_learning.py shows the same in seconds.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; `configs/wgan_gp_toy.py:VARIANT` selects 'narrow' or 'paper'."""
  adam = base.adam(learning_rate=1e-3, schedule='linear')
  config = base.get_config('wgan_gp')
  config.dataset.name = 'ring8'
  config.batch_size = 256
  config.gp_weight = 0.1
  config.z_dim = 2
  config.num_steps = 3000
  config.steps_per_call = config.log_every = 100
  config.sample_every = config.eval_every = 500
  config.generator = base.mlp_generator(hidden=(512, 512, 512), output='linear', optimizer=adam)
  config.critic = base.mlp_critic(hidden=(512, 512, 512), leak=0.0, optimizer=adam)
  return base.variant_of(config, variant, narrow=narrow, paper=paper)


def narrow(config):
  """Networks a quarter as wide, whose steps take a tenth of the time, and more steps."""
  config.num_steps = 8000
  config.sample_every = config.eval_every = 1000
  config.generator.hidden = config.critic.hidden = (128, 128, 128)
  return config


def paper(config):
  """The published protocol: Adam 1e-4 (.5, .9), 100,000 steps."""
  config.num_steps = 100_000
  config.sample_every = 2000
  config.checkpoint_every = config.eval_every = 10_000
  config.generator.optimizer = config.critic.optimizer = base.adam(learning_rate=1e-4)
  return config
