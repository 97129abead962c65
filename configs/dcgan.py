"""DCGAN (Radford et al. 2016) with binary cross-entropy on handwritten digits, 28x28.

    python main.py --config=configs/dcgan.py --workdir=/tmp/dcgan

Hardware: one core of an AMD EPYC (AVX-512), beside other runs. Time: 33 minutes.
Expect: sharp strokes, seven in ten of them digits by the end; all classes, but unevenly, 5 to 16 % each.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; it has no variants."""
  config = base.get_config('adversarial')
  config.num_steps = 18_000
  config.eval_every = 6_000
  config.generator = base.dcgan_generator(optimizer=base.adam(learning_rate=5e-4, schedule='linear', b2=0.999))
  config.critic = base.dcgan_critic(
      hidden=(32, 64), norm='batch', optimizer=base.adam(learning_rate=2e-4, schedule='linear', b2=0.999))
  return base.variant_of(config, variant)
