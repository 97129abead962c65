"""The Frechet distance between two sets of features, which is FID if they are Inception's (Heusel et al. 2017)."""
import numpy as np

from gans.evaluation.checks import check_features, check_samples


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
  """Returns |m_x - m_y|^2 + tr(C_x + C_y - 2 (C_x C_y)^(1/2)) of features x [N,D] and y [M,D], in float64.

  The last trace is computed as that of (A C_y A)^(1/2), A the root of C_x, which is symmetric and positive: its
  eigenvalues are real, and a singular covariance does no harm. Raises UserError for features that are not finite or not
  [N,D], for widths that differ, and for a single sample; see also `checks.check_covariance_is_full`.
  """
  x, y = check_features(x=x, y=y)
  check_samples(2, 'a covariance', x=x, y=y)
  covariance_x = _covariance(x)
  covariance_y = _covariance(y)
  values, vectors = np.linalg.eigh(covariance_x)
  root = (vectors * _root(values)) @ vectors.T
  cross = _root(np.linalg.eigvalsh(root @ covariance_y @ root)).sum()
  means = ((x.mean(0) - y.mean(0)) ** 2).sum()
  return float(means + np.trace(covariance_x) + np.trace(covariance_y) - 2 * cross)


def _covariance(features: np.ndarray) -> np.ndarray:
  return np.atleast_2d(np.cov(features, rowvar=False))


def _root(eigenvalues: np.ndarray) -> np.ndarray:
  return np.sqrt(np.maximum(eigenvalues, 0))  # which rounding may leave below zero
