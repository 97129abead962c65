"""Features as data: by what samples can be compared, what each needs, and for which kind of data it is the default."""
from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import jax
import numpy as np

from gans.data.dataset import Dataset
from gans.data.kinds import IMAGES, POINTS, VOXELS
from gans.data.sources import digits, load_dataset
from gans.evaluation import classifier, public_networks
from gans.system import cache


class Extractor(NamedTuple):
  """Features that are ready to be computed."""
  name: str  # part of the name of every score
  about: str  # for people: what it is, and how accurate it is on its data
  key: Any  # distinguishes it from others of its name, for the cache
  extract: Callable  # samples [N,...] -> (features [N,D], probabilities [N,K] or [N,3,K], or None)


class Features(NamedTuple):
  """One kind of features; `config.eval.features` has its name."""
  make: Callable  # (config, dataset) -> Extractor; may train a classifier or read a file
  kinds: tuple[str, ...]  # of data that they are features of
  width: Callable  # config -> number of features; 0: their covariance is not used
  needs_labels: bool = False
  needs_weights: bool = False  # a file, config.eval.weights


def make_classifier(config, dataset: Dataset) -> Extractor:
  """Makes a classifier trained on the data set itself; for stacked digits, one of single digits sees each channel."""
  if not digits.is_stacked(config.dataset.name):
    return _train_classifier(config.dataset.name, dataset, config.eval.classifier_steps)
  single = digits.single_digits(config.dataset)
  extractor = _train_classifier(single.name, load_dataset(single), config.eval.classifier_steps)
  return extractor._replace(extract=functools.partial(_extract_each_channel, extractor.extract))


def _train_classifier(name: str, dataset: Dataset, steps: int) -> Extractor:
  fitted = classifier.fit_cached(dataset, steps)
  what = f'{", ".join(dataset.attribute_names)} in {name}' if dataset.attribute_names else name
  about = (f'a classifier of {what}, {fitted.accuracy:.2%} right on {fitted.held_out} held-out '
           f'{dataset.spec.kind.name}')
  key = cache.fingerprint(*jax.tree.leaves(fitted.variables))
  extract = functools.partial(classifier.predict, fitted.variables, spec=dataset.spec)
  return Extractor(f'{name}_classifier', about, key, extract)


def _extract_each_channel(extract: Callable, images) -> tuple[np.ndarray, np.ndarray]:
  """Calls extract on each channel of [N,H,W,3] and joins what it returns: features [N,3*D], probabilities [N,3,K]."""
  all_features, all_probabilities = [], []
  for channel in range(images.shape[-1]):
    features, probabilities = extract(images[..., channel:channel + 1])
    all_features.append(features)
    all_probabilities.append(probabilities)
  return np.concatenate(all_features, axis=-1), np.stack(all_probabilities, axis=1)


def classifier_width(config) -> int:
  """Returns the number of a classifier's features; stacked digits have those of each channel."""
  num_channels = 3 if digits.is_stacked(config.dataset.name) else 1
  return classifier.WIDTH * num_channels


def make_public(config, dataset: Dataset) -> Extractor:
  """Makes a public network with the weights in the file config.eval.weights; with Inception's, the scores are FID."""
  del dataset
  network = public_networks.BY_NAME[config.eval.features]
  variables, checksum = public_networks.load_weights(config.eval.features, config.eval.weights)
  extract = functools.partial(public_networks.classify, network, variables)
  return Extractor(network.name, f'{network.about}, SHA-256 of its weights {checksum}', checksum, extract)


def public_width(config) -> int:
  """Returns the number of a public network's features."""
  return public_networks.BY_NAME[config.eval.features].width


def make_points(config, dataset: Dataset) -> Extractor:
  """Takes the samples themselves as features."""
  del dataset
  name = config.dataset.name
  return Extractor('points', f'points of {name}', name, lambda points: (points, None))


BY_NAME = {
    'classifier': Features(make_classifier, (IMAGES.name, VOXELS.name), classifier_width, needs_labels=True),
    **dict.fromkeys(public_networks.BY_NAME, Features(make_public, (IMAGES.name,), public_width, needs_weights=True)),
    'points': Features(make_points, (POINTS.name,), lambda config: 0),
}


def default_features(kind: str, has_weights: bool) -> str:
  """Returns the default features for a kind of data: those that need a file of weights if there is one, else others."""
  suitable = [name for name, features in BY_NAME.items() if kind in features.kinds]
  for name in suitable:
    if BY_NAME[name].needs_weights == has_weights:
      return name
  return suitable[0]
