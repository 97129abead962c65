"""Data sets as arrays, by name."""
import functools

from gans.data import digits, folder, mixtures, tfds_images
from gans.data.dataset import Dataset

SOURCES = {
    'mnist_5k': digits.load,
    'folder': folder.load,
    'stacked_mnist': digits.load_stacked,
    'stacked_mnist_5k': digits.load_stacked,
    **{name: functools.partial(mixtures.load, name) for name in mixtures.SAMPLERS},
}


def load(config) -> Dataset:
  """Loads `config.name`: one of SOURCES, else an image data set of TFDS.

  Args:
    config: the config's `dataset`: name, path, data_dir, split, image_size, crop, device_bytes.

  Raises:
    UserError: no such data set, or it is neither prepared nor to be had.
  """
  return SOURCES.get(config.name, tfds_images.load)(config)
