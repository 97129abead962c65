"""R3GAN (Huang et al. 2024) on handwritten digits, 28x28: a relativistic loss, R1 and R2, networks without a norm.

    python main.py --config=configs/r3gan.py --workdir=/tmp/r3gan
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment."""
  adam = base.adam(learning_rate=(2e-4, 5e-5), b1=0.0, b2=(0.9, 0.99))
  config = base.get_config('adversarial')
  config.loss = 'relativistic'
  config.penalty.update({'name': 'r1_r2', 'weight': (0.5, 0.05)})
  config.num_steps = 4000
  config.anneal_images = 64 * 4000
  config.ema_half_life = (0, 10_000)
  config.eval_every = 2_000
  config.generator = base.r3gan_generator(num_blocks=1, optimizer=adam)
  config.critic = base.r3gan_critic(num_blocks=1, optimizer=adam)
  return base.variant_of(config, variant)
