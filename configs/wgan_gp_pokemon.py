"""WGAN-GP on a folder of pictures, 128x128: Pokemon, transparent ones on white.

    python main.py --config=configs/wgan_gp_pokemon.py --workdir=/tmp/pokemon --config.dataset.path=DIR

Hardware: a GPU or TPU; on two CPU cores (AMD EPYC, AVX2) a step of batch 16 takes a second. Time: there, 1,200 such
steps took 56 minutes beside much other work. Expect: bodies on white by then, of few kinds; no full run was made.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; it has no variants."""
  adam = base.adam(learning_rate=1e-3, schedule='linear')
  config = base.get_config('wgan_gp')
  config.dataset.update({'name': 'folder', 'image_size': 128, 'flip': True})
  config.batch_size = 32
  config.z_dim = 100
  config.num_steps = 20_000
  config.steps_per_call = config.log_every = 10
  config.generator = base.dcgan_generator(dense=(256,), start=8, hidden=(128, 64, 32, 16), optimizer=adam)
  config.critic = base.dcgan_critic(hidden=(16, 32, 64, 128), dense=(256,), dropout=0.5, optimizer=adam)
  return base.variant_of(config, variant)
