"""What a data set is: examples in memory or on disk, their labels, and the kind of data that they are."""
from collections.abc import Callable
import math
from typing import NamedTuple

import numpy as np

from gans.data.kinds import Kind, kind_of


class Spec(NamedTuple):
  """What the networks must know of a data set; config.json keeps it, so that samples need no data."""
  shape: tuple[int, ...]  # of an example: (H, W, C) of images, (D,) of points
  num_classes: int = 0  # 0: unlabelled

  @property
  def kind(self) -> Kind:
    """Images or points."""
    return kind_of(self.shape)


class OnDisk:
  """Images [N,H,W,C] uint8 that stay in their files: images[slice, position or array of them] reads and decodes those.

  `read` takes a list of positions and returns as many [H,W,C], and raises UserError for one that it cannot read;
  several threads call it at once. `key` tells these images from all others, in place of their pixels.
  """
  dtype = np.dtype(np.uint8)

  def __init__(self, shape: tuple[int, ...], key: str, read: Callable):
    self.shape = shape
    self.key = key
    self.read = read

  def __len__(self):
    return self.shape[0]

  def __getitem__(self, index) -> np.ndarray:
    positions = np.arange(*index.indices(len(self))) if isinstance(index, slice) else np.asarray(index)
    images = np.stack(self.read(positions.ravel().tolist()))
    return images.reshape(*positions.shape, *self.shape[1:])


class Dataset(NamedTuple):
  """All examples; small data sets live in memory and on the device whole, so uint8 until a batch is made."""
  images: np.ndarray | OnDisk  # [N,H,W,C] uint8, or points [N,D] float32
  labels: np.ndarray  # [N] int32; zeros if there are none
  num_classes: int = 0  # 0: unlabelled

  @property
  def spec(self) -> Spec:
    """What the networks must know of it."""
    return Spec(tuple(self.images.shape[1:]), self.num_classes)


def is_too_large(config, shape: tuple[int, ...], itemsize: int = 1) -> bool:
  """Tells whether examples of that shape, [N,...], are more than config.device_bytes, of a config's `dataset`."""
  return math.prod(shape) * itemsize > config.device_bytes


def evidence(images, picked=slice(None)) -> tuple[np.ndarray, ...]:
  """Returns what tells images[picked] from others: the pixels, or the key and the positions of those on disk."""
  if isinstance(images, OnDisk):
    return np.frombuffer(images.key.encode(), np.uint8), np.arange(len(images))[picked]
  return (images[picked],)
