"""The order of the examples, a pure function of (seed, step): nothing to save, nothing to restore."""
import functools

import numpy as np


def batch_indices(seed: int, start: int, count: int, batch_size: int, num_examples: int) -> np.ndarray:
  """Returns the examples of batches start to start + count: [count, batch_size] int32.

  The batches divide an endless sequence of epochs, each of which is a fresh permutation of all examples.
  """
  positions = np.arange(start * batch_size, (start + count) * batch_size)
  epochs, offsets = np.divmod(positions, num_examples)
  indices = np.empty(len(positions), np.int32)
  for epoch in np.unique(epochs):
    permutation = _permutation(seed, int(epoch), num_examples)
    is_in_epoch = epochs == epoch
    indices[is_in_epoch] = permutation[offsets[is_in_epoch]]
  return indices.reshape(count, batch_size)


@functools.lru_cache(maxsize=32)  # two epochs of several seeds
def _permutation(seed: int, epoch: int, num_examples: int) -> np.ndarray:
  rng = np.random.default_rng((seed, epoch))
  return rng.permutation(num_examples).astype(np.int32)
