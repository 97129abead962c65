"""BiGAN (Donahue et al. 2017) on handwritten digits, 28x28: an encoder learns to invert the generator.

    python main.py --config=configs/bigan.py --workdir=/tmp/bigan

Hardware: one CPU core (Intel Xeon, AVX-512). Time: 13 minutes, beside other work. Expect: reconstructions that look
like their originals, with the same class for a classifier in 83 of 100; samples from noise are worse.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; it has no variants."""
  adam = base.adam(learning_rate=2e-4, b2=0.999)
  config = base.get_config('bigan')
  config.num_steps = 8000
  config.eval_every = 4_000
  config.generator = base.dcgan_generator(optimizer=adam)
  config.encoder = base.dcgan_critic(hidden=(32, 64), norm='batch', outputs=config.get_ref('z_dim'), optimizer=adam)
  config.critic = base.joint_critic(optimizer=adam)
  return base.variant_of(config, variant)
