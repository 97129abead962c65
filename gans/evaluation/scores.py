"""Which scores there are of which kind of data; each is (name, value)."""
from collections.abc import Iterator

import numpy as np

from gans.data import mixtures
from gans.evaluation import classes, manifold
from gans.evaluation.frechet import frechet_distance
from gans.evaluation.kernel import kernel_distance
from gans.evaluation.mixtures import mixture_quality
from gans.evaluation.sliced import sliced_wasserstein


def score(config, real: dict, fake: dict) -> Iterator[tuple[str, float]]:
  """Yields (name, value) of every score for the kind of data that the config has."""
  if config.eval.features == 'points':
    yield from score_points(config.dataset.name, real['features'], fake['features'])
  else:
    yield from score_images(real['features'], fake['features'], config.eval.seed)
    yield from score_classes(fake['probabilities'])


def score_points(name: str, real: np.ndarray, fake: np.ndarray) -> Iterator[tuple[str, float]]:
  """Of 2-D samples [N,2]; PacGAN's three where the data are a mixture."""
  if name in mixtures.MIXTURES:
    yield from mixture_quality(fake, *mixtures.MIXTURES[name])._asdict().items()
  yield 'sliced_wasserstein', sliced_wasserstein(real, fake)


def score_images(real: np.ndarray, fake: np.ndarray, seed: int) -> Iterator[tuple[str, float]]:
  """Of features [N,D]."""
  yield 'frechet_distance', frechet_distance(real, fake)
  size = min(1000, len(real) // 2, len(fake) // 2)  # unbiased, whatever the size; subsets have to differ
  yield from zip(('kernel_distance', 'kernel_distance_std'), kernel_distance(real, fake, seed, subset_size=size))
  yield from zip(('precision', 'recall'), manifold.precision_recall(real, fake))
  yield from zip(('density', 'coverage'), manifold.density_coverage(real, fake))


def score_classes(probabilities: np.ndarray) -> Iterator[tuple[str, float]]:
  """Of class probabilities [N,K]; of stacked digits [N,3,10]: the mode of a sample is its three digits."""
  if probabilities.ndim == 3:
    modes = probabilities.argmax(-1) @ np.array([100, 10, 1])
    yield from zip(('modes', 'mode_kl'), classes.modes_and_kl(modes, 1000))
  else:
    yield from zip(('classifier_score', 'classifier_score_std'), classes.inception_score(probabilities))
