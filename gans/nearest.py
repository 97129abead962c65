"""--mode=nearest: the training examples nearest to samples, to judge whether the generator has learnt them by heart."""
import numpy as np

CHUNK = 10_000  # training examples searched at a time, as they are float32 only then


def nearest(queries: np.ndarray, examples: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
  """Finds for each of queries [M,...] its k nearest of examples [N,...], N >= k, the nearest first.

  Returns Euclidean distances [M,k] and indices [M,k]; a search of all pairs, CHUNK examples at a time.
  """
  from sklearn.neighbors import NearestNeighbors  # here, as scikit-learn takes a second of a run's start
  flat = lambda x: x.reshape(len(x), -1).astype(np.float32)
  queries = flat(queries)
  distances, indices = np.zeros((len(queries), 0)), np.zeros((len(queries), 0), int)
  for start in range(0, len(examples), CHUNK):
    part = flat(examples[start:start + CHUNK])
    search = NearestNeighbors(n_neighbors=min(k, len(part)), algorithm='brute').fit(part)
    found, places = search.kneighbors(queries)
    distances, indices = np.hstack([distances, found]), np.hstack([indices, places + start])
    best = np.argsort(distances, axis=1, kind='stable')[:, :k]
    distances, indices = (np.take_along_axis(x, best, axis=1) for x in (distances, indices))
  return distances, indices


def nearest_others(picked: np.ndarray, examples: np.ndarray) -> np.ndarray:
  """Returns the distances [M] of the examples [N,...] at `picked` [M] to their nearest other one: leave one out."""
  distances, indices = nearest(examples[picked], examples, 2)
  return np.where(indices[:, 0] == picked, distances[:, 1], distances[:, 0])
