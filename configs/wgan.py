"""WGAN with weight clipping (Arjovsky et al. 2017) on handwritten digits, 28x28.

    python main.py --config=configs/wgan.py --workdir=/tmp/wgan

Hardware: one core of an AMD EPYC (AVX-512). Time: 8 minutes. Expect: digits with clean strokes, two thirds of which a
classifier of MNIST is sure of, 6 to 16 % in each class; longer runs may still get better.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; it has no variants.

  At the paper's rate of 5e-5 and with its n_critic of 5, such small networks were far from done after 5,000 steps:
  rough strokes amid speckles. Rates that are much higher, and end at zero, need fewer updates of the critic. A clipped
  critic's gradients are small, and some layers' far smaller than others'; with a larger epsilon they stay so in the
  generator's steps (docs/recipes.md has the steps on the way).
  """
  config = base.get_config('wgan')
  config.n_critic = 2
  config.num_steps = 4500
  config.eval_every = 1_500
  config.generator = base.dcgan_generator(
      dense=(512,), optimizer=base.rmsprop(learning_rate=1e-2, schedule='linear', eps=1e-6))
  config.critic = base.dcgan_critic(
      hidden=(32, 64), norm='batch', optimizer=base.rmsprop(learning_rate=1e-3, schedule='linear'))
  return base.variant_of(config, variant)
