"""SNGAN with projection (Miyato & Koyama 2018): conditional batch norm and a critic that projects on the label.

    python main.py --config=configs/sngan_projection.py --workdir=/tmp/projection
    python main.py --config=configs/sngan_projection.py:cifar10 --workdir=/tmp/cifar10  # as published, for a GPU

Hardware: one core of an AMD EPYC (AVX-512), beside other runs. Time: 14 minutes. Expect: digits of the class that is
asked for after five minutes; at the end a classifier of MNIST is as sure of them as of real ones.
"""
from configs import base, sngan


def get_config(variant: str = ''):
  """Returns the experiment; `configs/sngan_projection.py:VARIANT` selects 'cifar10'.

  Conditional batch norm starts without any condition, and Adam moves its weights by the learning rate a step at most:
  at sngan's rates the classes were still mixed after 800 steps. So the generator's is four times that of the critic.
  """
  config = sngan.get_config()
  config.n_critic = 1
  config.num_steps = 2000
  config.eval_every = 2_000
  config.generator.optimizer.learning_rate = 2e-3
  return with_labels(base.variant_of(config, variant, cifar10=sngan.cifar10))


def with_labels(config):
  """Gives both networks the label."""
  config.generator.norm = 'conditional_batch'
  config.critic.projection = True
  return config
