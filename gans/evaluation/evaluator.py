"""Evaluates a generator: its samples against as many real ones, by every score that applies to their kind of data."""
from collections.abc import Callable
import functools
from typing import NamedTuple

import numpy as np

from gans.core.finite import all_finite
from gans.data.dataset import Dataset, Spec, identifying_arrays
from gans.data.kinds import VOXELS
from gans.errors import UserError
from gans.evaluation import checks, classifier, public_networks
from gans.evaluation.features import BY_NAME, Extractor, default_features
from gans.evaluation.reconstructions import make_reconstruct
from gans.evaluation.requests import Request, find_expected, make_request
from gans.evaluation.scores import (
  Measured,
  compute_scores,
  default_score,
  directions,
  has_conditions,
  teaches,
)
from gans.system import cache, progress

CHUNK = 500  # samples whose features are computed at a time
CLASSIFIED = 32  # the most pixels of a side of images for which a classifier is the default


class Evaluation(NamedTuple):
  """Scores, and all that is needed to compare them with others."""
  scores: dict[str, list[float]]  # 'FEATURES/SCORE': the value of each training seed
  features: str  # what the features are
  reference: str  # the real samples: number, data set, split
  num_samples: int
  seed: int  # of the noise, and of the choice of the real samples


def make_evaluate(config, dataset: Dataset, experiment, sample: Callable) -> Callable:
  """Returns evaluate(variables) -> Evaluation of the samples that a generator draws.

  `experiment` is a build.Experiment, `sample` what sampling.make_sampler returns. `variables` is a list of {player:
  variables}, one for each seed that was trained; evaluate raises UserError for variables that are not finite. The first
  call trains or reads the network that gives features, and computes those of the real samples; both are kept for later
  runs.
  """
  @functools.cache
  def prepare():
    extractor = BY_NAME[config.eval.features].make(config, dataset)
    request = make_request(config, dataset, experiment)
    real = _extract_real(extractor, dataset, request.real)
    reconstruct = make_reconstruct(dataset, experiment) if experiment.algorithm.reconstruct else None
    return extractor, request, real, reconstruct

  def evaluate(variables: list) -> Evaluation:
    extractor, request, real, reconstruct = prepare()
    scores = {}
    for seed_variables in variables:
      if not all_finite(seed_variables):  # which uint8 pixels would not show
        raise UserError('the generator has variables that are not finite: evaluate an earlier checkpoint')
      keeps = teaches(config, experiment)
      fake = _measure(extractor, dataset, experiment, request, sample, seed_variables, keeps)
      if keeps:
        fake = fake._replace(taught=_teach(config, dataset, fake, request.real))
      if reconstruct:
        fake = _add_reconstructions(fake, extractor, *reconstruct(seed_variables))
      for name, value in compute_scores(config, experiment, real, fake):
        values = scores.setdefault(f'{extractor.name}/{name}', [])
        values.append(float(value))
    reference = f'{len(real.features)} of {config.dataset.name}, {config.dataset.split}'
    return Evaluation(scores, extractor.about, reference, len(request.condition), config.eval.seed)

  return evaluate


def _extract_real(extractor: Extractor, dataset: Dataset, selected: np.ndarray) -> Measured:
  """Measures the selected real samples; what the extractor says is kept for later runs."""
  def draw_real(part: slice):
    return dataset.images[selected[part]]

  data = cache.fingerprint(*identifying_arrays(dataset.images, selected))
  key = (extractor.name, extractor.key, data)
  found = cache.load_or_make('features', key, lambda: extract(extractor, draw_real, len(selected)))
  measured = Measured(found['features'], found.get('probabilities'), condition=dataset.conditions[selected])
  if dataset.spec.kind is not VOXELS:
    return measured
  examples = dataset.images[selected]
  return measured._replace(examples=examples,
                           training=dataset.images if isinstance(dataset.images, np.ndarray) else examples)


def _measure(extractor: Extractor, dataset: Dataset, experiment, request: Request, sample: Callable,
             variables, keeps: bool = False) -> Measured:
  """Draws what is requested from one generator, and measures it; the samples are kept where that is asked or needed."""
  keeps = keeps or experiment.spec.kind is VOXELS or (experiment.translates and experiment.spec.paired)
  kept = []

  def draw_fake(part: slice):
    samples = sample(variables, request.inputs(part))
    if keeps:
      kept.append(np.asarray(samples))
    return samples

  found = extract(extractor, draw_fake, len(request.condition))
  fake = Measured(found['features'], found.get('probabilities'), condition=request.condition)
  if keeps:
    fake = fake._replace(examples=np.concatenate(kept))
  if experiment.translates and experiment.spec.paired:
    fake = fake._replace(expected=dataset.images[find_expected(dataset, request)])
  return fake


def _teach(config, dataset: Dataset, fake: Measured, selected: np.ndarray) -> np.ndarray:
  """Returns the classes [M] of the selected real examples, says a classifier that learnt from samples alone."""
  samples = dataset._replace(images=fake.examples, labels=fake.condition)
  variables = classifier.fit(samples, config.eval.classifier_steps)
  _, probabilities = classifier.classify(variables, dataset.images[selected], dataset.spec)
  return probabilities.argmax(-1)


