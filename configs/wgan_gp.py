"""WGAN-GP (Gulrajani et al. 2017) on handwritten digits, 28x28.

    python main.py --config=configs/wgan_gp.py --workdir=/tmp/run
    python main.py --config=configs/wgan_gp.py:source --workdir=/tmp/source

The second has the wider networks and the settings of the PyTorch code that this project started from.

Hardware: two cores of an AMD EPYC (AVX-512). Time: 6 min 14 s, compilation and evaluations included. Expect: the first
grid after 17 s, legible digits after a minute; at the end, a classifier of MNIST is sure of nine in ten.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; `configs/wgan_gp.py:source` is that of the PyTorch code that this project started from."""
  adam = base.adam(learning_rate=2e-3, schedule='linear', b1=0.0)
  config = base.get_config('wgan_gp')
  config.n_critic = 2
  config.num_steps = 6000
  config.eval_every = 2_000
  # Three dense layers, which cost little, part the classes: with one, more samples lie between two digits.
  config.generator = base.dcgan_generator(dense=(512, 512, 512), start=7, hidden=(64, 32), optimizer=adam)
  # With layer norm, N(0, 0.02^2), b1 = 0.5 and n_critic = 5 it took longer to worse digits, and on all of MNIST the
  # scores drifted away: see docs/recipes.md.
  config.critic = base.dcgan_critic(hidden=(16, 32, 64), norm='none', init_stddev=0.0, optimizer=adam)
  return base.variant_of(config, variant, source=source)


def source(config):
  """Wider networks from a 1x1 latent, batch norm in the critic too, no padding, Adam 2e-4 (.5, .999), batch 128."""
  adam = base.adam(learning_rate=2e-4, b2=0.999)
  config.n_critic = 5
  config.batch_size = 128
  config.generator = base.dcgan_generator(
      start=1, hidden=(256, 128, 64), kernels=(3, 4, 3, 4), strides=(2, 1, 2, 2), padding='VALID', optimizer=adam)
  config.critic = base.dcgan_critic(
      hidden=(16, 32), padding='VALID', norm='batch', norm_first=True, head='conv', optimizer=adam)
  return config
