"""Batches, made on the device from the data set that is there and the indices of their examples."""
from collections.abc import Callable

import jax
import jax.numpy as jnp

from gans.data.dataset import Spec


def condition(spec: Spec) -> str:
  """Returns the name by which a batch has what is known about each example: 'label', or 'attributes'."""
  return 'attributes' if spec.attributes else 'label'


def batch_shapes(spec: Spec, size: int, data: str = 'examples') -> dict:
  """Returns the shapes of a batch of `size` for a loss whose `Algorithm.data` is `data`."""
  image = jax.ShapeDtypeStruct((size, *spec.shape), jnp.float32)
  if data != 'examples':
    return {'a': image, 'b': image}
  if spec.attributes:
    return {'image': image, 'attributes': jax.ShapeDtypeStruct((size, len(spec.attributes)), jnp.float32)}
  return {'image': image, 'label': jax.ShapeDtypeStruct((size,), jnp.int32)}


def make_prepare(spec: Spec, flip: bool, data: str = 'examples') -> Callable:
  """Returns prepare(arrays, index, rng) -> batch of `data` (core.game.DATA), arrays being (images, labels).

  A data set in memory is (images [N,...], labels [N]), and the index, of any shape, selects examples. Streamed data are
  whole batches, ([N,batches,B,...], [N,batches,B]), and the index is a number. Attributes [...,K] stand in place of the
  labels if there are any. With `flip`, each image is mirrored left to right with probability 1/2, and a pair together.
  """
  def prepare(arrays: tuple, index, rng) -> dict:
    images, labels = arrays
    image = spec.kind.decode(images[index])
    label = labels[index]
    shape = image.shape[:image.ndim - len(spec.shape)]
    if data == 'examples':
      batch = {'image': mirror_some(rng, image, shape, spec.kind.mirror_axis) if flip else image}
      return batch | {condition(spec): label.astype(jnp.float32) if spec.attributes else label}
    pairs = image.reshape(*shape[:-1], -1, 2, *spec.shape)  # examples of the two classes take turns
    if flip:
      mirrored_together = shape[:-1] + (pairs.shape[len(shape) - 1], 1 if data == 'pairs' else 2)
      pairs = mirror_some(rng, pairs, mirrored_together, spec.kind.mirror_axis)
    a, b = jnp.moveaxis(pairs, len(shape), 0)
    return {'a': a, 'b': b}

  return prepare


def mirror_some(rng, image, shape: tuple[int, ...], axis: int):
  """Mirrors images [*shape,...] along an axis, each with probability 1/2; where `shape` has a 1, all or none."""
  is_mirrored = jax.random.bernoulli(rng, shape=shape)
  is_mirrored = is_mirrored.reshape(shape + (1,) * (image.ndim - len(shape)))
  return jnp.where(is_mirrored, jnp.flip(image, axis), image)
