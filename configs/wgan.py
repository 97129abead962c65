"""WGAN with weight clipping (Arjovsky et al. 2017) on handwritten digits, 28x28.

    python main.py --config=configs/wgan.py --workdir=/tmp/wgan

Hardware: two CPU cores (AMD EPYC, AVX2). Time: 22 minutes, beside another run. Expect: rough digits amid speckles;
at this learning rate WGAN is slow, and longer runs still get better.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; it has no variants."""
  rmsprop = base.rmsprop(learning_rate=5e-5)
  config = base.get_config('wgan')
  config.num_steps = 5000
  config.eval_every = 2_000
  config.generator = base.dcgan_generator(optimizer=rmsprop)
  config.critic = base.dcgan_critic(hidden=(32, 64), norm='batch', optimizer=rmsprop)
  return base.variant_of(config, variant)
