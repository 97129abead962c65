"""--mode=evaluate: measures every checkpoint that a workdir keeps."""
import jax

from gans import data, disk, report, runs, sampling, workdir
from gans.evaluation import evaluator


def evaluate(path, changes: dict) -> dict[int, evaluator.Evaluation]:
  """Evaluates the run in a workdir, its config.eval changed as {'eval.seed': 1} says; returns {step: Evaluation}.

  The scores are shown and written to the workdir's eval.jsonl; the run's own ones, without changes, to TensorBoard too.

  Raises:
    UserError: it is no workdir, has no checkpoint, is at work, or config.eval cannot work on its data set.
  """
  with runs.open_run(path, changes) as run, disk.explained(run.workdir), workdir.locked(run.workdir):
    dataset = data.load(run.config.dataset)
    evaluator.check(run.config, dataset)
    measure = evaluator.make_evaluate(run.config, dataset, sampling.make_sampler(run.experiment.generator))
    writer, found = None, {}
    if not changes and not jax.process_index():
      writer = report.open_writer(run.workdir / 'events')
    for step in run.manager.all_steps():
      print(f'evaluating step {step}')
      found[step] = measure(run.averages(step))
      report.write_scores(run.workdir, writer, step, found[step])
    if writer:
      writer.close()
  return found
