"""Images of a data set and what an algorithm reconstructs of them: a way there and back, or by way of a code."""
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from gans.core.game import bind_trained
from gans.data.batches import make_prepare
from gans.data.dataset import Dataset
from gans.data.order import find_order

NUM = 2000  # images, at most, or pairs of them
CHUNK = 500  # images at a time


def make_reconstruct(dataset: Dataset, experiment) -> Callable:
  """Returns reconstruct(variables) -> (reconstructions, originals), [M,...] as stored, of `Algorithm.reconstruct`.

  They are of the first images in the order of seed 0.
  """
  algorithm, encode = experiment.algorithm, dataset.spec.kind.encode
  prepare = make_prepare(dataset.spec, flip=False, data=algorithm.data)
  num = len(dataset.images)
  positions, = find_order(algorithm.data, dataset)(0, 0, 1, min(NUM, num), num)

  @jax.jit
  def reconstruct_some(variables, arrays):
    batch = prepare(arrays, jnp.arange(len(arrays[0])), None)
    images, originals = algorithm.reconstruct(bind_trained(experiment.modules, variables), batch)
    return encode(images), encode(originals)

  def reconstruct(variables) -> tuple[np.ndarray, np.ndarray]:
    parts = []
    for start in range(0, len(positions), CHUNK):
      part = positions[start:start + CHUNK]
      parts.append(reconstruct_some(variables, (dataset.images[part], dataset.conditions[part])))
    images, originals = (np.concatenate(each) for each in zip(*parts))
    return images, originals

  return reconstruct
