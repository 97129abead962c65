"""WGAN-GP with residual networks (Gulrajani et al. 2017, appendix F) on handwritten digits, 28x28.

    python main.py --config=configs/wgan_gp_resnet.py --workdir=/tmp/resnet
    python main.py --config=configs/wgan_gp_resnet.py:cifar10 --workdir=/tmp/cifar10  # as published, for a GPU

Hardware: one core of an AMD EPYC (AVX-512), beside other runs. Time: 8 minutes. Expect: two thirds of the samples are
digits that a classifier is sure of, of all classes; longer runs still get better. The variant was not trained.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; `configs/wgan_gp_resnet.py:VARIANT` selects 'cifar10'."""
  adam = base.adam(learning_rate=1e-3, schedule='linear', b1=0.0)
  config = base.get_config('wgan_gp')
  config.n_critic = 2
  config.num_steps = 1000
  config.eval_every = 1_000
  config.generator = base.resnet_generator(hidden=(64, 32, 16), optimizer=adam)
  config.critic = base.resnet_critic(hidden=(16, 32, 64), pool='mean', optimizer=adam)
  return base.variant_of(config, variant, cifar10=cifar10)


def cifar10(config):
  """The published settings for CIFAR-10 without labels, with the widths of its appendix F.

  But images are mirrored, and the generator learns from a batch as large as the critic's, in place of twice as many.
  """
  adam = base.adam(learning_rate=2e-4, schedule='linear', b1=0.0)
  base.train_on_cifar10(config, num_steps=100_000, z_dim=128)
  config.n_critic = 5
  config.generator = base.resnet_generator(hidden=(128, 128, 128, 128), start=4, optimizer=adam)
  config.critic = base.resnet_critic(
      hidden=(128, 128, 128, 128), strides=(2, 2, 1, 1), pool='mean', optimizer=adam)
  return config
