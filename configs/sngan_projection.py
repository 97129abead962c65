"""SNGAN with projection (Miyato & Koyama 2018): conditional batch norm and a critic that projects on the label.

    python main.py --config=configs/sngan_projection.py --workdir=/tmp/projection
    python main.py --config=configs/sngan_projection.py:cifar10 --workdir=/tmp/cifar10  # as published, for a GPU

Hardware: one core of an AMD EPYC (AVX-512), beside other runs. Time: 20 minutes. Expect: EXPECT
"""
from configs import sngan


def get_config(variant: str = ''):
  """Returns the experiment; `configs/sngan_projection.py:VARIANT` selects 'cifar10'."""
  config = sngan.get_config(variant)
  config.generator.norm = 'conditional_batch'
  config.critic.projection = True
  return config
