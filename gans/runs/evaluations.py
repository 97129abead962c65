"""What a run scored: the evaluations in its eval.jsonl, and the one answer to which step is best.

Training, --mode=evaluate and whoever else measures write to the same file, and sampling, reports and packed models all
ask `find_best`, and so does the manager of the checkpoints, which keeps the best one.
"""
from collections.abc import Mapping
import json
import math
from typing import NamedTuple

from etils import epath
import numpy as np

from gans.data.dataset import Spec
from gans.errors import UserError
from gans.evaluation.evaluator import Evaluation
from gans.evaluation.features import default_features
from gans.evaluation.scores import DEFAULTS, DIRECTIONS
from gans.system.records import read_records, write_records

NAME = 'eval.jsonl'
EARLIER = ', before its data were changed'  # ends the reference of an evaluation on what a run was trained on earlier
MEANS = ('features', 'reference', 'num_samples', 'seed')  # evaluations are comparable if all of these are equal

Measured = tuple[int, Evaluation]  # a step, and what was measured of it


class Best(NamedTuple):
  """The step at which a run was best, and the score that says so."""
  step: int
  score: str  # 'FEATURES/SCORE'
  value: float  # the mean over the seeds


def append_scores(path: epath.Path, step: int, evaluation: Evaluation):
  """Adds an evaluation to a file of JSON lines; its scores replace those of the same step and by the same means."""
  key = (step, means_of(evaluation))
  others, scores = [], {}
  for pair in read_scores(path):
    if (pair[0], means_of(pair[1])) == key:
      scores = pair[1].scores
    else:
      others.append(pair)
  _write_scores(path, [*others, (step, evaluation._replace(scores=scores | evaluation.scores))])


def read_scores(path: epath.Path) -> list[Measured]:
  """Reads the (step, evaluation) pairs of an eval.jsonl; raises UserError if it is not as it was written."""
  pairs = []
  for record in read_records(path):
    try:
      step = int(record.pop('step'))
      evaluation = Evaluation(**record)
      scores = {name: [float(value) for value in values] for name, values in evaluation.scores.items()}
    except (TypeError, ValueError, KeyError, AttributeError) as error:
      raise UserError(f'{path} is not as it was written: {error}') from error
    pairs.append((step, evaluation._replace(scores=scores)))
  return pairs


def forget_after(path: epath.Path, last_step: int):
  """Takes the evaluations of later steps out of a file: those of steps that a run which resumes takes again."""
  measured = read_scores(path)
  kept = [pair for pair in measured if pair[0] <= last_step]
  if len(kept) < len(measured):
    _write_scores(path, kept)


def set_apart(path: epath.Path):
  """Says of the evaluations in a file that they were made on data which a run has no more; no later one compares."""
  measured = read_scores(path)
  if measured:
    _write_scores(path, [(step, evaluation._replace(reference=f'{evaluation.reference}{EARLIER}'))
                         for step, evaluation in measured])


def _write_scores(path: epath.Path, measured: list[Measured]):
  write_records(path, [{'step': step, **evaluation._asdict()} for step, evaluation in measured])


def means_of(evaluation: Evaluation) -> tuple:
  """Returns what an evaluation was made by."""
  return tuple(getattr(evaluation, field) for field in MEANS)


def short_name(score: str) -> str:
  """Returns the name of a score without that of the features: 'frechet_distance'."""
  return score.rsplit('/', 1)[-1]


def own_scores(measured: list[Measured], config: Mapping, spec: Spec | None) -> list[Measured]:
  """Returns the evaluations that can be compared with each other, in the order of their steps.

  They were made as the run's config says or, if none was, as the last one was. Where several ways fit the config, as
  with other weights of the same features, the last one counts.

  Args:
    measured: what `read_scores` returns.
    config: the run's, as config.json has it.
    spec: of its data; None: not known, as in workdirs of earlier versions.
  """
  candidates = [pair for pair in measured if is_as_asked(pair[1], config['eval'], spec)] or measured
  if not candidates:
    return []
  _, last = candidates[-1]
  comparable = [pair for pair in candidates if means_of(pair[1]) == means_of(last)]
  return sorted(comparable, key=lambda pair: pair[0])


def is_as_asked(evaluation: Evaluation, asked: Mapping, spec: Spec | None) -> bool:
  """Tells whether an evaluation was made by the means in a config's group `eval`."""
  features = str(asked['features'] or '')
  if not features and spec is not None:
    features = default_features(spec.kind.name, has_weights=bool(asked['weights']))
  is_by_features = all(features in name.rsplit('/', 1)[0] for name in evaluation.scores)  # in 'mnist_5k_classifier'
  return is_by_features and (evaluation.num_samples, evaluation.seed) == (asked['num_samples'], asked['seed'])


def find_best(workdir: epath.Path, config: Mapping, spec: Spec | None, steps: list[int] | None = None) -> Best | None:
  """Returns the best of `steps`, or of those whose checkpoints a workdir keeps, or of all measured if it keeps none.

  It is the best by the score that the config names, or by the default one of what was measured, and of equally good
  steps the last. `config` and `spec` are those of `own_scores`. Where eval.jsonl says nothing about these steps, the
  scores count that earlier versions wrote into their checkpoints.

  Returns:
    None where no score says which is best.

  Raises:
    UserError: eval.jsonl is not as it was written.
  """
  kept = kept_steps(workdir) if steps is None else steps
  measured = [pair for pair in read_scores(workdir / NAME) if not kept or pair[0] in kept]
  scores = {step: evaluation.scores for step, evaluation in own_scores(measured, config, spec)}
  scores = scores or {step: _read_saved_scores(workdir, step) for step in kept}
  names = {short_name(score): score for by_name in scores.values() for score in by_name}
  for name in (config['eval']['best'], *DEFAULTS):
    if name in names and name in DIRECTIONS:
      score = names[name]
      means = mean_by_step(scores, score)
      step = pick_best(means, DIRECTIONS[name])
      return None if step is None else Best(step, score, means[step])
  return None


def kept_steps(workdir: epath.Path) -> list[int]:
  """Returns the steps whose checkpoints are in a workdir."""
  folder = workdir / 'checkpoints'
  return sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit()) if folder.exists() else []


def _read_saved_scores(workdir: epath.Path, step: int) -> dict[str, list[float]]:
  """Returns the scores {name: [value]} in a checkpoint, {} where there are none that can be read."""
  path = workdir / 'checkpoints' / str(step) / 'metrics' / 'metrics'
  try:
    saved = json.loads(path.read_text())
    return {name: [float(value)] for name, value in saved.items()}
  except (OSError, ValueError, TypeError, AttributeError):
    return {}


def mean_by_step(scores: Mapping[int, Mapping], score: str) -> dict[int, float]:
  """Returns {step: mean over the seeds} of a score, from {step: {score: its values}}."""
  return {step: float(np.mean(by_name[score])) for step, by_name in scores.items() if score in by_name}


def pick_best(by_step: Mapping[int, float], direction: str) -> int | None:
  """Returns the step with the least ('min') or the greatest ('max') value, the last of equal ones; None: no number."""
  sign = 1 if direction == 'min' else -1
  finite = [(sign * value, -step) for step, value in by_step.items() if math.isfinite(value)]
  return -min(finite)[1] if finite else None
