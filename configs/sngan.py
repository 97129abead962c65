"""SNGAN (Miyato et al. 2018): a critic whose layers are divided by their spectral norms, and the hinge loss.

    python main.py --config=configs/sngan.py --workdir=/tmp/sngan
    python main.py --config=configs/sngan.py:cifar10 --workdir=/tmp/cifar10  # as published, for a GPU

Hardware: one core of an AMD EPYC (AVX-512), beside other runs. Time: 15 minutes. Expect: smooth strokes, three quarters
of them digits that a classifier is sure of, 8 to 12 % in each class. The variant was not trained.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; `configs/sngan.py:VARIANT` selects 'cifar10'.

  The networks are residual, as the paper's for CIFAR-10: convolutions of DCGAN's kind, whose steps take a seventh of
  the time, made rougher digits in 5,000 steps than these in 700. The generator's rate, four times that of the critic,
  took the distance from 89 to 30 (docs/recipes.md).
  """
  config = base.get_config('adversarial')
  config.loss = 'hinge'
  config.num_steps = 2000
  config.eval_every = 2_000
  config.generator = base.resnet_generator(
      hidden=(64, 32, 16), optimizer=base.adam(learning_rate=2e-3, schedule='linear', b1=0.0))
  config.critic = base.resnet_critic(
      hidden=(32, 64, 64), spectral=True, optimizer=base.adam(learning_rate=5e-4, schedule='linear', b1=0.0))
  return base.variant_of(config, variant, cifar10=cifar10)


def cifar10(config):
  """The published settings for CIFAR-10 without labels: 100,000 steps of five updates of the critic.

  But images are mirrored, and the generator learns from a batch as large as the critic's, in place of twice as many.
  """
  adam = base.adam(learning_rate=2e-4, schedule='linear', b1=0.0)
  base.train_on_cifar10(config, num_steps=100_000, z_dim=128)
  config.n_critic = 5
  config.generator = base.resnet_generator(hidden=(256, 256, 256, 256), start=4, optimizer=adam)
  config.critic = base.resnet_critic(
      hidden=(128, 128, 128, 128), strides=(2, 2, 1, 1), spectral=True, optimizer=adam)
  return config
