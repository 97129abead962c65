"""The reports of a run: the progress bar, TensorBoard, sample grids and the loss plot."""
from collections.abc import Callable
import contextlib
import functools
import re
import sys
import time

from clu import parameter_overview
from etils import epath
import jax
import numpy as np

from gans.core.game import GANState, each_seed
from gans.data.kinds import GRID_COLUMNS, Kind
from gans.data.schedule import is_due, stays
from gans.runs import evaluations
from gans.system import environment, events, pictures, progress
from gans.system.records import flatten, read_records, write_records
from gans.training.scores import write_scores

GROUP = 'train/'  # the prefix of every training metric's tag in TensorBoard
KEPT_GRIDS = 48  # of each seed, the most that stay in samples/


def is_plotted(name: str) -> bool:
  """Tells whether a metric is drawn in losses.png: losses and estimates are, and ADA's probability."""
  return name.endswith(('_loss', '_estimate', '_probability'))


class Reporter:
  """Writes a run's metrics and pictures to its workdir and shows its progress; a context manager.

  It writes and shows nothing in any process but the first.
  """

  def __init__(self, workdir: epath.Path, config, intervals: dict[str, int], start: int):
    """`intervals` {metric: steps between its values} are those of tracing.Traced; `start` is the step to resume at."""
    self.workdir = workdir
    self.config = config
    self.intervals = intervals
    self.start = start
    self.first = jax.process_index() == 0
    self.has_shown_real = False  # in TensorBoard, once a start
    self.pending = {}  # {metric: values since the last point in TensorBoard}
    self.last_call = time.monotonic()
    (workdir / 'samples').mkdir(parents=True, exist_ok=True)
    self.history = self._read_history(start) if start and self.first else {}
    if self.first:
      evaluations.forget_after(workdir / evaluations.NAME, start)
    self.bar = progress.bar(total=config.num_steps, initial=start, unit=' steps', delay=0, disable=not self.first)

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self.bar.close()
    if self.first:
      self.writer.close()

  @functools.cached_property
  def writer(self):
    """The writer of TensorBoard's files, opened at the first use, while the first steps run."""
    return events.EventWriter(self.workdir / 'events', self.start)

  def started(self, state: GANState, changes: list[str]):
    """Says how long the start took; writes the environment, the config, its changes and tables of the parameters."""
    if not self.first:
      return
    self.leave_out()
    self.say(f'first step {environment.seconds_since_start():.1f} s after the command')
    starts = self.workdir / 'starts.jsonl'
    this_start = {'step': self.bar.n, **environment.describe_environment()}
    if changes:
      this_start['changes'] = changes
    write_records(starts, [*read_records(starts), this_start])
    self.writer.write_hparams(flatten(self.config.to_dict()))
    tables = {}
    for name, player in state.players.items():
      params, *_ = each_seed(player.params, self.config.num_seeds)
      if params:
        tables[f'parameters/{name}'] = parameter_overview.get_parameter_overview(params, include_stats=False)
    self.writer.write_texts(0, tables)

  def metrics(self, stop: int, metrics: dict, count: int):
    """Takes the metrics of the `count` steps before step `stop`, {name: [T] or [T,S]}, and moves the bar.

    Their means are written to TensorBoard every log_every steps and at the end of the run. A metric counts in the steps
    that took its update.
    """
    if not self.first:
      return
    now = time.monotonic()
    steps_per_second = count / (now - self.last_call)
    self.last_call = now
    steps = range(stop - count, stop)
    taken = {name: self._take(name, steps, values) for name, values in metrics.items()}
    for step in steps:
      for name, by_step in taken.items():
        if step in by_step:
          self.pending.setdefault(name, []).append(by_step[step])
      if is_due(step + 1, self.config.log_every, self.config):
        self._log(step + 1, steps_per_second)
    shown = {}
    for name, by_step in taken.items():
      if name.endswith('_loss') and by_step:
        shown[name] = f'{np.mean(list(by_step.values())):.3g}'
    self.bar.set_postfix(shown, refresh=False)
    self.bar.update(stop - self.bar.n)

  def _take(self, name: str, steps: range, values) -> dict[int, float]:
    """Returns {step: mean over the seeds} of a metric [T] or [T,S], without the steps that skip its update."""
    means = mean_over_seeds(values, len(steps))
    every = self.intervals[name]
    by_step = dict(zip(steps, means))
    return {step: float(mean) for step, mean in by_step.items() if step % every == 0}

  def _log(self, step: int, steps_per_second: float):
    scalars = {'steps_per_second': steps_per_second}
    for name, values in self.pending.items():
      mean = float(np.mean(values))
      scalars[GROUP + name] = mean
      if is_plotted(name):
        self.history.setdefault(name, {})[step] = mean
    self.pending = {}
    self.writer.write_scalars(step, scalars)

  def _read_history(self, start: int) -> dict[str, dict[int, float]]:
    def wanted(tag):
      return tag.startswith(GROUP) and is_plotted(tag)

    scalars = events.read_scalars(self.workdir / 'events', wanted, start)
    return {tag.removeprefix(GROUP): by_step for tag, by_step in scalars.items()}

  def real(self, examples: np.ndarray, kind: Kind):
    """Writes real examples [N,...] to samples/real.png and keeps the picture, to be shown beside the samples."""
    self.kind = kind
    self.real_picture = kind.picture(examples, GRID_COLUMNS)
    self._save('real', self.real_picture)

  def fake(self, step: int, samples: dict[int, np.ndarray], columns: int = GRID_COLUMNS):
    """Writes samples {seed: [N,...]} to samples/fake_STEP.png and TensorBoard, at first with the real examples.

    With several seeds each has its own files, fake_STEP_SEED.png. Of many steps KEPT_GRIDS stay, evenly spaced.
    """
    if not self.first:
      return
    images = {} if self.has_shown_real else {'samples/real': self.real_picture[None]}
    self.has_shown_real = True
    for seed, examples in samples.items():
      suffix = f'_{seed}' if len(samples) > 1 else ''
      picture = self.kind.picture(examples, columns)
      images[f'samples/fake{suffix}'] = picture[None]
      self._save(f'fake_{step:07d}{suffix}', picture)
    every = self.config.sample_every
    for by_step in find_grids(self.workdir / 'samples').values():
      are_many = len(by_step) > KEPT_GRIDS  # then those that another sample_every left go, too
      for at, file in by_step.items():
        if (at % every == 0 or are_many) and not stays(at, step, every, KEPT_GRIDS):
          file.unlink(missing_ok=True)
    self.writer.write_images(step, images)

  def scores(self, step: int, evaluation):
    """Writes an evaluation to TensorBoard and eval.jsonl, and shows it."""
    write_scores(self.workdir, self.writer if self.first else None, step, evaluation, self.say)
    self.leave_out()

  def leave_out(self):
    """Leaves the time since the last call out of the speed of the steps and the time left: it was no step's."""
    self.last_call = time.monotonic()
    self.bar.unpause()
    self.bar.last_print_n = self.bar.n  # their time is left out with it

  def plot_losses(self, find_best: Callable[[list[int]], int | None]):
    """Plots the losses of the whole run, earlier starts included, to losses.png, once a loss was logged.

    find_best(steps) says which of the evaluated steps is best, if one is. What TensorBoard shows of these steps is
    written, too: a run that resumes after them does not write it again.
    """
    if not self.first:
      return
    self.writer.flush()
    if self.history:
      in_order = dict(sorted(self.history.items()))
      evaluated = sorted({step for step, _ in evaluations.read_scores(self.workdir / evaluations.NAME)})
      best = find_best(evaluated) if evaluated else None
      pictures.plot_losses(self.workdir / 'losses.png', in_order, evaluated, best)

  def trace(self, on: bool):
    """Returns a context that, if `on`, profiles what runs inside it and writes the trace to events/."""
    if not (on and self.first):
      return contextlib.nullcontext()
    return jax.profiler.trace(str(self.workdir / 'events'))

  def say(self, message: str):
    """Prints a line above the progress bar."""
    if self.first:
      self.bar.write(message, file=sys.stdout)

  def _save(self, name: str, picture: np.ndarray):
    if self.first:
      pictures.save_png(self.workdir / 'samples' / f'{name}.png', picture)


def find_grids(folder: epath.Path) -> dict[str, dict[int, epath.Path]]:
  """Finds the sample grids in a folder: {seed, '' of a single one: {step: file}}, both in order of their numbers."""
  found = {}
  for file in folder.glob('fake_*.png'):
    if match := re.fullmatch(r'fake_(\d+)(?:_(\d+))?\.png', file.name):
      step, seed = match.groups(default='')
      found.setdefault(seed, {})[int(step)] = file
  seeds = sorted(found, key=lambda seed: int(seed or 0))
  return {seed: dict(sorted(found[seed].items())) for seed in seeds}


def mean_over_seeds(values, count: int) -> np.ndarray:
  """Averages the first `count` of a metric's values, [T] or [T,S], over the seeds: [count]."""
  taken = np.asarray(values)[:count]
  return taken.reshape(count, -1).mean(axis=1)
