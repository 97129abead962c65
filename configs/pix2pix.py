r"""pix2pix (Isola et al. 2017) from the edges of handwritten digits to the digits, 28x28.

    python main.py --config=configs/pix2pix.py --workdir=/tmp/pix2pix
    python main.py --config=configs/pix2pix.py --workdir=/tmp/mine --config.dataset.name=folder_pairs \
        --config.dataset.path=FOLDER --config.dataset.image_size=64  # of images A|B, side by side

Clothes: --config.dataset.name=fashion_mnist_edges. The generator of the paper, for 256 pixels, has hidden=(64, 128,
256, 512, 512, 512, 512, 512), its critic hidden=(64, 128, 256, 512) and strides=(2, 2, 2, 1).

Hardware: one CPU core (Intel Xeon, AVX-512). Time: 6 minutes, half of them for the classifier of its evaluation.
Expect: edges, what is made of them, and the digit they are of, which differ by 1.6 % of a pixel's range.
"""
from configs import base


def get_config(variant: str = ''):
  """Returns the experiment; it has no variants."""
  adam = base.adam(learning_rate=2e-4, b2=0.999)
  config = base.get_config('pix2pix')
  config.dataset.name = 'mnist_5k_edges'
  config.batch_size = 16
  config.num_steps = 3000
  config.eval_every = 1_500
  config.eval.num_samples = 5_000  # one of each edges: a second of the same would be a copy
  config.generator = base.unet_generator(hidden=(32, 64, 128), num_dropouts=1, optimizer=adam)
  config.critic = base.patch_critic(hidden=(32, 64), norm='batch', optimizer=adam)
  return base.variant_of(config, variant)
