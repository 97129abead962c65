"""Networks on many samples, a bounded number at a time."""
from collections.abc import Callable

import jax
import numpy as np


def in_chunks(predict: Callable, samples: np.ndarray, size: int):
  """Returns predict(samples [N,...]), a tree of arrays [N,...], from calls with up to `size` samples each.

  All calls have the same number of samples, so that predict is compiled once.
  """
  num = len(samples)
  size = min(size, num)
  found = []
  for start in range(0, num, size):
    chunk = samples[start:start + size]
    full = np.resize(chunk, (size, *samples.shape[1:]))  # repeats samples in the last one
    found.append(jax.device_get(predict(full)))
  return jax.tree.map(lambda *parts: np.concatenate(parts)[:num], *found)
