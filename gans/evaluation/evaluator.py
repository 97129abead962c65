"""Measuring a generator: its samples against as many real ones, by every score that their kind of data allows."""
from collections.abc import Callable
import functools
from typing import NamedTuple

import numpy as np
import tqdm

from gans import cache, data, health, sampling
from gans.data import mixtures
from gans.data.dataset import Spec, evidence
from gans.errors import UserError
from gans.evaluation import checks, features, inception

CLASSIFIED = 32  # pixels of images that a small classifier may judge unasked
# Which value of a score is best.
IMAGES = {'frechet_distance': 'min', 'kernel_distance': 'min', 'precision': 'max', 'recall': 'max', 'density': 'max',
          'coverage': 'max'}
CLASSES = {'classifier_score': 'max'}
STACKED = {'modes': 'max', 'mode_kl': 'min'}
POINTS = {'sliced_wasserstein': 'min'}
MIXTURES = {'modes': 'max', 'high_quality': 'max', 'reverse_kl': 'min'}
MODES = IMAGES | CLASSES | STACKED | POINTS | MIXTURES


class Evaluation(NamedTuple):
  """Scores, and all that one must know to compare them with others."""
  scores: dict[str, list[float]]  # 'FEATURES/SCORE': the value of each training seed
  features: str  # what the features are
  reference: str  # the real samples: number, data set, split
  num_samples: int
  seed: int  # of the noise, and of the choice among the real samples


def make_evaluate(config, dataset: data.Dataset, sample: Callable) -> Callable:
  """Returns evaluate(variables) -> Evaluation of the samples that `sample` of sampling.make_sampler draws.

  `variables` is a list of the generator's variables, those of each seed that was trained; evaluate raises UserError
  where they are not finite. At the first call features are trained or read, and the real samples looked at; both are
  kept for later runs.
  """
  seed, num = config.eval.seed, config.eval.num_samples

  @functools.cache
  def prepare():
    looking = features.BY_NAME[config.eval.features](config, dataset)
    picked = np.random.default_rng(seed).permutation(len(dataset.images))[:num]
    key = (looking.name, looking.key, cache.fingerprint(*evidence(dataset.images, picked)))
    draw = lambda part: dataset.images[picked[part]]
    real = cache.arrays('features', key, lambda: extract(looking, draw, len(picked)))
    label = np.resize(dataset.labels[picked], num)  # as often as in the data
    return looking, real, label, sampling.fixed_noise(seed, num, config.z_dim)

  def evaluate(variables: list) -> Evaluation:
    from gans.evaluation.scores import score  # here, as SciPy and scikit-learn take a second of a run's start
    looking, real, label, z = prepare()
    scores = {}
    for one in variables:
      if not health.all_finite(one):  # which pixels, being uint8, would not show
        raise UserError('the generator has variables that are not finite: measure an earlier checkpoint')
      fake = extract(looking, lambda part, one=one: sample(one, z[part], label[part]), num)
      for name, value in score(config, real, fake):
        scores.setdefault(f'{looking.name}/{name}', []).append(float(value))
    reference = f'{len(real["features"])} of {config.dataset.name}, {config.dataset.split}'
    return Evaluation(scores, looking.about, reference, num, seed)

  return evaluate


def score_modes(config) -> dict[str, str]:
  """Returns {score: 'min' or 'max'} of the scores that a settled config gives."""
  name, kind = config.dataset.name, config.eval.features
  if kind == 'points':
    return POINTS | (MIXTURES if name in mixtures.MIXTURES else {})
  return IMAGES | (STACKED if kind == 'classifier' and name.startswith('stacked_') else CLASSES)


def best_score(config) -> tuple[str, str]:
  """Returns (name, 'min' or 'max') of the score that the checkpoints of a settled config are compared by."""
  return f'{config.eval.features}/{config.eval.best}', score_modes(config)[config.eval.best]


def best_value(config, evaluation: Evaluation) -> float:
  """Returns that score's value, its mean over the seeds."""
  return float(np.mean(values(evaluation.scores, config.eval.best)))


