"""SAGAN (Zhang et al. 2019): self-attention, spectral norm, and a rate for each of the networks.

    python main.py --config=configs/sagan.py --workdir=/tmp/sagan
    python main.py --config=configs/sagan.py:cifar10 --workdir=/tmp/cifar10  # for a GPU

Hardware: one core of an AMD EPYC (AVX-512), beside other runs. Time: 11 minutes. Expect: digits of the class that is
asked for after four minutes; at the end a classifier of MNIST is as sure of them as of real ones. The variant was not
trained.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; `configs/sagan.py:VARIANT` selects 'cifar10'.

  The rates are the other way round than SAGAN's, and the generator has no spectral norm. Divided by it, the dense layer
  makes so little of the noise that the biases, at this rate, drown it: each class became one digit (docs/recipes.md).
  """
  config = base.get_config('adversarial')
  config.loss = 'hinge'
  config.num_steps = 1200
  config.eval_every = 1_200
  config.generator = base.resnet_generator(
      hidden=(64, 32, 16), norm='conditional_batch', attention_at=14,
      optimizer=base.adam(learning_rate=2e-3, schedule='linear', b1=0.0))
  config.critic = base.resnet_critic(
      hidden=(32, 64, 64), spectral=True, projection=True, attention_at=14,
      optimizer=base.adam(learning_rate=1e-3, schedule='linear', b1=0.0))
  return base.variant_of(config, variant, cifar10=cifar10)


def cifar10(config):
  """SAGAN's rates, and the networks of SNGAN for CIFAR-10 with attention at 16x16, as in StudioGAN."""
  base.train_on_cifar10(config, num_steps=200_000, z_dim=128)
  config.generator = base.resnet_generator(
      hidden=(256, 256, 256, 256), start=4, norm='conditional_batch', spectral=True, attention_at=16,
      optimizer=base.adam(learning_rate=1e-4, b1=0.0))
  config.critic = base.resnet_critic(
      hidden=(128, 128, 128, 128), strides=(2, 2, 1, 1), spectral=True, projection=True, attention_at=16,
      optimizer=base.adam(learning_rate=4e-4, b1=0.0))
  return config
