"""Checks of what metrics are computed from; the metrics of this folder call them first."""
import numpy as np

from gans.errors import UserError


def check_features(**sets: np.ndarray) -> list[np.ndarray]:
  """Returns the sets, each [N,D] with a row per sample, as float64, in which the metrics are computed.

  Raises UserError, which names the set by its keyword, for another number of dimensions, an empty set, a number that is
  not finite, and widths D that differ.
  """
  checked = {name: _as_finite_rows(name, features) for name, features in sets.items()}
  widths = {name: features.shape[1] for name, features in checked.items()}
  if len(set(widths.values())) > 1:
    raise UserError(f'widths of the features {widths}: expected equal ones')
  return list(checked.values())


def check_samples(at_least: int, reason: str, **sets: np.ndarray):
  """Raises UserError for a set with fewer than `at_least` samples; `reason` says what needs that many."""
  for name, samples in sets.items():
    if len(samples) < at_least:
      raise UserError(f'{name} has {len(samples)} samples: expected at least {at_least}, for {reason}')


def check_number(name: str, value: int, at_least: int):
  """Raises UserError for a whole number that is too small."""
  if value < at_least:
    raise UserError(f'{name}={value}: expected a whole number of at least {at_least}')


def check_covariance_is_full(num: int, width: int, name: str = 'num_samples'):
  """Raises UserError if `num` samples are too few for the covariance of `width` features to have full rank.

  The evaluation of a run calls this. `frechet_distance` does not, as a singular covariance may be the true one. With
  too few samples, though, it measures their number more than their quality, since its bias only falls as 1 / num
  (Binkowski et al. 2018, appendix D; the authors of FID advise 10,000 samples for 2,048 features).
  """
  if not is_covariance_full(num, width):
    raise UserError(f'{name}={num}: the covariance of {width} features would be singular and the Frechet distance '
                    f'mostly bias; expected at least {width + 1}, better 10000')


def is_covariance_full(num: int, width: int) -> bool:
  """Tells whether `num` samples suffice for the covariance of `width` features to have full rank."""
  return num > width


def _as_finite_rows(name: str, features: np.ndarray) -> np.ndarray:
  features = np.asarray(features, np.float64)
  if features.ndim != 2 or not features.size:
    raise UserError(f'{name} has the shape {features.shape}: expected [N,D], a row of D numbers per sample')
  bad = np.argwhere(~np.isfinite(features))
  if len(bad):
    row, column = bad[0]
    raise UserError(f'{name}[{row},{column}]={features[row, column]}, and {len(bad)} of {features.size} numbers in all '
                    'are not finite: expected features that are')
  return features
