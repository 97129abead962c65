"""What samples are compared by: a classifier's features, Inception's, or the points themselves."""
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from gans import cache, data
from gans.evaluation import classifier, inception


class Features(NamedTuple):
  """A way to look at samples."""
  name: str  # stands in the name of every score
  about: str  # for people: what it is, and how well it knows its data
  key: Any  # tells it apart from others of its name, for the cache
  extract: Callable  # samples [N,...] -> (features [N,D], probabilities [N,K] or [N,3,K], or None)


def of_classifier(config, dataset: data.Dataset) -> Features:
  """A classifier trained on the data set itself; on stacked digits one of single digits looks at each channel."""
  if config.dataset.name.startswith('stacked_'):
    single = config.dataset.copy_and_resolve_references()
    single.name = config.dataset.name.removeprefix('stacked_')
    features = _of_classifier(single.name, data.load(single), config.eval.classifier_steps)
    return features._replace(extract=lambda images: _by_channel(features.extract, images))
  return _of_classifier(config.dataset.name, dataset, config.eval.classifier_steps)


def _of_classifier(name: str, dataset: data.Dataset, steps: int) -> Features:
  fitted = classifier.fit_cached(dataset, steps)
  about = f'a classifier of {name}, {fitted.accuracy:.2%} right on {fitted.held_out} of its images held out'
  key = cache.fingerprint(*jax.tree.leaves(fitted.variables))
  return Features(f'{name}_classifier', about, key, lambda images: classifier.predict(fitted.variables, images))


def _by_channel(extract: Callable, images) -> tuple[np.ndarray, np.ndarray]:
  """Looks at each channel of [N,H,W,3] alone: features [N,3*D], probabilities [N,3,K]."""
  parts = [extract(images[..., channel:channel + 1]) for channel in range(images.shape[-1])]
  features, probabilities = zip(*parts)
  return np.concatenate(features, axis=-1), np.stack(probabilities, axis=1)


def of_inception(config, dataset: data.Dataset) -> Features:
  """Inception-v3 with the weights in the file config.eval.weights: with it the scores are FID, KID and so on."""
  del dataset
  variables = inception.load(config.eval.weights)
  return Features('inception_v3', f'Inception-v3, weights of {config.eval.weights}',
                  cache.fingerprint(*jax.tree.leaves(variables)), lambda images: inception.classify(variables, images))


def of_points(config, dataset: data.Dataset) -> Features:
  """The samples themselves, of 2-D data."""
  del dataset
  return Features('points', f'points of {config.dataset.name}', config.dataset.name, lambda points: (points, None))


BY_NAME = {'classifier': of_classifier, 'inception': of_inception, 'points': of_points}
WIDTHS = {'classifier': classifier.WIDTH, 'inception': inception.WIDTH}
