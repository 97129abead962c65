"""WGAN-GP on animal faces, 32x32: cats and dogs of the Oxford-IIIT pet data set, cropped to their heads.

    python main.py --config=configs/wgan_gp_animals.py --workdir=/tmp/animals

Hardware: a GPU or TPU. Time: not measured there yet; on two CPU cores (AMD EPYC, AVX2) 600 steps on CIFAR-10
(--config.dataset.name=cifar10 --config.dataset.crop=) take 13 minutes beside another run. Expect: colours and shapes
of scenes by then; on the pets' faces no run was made.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; `configs/wgan_gp_animals.py:test` is tiny."""
  config = base.get_config()
  config.dataset.update({'name': 'oxford_iiit_pet', 'image_size': 32, 'crop': 'head_bbox', 'flip': True})
  config.z_dim = 128
  config.num_steps, config.log_every = 20_000, 10
  config.generator = base.dcgan_generator(start=4, hidden=(128, 64, 32))
  config.critic = base.dcgan_critic(hidden=(32, 64, 128))
  config.optimizer.generator_learning_rate = config.optimizer.critic_learning_rate = 1e-3
  config.optimizer.schedule = 'linear'
  return base.variant_of(config, variant, test=test)


def test(config):
  """A run of seconds."""
  config.generator.hidden, config.critic.hidden = (8, 8, 4), (4, 4, 8)
  return base.test_size(config)
