"""How many modes of a mixture of Gaussians a generator finds, and how well: the protocol of PacGAN."""
from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from gans.errors import UserError
from gans.evaluation.checks import check_features
from gans.evaluation.classes import modes_and_kl

NUM_SIGMAS = 3


class MixtureQuality(NamedTuple):
  """Scores of samples of a mixture."""
  modes: int  # with at least one point of high quality
  high_quality: float  # share of the points
  reverse_kl: float  # in nats


def mixture_quality(points: np.ndarray, modes: np.ndarray, sigma: float) -> MixtureQuality:
  """Scores generated points [N,D] by the equally weighted modes [K,D] of the real mixture, of standard deviation sigma.

  A point is of high quality within 3 sigma of its nearest mode, and a mode is found if it has such a point. Lin et al.
  2018, "PacGAN", section 4, arXiv:1712.04086, who take N = 2,500, after Srivastava et al. 2017, "VEEGAN". In 2-D,
  1 - exp(-9/2) = 98.9 % of the points of the real mixture are of high quality.

  The reverse KL is that of the generated to the real distribution over modes. The former counts every point at its
  nearest mode, of high quality or not; the latter is uniform here, which the paper estimates from real samples. So it
  tells how even the modes are, not how good the points. (The authors' code prints no KL but an entropy over points of
  high quality only; log K minus that entropy is the KL if all points are of high quality.)

  Raises UserError if points or modes are not finite or differ in width, or sigma is not above 0.
  """
  points, modes = check_features(points=points, modes=modes)
  if not 0 < sigma < np.inf:
    raise UserError(f'sigma={sigma}: expected a number above 0')
  distances, nearest = KDTree(modes).query(points)
  is_good = distances <= NUM_SIGMAS * sigma
  found = np.unique(nearest[is_good])
  _, reverse_kl = modes_and_kl(nearest, len(modes))
  return MixtureQuality(len(found), float(is_good.mean()), reverse_kl)
