"""--mode=evaluate: measures every checkpoint that a workdir keeps."""
import jax

from gans.core.sampling import make_sampler
from gans.data.sources import load_dataset
from gans.evaluation import evaluator
from gans.evaluation.evaluator import Evaluation
from gans.runs.opening import open_run
from gans.runs.workdirs import locked
from gans.system import disk, events
from gans.training.scores import write_scores


def evaluate(path, changes: dict) -> dict[int, Evaluation]:
  """Evaluates every checkpoint of the run in a workdir; returns {step: Evaluation}.

  `changes` replace fields of its config, such as {'eval.seed': 1}. The scores are shown and written to the workdir's
  eval.jsonl and, if nothing is changed, to TensorBoard.

  Raises:
    UserError: it is no workdir, has no checkpoint, is at work, or config.eval cannot work on its data set.
  """
  with open_run(path, changes) as run, disk.explain_errors(run.workdir), locked(run.workdir):
    dataset = load_dataset(run.config.dataset)
    evaluator.check(run.config, dataset)
    experiment = run.experiment
    sample = make_sampler(experiment.algorithm, experiment.modules, run.spec.kind.encode)
    measure = evaluator.make_evaluate(run.config, dataset, experiment, sample)
    writer = None
    found = {}
    if not changes and not jax.process_index():
      writer = events.open_writer(run.workdir / 'events')
    for step in run.manager.all_steps():
      print(f'evaluating step {step}')
      found[step] = measure(run.averages(step))
      write_scores(run.workdir, writer, step, found[step])
    if writer:
      writer.close()
  return found
