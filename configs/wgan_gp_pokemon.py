"""WGAN-GP on a folder of pictures, 128x128: Pokemon, transparent ones on white.

    python main.py --config=configs/wgan_gp_pokemon.py --workdir=/tmp/pokemon --config.dataset.path=DIR

Hardware: a GPU or TPU; on a CPU configs/r3gan.py:pokemon_cpu makes creatures of 64x64 in an hour. Time: the whole run
is unmeasured. Expect: bodies on white, of few kinds, after 1,200 steps of batch 16, 56 minutes of two CPU cores.
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
