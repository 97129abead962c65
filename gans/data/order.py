"""The order of the examples, a pure function of (seed, step): nothing to save, nothing to restore."""
import functools

import numpy as np


def batch_indices(seed: int, start: int, count: int, batch_size: int, num_examples: int) -> np.ndarray:
  """Returns the examples of batches start to start + count: [count, batch_size] int32.

  The batches cut up an endless row of epochs; each epoch is a fresh permutation of all examples.
  """
  positions = np.arange(start * batch_size, (start + count) * batch_size)
  epochs, offsets = np.divmod(positions, num_examples)
  indices = np.empty(len(positions), np.int32)
  for epoch in np.unique(epochs):
    here = epochs == epoch
    indices[here] = _permutation(seed, int(epoch), num_examples)[offsets[here]]
  return indices.reshape(count, batch_size)


@functools.lru_cache(maxsize=32)  # two epochs of some seeds
def _permutation(seed: int, epoch: int, num_examples: int) -> np.ndarray:
  return np.random.default_rng((seed, epoch)).permutation(num_examples).astype(np.int32)
