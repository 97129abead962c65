r"""CycleGAN (Zhu et al. 2017) between grey digits and coloured ones, 28x28, of which it sees no pairs.

    python main.py --config=configs/cyclegan.py --workdir=/tmp/cyclegan
    python main.py --config=configs/cyclegan.py --workdir=/tmp/mine --config.dataset.name=folder \
        --config.dataset.path=FOLDER --config.dataset.image_size=64  # with two subfolders, A and B

Other domains: mnist_5k_inverted, mnist_5k_rotated. The generators and critics of the paper, for 256 pixels, have
width=64 and num_blocks=9, and hidden=(64, 128, 256, 512) with strides=(2, 2, 2, 1).

Hardware: one CPU core (AMD EPYC, AVX-512), beside other work. Time: 15 minutes, two evaluations included.
Expect: each digit in the other domain's colours with its shape kept, off by 1.4 % of the range of a pixel.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; it has no variants."""
  adam = base.adam(learning_rate=5e-4, schedule='linear', b2=0.999)
  config = base.get_config('cyclegan')
  config.dataset.name = 'mnist_5k_coloured'
  config.batch_size = 16
  config.num_steps = 3000
  config.eval_every = 1_500
  for generator in ('generator_ab', 'generator_ba'):
    config[generator] = base.residual_generator(width=16, num_blocks=2, kernel=3, outer_kernel=3, optimizer=adam)
  for critic in ('critic_a', 'critic_b'):
    config[critic] = base.patch_critic(hidden=(32, 64), norm='instance', optimizer=adam)
  return base.variant_of(config, variant)
