"""DCGAN (Radford et al. 2016) with binary cross-entropy on handwritten digits, 28x28.

    python main.py --config=configs/dcgan.py --workdir=/tmp/dcgan

Hardware: two CPU cores (AMD EPYC, AVX2). Time: 15 minutes, beside another run. Expect: sharp strokes, two thirds
of them digits by the end; all classes, but unevenly, 4 to 18 % each.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; it has no variants."""
  adam = base.adam(learning_rate=2e-4, b2=0.999)
  config = base.get_config('adversarial')
  config.num_steps = 8000
  config.eval_every = 2_000
  config.generator = base.dcgan_generator(optimizer=adam)
  config.critic = base.dcgan_critic(hidden=(32, 64), norm='batch', optimizer=adam)
  return base.variant_of(config, variant)
