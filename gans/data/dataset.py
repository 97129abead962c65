"""What a data set is here, and how a batch is made of it on the device."""
from collections.abc import Callable
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Spec(NamedTuple):
  """What the networks must know of a data set; config.json keeps it, so that samples need no data."""
  shape: tuple[int, ...]  # of an example: (H, W, C) of images, (D,) of points
  num_classes: int = 0  # 0: unlabelled


class OnDisk:
  """Images [N,H,W,C] uint8 that stay in their files: images[slice, position or array of them] reads and decodes those.

  `read` takes a list of positions and returns as many [H,W,C], and raises UserError where it cannot; several threads
  call it at once. `key` tells these images from all others, in place of their pixels.
  """
  dtype = np.dtype(np.uint8)

  def __init__(self, shape: tuple[int, ...], key: str, read: Callable):
    self.shape, self.ndim, self.key, self.read = shape, len(shape), key, read

  def __len__(self):
    return self.shape[0]

  def __getitem__(self, index) -> np.ndarray:
    positions = np.arange(*index.indices(len(self))) if isinstance(index, slice) else np.asarray(index)
    return np.stack(self.read(positions.ravel().tolist())).reshape(*positions.shape, *self.shape[1:])


class Dataset(NamedTuple):
  """All examples; small data sets live in memory and on the device whole, so uint8 until a batch is made."""
  images: np.ndarray | OnDisk  # [N,H,W,C] uint8, or points [N,D] float32
  labels: np.ndarray  # [N] int32; zeros where there are none
  num_classes: int = 0  # 0: unlabelled

  @property
  def spec(self) -> Spec:
    """What the networks must know of it."""
    return Spec(tuple(self.images.shape[1:]), self.num_classes)


def is_too_large(config, shape: tuple[int, ...], itemsize: int = 1) -> bool:
  """Tells whether examples of that shape, [N,...], are more than config.device_bytes, of a config's `dataset`."""
  return math.prod(shape) * itemsize > config.device_bytes


def evidence(images, picked=slice(None)) -> tuple[np.ndarray, ...]:
  """Returns what tells images[picked] from others: the pixels, or of OnDisk ones the key and the positions."""
  if isinstance(images, OnDisk):
    return np.frombuffer(images.key.encode(), np.uint8), np.arange(len(images))[picked]
  return (images[picked],)


def to_unit(images):
  """Scales uint8 [0, 255] to float32 [-1, 1]; leaves points, which are float32 already, as they are."""
  return images.astype(jnp.float32) / 127.5 - 1 if images.dtype == jnp.uint8 else images


def to_uint8(images):
  """Rounds float [-1, 1] to uint8 [0, 255]: the inverse of `to_unit` on images."""
  return jnp.clip(jnp.round((images + 1) * 127.5), 0, 255).astype(jnp.uint8)


def gather(data: tuple, index, rng):
  """Makes the batch {'image': float32, 'label': int32} of data = (images [N,...], labels [N]) at `index`, any shape.

  Where the data are streamed they are whole batches, ([N,n_critic,B,...], [N,n_critic,B]), and the index is a number.
  """
  del rng
  images, labels = data
  return {'image': to_unit(images[index]), 'label': labels[index]}


def gather_flipped(data: tuple, index, rng):
  """As `gather`, with every second image, by a fair coin of its own, mirrored left to right."""
  batch = gather(data, index, rng)
  coin = jax.random.bernoulli(rng, shape=batch['label'].shape)[..., None, None, None]
  return batch | {'image': jnp.where(coin, jnp.flip(batch['image'], -2), batch['image'])}
