r"""3D-GAN (Wu et al. 2016): voxels, of handwritten digits made solid (24^3), or of furniture (32^3).

    python main.py --config=configs/gan_3d.py --workdir=/tmp/gan_3d
    python main.py --config=configs/gan_3d.py:wgan_gp --workdir=/tmp/gan_3d_gp  # with a gradient penalty, without gate
    python main.py --config=configs/gan_3d.py:modelnet --workdir=/tmp/chairs --config.dataset.path=train.npz
    python main.py --config=configs/gan_3d.py:paper --workdir=/tmp/paper --config.dataset.path=FOLDER

`modelnet` wants voxels of 32^3, ModelNet10's as .npz, or .binvox files in a folder for each class; `paper` is the
published network for 64^3, for a GPU.

Hardware: one CPU core (AMD EPYC, AVX-512), shared. Time: 17 minutes of steps, 6 on two idle cores, and an evaluation
of some minutes; of `modelnet` some 50 and 15. Expect: solid digits, some two in three of which one can name, with loose
voxels; furniture of ten classes that one can name, bathtubs least.
"""
from configs import base, r3gan


def get_config(variant: str = ''):
  """Returns the experiment; `configs/gan_3d.py:VARIANT` selects 'wgan_gp', 'modelnet' or 'paper'."""
  config = base.get_config('wgan_gp' if variant == 'wgan_gp' else 'gan_3d')
  config.dataset.update({'name': 'voxel_digits', 'image_size': 24})
  config.batch_size = 32
  config.num_steps = 2400
  config.steps_per_call = 10
  config.sample_every = 200
  config.eval_every = 2_400
  config.eval.classifier_steps = 400  # which take as long as 2,000 on images
  config.eval.num_samples = 2_000
  config.generator = base.dcgan_generator(start=3, hidden=(64, 32, 16), use_bias=False,
                                          optimizer=base.adam(learning_rate=1e-3, b2=0.999))
  config.critic = base.dcgan_critic(hidden=(16, 32, 64), norm='batch', use_bias=False,
                                    optimizer=base.adam(learning_rate=5e-4, b2=0.999))
  return base.variant_of(config, variant, wgan_gp=wgan_gp, modelnet=modelnet, paper=paper)


def wgan_gp(config):
  """WGAN-GP, which needs no gate: the critic may be as good as it can (Smith & Meger 2017)."""
  adam = base.adam(learning_rate=1e-3, schedule='linear')
  config.generator.optimizer = config.critic.optimizer = adam
  config.critic.norm = 'layer'
  return config


def modelnet(config):
  """Voxels of 32^3 of one's own, in classes: the paper trains a model for each class, this is one for all.

  With the paper's loss and a spectral critic, some classes broke late in the run. With R3GAN's loss and penalties,
  which need no gate, all last (docs/recipes.md).
  """
  config.dataset.update({'name': 'voxel_folder', 'image_size': 32})
  config.num_steps = config.eval_every = 3400
  config.loss, config.max_accuracy = 'relativistic', 1.0
  config.penalty.update({'name': 'r1_r2', 'every': 4})
  config.generator.update({'start': 4, 'norm': 'conditional_batch'})
  config.critic.update({'norm': 'none', 'projection': True, 'init_stddev': 0.0})
  r3gan.anneal(config, images=32 * 3400, learning_rate=(2e-3, 2e-4), gamma=(1.0, 0.2), ema_half_life=(0.0, 5_000.0))
  return config


def paper(config):
  """The published networks and rates, for 64^3."""
  config.dataset.update({'name': 'voxel_folder', 'image_size': 64})
  config.batch_size = 100
  config.generator = base.dcgan_generator(
      start=1, hidden=(512, 256, 128, 64), padding=('VALID', 'SAME', 'SAME', 'SAME', 'SAME'), use_bias=False,
      optimizer=base.adam(learning_rate=2.5e-3, b2=0.999))
  config.critic = base.dcgan_critic(
      hidden=(64, 128, 256, 512), norm='batch', use_bias=False, optimizer=base.adam(learning_rate=1e-5, b2=0.999))
  return config