def values(scores: dict[str, list[float]], name: str) -> list[float]:
  """Returns a score's values by its name without its features'."""
  return next(each for full, each in scores.items() if full.rsplit('/', 1)[1] == name)


def extract(looking: features.Features, draw: Callable, num: int) -> dict[str, np.ndarray]:
  """Looks at num samples, a bounded number at a time, as draw(slice) makes them: {'features', 'probabilities'}."""
  starts = tqdm.tqdm(range(0, num, sampling.CHUNK), desc=looking.name, unit_scale=sampling.CHUNK, unit=' samples',
                     leave=False, disable=None)
  parts = [looking.extract(draw(slice(start, min(start + sampling.CHUNK, num)))) for start in starts]
  arrays = dict(zip(('features', 'probabilities'), zip(*parts)))
  return {name: np.concatenate(values) for name, values in arrays.items() if values[0] is not None}


def settle(config, dataset: data.Dataset):
  """Returns the config with eval.features and eval.best filled in, as name_scores does.

  Where neither features nor weights are given and images are large, unlabelled or few, nothing is measured: eval_every
  is 0.

  Raises:
    UserError: config.eval cannot work on the data set.
  """
  unasked, config = not config.eval.features, name_scores(config, dataset.spec)
  if unasked and config.eval.features == 'classifier' and not _suits_classifier(config, dataset):
    config.eval_every = 0
  if config.eval_every:
    check(config, dataset)
  return config


def name_scores(config, spec: Spec):
  """Returns the config with eval.features and eval.best filled in, by the kind of data, where they are ''.

  Raises:
    UserError: there are no such features or there is no such score.
  """
  config = config.copy_and_resolve_references()
  if not config.eval.features:
    points = len(spec.shape) == 1
    config.eval.features = 'points' if points else 'inception' if config.eval.weights else 'classifier'
  if not config.eval.best:
    config.eval.best = 'sliced_wasserstein' if config.eval.features == 'points' else 'frechet_distance'
  if config.eval.features not in features.BY_NAME:
    raise UserError(f'eval.features={config.eval.features!r}: expected one of {sorted(features.BY_NAME)}')
  if config.eval.best not in score_modes(config):
    raise UserError(f'eval.best={config.eval.best!r}: expected one of {sorted(score_modes(config))}')
  return config


def check(config, dataset: data.Dataset):
  """Raises UserError where a settled config.eval cannot work on the data set, before any work is done."""
  kind, points = config.eval.features, dataset.images.ndim == 2
  if (kind == 'points') != points:
    raise UserError(f"eval.features={kind!r}: {config.dataset.name} has {'points' if points else 'images'}; expected "
                    + ("'points'" if points else "'classifier' or 'inception'"))
  if kind == 'classifier' and not dataset.num_classes:
    raise UserError(f"eval.features='classifier': {config.dataset.name} has no labels; expected 'inception', with "
                    'eval.weights')
  if kind == 'inception':
    _check_weights(config.eval.weights)
  if not points:
    checks.check_covariance_is_full(config.eval.num_samples, _width(config), 'eval.num_samples')
    checks.check_covariance_is_full(len(dataset.images), _width(config), f'examples in {config.dataset.name}')


def _suits_classifier(config, dataset: data.Dataset) -> bool:
  """Tells whether a small classifier may judge images unasked: it is made for labelled ones like digits."""
  small, many = max(dataset.images.shape[1:3]) <= CLASSIFIED, len(dataset.images) > _width(config)
  return bool(dataset.num_classes) and small and many


def _width(config) -> int:
  """Number of features that the covariance is of."""
  channels = 3 if config.eval.features == 'classifier' and config.dataset.name.startswith('stacked_') else 1
  return features.WIDTHS[config.eval.features] * channels


def _check_weights(path: str):
  if not path:
    raise UserError(f"eval.features='inception' takes eval.weights, a file: {inception.WEIGHTS}")
  try:
    inception.load(path)  # a second of work, that a run may else miss after hours
  except UserError as error:
    raise UserError(f'eval.weights: {error}') from error
