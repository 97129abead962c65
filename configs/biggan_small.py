"""BigGAN's parts (Brock et al. 2019) at a small size: a shared embedding of the class, parts of z in every block,
orthogonal weights, on residual networks with spectral norm and attention.

    python main.py --config=configs/biggan_small.py --workdir=/tmp/biggan
    python main.py --config=configs/biggan_small.py:cifar10 --workdir=/tmp/cifar10  # for a GPU

Hardware: one core of an AMD EPYC (AVX-512), beside other runs. Time: 11 minutes. Expect: clean digits of the class that
is asked for, with less variety within a class than real ones have. The variant was not trained.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; `configs/biggan_small.py:VARIANT` selects 'cifar10'."""
  adam = base.adam(learning_rate=2e-3, schedule='linear', b1=0.0)
  config = base.get_config('adversarial')
  config.loss = 'hinge'
  config.z_dim = 60
  config.num_steps = 1200
  config.eval_every = 1_200
  config.generator = base.resnet_generator(
      hidden=(64, 32, 16), norm='conditional_batch', spectral=True, attention_at=14, skip_z=True, label_dim=32,
      initializer='orthogonal', optimizer=adam)
  config.critic = base.resnet_critic(
      hidden=(32, 64, 64), spectral=True, attention_at=14, projection=True, initializer='orthogonal', optimizer=adam)
  return base.variant_of(config, variant, cifar10=cifar10)


def cifar10(config):
  """The settings of StudioGAN's BigGAN for CIFAR-10.

  But for spectral norm, which there divides the scales and shifts of the norms as well, and not the classes' embedding.
  """
  adam = base.adam(learning_rate=2e-4, b1=0.5, b2=0.999)
  base.train_on_cifar10(config, num_steps=100_000, z_dim=80)
  config.n_critic = 5
  config.ema_decay = 0.9999
  config.generator = base.resnet_generator(
      hidden=(384, 384, 384, 384), start=4, norm='conditional_batch', spectral=True, attention_at=16, skip_z=True,
      label_dim=128, initializer='orthogonal', optimizer=adam)
  config.critic = base.resnet_critic(
      hidden=(192, 192, 192, 192), strides=(2, 2, 1, 1), spectral=True, attention_at=16, projection=True,
      initializer='orthogonal', optimizer=adam)
  return config
