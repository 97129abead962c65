"""StarGAN (Choi et al. 2018): one generator turns a digit into any other, in its own handwriting; or faces.

    python main.py --config=configs/stargan.py --workdir=/tmp/stargan
    python main.py --config=configs/stargan.py:faces --workdir=/tmp/faces --config.dataset.path=FACES
    python main.py --config=configs/stargan.py:paper --workdir=/tmp/paper --config.dataset.path=FACES

FACES is CelebA's folder of images, with its list_attr_celeba.txt in it or beside it. `faces` is at 64x64 on narrower
networks, `paper` the published size, for a GPU. The domains of digits are their classes, those of faces attributes.

Hardware: one CPU core (Intel Xeon, AVX-512). Time: 17 minutes; `faces` takes 65 (AMD EPYC, AVX-512).
Expect: rows of a digit and its ten translations, slant and weight kept; a classifier of MNIST agrees with the target
for 93 of 100, least for the 1 (79). Faces: hair of another colour, traits of the other sex, less of age; grained.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; `configs/stargan.py:VARIANT` selects 'faces' or 'paper'."""
  adam = base.adam(learning_rate=1e-3, schedule='linear')
  config = base.get_config('stargan')
  config.n_critic = 3
  config.batch_size = 32
  config.num_steps = 3000
  config.sample_every = 250
  config.eval_every = 1_000
  config.generator = base.residual_generator(width=16, num_blocks=2, outer_kernel=3, takes_target=True,
                                            optimizer=adam)
  config.critic = base.patch_critic(hidden=(32, 64, 128), leak=0.01, head_kernel=3, head_bias=False, classify=True,
                                    init_stddev=0.0, optimizer=adam)
  return base.variant_of(config, variant, faces=faces, paper=paper)


def faces(config):
  """Five attributes of CelebA at 64x64, on networks for two cores."""
  config.dataset.update({'name': 'folder', 'image_size': 64, 'flip': True, 'attributes': ATTRIBUTES})
  config.batch_size = 16
  config.n_critic = 1
  config.cycle_weight = 5.0  # half the paper's, so that more may change
  config.num_steps = 4200
  config.steps_per_call = 10
  config.eval_every = 0
  config.generator.update({'num_blocks': 3, 'outer_kernel': 7})
  config.critic.hidden = (32, 64, 128, 256, 256)
  return config


def paper(config):
  """The published settings: 128x128, the networks of tables 4 and 5, 200,000 updates of the critic."""
  adam = base.adam(learning_rate=1e-4, schedule='late_linear', b2=0.999)
  config.dataset.update({'name': 'folder', 'image_size': 128, 'flip': True, 'attributes': ATTRIBUTES})
  config.batch_size = 16
  config.n_critic = 5
  config.num_steps = 40_000
  config.steps_per_call = 10
  config.eval_every = 0
  config.sample_every = config.checkpoint_every = 1000
  config.generator.update({'width': 64, 'num_blocks': 6, 'outer_kernel': 7, 'optimizer': adam})
  config.critic.update({'hidden': (64, 128, 256, 512, 1024, 2048), 'optimizer': adam})
  return config


ATTRIBUTES = ('Black_Hair', 'Blond_Hair', 'Brown_Hair', 'Male', 'Young')
