"""The scores of an evaluation, on the screen, in eval.jsonl and in TensorBoard."""
from collections.abc import Callable

from etils import epath
import jax
import numpy as np

from gans.evaluation.evaluator import Evaluation
from gans.evaluation.scores import without_many
from gans.runs.evaluations import NAME, append_scores


def write_scores(workdir: epath.Path, writer, step: int, evaluation: Evaluation, say: Callable = print):
  """Shows an evaluation, writes it to eval.jsonl and, with a writer, to TensorBoard.

  Only the first process does, as all of them have the same scores.
  """
  if jax.process_index():
    return
  say(describe_scores(step, evaluation))
  append_scores(workdir / NAME, step, evaluation)
  if writer is None:
    return
  means = {f'eval/{name}': float(np.mean(values)) for name, values in evaluation.scores.items()}
  writer.write_scalars(step, means)
  writer.write_texts(step, {'eval/about': about_scores(evaluation)})


def describe_scores(step: int, evaluation: Evaluation) -> str:
  """Describes an evaluation in two lines; of several seeds by the mean and the standard deviation."""
  described = []
  for full_name in without_many(evaluation.scores):
    values = evaluation.scores[full_name]
    _, name = full_name.rsplit('/', 1)
    text = f'{name} {np.mean(values):.4g}'
    if len(values) > 1:
      text += f' +- {np.std(values, ddof=1):.2g}'
    described.append(text)
  return f'step {step}: {", ".join(described)}\n  by {about_scores(evaluation)}'


def about_scores(evaluation: Evaluation) -> str:
  """Says what was measured, and by what."""
  return f'{evaluation.features}; {evaluation.num_samples} samples, {evaluation.reference} real'
