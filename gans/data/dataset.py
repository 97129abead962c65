"""A data set: examples in memory or on disk, their labels, and the kind of data that they are."""
from collections.abc import Callable
import math
from typing import NamedTuple

import numpy as np

from gans.data.kinds import Kind, kind_of


class Spec(NamedTuple):
  """What the networks need to know about a data set; config.json keeps it, so that sampling needs no data."""
  shape: tuple[int, ...]  # of an example: (H, W, C) of images, (X, Y, Z, 1) of voxels, (D,) of points
  num_classes: int = 0  # 0: unlabelled
  attributes: tuple[str, ...] = ()  # the names of what an example has or has not; (): nothing is known
  paired: bool = False  # whether each example has a partner, the same thing in the other of two classes
  class_names: tuple[str, ...] = ()  # of the num_classes classes; (): they have none

  @property
  def num_labels(self) -> int:
    """Returns the number of attributes if there are any, else of classes."""
    return len(self.attributes) or self.num_classes

  @property
  def kind(self) -> Kind:
    """Returns the kind of its examples: images, voxels or points."""
    return kind_of(self.shape)


class OnDisk:
  """Images [N,H,W,C], voxels or pairs, as uint8 that stay in their files.

  images[slice, position or array of positions] decodes those.

  `read` takes a list of positions and returns as many images [H,W,C]; it raises UserError for one that it cannot read,
  and several threads call it at once. `key` identifies these images, in place of their pixels.
  """
  dtype = np.dtype(np.uint8)

  def __init__(self, shape: tuple[int, ...], key: str, read: Callable):
    self.shape = shape
    self.key = key
    self.read = read

  def __len__(self):
    return self.shape[0]

  def __getitem__(self, index) -> np.ndarray:
    if isinstance(index, slice):
      index = np.arange(*index.indices(len(self)))
    positions = np.asarray(index)
    images = self.read(positions.ravel().tolist())
    return np.stack(images).reshape(*positions.shape, *self.shape[1:])


class Dataset(NamedTuple):
  """All examples. Small data sets are held whole in memory and on the device, hence as uint8 until a batch is made."""
  images: np.ndarray | OnDisk  # [N,H,W,C] uint8, voxels [N,X,Y,Z,1] uint8 of 0 and 1, or points [N,D] float32
  labels: np.ndarray  # [N] int32; zeros if there are none
  num_classes: int = 0  # 0: unlabelled
  attributes: np.ndarray | None = None  # [N,K] uint8 of 0 and 1
  attribute_names: tuple[str, ...] = ()  # of the K attributes
  partners: np.ndarray | None = None  # [N] int32: of two classes, where the same thing is in the other one
  class_names: tuple[str, ...] = ()  # of the num_classes classes; (): they have none
  names: tuple[str, ...] = ()  # of the N examples, such as the paths of their files in a folder; (): they have none
  # [K] uint32: checksums of the files of K evenly spaced examples, by which data are the same wherever they lie and
  # whatever decodes them; None: the examples are computed, or come from one file, and tell it themselves.
  checksums: np.ndarray | None = None
  left_out: dict[str, str] = {}  # {file: why it was not read}
  notes: tuple[str, ...] = ()  # what else is to be said of how it was read, in sentences

  @property
  def conditions(self) -> np.ndarray:
    """Returns what is known about each example: its attributes [N,K] if it has any, else its label [N]."""
    return self.labels if self.attributes is None else self.attributes

  def as_networks_take(self, selected: np.ndarray) -> np.ndarray:
    """Returns the conditions of selected examples for networks: labels [n] int32, or attributes [n,K] float32."""
    given = self.conditions[selected]
    return given if self.attributes is None else given.astype(np.float32)

  @property
  def spec(self) -> Spec:
    """Returns what the networks need to know about it."""
    shape = tuple(self.images.shape[1:])
    return Spec(shape, self.num_classes, self.attribute_names, self.partners is not None, self.class_names)


def is_too_large(config, shape: tuple[int, ...], itemsize: int = 1) -> bool:
  """Tells whether examples of this shape, [N,...], exceed config.device_bytes, of a config's group `dataset`."""
  return math.prod(shape) * itemsize > config.device_bytes


def identifying_arrays(images, selected=slice(None)) -> tuple[np.ndarray, ...]:
  """Returns arrays that identify images[selected]: the pixels, or the key and the positions of those on disk."""
  if isinstance(images, OnDisk):
    key = np.frombuffer(images.key.encode(), np.uint8)
    return key, np.arange(len(images))[selected]
  return (images[selected],)
