"""InfoGAN (Chen et al. 2016) on handwritten digits, 28x28: ten codes, which nobody tells what a digit is.

    python main.py --config=configs/infogan.py --workdir=/tmp/infogan

Hardware: one CPU core (Intel Xeon, AVX-512). Time: 13 minutes, beside other work. Expect: sharp digits, a row per code;
eight of the ten codes stand for a class each, and a classifier of MNIST agrees with them for 79 of 100 samples.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; it has no variants."""
  adam = base.adam(learning_rate=2e-4, b2=0.999)
  fast = base.adam(learning_rate=1e-3, b2=0.999)
  config = base.get_config('infogan')
  config.num_steps = 8000
  config.sample_every = 200
  config.eval_every = 2_000
  # With the paper's 62 entries, z takes over more of what the codes could say.
  config.z_dim = 16
  config.continuous_weight = 0.5
  config.generator = base.dcgan_generator(optimizer=fast)
  config.critic = base.dcgan_critic(hidden=(32, 64), norm='batch', dense=(256,), features=True, optimizer=adam)
  num_guesses = config.get_ref('num_codes') + config.get_ref('num_continuous')
  config.recogniser = base.mlp_critic(hidden=(64,), outputs=num_guesses, optimizer=adam)
  return base.variant_of(config, variant)
