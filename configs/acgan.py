"""AC-GAN (Odena et al. 2017) on handwritten digits, 28x28.

    python main.py --config=configs/acgan.py --workdir=/tmp/acgan

Hardware: two CPU cores. Time: 5 minutes for the first 3,000 steps, beside another run. Expect: a row
per class. Not good yet: by then classes 2, 3 and 9 are not what they should be, and a class has little variety.
"""
from configs import base, dcgan


def get_config(variant: str = ''):
  """Returns the experiment; `configs/acgan.py:test` is tiny."""
  config = dcgan.get_config()
  config.algorithm = 'acgan'
  # Weights of the class loss beside the loss of the scores.
  config.class_weight = {'critic': 1.0, 'generator': 1.0}
  config.generator.label_dim = 10
  config.critic.classify = True
  return base.variant_of(config, variant, test=dcgan.test)
