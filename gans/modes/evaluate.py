"""--mode=evaluate: measures every checkpoint that a workdir keeps, or the one generator of a packed model."""
import contextlib

import jax

import gans
from gans.core.sampling import make_sampler
from gans.errors import UserError
from gans.evaluation import evaluator
from gans.evaluation.evaluator import Evaluation
from gans.runs import packed
from gans.runs.drawing import load_data
from gans.runs.evaluations import NAME, read_scores
from gans.runs.kept import build_kept
from gans.runs.opening import Run, open_run
from gans.runs.own_data import load_own_data
from gans.runs.trained import find_model
from gans.runs.workdirs import locked
from gans.system import disk, events
from gans.training.scores import describe_scores, write_scores


def evaluate(path, changes: dict, moved: dict | None = None) -> dict[int, Evaluation]:
  """Evaluates every checkpoint of the run in a workdir, or a built-in or packed model; returns {step: Evaluation}.

  `changes` replace fields of its config, such as {'eval.seed': 1}. The scores are shown and written to the workdir's
  eval.jsonl and, if nothing is changed, to TensorBoard; those of a packed model are shown alone. `moved` says where its
  data lie now: {'dataset.path': ...}.

  Raises:
    UserError: there is no such run or model, it has no whole checkpoint, is at work, its data are others now (of a
      packed model, of another shape or other classes), or config.eval cannot work on them.
  """
  if changes.keys() & {'eval.features', 'eval.weights', 'eval.gan_train'}:
    changes = {'eval.best': '', **changes}  # the run's best score may not be one of those that are measured now
  if packed.is_packed(find_model(path)):
    return evaluate_packed(path, changes, moved)
  with open_run(path, changes | (moved or {})) as run, disk.explain_errors(run.workdir), locked(run.workdir):
    read_scores(run.workdir / NAME)  # which is answered before an hour's work if it was altered
    dataset, experiment = load_own_data(run.workdir, run.config), run.experiment
    evaluator.check(run.config, dataset, experiment)
    sample = make_sampler(experiment.algorithm, experiment.modules, run.spec.kind.encode)
    measure = evaluator.make_evaluate(run.config, dataset, experiment, sample)
    found = {}
    is_recorded = not changes and not jax.process_index()
    with events.EventWriter(run.workdir / 'events') if is_recorded else contextlib.nullcontext() as writer:
      for step in whole_steps(run):
        print(f'evaluating step {step}')
        found[step] = measure(run.averages(step))
        write_scores(run.workdir, writer, step, found[step])
    if best := run.find_best():
      print(f'the best of the checkpoints is step {best.step}: {best.score} {best.value:.4g}')
  return found


def evaluate_packed(path, changes: dict, moved: dict | None = None) -> dict[int, Evaluation]:
  """Evaluates the generator of a packed or built-in model, whose folder stays as it is; as `evaluate`."""
  folder = find_model(path)
  _, made = packed.read_made(folder)
  generate = gans.load(path, weights=made['weights'])
  config, dataset = load_data(path, generate, moved)
  config.update_from_flattened_dict(changes)
  experiment = build_kept(config, dataset.spec, folder)
  config = evaluator.name_scores(config, dataset.spec, experiment)
  evaluator.check(config, dataset, experiment)
  sample = make_sampler(experiment.algorithm, experiment.modules, experiment.spec.kind.encode)
  found = evaluator.make_evaluate(config, dataset, experiment, sample)([generate.variables])
  if not jax.process_index():
    print(describe_scores(generate.step, found))
  return {generate.step: found}


def whole_steps(run: Run) -> list[int]:
  """Returns the steps whose checkpoints are whole, and names those that are not; raises UserError if none is."""
  damage = {step: run.find_damage(step) for step in run.manager.all_steps()}
  lines = [f'{run.manager.directory / str(step)} is damaged, {reason}' for step, reason in damage.items() if reason]
  if len(lines) == len(damage):
    raise UserError('\n'.join(lines))
  for line in lines:
    print(f'{line}: it is left out')
  return [step for step, reason in damage.items() if not reason]
