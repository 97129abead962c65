"""The order of the examples, a pure function of (seed, step): nothing to save, nothing to restore."""
from collections.abc import Callable
import functools

import numpy as np

from gans.data.dataset import Dataset


def find_order(data: str, dataset: Dataset) -> Callable:
  """Returns the function of the arguments of `batch_indices` that gives the batches of `data` (core.game.DATA).

  Batches of 'pairs' and 'domains' have 2 * batch_size examples, by turns one of the first class and one of the second.
  """
  if data == 'examples':
    return batch_indices
  first = np.flatnonzero(dataset.labels == 0)
  if data == 'pairs':
    return functools.partial(pair_indices, first, dataset.partners)
  return functools.partial(domain_indices, first, np.flatnonzero(dataset.labels == 1))


def batch_indices(seed: int, start: int, count: int, batch_size: int, num_examples: int,
                  stream: int = 0) -> np.ndarray:
  """Returns the examples of batches start to start + count: [count, batch_size] int32.

  The batches divide an endless sequence of epochs, each of which is a fresh permutation of all examples. Another
  `stream` is another such sequence.
  """
  positions = np.arange(start * batch_size, (start + count) * batch_size)
  epochs, offsets = np.divmod(positions, num_examples)
  indices = np.empty(len(positions), np.int32)
  for epoch in np.unique(epochs):
    permutation = _permutation(seed, int(epoch), stream, num_examples)
    is_in_epoch = epochs == epoch
    indices[is_in_epoch] = permutation[offsets[is_in_epoch]]
  return indices.reshape(count, batch_size)


def pair_indices(first: np.ndarray, partners: np.ndarray, seed: int, start: int, count: int, batch_size: int,
                 num_examples: int) -> np.ndarray:
  """Returns pairs, each example of the `first` class before its partner: [count, 2 * batch_size] int32."""
  del num_examples
  a = first[batch_indices(seed, start, count, batch_size, len(first))]
  return _take_turns(a, partners[a])


def domain_indices(first: np.ndarray, second: np.ndarray, seed: int, start: int, count: int, batch_size: int,
                   num_examples: int) -> np.ndarray:
  """Returns examples of the `first` and the `second` class by turns, each in an order of its own: as pair_indices."""
  del num_examples
  a = first[batch_indices(seed, start, count, batch_size, len(first))]
  b = second[batch_indices(seed, start, count, batch_size, len(second), stream=1)]
  return _take_turns(a, b)


def _take_turns(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  """[count,B] twice -> [count,2B]: so that every device's share of a batch has both of a pair."""
  return np.stack([a, b], axis=-1).reshape(len(a), -1).astype(np.int32)


@functools.lru_cache(maxsize=32)  # two epochs of several seeds
def _permutation(seed: int, epoch: int, stream: int, num_examples: int) -> np.ndarray:
  key = (seed, epoch, stream) if stream else (seed, epoch)
  rng = np.random.default_rng(key)
  return rng.permutation(num_examples).astype(np.int32)
