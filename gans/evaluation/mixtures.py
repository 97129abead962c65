"""How many modes of a mixture of Gaussians a generator found, and how well: PacGAN's protocol."""
from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from gans.errors import UserError
from gans.evaluation.checks import check_features
from gans.evaluation.classes import modes_and_kl

NUM_SIGMAS = 3


class MixtureQuality(NamedTuple):
  """What `mixture_quality` returns."""
  modes: int  # with at least one point of high quality
  high_quality: float  # share of the points
  reverse_kl: float  # in nats


def mixture_quality(points: np.ndarray, modes: np.ndarray, sigma: float) -> MixtureQuality:
  """Judges generated points [N,D] by the equally weighted modes [K,D] of the real mixture, of deviation sigma.

  A point is of high quality within 3 sigma of its nearest mode, and a mode is found that has such a point. Lin et al.
  2018, "PacGAN", section 4, arXiv:1712.04086, who take N = 2,500, after Srivastava et al. 2017, "VEEGAN". Of points
  of the real mixture in 2-D, 1 - exp(-9/2) = 98.9 % are of high quality.

  The reverse KL is that of the generated to the real distribution over modes, the former counting every point at its
  nearest mode, of high quality or not; the latter, of real samples in the paper, is uniform here, which it estimates.
  So it tells how even the modes are, not how good the points. (The code the authors released writes no KL, but an
  entropy over points of high quality only: log K less that entropy agrees where all points are.)

  Raises UserError where points or modes are not finite or differ in width, or sigma is not above 0.
  """
  points, modes = check_features(points=points, modes=modes)
  if not 0 < sigma < np.inf:
    raise UserError(f'sigma={sigma}: expected a number above 0')
  distances, nearest = KDTree(modes).query(points)
  is_good = distances <= NUM_SIGMAS * sigma
  _, reverse_kl = modes_and_kl(nearest, len(modes))
  return MixtureQuality(len(np.unique(nearest[is_good])), float(is_good.mean()), reverse_kl)
