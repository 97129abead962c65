"""WGAN with weight clipping (Arjovsky et al. 2017) on handwritten digits, 28x28.

    python main.py --config=configs/wgan.py --workdir=/tmp/wgan

Hardware: two CPU cores (AMD EPYC, AVX2). Time: 22 minutes, beside another run. Expect: rough digits, speckled around;
at this learning rate WGAN is slow, and longer runs still get better.
"""
from configs import base, dcgan


def get_config(variant: str = ''):
  """Returns the experiment; `configs/wgan.py:test` is tiny."""
  config = dcgan.get_config()
  del config.loss
  config.algorithm = 'wgan'
  # The critic's weights stay within +-clip, the paper's c.
  config.clip = 0.01
  config.n_critic = 5
  config.num_steps = 5000
  config.optimizer = {'name': 'rmsprop', 'generator_learning_rate': 5e-5, 'critic_learning_rate': 5e-5,
                      'schedule': 'constant', 'decay': 0.99, 'microbatches': 1}
  return base.variant_of(config, variant, test=dcgan.test)
