"""--mode=evaluate: measures every checkpoint that a workdir keeps."""
import contextlib

import jax

from gans.core.sampling import make_sampler
from gans.errors import UserError
from gans.evaluation import evaluator
from gans.evaluation.evaluator import Evaluation
from gans.runs.evaluations import NAME, read_scores
from gans.runs.opening import Run, open_run
from gans.runs.own_data import load_own_data
from gans.runs.workdirs import locked
from gans.system import disk, events
from gans.training.scores import write_scores


def evaluate(path, changes: dict, moved: dict | None = None) -> dict[int, Evaluation]:
  """Evaluates every checkpoint of the run in a workdir; returns {step: Evaluation}.

  `changes` replace fields of its config, such as {'eval.seed': 1}. The scores are shown and written to the workdir's
  eval.jsonl and, if nothing is changed, to TensorBoard. `moved` says where its data lie now: {'dataset.path': ...}.

  Raises:
    UserError: it is no workdir, has no whole checkpoint, is at work, its data are others now, or config.eval cannot
      work on them.
  """
  with open_run(path, changes | (moved or {})) as run, disk.explain_errors(run.workdir), locked(run.workdir):
    read_scores(run.workdir / NAME)  # which is answered before an hour's work if it was altered
    dataset = load_own_data(run.workdir, run.config)
    evaluator.check(run.config, dataset)
    experiment = run.experiment
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


def whole_steps(run: Run) -> list[int]:
  """Returns the steps whose checkpoints are whole, and names those that are not; raises UserError if none is."""
  damage = {step: run.find_damage(step) for step in run.manager.all_steps()}
  lines = [f'{run.manager.directory / str(step)} is damaged, {reason}' for step, reason in damage.items() if reason]
  if len(lines) == len(damage):
    raise UserError('\n'.join(lines))
  for line in lines:
    print(f'{line}: it is left out')
  return [step for step, reason in damage.items() if not reason]
