"""What a data set is here, and how a batch is made of it on the device."""
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Spec(NamedTuple):
  """What the networks must know of a data set; config.json keeps it, so that samples need no data."""
  shape: tuple[int, ...]  # of an example: (H, W, C) of images, (D,) of points
  num_classes: int = 0  # 0: unlabelled


class Dataset(NamedTuple):
  """All examples in memory; small data sets live on the device whole, so uint8 until a batch is made."""
  images: np.ndarray  # [N,H,W,C] uint8, or points [N,D] float32
  labels: np.ndarray  # [N] int32; zeros where there are none
  num_classes: int = 0  # 0: unlabelled

  @property
  def spec(self) -> Spec:
    """What the networks must know of it."""
    return Spec(tuple(self.images.shape[1:]), self.num_classes)


def to_unit(images):
  """Scales uint8 [0, 255] to float32 [-1, 1]; leaves points, which are float32 already, as they are."""
  return images.astype(jnp.float32) / 127.5 - 1 if images.dtype == jnp.uint8 else images


def to_uint8(images):
  """Rounds float [-1, 1] to uint8 [0, 255]: the inverse of `to_unit` on images."""
  return jnp.clip(jnp.round((images + 1) * 127.5), 0, 255).astype(jnp.uint8)


def gather(data: tuple, index, rng):
  """Makes the batch {'image': float32, 'label': int32} of data = (images [N,...], labels [N]) at `index`, any shape."""
  del rng
  images, labels = data
  return {'image': to_unit(images[index]), 'label': labels[index]}


def gather_flipped(data: tuple, index, rng):
  """As `gather`, with every second image, by a fair coin of its own, mirrored left to right."""
  batch = gather(data, index, rng)
  coin = jax.random.bernoulli(rng, shape=index.shape)[..., None, None, None]
  return batch | {'image': jnp.where(coin, jnp.flip(batch['image'], -2), batch['image'])}
