"""Batches, made on the device from the data set that is there and the indices of their examples."""
from collections.abc import Callable

import jax
import jax.numpy as jnp

from gans.data.kinds import Kind


def make_prepare(kind: Kind, flip: bool) -> Callable:
  """Returns prepare(data, index, rng) -> batch {'image': float32, 'label': int32}; data are (images, labels).

  A data set in memory is (images [N,...], labels [N]), and the index, of any shape, selects examples. Streamed data are
  whole batches, ([N,batches,B,...], [N,batches,B]), and the index is a number. With `flip`, each image is mirrored left
  to right with probability 1/2.
  """
  def prepare(data: tuple, index, rng) -> dict:
    images, labels = data
    image = kind.decode(images[index])
    label = labels[index]
    if flip:
      is_flipped = jax.random.bernoulli(rng, shape=label.shape)
      mirrored = jnp.flip(image, -2)
      image = jnp.where(is_flipped[..., None, None, None], mirrored, image)
    return {'image': image, 'label': label}

  return prepare
