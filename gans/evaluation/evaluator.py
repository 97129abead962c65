"""Measuring a generator: its samples against as many real ones, by every score that their kind of data allows."""
from collections.abc import Callable
import functools
from typing import NamedTuple

import jax
import numpy as np
import tqdm

from gans.core.finite import all_finite
from gans.data.dataset import Dataset, Spec, identifying_arrays
from gans.errors import UserError
from gans.evaluation import checks, inception
from gans.evaluation.features import BY_NAME, Extractor, default_features
from gans.evaluation.scores import compute_scores, directions
from gans.system import cache

CHUNK = 500  # samples looked at at a time
CLASSIFIED = 32  # pixels of images that a small classifier may judge by default


class Evaluation(NamedTuple):
  """Scores, and all that one must know to compare them with others."""
  scores: dict[str, list[float]]  # 'FEATURES/SCORE': the value of each training seed
  features: str  # what the features are
  reference: str  # the real samples: number, data set, split
  num_samples: int
  seed: int  # of the noise, and of the choice among the real samples


def make_evaluate(config, dataset: Dataset, inputs: Callable, sample: Callable) -> Callable:
  """Returns evaluate(variables) -> Evaluation of the samples that a generator draws.

  `inputs` is the algorithm's, `sample` of sampling.make_sampler. `variables` is a list of {player: variables}, one for
  each seed that was trained; evaluate raises UserError for variables that are not finite. At the first call features
  are trained or read, and those of the real samples computed; both are kept for later runs.
  """
  seed, num = config.eval.seed, config.eval.num_samples

  @functools.cache
  def prepare():
    extractor = BY_NAME[config.eval.features].make(config, dataset)
    picked = np.random.default_rng(seed).permutation(len(dataset.images))[:num]
    key = (extractor.name, extractor.key, cache.fingerprint(*identifying_arrays(dataset.images, picked)))
    draw_real = lambda part: dataset.images[picked[part]]
    real = cache.load_or_make('features', key, lambda: extract(extractor, draw_real, len(picked)))
    label = np.resize(dataset.labels[picked], num)  # as frequent as in the data
    return extractor, real, inputs(jax.random.key(seed), {'label': label})

  def evaluate(variables: list) -> Evaluation:
    extractor, real, drawn = prepare()
    scores = {}
    for seed_variables in variables:
      if not all_finite(seed_variables):  # which pixels, being uint8, would not show
        raise UserError('the generator has variables that are not finite: measure an earlier checkpoint')
      draw_fake = functools.partial(_draw_part, sample, seed_variables, drawn)
      fake = extract(extractor, draw_fake, num)
      for name, value in compute_scores(config, real, fake):
        scores.setdefault(f'{extractor.name}/{name}', []).append(float(value))
    reference = f'{len(real["features"])} of {config.dataset.name}, {config.dataset.split}'
    return Evaluation(scores, extractor.about, reference, num, seed)

  return evaluate


def _draw_part(sample: Callable, variables, inputs: dict, part: slice):
  return sample(variables, {name: values[part] for name, values in inputs.items()})


def extract(extractor: Extractor, draw: Callable, num: int) -> dict[str, np.ndarray]:
  """Looks at num samples, a bounded number at a time, as draw(slice) makes them: {'features', 'probabilities'}."""
  starts = tqdm.tqdm(range(0, num, CHUNK), desc=extractor.name, unit_scale=CHUNK, unit=' samples', leave=False,
                     disable=None)
  parts = [extractor.extract(draw(slice(start, min(start + CHUNK, num)))) for start in starts]
  features, probabilities = zip(*parts)
  found = {'features': np.concatenate(features)}
  if probabilities[0] is not None:
    found['probabilities'] = np.concatenate(probabilities)
  return found


def best_score(config) -> tuple[str, str]:
  """Returns (name, 'min' or 'max') of the score that the checkpoints of a settled config are compared by."""
  return f'{config.eval.features}/{config.eval.best}', directions(config)[config.eval.best]


def best_value(config, evaluation: Evaluation) -> float:
  """Returns that score's value, its mean over the seeds."""
  return float(np.mean(score_values(evaluation.scores, config.eval.best)))


def score_values(scores: dict[str, list[float]], name: str) -> list[float]:
  """Returns a score's values by its name without its features'."""
  return next(values for full_name, values in scores.items() if full_name.rsplit('/', 1)[1] == name)


def settle(config, dataset: Dataset):
  """Returns the config with eval.features and eval.best filled in, as name_scores does.

  Where neither features nor weights are given and images are large, unlabelled or few, nothing is measured: eval_every
  is 0.

  Raises:
    UserError: config.eval cannot work on the data set.
  """
  is_default = not config.eval.features
  config = name_scores(config, dataset.spec)
  if is_default and config.eval.features == 'classifier' and not _suits_classifier(config, dataset):
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
    config.eval.features = default_features(spec.kind.name, has_weights=bool(config.eval.weights))
  if config.eval.features not in BY_NAME:
    raise UserError(f'eval.features={config.eval.features!r}: expected one of {sorted(BY_NAME)}')
  if not config.eval.best:
    config.eval.best = BY_NAME[config.eval.features].default_score
  if config.eval.best not in directions(config):
    raise UserError(f'eval.best={config.eval.best!r}: expected one of {sorted(directions(config))}')
  return config


def check(config, dataset: Dataset):
  """Raises UserError where a settled config.eval cannot work on the data set, before any work is done."""
  name, kind = config.eval.features, dataset.spec.kind.name
  features = BY_NAME[name]
  if features.kind != kind:
    suitable = [repr(other) for other, each in BY_NAME.items() if each.kind == kind]
    raise UserError(f'eval.features={name!r}: {config.dataset.name} has {kind}; expected {" or ".join(suitable)}')
  if features.needs_labels and not dataset.num_classes:
    raise UserError(f'eval.features={name!r}: {config.dataset.name} has no labels; expected inception, with '
                    'eval.weights')
  if features.needs_weights:
    _check_weights(config.eval.weights)
  if width := features.width(config):
    checks.check_covariance_is_full(config.eval.num_samples, width, 'eval.num_samples')
    checks.check_covariance_is_full(len(dataset.images), width, f'examples in {config.dataset.name}')


def _suits_classifier(config, dataset: Dataset) -> bool:
  """Tells whether a small classifier may judge images by default: it is made for labelled ones like digits."""
  are_small = max(dataset.images.shape[1:3]) <= CLASSIFIED
  are_many = len(dataset.images) > BY_NAME['classifier'].width(config)
  return bool(dataset.num_classes) and are_small and are_many


def _check_weights(path: str):
  if not path:
    raise UserError(f"eval.features='inception' takes eval.weights, a file: {inception.WEIGHTS}")
  try:
    inception.load_inception(path)  # a second of work, that a run may else miss after hours
  except UserError as error:
    raise UserError(f'eval.weights: {error}') from error
