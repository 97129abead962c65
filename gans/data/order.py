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
  first = start * batch_size
  stop = first + count * batch_size
  sequence = _find_sequence(seed, stream, num_examples)
  parts = [np.empty(0, np.int32)]
  while first < stop:
    epoch, offset = divmod(first, num_examples)
    part = sequence.epoch(epoch)[offset:offset + stop - first]
    parts.append(part)
    first += len(part)
  return np.concatenate(parts).reshape(count, batch_size)


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
  count, batch_size = a.shape
  return np.stack([a, b], axis=-1).reshape(count, 2 * batch_size).astype(np.int32)


class _Sequence:
  """The endless sequence of one seed and stream. It keeps the latest epoch, in which the next batches begin."""

  def __init__(self, seed: int, stream: int, num_examples: int):
    self.seed = seed
    self.stream = stream
    self.num_examples = num_examples
    self.latest = (-1, np.empty(0, np.int32))

  def epoch(self, number: int) -> np.ndarray:
    """Returns the examples of an epoch in their order, [num_examples] int32."""
    latest, permutation = self.latest
    if number != latest:
      permutation = permute(self.seed, number, self.stream, self.num_examples)
      self.latest = (number, permutation)
    return permutation


_find_sequence = functools.lru_cache(maxsize=1024)(_Sequence)  # of every seed that trains side by side


def permute(seed: int, epoch: int, stream: int, num_examples: int) -> np.ndarray:
  """Returns the permutation of all examples for an epoch: [num_examples] int32."""
  key = (seed, epoch, stream) if stream else (seed, epoch)
  rng = np.random.default_rng(key)
  return rng.permutation(num_examples).astype(np.int32)
