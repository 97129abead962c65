"""Voxels: 3-D digits, made of mnist_5k, and a user's own models. Their axes are those of data.kinds: Z is up."""
from collections.abc import Callable
import functools
import math
import os
import pathlib

import numpy as np

from gans.data.dataset import Dataset, is_too_large
from gans.data.sources import digits, files, listing, voxel_files
from gans.data.sources.fit import one_side
from gans.errors import UserError
from gans.system import cache

# 3-D digits.
BORDER = 2  # pixels left off around a digit, which hold 0.25 % of all ink
THRESHOLD = 100  # brightness of ink
THICKNESS = 0.18  # of a digit, in sides of its cube
MAX_TURN = 30  # degrees to either side
MAX_DIGIT_SIZE = 64

LAYOUT = 2  # of what is kept of a folder in the cache


def load_voxel_digits(config) -> Dataset:
  """Returns the 5,000 digits of mnist_5k as solid bodies [5000,S,S,S,1] uint8 of 0 and 1, S = config.image_size.

  Each is extruded and turned about the vertical axis by an angle of its own of up to MAX_TURN degrees, the same in
  every run. Labels are 0 to 9.

  Raises:
    UserError: so large digits would take more memory than they are worth.
  """
  size = one_side(config)
  if size > MAX_DIGIT_SIZE:
    raise UserError(f'dataset.image_size={size}: expected at most {MAX_DIGIT_SIZE} for {config.name}')
  pixels, labels = digits.read_mnist_5k()
  angles = np.random.default_rng(0).uniform(-MAX_TURN, MAX_TURN, len(pixels))
  models = [extrude(digit[..., 0], size, math.radians(angle)) for digit, angle in zip(pixels, angles)]
  return Dataset(np.stack(models), labels, num_classes=10, class_names=digits.DIGITS)


def extrude(digit: np.ndarray, size: int, angle: float) -> np.ndarray:
  """Makes a solid body of a digit [28,28] uint8, turned by an angle in radians: [size,size,size,1] uint8 of 0 and 1."""
  inner = digit[BORDER:-BORDER, BORDER:-BORDER].astype(np.float32)
  upright = _resample(inner[::-1], _centres(size)).T  # [24,size]: across the digit, then up
  x, y = np.meshgrid(_centres(size), _centres(size), indexing='ij')
  across = math.cos(angle) * x + math.sin(angle) * y
  depth = math.cos(angle) * y - math.sin(angle) * x
  body = _resample(upright, across)  # [size,size,size]
  is_within = np.abs(depth) <= THICKNESS / 2
  return ((body > THRESHOLD) & is_within[..., None])[..., None].astype(np.uint8)


def _centres(size: int) -> np.ndarray:
  """Returns where the cells of a side are, as a share of it, from its middle: [size], within -1/2 to 1/2."""
  return (np.arange(size) + 0.5) / size - 0.5


def _resample(rows: np.ndarray, places: np.ndarray) -> np.ndarray:
  """Interpolates between rows [R,...] at places [...], as shares of the side from its middle; outside there is 0."""
  padded = np.pad(rows, [(1, 1)] + [(0, 0)] * (rows.ndim - 1))
  positions = np.clip((places + 0.5) * len(rows) + 0.5, 0, len(rows) + 1 - 1e-6)
  low = positions.astype(int)
  share = (positions - low).astype(np.float32)[..., None]
  return (1 - share) * padded[low] + share * padded[low + 1]


def load_voxel_folder(config) -> Dataset:
  """Reads the models of config.path as [N,S,S,S,1] uint8 of 0 and 1, S = config.image_size.

  The path is a folder with a .binvox, .npy or .npz file for each model, in a folder for each class, if they have
  classes; or one .npy or .npz of all. Models are cubes whose side S divides, and are pooled to S cells: one is full if
  one of those that it is made of is. Empty models are left out. A folder whose models exceed config.device_bytes stays
  on disk.

  Raises:
    UserError: fewer than two models, more than config.max_unreadable of them are empty or cannot be read, or the one
      file of all cannot be.
  """
  path = os.path.expanduser(config.path)
  if os.path.isfile(path):
    return _load_file(config, pathlib.Path(path))
  size = one_side(config)
  found = listing.find_files(config.path, voxel_files.SUFFIXES, 'voxel models')
  stays_on_disk = is_too_large(config, (len(found.names), size, size, size))
  details = (LAYOUT, stays_on_disk, size)
  key = found.key(*details)
  read = functools.partial(voxel_files.read_model, size=size)
  read_all = _check_all if stays_on_disk else _read_all
  kept = cache.load_or_make('voxels', key, lambda: read_all(found, read, size), of=found.identity(*details))
  shape = (len(kept['good']), size, size, size, 1)
  if stays_on_disk:
    models = files.keep_on_disk(kept, found, shape, key, read)
  else:
    models = np.unpackbits(kept['bits'], axis=1, count=size ** 3).reshape(shape)
  return files.make_dataset(config, found, kept, models, 'voxel models')


