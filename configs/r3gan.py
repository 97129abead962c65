r"""R3GAN (Huang et al. 2024): a relativistic loss of pairs, R1 and R2 at once, and no norm in the critic.

    python main.py --config=configs/r3gan.py --workdir=/tmp/r3gan
    python main.py --config=configs/r3gan.py:stacked_mnist --workdir=/tmp/stacked  # 1,000 modes
    python main.py --config=configs/r3gan.py:small --workdir=/tmp/small --config.dataset.path=FOLDER  # 32x32, a CPU
    python main.py --config=configs/r3gan.py:cifar10_cpu --workdir=/tmp/cifar10 --config.dataset.data_dir=DIR  # a CPU
    python main.py --config=configs/r3gan.py:faces_cpu --workdir=/tmp/faces --config.dataset.path=FACES  # 64x64, a CPU
    python main.py --config=configs/r3gan.py:pokemon_cpu --workdir=/tmp/few --config.dataset.path=FEW  # augmented
    python main.py --config=configs/r3gan.py:cifar10 --workdir=/tmp/cifar10  # as published, for GPUs
    python main.py --config=configs/r3gan.py:faces --workdir=/tmp/faces --config.dataset.path=FACES  # 64x64, for a GPU

The first six have the networks of DCGAN, whose steps take a CPU a fifth of the time; the others have the paper's.

Hardware: one core of an AMD EPYC (AVX-512). Time: 14 minutes. Expect: legible digits after a minute; at the end, a
classifier of MNIST is sure of more than nine in ten. `cifar10_cpu`: 75 minutes, of 20,000 images, cars, ships and
trucks that one can name; `faces_cpu`: 75 minutes, faces after five; `pokemon_cpu`: 44 minutes, creatures after half of
them. `small`, `cifar10` and `faces` are unmeasured.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; `configs/r3gan.py:VARIANT` selects one of those above."""
  config = base.get_config('adversarial')
  config.loss = 'relativistic'
  # At every fourth step the penalty takes an eighth of the time instead of two fifths.
  config.penalty.update({'name': 'r1_r2', 'every': 4})
  config.num_steps = 12_000
  config.eval_every = 4_000
  # Three dense layers, which cost little, part the classes: with one, more samples lie between two digits.
  config.generator = base.dcgan_generator(dense=(512, 512, 512), start=7, hidden=(64, 32))
  config.critic = base.dcgan_critic(hidden=(16, 32, 64), norm='none', init_stddev=0.0)
  anneal(config, images=64 * 12_000, learning_rate=(2e-3, 2e-4), gamma=(1.0, 0.2), ema_half_life=(0.0, 10_000.0))
  return base.variant_of(config, variant, stacked_mnist=stacked_mnist, small=small, cifar10_cpu=cifar10_cpu,
                         faces_cpu=faces_cpu, pokemon_cpu=pokemon_cpu, cifar10=cifar10, faces=faces)


def anneal(config, images: int, learning_rate, gamma, ema_half_life):
  """Sets what changes over the first so many images; Adam's b2 always goes from .9 to .99."""
  adam = base.adam(learning_rate, b1=0.0, b2=(0.9, 0.99))
  config.generator.optimizer = config.critic.optimizer = adam
  config.penalty.weight = gamma
  config.anneal_images = images
  config.ema_half_life = ema_half_life


def stacked_mnist(config):
  """1,000 modes: three digits, one a channel; stacked_mnist_5k is made of the built-in digits.

  The generator and the penalty are those with which the modes were counted (docs/results.md).
  """
  config.dataset.name = 'stacked_mnist_5k'
  config.generator.dense = (512,)
  config.penalty.every = 1
  return config


def small(config):
  """Colour images of one's own at 32x32."""
  config.dataset.update({'name': 'folder', 'image_size': 32, 'flip': True})
  config.eval_every = 0
  config.generator.update({'start': 4, 'hidden': (128, 64, 32)})
  config.critic.hidden = (32, 64, 128)
  return config


def cifar10_cpu(config):
  """CIFAR-10, of each class, on one core: a step takes a fifth of the time of one at 64x64."""
  config = small(config)
  config.dataset.name = 'cifar10'
  config.generator.label_dim = 10
  config.critic.projection = True
  return train_on_cpu(config, num_steps=50_000, learning_rate=(2e-3, 2e-4), gamma=(0.05, 0.005))


def faces_cpu(config):
  """Faces at 64x64 on one core."""
  return train_on_cpu(at_64(config), num_steps=10_000, learning_rate=(2e-3, 2e-4), gamma=(1.0, 0.2))


def pokemon_cpu(config):
  """Few pictures, the 819 Pokemon, at 64x64 on one core: 215 epochs.

  At the rates and the gamma of faces, and with colour and cutout beside the shifts, the critic could tell nothing.
  """
  config = at_64(config)
  config.critic.augment = ('translation',)
  return train_on_cpu(config, num_steps=5500, learning_rate=(1e-3, 2e-4), gamma=(0.2, 0.05))


def at_64(config):
  """Pictures of one's own at 64x64, on networks whose steps take half a second of a core."""
  config = small(config)
  config.dataset.image_size = 64
  config.generator.hidden = (256, 128, 64, 32)
  config.critic.hidden = (32, 64, 128, 256)
  return config


def train_on_cpu(config, num_steps: int, learning_rate, gamma):
  """Sets what a run of about an hour on one core needs, in batches of 32."""
  config.batch_size = 32
  config.num_steps = num_steps
  config.steps_per_call = config.log_every = 10
  config.sample_every = config.checkpoint_every = 500
  config.generator.dense = ()
  anneal(config, images=32 * num_steps, learning_rate=learning_rate, gamma=gamma, ema_half_life=(0.0, 10_000.0))
  return config


def cifar10(config):
  """The published settings for CIFAR-10, of each class.

  But for augmentation: there colours change half as often as all else, and parts are cut out too.
  """
  config.dataset.update({'name': 'cifar10', 'image_size': 32, 'flip': True})
  config.batch_size = 512
  config.num_steps = 200_000
  config.generator = base.r3gan_generator(hidden=(768, 768, 768, 768), start=4, label_dim=64)
  config.critic = base.r3gan_critic(hidden=(768, 768, 768, 768), label_dim=768)
  config.ada.p = (0.0, 0.55)
  train_for_days(config, eval_every=10_000, gamma=(0.05, 0.005), ema_half_life=(0.0, 5e6))
  return config


def faces(config):
  """Faces or other pictures of one's own at 64x64: the published schedules of FFHQ-64 on networks for one GPU.

  Its augmentation differs as that of `cifar10` does.
  """
  config.dataset.update({'name': 'folder', 'image_size': 64, 'flip': True})
  config.batch_size = 256
  config.num_steps = 100_000
  config.generator = base.r3gan_generator(hidden=(512, 512, 384, 192, 96), start=4)
  config.critic = base.r3gan_critic(hidden=(96, 192, 384, 512, 512))
  config.ada.p = (0.0, 0.3)
  train_for_days(config, eval_every=0, gamma=(2.0, 0.2), ema_half_life=(0.0, 5e5))
  return config


def train_for_days(config, eval_every: int, gamma, ema_half_life):
  """Sets the published learning rates, over 20 million images, and how often a long run is looked at."""
  config.penalty.every = 1
  config.steps_per_call = config.log_every = 10
  config.sample_every, config.checkpoint_every, config.eval_every = 500, 1000, eval_every
  anneal(config, images=20_000_000, learning_rate=(2e-4, 5e-5), gamma=gamma, ema_half_life=ema_half_life)
