"""The fully connected GAN (Goodfellow et al. 2014) on handwritten digits, 28x28.

    python main.py --config=configs/gan.py --workdir=/tmp/gan

Hardware: two CPU cores (AMD EPYC, AVX2). Time: a minute and a half, and as long for the first evaluation on a machine.
Expect: speckled digits, as is typical of this network; all classes, but unevenly, 3 to 22 % each.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; it has no variants."""
  adam = base.adam(learning_rate=3e-4, b2=0.999)
  config = base.get_config('adversarial')
  config.batch_size = 32
  # 200 epochs of 156 steps, a grid after each.
  config.num_steps = 31_200
  config.steps_per_call = config.log_every = config.sample_every = 156
  config.checkpoint_every = 7_800
  config.eval_every = 31_200
  config.z_dim = 126
  config.generator = base.mlp_generator(hidden=(256,), optimizer=adam)
  config.critic = base.mlp_critic(hidden=(128,), leak=0.01, optimizer=adam)
  return base.variant_of(config, variant)