def _read_all(found: listing.Listing, read: Callable, size: int) -> dict[str, np.ndarray]:
  """Reads the files: {'bits'}, a row for each model, and what files.read_all returns."""
  rows, fields = files.read_all(found, lambda path: np.packbits(read(path)), 'voxel models')
  return {'bits': np.stack(rows) if rows else np.zeros((0, math.ceil(size ** 3 / 8)), np.uint8)} | fields


def _check_all(found: listing.Listing, read: Callable, size: int) -> dict[str, np.ndarray]:
  """Reads the files without keeping the models: what files.read_all returns."""
  del size
  _, fields = files.read_all(found, lambda path: read(path).any(), 'voxel models')
  return fields


def _load_file(config, path: pathlib.Path) -> Dataset:
  """Reads the models of one .npy, or the arrays `voxels` and, if there are any, `labels` and `names` of an .npz."""
  try:
    if path.suffix.lower() not in ('.npy', '.npz'):
      raise ValueError('expected a folder of models, or a .npy or .npz file of all')
    models = _read_models(config, path)
    labels, class_names = _read_labels(path, len(models))
  except Exception as error:
    raise UserError(f'dataset.path={config.path!r}: {error}') from error
  is_good = models.any((1, 2, 3, 4))
  empty = {f'model {i}': voxel_files.EMPTY for i in np.flatnonzero(~is_good)}
  files.refuse_unreadable(config, empty, len(models), 'voxel models')
  return Dataset(models[is_good], labels[is_good], len(class_names), class_names=class_names, left_out=empty)


def _read_models(config, path: pathlib.Path) -> np.ndarray:
  size = one_side(config)
  with voxel_files.open_array(path, voxel_files.ARRAY) as file:
    header = voxel_files.read_header(file)
    shape = voxel_files.without_channel(header.shape)
    if len(shape) != 4 or shape[0] < 2:
      raise ValueError(f'an array {header.shape}: expected at least two models [N,X,Y,Z]')
    voxel_files.check_cube(shape[1:], size)
    if is_too_large(config, header.shape, header.dtype.itemsize):
      raise ValueError(f'{header.num_bytes} bytes are more than dataset.device_bytes={config.device_bytes}, and one '
                       'file is not streamed: raise that, or give a folder with a file for each model')
    return voxel_files.fit(voxel_files.read_cells(file, header).reshape(shape), size)


def _read_labels(path: pathlib.Path, num: int) -> tuple[np.ndarray, tuple[str, ...]]:
  """Returns the labels [N] int32 and the classes' names, by default numbers; () for less than two classes."""
  unlabelled = np.zeros(num, np.int32), ()
  if not voxel_files.has_array(path, 'labels'):
    return unlabelled
  with voxel_files.open_array(path, 'labels') as file:
    header = voxel_files.read_header(file)
    if header.shape != (num,) or header.dtype.kind not in 'iu':
      raise ValueError(f'labels {header.shape} of {header.dtype}: expected ({num},) whole numbers')
    labels = voxel_files.read_array(file, header)
  names = _read_names(path)
  num_classes = len(names) or int(labels.max()) + 1
  if labels.min() < 0 or labels.max() >= num_classes or num_classes > voxel_files.MAX_CLASSES:
    raise ValueError(f'labels from {labels.min()} to {labels.max()}: expected 0 to {num_classes - 1}, and at most '
                     f'{voxel_files.MAX_CLASSES} classes')
  counts = np.bincount(labels, minlength=num_classes)
  if not names and not counts.all():
    raise ValueError(f'no model has the label {counts.argmin()}: expected some of each from 0 to {num_classes - 1}, or '
                     'their names beside them')
  names = names or tuple(map(str, range(num_classes)))
  return (labels.astype(np.int32), names) if num_classes > 1 else unlabelled


def _read_names(path: pathlib.Path) -> tuple[str, ...]:
  """Returns the names of the classes in an .npz; () if it has none."""
  if not voxel_files.has_array(path, 'names'):
    return ()
  with voxel_files.open_array(path, 'names') as file:
    names = voxel_files.read_texts(file, voxel_files.read_header(file))
  if len(set(names)) < len(names):
    raise ValueError('a class is named twice in names: expected different names')
  return names
