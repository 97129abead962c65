"""The scores as data: their names, the direction in which they get better, to which data they apply, their functions.

SciPy and scikit-learn are imported at the first evaluation, as their import would delay the start of a run by a second.
"""
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from gans.data.sources import digits, points


class Scores(NamedTuple):
  """Scores that are computed together."""
  best: dict[str, str]  # {score: 'min' or 'max', the direction in which it gets better}
  apply_to: Callable  # settled config -> bool: whether an evaluation has them
  compute: Callable  # (config, real, fake) -> (name, value) of each; real and fake as evaluator.extract returns them


def compare_points(config, real: dict, fake: dict) -> Iterator[tuple[str, float]]:
  """Yields the sliced Wasserstein distance of 2-D samples."""
  from gans.evaluation.sliced import sliced_wasserstein
  del config
  yield 'sliced_wasserstein', sliced_wasserstein(real['features'], fake['features'])


def find_mixture_modes(config, real: dict, fake: dict) -> Iterator[tuple[str, float]]:
  """Yields PacGAN's three scores of samples of a mixture."""
  from gans.evaluation.mixtures import mixture_quality
  del real
  modes, sigma = points.MIXTURES[config.dataset.name]
  yield from mixture_quality(fake['features'], modes, sigma)._asdict().items()


def compare_images(config, real: dict, fake: dict) -> Iterator[tuple[str, float]]:
  """Yields the scores that compare features [N,D] of images: distances and neighbourhoods."""
  from gans.evaluation.frechet import frechet_distance
  from gans.evaluation.kernel import kernel_distance
  from gans.evaluation.manifold import density_coverage, precision_recall
  real_features, fake_features = real['features'], fake['features']
  yield 'frechet_distance', frechet_distance(real_features, fake_features)
  # The estimate is unbiased for any size of the subsets; but they have to differ.
  size = min(1000, len(real_features) // 2, len(fake_features) // 2)
  mean, std = kernel_distance(real_features, fake_features, config.eval.seed, subset_size=size)
  yield 'kernel_distance', mean
  yield 'kernel_distance_std', std
  precision, recall = precision_recall(real_features, fake_features)
  yield 'precision', precision
  yield 'recall', recall
  density, coverage = density_coverage(real_features, fake_features)
  yield 'density', density
  yield 'coverage', coverage


def judge_classes(config, real: dict, fake: dict) -> Iterator[tuple[str, float]]:
  """Yields the Inception score of class probabilities [N,K]."""
  from gans.evaluation.classes import inception_score
  del config, real
  mean, std = inception_score(fake['probabilities'])
  yield 'classifier_score', mean
  yield 'classifier_score_std', std


def find_stacked_modes(config, real: dict, fake: dict) -> Iterator[tuple[str, float]]:
  """Yields the modes of stacked digits from probabilities [N,3,10]: the mode of a sample is its three digits."""
  from gans.evaluation.classes import modes_and_kl
  del config, real
  recognised = fake['probabilities'].argmax(-1)
  num_found, kl = modes_and_kl(recognised @ np.array([100, 10, 1]), 1000)
  yield 'modes', num_found
  yield 'mode_kl', kl


def has_points(config) -> bool:
  """Tells whether samples are points."""
  return config.eval.features == 'points'


def has_images(config) -> bool:
  """Tells whether samples are images."""
  return config.eval.features != 'points'


def has_mixture(config) -> bool:
  """Tells whether the data are points of a mixture of Gaussians."""
  return has_points(config) and config.dataset.name in points.MIXTURES


def has_stacked_digits(config) -> bool:
  """Tells whether a classifier of digits sees each channel of stacked ones."""
  return config.eval.features == 'classifier' and digits.is_stacked(config.dataset.name)


def has_one_class_each(config) -> bool:
  """Tells whether a sample has one class."""
  return has_images(config) and not has_stacked_digits(config)


ALL = (
    Scores({'modes': 'max', 'high_quality': 'max', 'reverse_kl': 'min'}, has_mixture, find_mixture_modes),
    Scores({'sliced_wasserstein': 'min'}, has_points, compare_points),
    Scores({'frechet_distance': 'min', 'kernel_distance': 'min', 'precision': 'max', 'recall': 'max',
            'density': 'max', 'coverage': 'max'}, has_images, compare_images),
    Scores({'modes': 'max', 'mode_kl': 'min'}, has_stacked_digits, find_stacked_modes),
    Scores({'classifier_score': 'max'}, has_one_class_each, judge_classes),
)
DIRECTIONS = {name: direction for scores in ALL for name, direction in scores.best.items()}


def directions(config) -> dict[str, str]:
  """Returns {score: 'min' or 'max'} of the scores of a settled config."""
  found = {}
  for scores in ALL:
    if scores.apply_to(config):
      found |= scores.best
  return found


def compute_scores(config, real: dict, fake: dict) -> Iterator[tuple[str, float]]:
  """Yields (name, value) of every score of a settled config."""
  for scores in ALL:
    if scores.apply_to(config):
      yield from scores.compute(config, real, fake)
