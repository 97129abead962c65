"""What a person sees of a run: the progress bar, TensorBoard, sample grids and the loss plot."""
import contextlib
import functools
import sys
import time

from clu import parameter_overview
from etils import epath
import jax
import numpy as np
import tqdm

from gans.core.game import GANState, each_seed
from gans.data.kinds import GRID_COLUMNS, Kind
from gans.data.schedule import is_due
from gans.system import environment, events, pictures
from gans.system.records import flatten, read_records, write_records
from gans.training.scores import write_scores

GROUP = 'train/'  # begins the tag of every training metric in TensorBoard
PLAIN_SECONDS = 15  # between log lines where there is no terminal


def is_plotted(name: str) -> bool:
  """Tells whether a metric is drawn in losses.png: losses, and estimates of what they stand for."""
  return name.endswith(('_loss', '_estimate'))


class Reporter:
  """Writes a run's metrics and pictures to its workdir and shows its progress; a context manager.

  On all processes but the first it writes and shows nothing.
  """

  def __init__(self, workdir: epath.Path, config, intervals: dict[str, int], start: int):
    """`intervals` {metric: steps between its values} are those of game.Traced; the run goes on from step `start`."""
    self.workdir = workdir
    self.config = config
    self.intervals = intervals
    self.first = jax.process_index() == 0
    self.pending = {}  # {metric: values since the last point in TensorBoard}
    self.last_call = time.monotonic()
    (workdir / 'samples').mkdir(parents=True, exist_ok=True)
    self.history = self._read_history(start) if start and self.first else {}
    terminal = sys.stderr.isatty()
    self.bar = tqdm.tqdm(
        total=config.num_steps, initial=start, unit=' steps', disable=not self.first,
        file=None if terminal else PlainLines(), mininterval=0.1 if terminal else PLAIN_SECONDS,
        dynamic_ncols=terminal)

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self.bar.close()
    if self.first:
      self.writer.close()

  @functools.cached_property
  def writer(self):
    """CLU's writer of TensorBoard's files; opened at the first use, as that takes seconds."""
    return events.open_writer(self.workdir / 'events')

  def started(self, state: GANState):
    """Says how long the start took; writes how the run was started, its config and tables of its parameters."""
    if not self.first:
      return
    self.say(f'first step {environment.seconds_since_start():.1f} s after the command')
    starts = self.workdir / 'starts.jsonl'
    write_records(starts, [*read_records(starts), {'step': self.bar.n, **environment.describe_environment()}])
    self.writer.write_hparams(flatten(self.config.to_dict()))
    tables = {}
    for name, player in state.players.items():
      params, *_ = each_seed(player.params, self.config.num_seeds)
      if params:
        tables[f'parameters/{name}'] = parameter_overview.get_parameter_overview(params, include_stats=False)
    self.writer.write_texts(0, tables)

  def metrics(self, stop: int, metrics: dict, count: int):
    """Takes the metrics of the `count` steps before step `stop`, {name: [T] or [T,S]}, and moves the bar.

    Their means go to TensorBoard every log_every steps and at the end of the run. A metric counts in the steps whose
    update was taken.
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
    by_step = np.asarray(values)[:len(steps)].reshape(len(steps), -1).mean(axis=1)
    every = self.intervals[name]
    return {step: float(value) for step, value in zip(steps, by_step) if step % every == 0}

  def _log(self, step: int, steps_per_second: float):
    means = {name: float(np.mean(values)) for name, values in self.pending.items()}
    self.pending = {}
    scalars = {GROUP + name: mean for name, mean in means.items()}
    self.writer.write_scalars(step, {'steps_per_second': steps_per_second, **scalars})
    for name in filter(is_plotted, means):
      self.history.setdefault(name, {})[step] = means[name]

  def _read_history(self, start: int) -> dict[str, dict[int, float]]:
    def wanted(tag):
      return tag.startswith(GROUP) and is_plotted(tag)

    scalars = events.read_scalars(self.workdir / 'events', wanted, start)
    return {tag.removeprefix(GROUP): by_step for tag, by_step in scalars.items()}

  def real(self, examples: np.ndarray, kind: Kind):
    """Writes real examples [N,...] as samples/real.png and keeps the picture, to show beside the samples."""
    self.kind = kind
    self.real_picture = kind.picture(examples, GRID_COLUMNS)
    self._save('real', self.real_picture)

  def fake(self, step: int, samples: dict[int, np.ndarray]):
    """Writes samples {seed: [N,...]} as samples/fake_STEP.png, and samples and real examples to TensorBoard.

    With several seeds each has files of its own, fake_STEP_SEED.png.
    """
    if not self.first:
      return
    images = {'samples/real': self.real_picture[None]}
    for seed, examples in samples.items():
      suffix = f'_{seed}' if len(samples) > 1 else ''
      picture = self.kind.picture(examples, GRID_COLUMNS)
      images[f'samples/fake{suffix}'] = picture[None]
      self._save(f'fake_{step:07d}{suffix}', picture)
    self.writer.write_images(step, images)

  def scores(self, step: int, evaluation):
    """Writes an evaluation to TensorBoard and eval.jsonl, and shows it."""
    write_scores(self.workdir, self.writer if self.first else None, step, evaluation, self.say)
    self.last_call = time.monotonic()  # the steps' speed is not that of their evaluation

  def plot_losses(self):
    """Draws losses.png of the whole run, earlier starts included, once a loss was logged."""
    if self.first and self.history:
      pictures.plot_losses(self.workdir / 'losses.png', dict(sorted(self.history.items())))

  def trace(self, on: bool):
    """Returns a context that records what runs inside it in events/, if it is `on`."""
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


class PlainLines:
  """The file of a progress bar where there is no terminal: each state of the bar is a line of its own."""

  def write(self, text: str):
    if text.strip():
      print(text.strip(), flush=True)

  def flush(self):
    sys.stdout.flush()
