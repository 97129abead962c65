"""How a batch is made on the device of the data set that lies there and of the numbers of its examples."""
from collections.abc import Callable

import jax
import jax.numpy as jnp

from gans.data.kinds import Kind


def make_prepare(kind: Kind, flip: bool) -> Callable:
  """Returns prepare(data, index, rng) -> batch {'image': float32, 'label': int32}, of data (images, labels).

  In memory the data are (images [N,...], labels [N]) and the index, of any shape, names examples. Streamed data are
  whole batches, ([N,batches,B,...], [N,batches,B]), and the index is a number. With `flip` every second image, by a
  fair coin of its own, is mirrored left to right.
  """
  def prepare(data: tuple, index, rng) -> dict:
    images, labels = data
    image, label = kind.decode(images[index]), labels[index]
    if flip:
      coin = jax.random.bernoulli(rng, shape=label.shape)[..., None, None, None]
      image = jnp.where(coin, jnp.flip(image, -2), image)
    return {'image': image, 'label': label}

  return prepare
