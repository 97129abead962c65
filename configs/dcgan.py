"""DCGAN (Radford et al. 2016) with binary cross-entropy on handwritten digits, 28x28.

    python main.py --config=configs/dcgan.py --workdir=/tmp/dcgan

Hardware: two CPU cores (AMD EPYC, AVX2). Time: 15 minutes, beside another run. Expect: sharp strokes, two thirds
of them digits by the end; all classes, but unevenly, 4 to 18 % each.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; `configs/dcgan.py:test` is tiny."""
  config = base.get_adversarial_config()
  config.num_steps = 8000
  config.eval_every = 2_000
  config.critic = base.dcgan_critic(hidden=(32, 64), norm='batch')
  config.optimizer.generator_learning_rate = config.optimizer.critic_learning_rate = 2e-4
  config.optimizer.b2 = 0.999
  return base.variant_of(config, variant, test=test)


def test(config):
  """A run of seconds."""
  config.generator.hidden, config.critic.hidden = (8, 4), (4, 8)
  return base.test_size(config)
