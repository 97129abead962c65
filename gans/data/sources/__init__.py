"""Data sets by name: each source says which fields of the config's `dataset` it reads."""
from collections.abc import Callable
import functools
from typing import NamedTuple

from gans.data.dataset import Dataset
from gans.data.sources import counterparts, digits, files, folder, points, tfds, voxels
from gans.errors import UserError


class Source(NamedTuple):
  """Where a data set comes from."""
  load: Callable  # (config.dataset) -> Dataset
  reads: tuple[str, ...] = ()  # which of OPTIONAL it reads


COMMON = ('name', 'flip', 'device_bytes', 'workers')  # read by every source
# Fields that only some sources read, and their values when unset.
OPTIONAL = {'path': '', 'data_dir': '', 'split': 'train', 'crop': '', 'image_size': 28, 'alpha': False,
            'attributes': (), 'max_unreadable': files.MAX_UNREADABLE}

TFDS = Source(tfds.load_tfds, ('data_dir', 'split', 'crop', 'image_size'))
SOURCES = {
    'mnist_5k': Source(digits.load_digits, ('image_size',)),
    'stacked_mnist': Source(digits.load_stacked_digits, ('data_dir', 'split', 'image_size')),
    'stacked_mnist_5k': Source(digits.load_stacked_digits, ('image_size',)),
    'folder': Source(folder.load_folder, ('path', 'image_size', 'alpha', 'attributes', 'max_unreadable')),
    'folder_pairs': Source(counterparts.load_pairs, ('path', 'image_size', 'max_unreadable')),
    'voxel_digits': Source(voxels.load_voxel_digits, ('image_size',)),
    'voxel_folder': Source(voxels.load_voxel_folder, ('path', 'image_size', 'max_unreadable')),
    **{name: Source(points.load_points) for name in points.SAMPLERS},
}
# Data sets whose pictures have counterparts made of them, beside those of TFDS: NAME_edges and so on.
PICTURES = ('mnist_5k', 'folder')


def find_source(name: str) -> Source:
  """Returns the source of a data set: one of SOURCES, the counterparts of another data set's pictures, else TFDS."""
  base, maker = counterparts.split_name(name)
  if not maker or name in SOURCES or not _has_pictures(base):
    return SOURCES.get(name, TFDS)
  pictures = SOURCES.get(base, TFDS)
  reads = tuple(field for field in pictures.reads if field not in ('alpha', 'attributes'))
  return Source(functools.partial(counterparts.load_counterparts, pictures.load), reads)


def _has_pictures(name: str) -> bool:
  """Tells whether counterparts can be made of a data set; one that is unknown may be of TFDS."""
  _, maker = counterparts.split_name(name)
  return name in PICTURES or name not in SOURCES and not maker


def describe_names() -> str:
  """Returns, for people, which names a data set may have."""
  makers = ', '.join(f'NAME_{maker}' for maker in counterparts.MAKERS)
  return (f'one of {sorted(SOURCES)}, a name from https://www.tensorflow.org/datasets/catalog, or {makers}, where NAME '
          f'is {", ".join(PICTURES)} or from that catalog')


def load_dataset(config) -> Dataset:
  """Loads the data set `config.name`: one of SOURCES, counterparts such as mnist_5k_edges, else one of TFDS's images.

  Args:
    config: the config's `dataset`: name, path, data_dir, split, image_size, crop, attributes, flip, device_bytes.

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
    is_unset = field in OPTIONAL and _is_same(value, OPTIONAL[field])
    if field in fields or is_unset:
      continue
    sources = {**SOURCES, 'a data set of TFDS': TFDS}
    readers = [name for name, other in sources.items() if field in other.reads]
    hint = f'; it is for {", ".join(readers)}' if readers else ''
    raise UserError(f'dataset.{field}={value!r}: dataset.name={config.name!r} does not read it; its fields are '
                    f'{sorted(fields)}{hint}')


def _is_same(value, unset) -> bool:
  """Tells whether two values are equal, a tuple and the list that a config.json has in its place too."""
  return (tuple(value) if isinstance(value, list) else value) == unset
