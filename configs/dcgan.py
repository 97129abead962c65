"""DCGAN (Radford et al. 2016) with binary cross-entropy on handwritten digits, 28x28.

    python main.py --config=configs/dcgan.py --workdir=/tmp/dcgan

Hardware: one core of an AMD EPYC (AVX-512), beside other work. Time: 11 minutes.
Expect: sharp strokes, more than three in four of them digits by the end; all classes, but unevenly, 5 to 15 % each.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; it has no variants.

  The critic's dense layer, which the authors' own network for MNIST has as well, looks at all of a digit at once:
  without it, and with rates that ended at 0, a run took twice as long to a distance half as large again
  (docs/recipes.md).
  """
  config = base.get_config('adversarial')
  config.num_steps = 8000
  config.eval_every = 4_000
  config.generator = base.dcgan_generator(optimizer=base.adam(learning_rate=1e-3, b2=0.999))
  config.critic = base.dcgan_critic(
      hidden=(32, 64), norm='batch', dense=(256,), optimizer=base.adam(learning_rate=2e-4, b2=0.999))
  return base.variant_of(config, variant)
