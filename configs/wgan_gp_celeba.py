r"""WGAN-GP on CelebA faces, 64x64.

    python main.py --config=configs/wgan_gp_celeba.py --workdir=/tmp/celeba
    python main.py --config=configs/wgan_gp_celeba.py --workdir=/tmp/faces \
        --config.dataset.name=folder --config.dataset.path=DIR  # your own faces

Hardware: a GPU or TPU; on a CPU configs/r3gan.py:faces_cpu makes better faces in an hour. Time: the whole run is
unmeasured. Expect: recognisable faces from step 300 on, still blurred and grainy (600 steps of batch 32, 17 minutes of
two CPU cores).
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; it has no variants."""
  adam = base.adam(learning_rate=1e-3, schedule='linear')
  config = base.get_config('wgan_gp')
  config.dataset.update({'name': 'celeb_a', 'image_size': 64, 'flip': True})
  config.z_dim = 100
  config.num_steps = 50_000
  config.steps_per_call = config.log_every = 10
  config.generator = base.dcgan_generator(
      start=1, hidden=(256, 128, 64, 32), strides=(1, 2, 2, 2, 2), padding=('VALID', 'SAME', 'SAME', 'SAME', 'SAME'),
      optimizer=adam)
  config.critic = base.dcgan_critic(
      hidden=(16, 32, 64, 128), strides=(2, 2, 2, 2, 1), padding=('SAME', 'SAME', 'SAME', 'SAME', 'VALID'),
      head='conv', optimizer=adam)
  return base.variant_of(config, variant)
