"""The fully connected GAN (Goodfellow et al. 2014) on handwritten digits, 28x28.

    python main.py --config=configs/gan.py --workdir=/tmp/gan
    python main.py --config=configs/gan.py:pacgan --workdir=/tmp/pacgan  # points in the plane

Hardware: one core of an AMD EPYC (AVX-512). Time: 11 minutes. Expect: legible digits after two minutes, some with faint
specks, as is typical of this network; at the end, a classifier of MNIST is sure of three in four, and puts 9 to 14 % of
them into each class. The variant was not trained.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; `configs/gan.py:VARIANT` selects 'pacgan'.

  Widths of 256 and 128 without batch norm and dropout, both rates at 3e-4, left speckles and a distance of 167 to
  MNIST's test set on a classifier's features, against 34 now. What helped: batch norm in the generator, dropout in the
  critic, which otherwise memorises the 5,000 digits, a generator that learns five times as fast as the critic,
  and rates that end at zero (docs/recipes.md).
  """
  config = base.get_config('adversarial')
  config.num_steps = 50_000
  config.steps_per_call = config.log_every = 100
  config.sample_every = 1_000
  config.checkpoint_every = 10_000
  config.eval_every = 25_000
  config.generator = base.mlp_generator(
      hidden=(256, 512), norm='batch', optimizer=base.adam(learning_rate=1e-3, schedule='linear', b2=0.999))
  config.critic = base.mlp_critic(
      hidden=(512, 256), dropout=0.5, optimizer=base.adam(learning_rate=2e-4, schedule='linear', b2=0.999))
  return base.variant_of(config, variant, pacgan=pacgan)


def pacgan(config):
  """The protocol of Lin et al. 2018 for eight modes on a ring or, with dataset.name grid25, 25 on a grid.

  Its 400 epochs are of batches of 100 packs: with `pack` above 1, set batch_size to 100 * pack.
  """
  adam = base.adam(learning_rate=1e-4, b1=0.8, b2=0.999)
  config.dataset.name = 'ring8'
  config.batch_size = 100
  config.z_dim = 2
  config.num_steps = 400_000
  config.sample_every = config.eval_every = 10_000
  config.ema_decay = 0.0
  config.eval.num_samples = 2500
  config.generator = base.mlp_generator(hidden=(400,) * 4, norm='batch', output='linear', optimizer=adam)
  config.critic = base.mlp_critic(hidden=(200,) * 3, maxout=5, optimizer=adam)
  return config
