"""The conditional GAN (Mirza & Osindero 2014), fully connected, on handwritten digits, 28x28.

    python main.py --config=configs/cgan.py --workdir=/tmp/cgan

Hardware: two CPU cores (AMD EPYC, AVX2). Time: 9 minutes for the first 6,000 steps, beside another run. Expect: a row
per class; by then a classifier of MNIST agrees with the row for nine of ten samples; some are broken.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; it has no variants."""
  adam = base.adam(learning_rate=2e-4, b2=0.999)
  config = base.get_config('adversarial')
  config.z_dim = 100
  config.num_steps = 20_000
  config.steps_per_call = config.log_every = 100
  config.sample_every = 1000
  config.checkpoint_every = config.eval_every = 5_000
  config.generator = base.mlp_generator(hidden=(256, 512, 1024), norm='batch', label_dim=10, optimizer=adam)
  config.critic = base.mlp_critic(hidden=(1024, 512, 256), dropout=0.3, label_dim=1, optimizer=adam)
  return base.variant_of(config, variant)
