"""Data sets by name: each source says which fields of the config's `dataset` it reads."""
from collections.abc import Callable
from typing import NamedTuple

from gans.data.dataset import Dataset
from gans.data.sources import digits, folder, points, tfds
from gans.errors import UserError


class Source(NamedTuple):
  """Where a data set comes from."""
  load: Callable  # (config.dataset) -> Dataset
  reads: tuple[str, ...] = ()  # which of OPTIONAL it reads


COMMON = ('name', 'flip', 'device_bytes', 'workers')  # read by every source
# Fields that only some sources read, and their values when unset.
OPTIONAL = {'path': '', 'data_dir': '', 'split': 'train', 'crop': '', 'image_size': 28}

TFDS = Source(tfds.load_tfds, ('data_dir', 'split', 'crop', 'image_size'))
SOURCES = {
    'mnist_5k': Source(digits.load_digits, ('image_size',)),
    'stacked_mnist': Source(digits.load_stacked_digits, ('data_dir', 'split', 'image_size')),
    'stacked_mnist_5k': Source(digits.load_stacked_digits, ('image_size',)),
    'folder': Source(folder.load_folder, ('path', 'image_size')),
    **{name: Source(points.load_points) for name in points.SAMPLERS},
}


def find_source(name: str) -> Source:
  """Returns the source of a data set: one of SOURCES, else TFDS."""
  return SOURCES.get(name, TFDS)


def load_dataset(config) -> Dataset:
  """Loads the data set `config.name`: one of SOURCES, else an image data set of TFDS.

  Args:
    config: the config's `dataset`: name, path, data_dir, split, image_size, crop, device_bytes.

  Raises:
    UserError: there is no such data set, it is not available, or it does not read a field that is set.
  """
  source = find_source(config.name)
  check_fields_read(config, source)
  return source.load(config)


def check_fields_read(config, source: Source):
  """Raises UserError for a field of the config's `dataset` that is set and that its source does not read."""
  fields = (*COMMON, *source.reads)
  for field, value in config.items():
    is_unset = field in OPTIONAL and value == OPTIONAL[field]
    if field in fields or is_unset:
      continue
    sources = {**SOURCES, 'a data set of TFDS': TFDS}
    readers = [name for name, other in sources.items() if field in other.reads]
    hint = f'; it is for {", ".join(readers)}' if readers else ''
    raise UserError(f'dataset.{field}={value!r}: dataset.name={config.name!r} does not read it; its fields are '
                    f'{sorted(fields)}{hint}')
