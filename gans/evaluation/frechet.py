"""The Frechet distance between two sets of features: FID, where the features are Inception's (Heusel et al. 2017)."""
import numpy as np

from gans.evaluation.checks import check_features, check_samples


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
  """Returns |m_x - m_y|^2 + tr(C_x + C_y - 2 (C_x C_y)^(1/2)) of features x [N,D] and y [M,D], in float64.

  The last trace is that of (A C_y A)^(1/2), A the root of C_x: symmetric and positive, so its eigenvalues are real,
  and a singular covariance does no harm. Raises UserError for features that are not finite or not [N,D], for widths
  that differ, and for a single sample; see also `checks.check_covariance_is_full`.
  """
  check_features(x=x, y=y)
  check_samples(2, 'a covariance', x=x, y=y)
  x, y = x.astype(np.float64), y.astype(np.float64)
  covariance_x, covariance_y = (np.atleast_2d(np.cov(features, rowvar=False)) for features in (x, y))
  values, vectors = np.linalg.eigh(covariance_x)
  root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
  cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ covariance_y @ root), 0)).sum()
  return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(covariance_x) + np.trace(covariance_y) - 2 * cross)
