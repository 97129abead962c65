"""How much of one set of features lies where the other is: precision and recall, density and coverage.

Where a set is, is estimated by closed balls around its samples, each as wide as the distance to the sample's k-th
nearest neighbour. Time grows with N M D; distances are worked out CHUNK_MIB at a time.
"""
import numpy as np
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors

from gans.evaluation.checks import check_features, check_number, check_samples

CHUNK_MIB = 128


def precision_recall(real: np.ndarray, fake: np.ndarray, k: int = 3) -> tuple[float, float]:
  """Returns the share of fake [M,D] in some ball of real [N,D], and the share of real in some ball of fake.

  Kynkaanniemi et al. 2019, "Improved precision and recall metric", equations 1 and 2, arXiv:1904.06991.
  Raises UserError where either set has no k-th neighbours: fewer than k + 1 samples.
  """
  real, fake = check_features(real=real, fake=fake)
  check_number('k', k, at_least=1)
  check_samples(k + 1, f'k={k} neighbours of each', real=real, fake=fake)
  precision = (_count_balls(fake, real, _radii(real, k)) > 0).mean()
  recall = (_count_balls(real, fake, _radii(fake, k)) > 0).mean()
  return float(precision), float(recall)


def density_coverage(real: np.ndarray, fake: np.ndarray, k: int = 5) -> tuple[float, float]:
  """Returns how many balls of real [N,D] a sample of fake [M,D] is in, over k, and the share of balls that hold one.

  Naeem et al. 2020, "Reliable fidelity and diversity metrics", section 3, arXiv:2002.09797. Density is 1 on
  average where fake is drawn as real is, and can be above; coverage is 1 - 2^-k there, for N = M large. Their code
  takes open balls, which differ only where samples of fake lie on the very edge: closed balls of a set of repeated
  samples are not empty, and the density of an exact copy of real is 1 + 1/k.
  Raises UserError where real has fewer than k + 1 samples.
  """
  real, fake = check_features(real=real, fake=fake)
  check_number('k', k, at_least=1)
  check_samples(k + 1, f'k={k} neighbours of each', real=real)
  radii = _radii(real, k)
  nearest = NearestNeighbors(n_neighbors=1).fit(fake).kneighbors(real)[0][:, 0]
  return float(_count_balls(fake, real, radii).mean() / k), float((nearest <= radii).mean())


def _radii(features: np.ndarray, k: int) -> np.ndarray:
  """Distances [N] of features [N,D] to their k-th nearest neighbour among them, themselves not counted."""
  return NearestNeighbors(n_neighbors=k).fit(features).kneighbors()[0][:, -1]


def _count_balls(points: np.ndarray, centres: np.ndarray, radii: np.ndarray) -> np.ndarray:
  """In how many balls around centres [N,D], of radii [N], each of points [M,D] lies: [M]."""
  count = lambda distances, start: (distances <= radii).sum(1)
  chunks = pairwise_distances_chunked(points, centres, reduce_func=count, working_memory=CHUNK_MIB)
  return np.concatenate(list(chunks))
