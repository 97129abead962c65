"""Features as data: what samples can be compared by, what each kind needs, and for which data it is the default."""
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from gans.data.dataset import Dataset
from gans.data.kinds import IMAGES, POINTS
from gans.data.sources import digits, load_dataset
from gans.evaluation import classifier, inception
from gans.system import cache


class Extractor(NamedTuple):
  """Features that are ready to be computed."""
  name: str  # stands in the name of every score
  about: str  # for people: what it is, and how well it knows its data
  key: Any  # tells it apart from others of its name, for the cache
  extract: Callable  # samples [N,...] -> (features [N,D], probabilities [N,K] or [N,3,K], or None)


class Features(NamedTuple):
  """One kind of features, by the name that `config.eval.features` has for it."""
  make: Callable  # (config, dataset) -> Extractor; may train a classifier or read a file
  kind: str  # the kind of data that it looks at
  width: Callable  # config -> number of features; 0: no covariance is taken of them
  needs_labels: bool = False
  needs_weights: bool = False  # a file, config.eval.weights
  default_score: str = 'frechet_distance'


def make_classifier(config, dataset: Dataset) -> Extractor:
  """A classifier trained on the data set itself; on stacked digits one of single digits looks at each channel."""
  if not digits.is_stacked(config.dataset.name):
    return _train_classifier(config.dataset.name, dataset, config.eval.classifier_steps)
  single = digits.single_digits(config.dataset)
  extractor = _train_classifier(single.name, load_dataset(single), config.eval.classifier_steps)
  return extractor._replace(extract=lambda images: _look_at_each_channel(extractor.extract, images))


def _train_classifier(name: str, dataset: Dataset, steps: int) -> Extractor:
  fitted = classifier.fit_cached(dataset, steps)
  about = f'a classifier of {name}, {fitted.accuracy:.2%} right on {fitted.held_out} of its images held out'
  key = cache.fingerprint(*jax.tree.leaves(fitted.variables))
  return Extractor(f'{name}_classifier', about, key, lambda images: classifier.predict(fitted.variables, images))


def _look_at_each_channel(extract: Callable, images) -> tuple[np.ndarray, np.ndarray]:
  """Looks at each channel of [N,H,W,3] alone: features [N,3*D], probabilities [N,3,K]."""
  parts = [extract(images[..., channel:channel + 1]) for channel in range(images.shape[-1])]
  features, probabilities = zip(*parts)
  return np.concatenate(features, axis=-1), np.stack(probabilities, axis=1)


def classifier_width(config) -> int:
  """Number of a classifier's features; stacked digits have those of each channel."""
  return classifier.WIDTH * (3 if digits.is_stacked(config.dataset.name) else 1)


def make_inception(config, dataset: Dataset) -> Extractor:
  """Inception-v3 with the weights in the file config.eval.weights: with it the scores are FID, KID and so on."""
  del dataset
  variables = inception.load_inception(config.eval.weights)
  key = cache.fingerprint(*jax.tree.leaves(variables))
  about = f'Inception-v3, weights of {config.eval.weights}'
  return Extractor('inception_v3', about, key, lambda images: inception.classify(variables, images))


def make_points(config, dataset: Dataset) -> Extractor:
  """The samples themselves."""
  del dataset
  return Extractor('points', f'points of {config.dataset.name}', config.dataset.name, lambda points: (points, None))


BY_NAME = {
    'classifier': Features(make_classifier, IMAGES.name, classifier_width, needs_labels=True),
    'inception': Features(make_inception, IMAGES.name, lambda config: inception.WIDTH, needs_weights=True),
    'points': Features(make_points, POINTS.name, lambda config: 0, default_score='sliced_wasserstein'),
}


def default_features(kind: str, has_weights: bool) -> str:
  """Returns the features that suit a kind of data: those that need a file of weights if there is one, else others."""
  suitable = [name for name, features in BY_NAME.items() if features.kind == kind]
  return next((name for name in suitable if BY_NAME[name].needs_weights == has_weights), suitable[0])
