"""WGAN-GP on animal faces, 32x32: cats and dogs of the Oxford-IIIT pet data set, cropped to their heads.

    python main.py --config=configs/wgan_gp_animals.py --workdir=/tmp/animals

Hardware: a GPU or TPU. Time: not measured there yet; on two CPU cores (AMD EPYC, AVX2) 600 steps on CIFAR-10
(--config.dataset.name=cifar10 --config.dataset.crop=) take 13 minutes beside another run. Expect: colours and shapes
of scenes by then; no run was made on the pets' faces.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; it has no variants."""
  adam = base.adam(learning_rate=1e-3, schedule='linear')
  config = base.get_config('wgan_gp')
  config.dataset.update({'name': 'oxford_iiit_pet', 'image_size': 32, 'crop': 'head_bbox', 'flip': True})
  config.z_dim = 128
  config.num_steps = 20_000
  config.steps_per_call = config.log_every = 10
  config.generator = base.dcgan_generator(start=4, hidden=(128, 64, 32), optimizer=adam)
  config.critic = base.dcgan_critic(hidden=(32, 64, 128), optimizer=adam)
  return base.variant_of(config, variant)
