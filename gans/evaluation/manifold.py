"""Precision and recall, density and coverage: how much of one set of features is in the support of another.

The support of a set is estimated by closed balls around its samples, whose radius is the distance to the sample's k-th
nearest neighbour. Time grows with N M D; distances are computed CHUNK_MIB at a time.
"""
import numpy as np
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors

from gans.evaluation.checks import check_features, check_number, check_samples

CHUNK_MIB = 128
ROUNDING = 1e-7  # of the largest feature vector: more than two ways to compute a distance in float64 differ


def precision_recall(real: np.ndarray, fake: np.ndarray, k: int = 3) -> tuple[float, float]:
  """Returns the share of fake [M,D] in some ball of real [N,D], and the share of real in some ball of fake.

  Kynkaanniemi et al. 2019, "Improved precision and recall metric", equations 1 and 2, arXiv:1904.06991.
  Raises UserError if either set has fewer than k + 1 samples, hence no k-th neighbours.
  """
  real, fake = check_features(real=real, fake=fake)
  check_number('k', k, at_least=1)
  check_samples(k + 1, f'k={k} neighbours of each', real=real, fake=fake)
  is_fake_in_real = _count_balls(fake, real, _radii(real, k)) > 0
  is_real_in_fake = _count_balls(real, fake, _radii(fake, k)) > 0
  return float(is_fake_in_real.mean()), float(is_real_in_fake.mean())


def density_coverage(real: np.ndarray, fake: np.ndarray, k: int = 5) -> tuple[float, float]:
  """Returns how many balls of real [N,D] a sample of fake [M,D] is in, over k, and the share of balls that hold one.

  Naeem et al. 2020, "Reliable fidelity and diversity metrics", section 3, arXiv:2002.09797. If fake and real are drawn
  alike, density is 1 on average, and coverage is 1 - 2^-k for N = M large; density can be above 1. Their code takes
  open balls, which differ only if samples of fake are exactly on the edge: closed balls of a set of repeated samples
  are not empty, and the density of an exact copy of real is 1 + 1/k.
  Raises UserError if real has fewer than k + 1 samples.
  """
  real, fake = check_features(real=real, fake=fake)
  check_number('k', k, at_least=1)
  check_samples(k + 1, f'k={k} neighbours of each', real=real)
  radii = _radii(real, k)
  density = _count_balls(fake, real, radii).mean() / k
  to_nearest_fake, _ = NearestNeighbors(n_neighbors=1).fit(fake).kneighbors(real)
  is_covered = to_nearest_fake[:, 0] <= radii
  return float(density), float(is_covered.mean())


def _radii(features: np.ndarray, k: int) -> np.ndarray:
  """Returns the distances [N] of features [N,D] to their k-th nearest neighbours, themselves not counted.

  They are longer by what rounding may add to a distance, so that what is on the edge is inside.
  """
  distances, _ = NearestNeighbors(n_neighbors=k).fit(features).kneighbors()
  return distances[:, -1] + ROUNDING * np.linalg.norm(features, axis=1).max()


def _count_balls(points: np.ndarray, centres: np.ndarray, radii: np.ndarray) -> np.ndarray:
  """Returns for each of points [M,D] how many of the balls around centres [N,D], of radii [N], it is in: [M]."""
  def count(distances, start):
    del start
    return (distances <= radii).sum(1)

  chunks = pairwise_distances_chunked(points, centres, reduce_func=count, working_memory=CHUNK_MIB)
  return np.concatenate(list(chunks))
