"""--mode=evaluate: measures every checkpoint that a workdir keeps."""
from gans import report, runs, sampling
from gans.evaluation import evaluate


def measure(path, changes: dict) -> dict[int, evaluate.Evaluation]:
  """Evaluates the run in a workdir, its config.eval changed as {'eval.seed': 1} says; returns {step: Evaluation}.

  The scores are shown, and written to the workdir's eval.jsonl and TensorBoard's files.

  Raises:
    UserError: it is no workdir, has no checkpoint, or config.eval cannot work on its data set.
  """
  with runs.open_run(path, changes) as run:
    evaluate.check(run.config, run.dataset)
    measured = evaluate.make_evaluate(run.config, run.dataset, sampling.make_sampler(run.experiment.generator))
    writer, found = report.open_writer(run.workdir / 'events', first=True), {}
    for step in run.manager.all_steps():
      print(f'evaluating step {step}')
      found[step] = measured(run.averages(step))
      report.write_scores(run.workdir, writer, step, found[step])
    writer.close()
  return found
