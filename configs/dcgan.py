"""DCGAN (Radford et al. 2016) with binary cross-entropy on handwritten digits, 28x28.

    python main.py --config=configs/dcgan.py --workdir=/tmp/dcgan

Hardware: two CPU cores. Time: 6 minutes for the first 3,000 steps, beside another run. Expect: sharp
strokes from step 1,000 on, most of them digits by 3,000, some classes far too rare.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; `configs/dcgan.py:test` is tiny."""
  config = base.get_adversarial_config()
  config.num_steps = 8000
  config.critic = base.dcgan_critic(hidden=(32, 64), norm='batch')
  config.optimizer.generator_learning_rate = config.optimizer.critic_learning_rate = 2e-4
  config.optimizer.b2 = 0.999
  return base.variant_of(config, variant, test=test)


def test(config):
  """A run of seconds."""
  config.generator.hidden, config.critic.hidden = (8, 4), (4, 8)
  return base.test_size(config)
