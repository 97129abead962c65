"""WGAN-GP on a folder of pictures, 128x128: Pokemon, transparent ones on white.

    python main.py --config=configs/wgan_gp_pokemon.py --workdir=/tmp/pokemon --config.dataset.path=DIR

Hardware: a GPU or TPU; on two CPU cores (AMD EPYC, AVX2) a step of batch 16 takes a second. Time: there, 1,200 such
steps took 56 minutes beside much other work. Expect: bodies on white by then, of few kinds; a full run was not made.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; `configs/wgan_gp_pokemon.py:test` is tiny."""
  config = base.get_config()
  config.dataset.update({'name': 'folder', 'image_size': 128, 'flip': True})
  config.batch_size = 32
  config.z_dim = 100
  config.num_steps, config.log_every = 20_000, 10
  config.generator = base.dcgan_generator(dense=(256,), start=8, hidden=(128, 64, 32, 16))
  config.critic = base.dcgan_critic(hidden=(16, 32, 64, 128), dense=(256,), dropout=0.5)
  config.optimizer.generator_learning_rate = config.optimizer.critic_learning_rate = 1e-3
  config.optimizer.schedule = 'linear'
  return base.variant_of(config, variant, test=test)


def test(config):
  """A run of seconds."""
  config.generator.dense, config.generator.hidden = (8,), (8, 8, 4, 4)
  config.critic.hidden, config.critic.dense = (4, 4, 4, 4), (8,)
  return base.test_size(config)
