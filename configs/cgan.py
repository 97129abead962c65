"""The conditional GAN (Mirza & Osindero 2014), fully connected, on handwritten digits, 28x28.

    python main.py --config=configs/cgan.py --workdir=/tmp/cgan

Hardware: two CPU cores (AMD EPYC, AVX2). Time: 9 minutes for the first 6,000 steps, beside another run. Expect: a row
per class; by then a classifier of MNIST agrees with the row for nine of ten samples; some are broken.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; `configs/cgan.py:test` is tiny."""
  config = base.get_adversarial_config()
  config.z_dim = 100
  config.num_steps, config.sample_every, config.checkpoint_every, config.log_every = 20_000, 1000, 5000, 100
  config.eval_every = 5_000
  config.generator = base.mlp_generator(hidden=(256, 512, 1024), norm='batch', label_dim=10)
  config.critic = base.mlp_critic(hidden=(1024, 512, 256), dropout=0.3, label_dim=1)
  config.optimizer.generator_learning_rate = config.optimizer.critic_learning_rate = 2e-4
  config.optimizer.b2 = 0.999
  return base.variant_of(config, variant, test=test)


def test(config):
  """A run of seconds."""
  config.generator.hidden = config.critic.hidden = (8, 8, 8)
  return base.test_size(config)