def _add_reconstructions(fake: Measured, extractor: Extractor, images: np.ndarray, originals: np.ndarray) -> Measured:
  """Adds reconstructions [M,...] of originals [M,...], and whether a classifier sees the same class in both."""
  said = [extract(extractor, lambda part, each=each: each[part], len(each)) for each in (images, originals)]
  kept = None
  if 'probabilities' in said[0]:
    classes = [each['probabilities'].argmax(-1) for each in said]
    kept = classes[0] == classes[1]
  return fake._replace(reconstructed=(images, originals), kept=kept)


def extract(extractor: Extractor, draw: Callable, num: int) -> dict[str, np.ndarray]:
  """Returns {'features', 'probabilities'} of num samples, which draw(slice) makes, a bounded number at a time."""
  starts = progress.bar(range(0, num, CHUNK), desc=extractor.name, unit_scale=CHUNK, unit=' samples', leave=False)
  all_features, all_probabilities = [], []
  for start in starts:
    samples = draw(slice(start, min(start + CHUNK, num)))
    features, probabilities = extractor.extract(samples)
    all_features.append(features)
    all_probabilities.append(probabilities)
  extracted = {'features': np.concatenate(all_features)}
  if all_probabilities[0] is not None:
    extracted['probabilities'] = np.concatenate(all_probabilities)
  return extracted


def score_values(scores: dict[str, list[float]], name: str) -> list[float]:
  """Returns the values of the score FEATURES/NAME, for any features."""
  for full_name, values in scores.items():
    if full_name.rsplit('/', 1)[1] == name:
      return values
  raise KeyError(name)


def settle(config, dataset: Dataset, experiment):
  """Returns the config with eval.features and eval.best filled in, as name_scores does.

  If neither features nor weights are given and images are large, unlabelled or few, nothing is evaluated: eval_every is
  0.

  Raises:
    UserError: config.eval cannot work on the data set.
  """
  is_default = not config.eval.features
  config = name_scores(config, dataset.spec, experiment)
  if is_default and config.eval.features == 'classifier' and not _suits_classifier(config, dataset, experiment):
    config.eval_every = 0
  if config.eval_every:
    check(config, dataset, experiment)
  return config


def name_scores(config, spec: Spec, experiment):
  """Returns the config with eval.features and eval.best, if they are '', filled in by the kind of data.

  Raises:
    UserError: there are no such features, or there is no such score.
  """
  config = config.copy_and_resolve_references()
  if not config.eval.features:
    config.eval.features = default_features(spec.kind.name, has_weights=bool(config.eval.weights))
  if config.eval.features not in BY_NAME:
    raise UserError(f'eval.features={config.eval.features!r}: expected one of {sorted(BY_NAME)}')
  if config.eval.gan_train and not has_conditions(config, experiment):
    raise UserError('eval.gan_train=True: samples of this model are not asked for classes of the data, from which a '
                    'classifier could learn; expected False')
  if not config.eval.best:
    config.eval.best = default_score(config, experiment)
  available = directions(config, experiment)
  if config.eval.best not in available:
    raise UserError(f'eval.best={config.eval.best!r}: expected one of {sorted(available)}')
  return config


def check(config, dataset: Dataset, experiment):
  """Raises UserError if a settled config.eval cannot work on the data set, before any work is done."""
  check_features(config, dataset)
  width = BY_NAME[config.eval.features].width(config)
  if width:
    checks.check_covariance_is_full(config.eval.num_samples, width, 'eval.num_samples')
    checks.check_covariance_is_full(_count_real(dataset, experiment), width, f'examples in {config.dataset.name}')


def _count_real(dataset: Dataset, experiment) -> int:
  """Returns how many real examples there are to compare samples with: of pairs, those of the second domain."""
  return int((dataset.labels == 1).sum()) if experiment.algorithm.data == 'pairs' else len(dataset.images)


def check_features(config, dataset: Dataset):
  """Raises UserError if the features of a settled config.eval cannot be had of the data set."""
  name, kind = config.eval.features, dataset.spec.kind.name
  features = BY_NAME[name]
  if kind not in features.kinds:
    suitable = [repr(other) for other, each in BY_NAME.items() if kind in each.kinds]
    raise UserError(f'eval.features={name!r}: {config.dataset.name} has {kind}; expected {" or ".join(suitable)}')
  if features.needs_labels and not dataset.spec.num_labels:
    others = [other for other, each in BY_NAME.items() if kind in each.kinds and not each.needs_labels]
    expected = f'one of {sorted(others)}, with eval.weights' if others else 'eval_every=0'
    raise UserError(f'eval.features={name!r}: {config.dataset.name} has no labels; expected {expected}')
  if features.needs_weights:
    public_networks.check_shape(name, config.dataset.name, dataset.spec.shape)
    _check_weights(name, config.eval.weights)


def _suits_classifier(config, dataset: Dataset, experiment) -> bool:
  """Tells whether a small classifier is the default for these images; it is made for labelled ones like digits."""
  are_small = max(dataset.images.shape[1:3]) <= CLASSIFIED
  are_many = _count_real(dataset, experiment) > BY_NAME['classifier'].width(config)
  return bool(dataset.spec.num_labels) and are_small and are_many


def _check_weights(name: str, path: str):
  if not path:
    raise UserError(f'eval.features={name!r} needs eval.weights, a file: {public_networks.BY_NAME[name].source}')
  try:
    public_networks.load_weights(name, path)  # takes a second, and a run would otherwise fail after hours
  except UserError as error:
    raise UserError(f'eval.features={name!r}, eval.weights: {error}') from error
