"""WGAN-GP (Gulrajani et al. 2017) on handwritten digits, 28x28.

    python main.py --config=configs/wgan_gp.py --workdir=/tmp/run
    python main.py --config=configs/wgan_gp.py:source --workdir=/tmp/source  # the source's wider networks and settings

Hardware: two CPU cores (AMD EPYC, AVX2). Time: 11 minutes, compile and evaluation included. Expect: the first grid
after 30 s, digits that one can read after 2 minutes, and at the end a classifier of MNIST sure of more than four in
five.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; `configs/wgan_gp.py:VARIANT` selects 'source' (as the source has it) or 'test' (tiny)."""
  config = base.get_config()
  config.num_steps = 4500
  config.eval_every = 1_500
  config.generator = base.dcgan_generator(dense=(512,), start=7, hidden=(64, 32))
  config.critic = base.dcgan_critic(hidden=(16, 32, 64))
  config.optimizer.generator_learning_rate = config.optimizer.critic_learning_rate = 2e-3
  config.optimizer.schedule = 'linear'
  return base.variant_of(config, variant, source=source, test=test)


def source(config):
  """Wider networks from a 1x1 latent, batch norm in the critic too, no padding, Adam 2e-4 (.5, .999), batch 128."""
  config.batch_size = 128
  config.generator = base.dcgan_generator(
      start=1, hidden=(256, 128, 64), kernels=(3, 4, 3, 4), strides=(2, 1, 2, 2), padding='VALID')
  config.critic = base.dcgan_critic(hidden=(16, 32), padding='VALID', norm='batch', norm_first=True, head='conv')
  config.optimizer.update({'generator_learning_rate': 2e-4, 'critic_learning_rate': 2e-4, 'b2': 0.999,
                           'schedule': 'constant'})
  return config


def test(config):
  """A run of seconds."""
  config.generator.dense, config.generator.hidden, config.critic.hidden = (8,), (8, 4), (4, 8)
  return base.test_size(config)
