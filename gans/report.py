"""What a person sees of a run: the progress bar, TensorBoard, sample grids and the loss plot."""
import contextlib
import functools
import json
import sys
import time

from clu import parameter_overview
from etils import epath
import jax
import numpy as np
import psutil
import tqdm

from gans import disk, environment, pictures
from gans.errors import UserError
from gans.state import each_seed

PLOTTED = ('critic_loss', 'generator_loss', 'wasserstein_estimate')
PLAIN_SECONDS = 15  # between log lines where there is no terminal


class Reporter:
  """Writes a run's metrics and pictures to its workdir and shows its progress; a context manager.

  On all processes but the first it writes and shows nothing.
  """

  def __init__(self, workdir: epath.Path, num_steps: int, start: int):
    self.workdir, self.last_metrics = workdir, time.monotonic()
    self.first = jax.process_index() == 0
    (workdir / 'samples').mkdir(parents=True, exist_ok=True)
    events = workdir / 'events'  # which a user may have deleted
    self.history = read_scalars(events, PLOTTED, start) if start and self.first and events.exists() else {}
    terminal = sys.stderr.isatty()
    self.bar = tqdm.tqdm(
        total=num_steps, initial=start, unit=' steps', disable=not self.first, file=None if terminal else PlainLines(),
        mininterval=0.1 if terminal else PLAIN_SECONDS, dynamic_ncols=terminal)

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self.bar.close()
    if self.first:
      self.writer.close()

  @functools.cached_property
  def writer(self):
    """CLU's writer of TensorBoard's files; opened at the first use, as that takes seconds."""
    return open_writer(self.workdir / 'events')

  def started(self, config, state):
    """Says how long the start took; writes by what the run was started, its config and tables of its parameters."""
    if not self.first:
      return
    self.say(f'first step {seconds_since_start():.1f} s after the command')
    starts = self.workdir / 'starts.jsonl'
    write_records(starts, [*read_records(starts), {'step': self.bar.n, **environment.describe()}])
    self.writer.write_hparams(flatten(config.to_dict()))
    self.writer.write_texts(0, {
        f'parameters/{name}': parameter_overview.get_parameter_overview(
            each_seed(player.params, config.num_seeds)[0], include_stats=False)
        for name, player in (('generator', state.generator), ('critic', state.critic))})

  def metrics(self, step: int, metrics: dict, count: int):
    """Writes the means of the last `count` steps' metrics, {name: [T] or [T,S]}, and moves the bar to `step`."""
    if not self.first:
      return
    means = {name: float(np.mean(np.asarray(values)[:count])) for name, values in metrics.items()}
    now = time.monotonic()
    speed, self.last_metrics = count / (now - self.last_metrics), now
    self.writer.write_scalars(step, {'steps_per_second': speed} | {f'train/{name}': m for name, m in means.items()})
    for name in means.keys() & set(PLOTTED):
      self.history.setdefault(name, {})[step] = means[name]
    self.bar.set_postfix({name: f'{means[name]:.3g}' for name in ('critic_loss', 'generator_loss')}, refresh=False)
    self.bar.update(step - self.bar.n)

  def real(self, images: np.ndarray):
    """Writes real images (see `pictures.picture`) as samples/real.png and keeps them, to show beside the fake ones."""
    self.real_picture = pictures.picture(images)
    self._save('real', self.real_picture)

  def fake(self, step: int, samples: dict[int, np.ndarray]):
    """Writes samples {seed: [N,...]} as samples/fake_STEP.png, and fake and real ones to TensorBoard.

    Of several seeds each has files of its own, fake_STEP_SEED.png.
    """
    if not self.first:
      return
    made = {f'_{seed}' * (len(samples) > 1): pictures.picture(np.asarray(images)) for seed, images in samples.items()}
    self.writer.write_images(step, {'samples/real': self.real_picture[None]} | {
        f'samples/fake{name}': picture[None] for name, picture in made.items()})
    for name, picture in made.items():
      self._save(f'fake_{step:07d}{name}', picture)

  def scores(self, step: int, evaluation):
    """Writes an evaluation.evaluator.Evaluation to TensorBoard and eval.jsonl, and shows it."""
    write_scores(self.workdir, self.writer if self.first else None, step, evaluation, self.say)
    self.last_metrics = time.monotonic()  # the steps' speed is not that of their evaluation

  def plot_losses(self):
    """Draws losses.png of the whole run, earlier starts included."""
    if self.first:
      pictures.plot_losses(self.workdir / 'losses.png', {name: self.history[name] for name in PLOTTED
                                                         if name in self.history})

  def trace(self, on: bool):
    """Returns a context that records what runs inside it in events/, where it is `on`."""
    return jax.profiler.trace(str(self.workdir / 'events')) if on and self.first else contextlib.nullcontext()

  def say(self, message: str):
    """Prints a line above the progress bar."""
    if self.first:
      self.bar.write(message, file=sys.stdout)

  def _save(self, name: str, picture: np.ndarray):
    if self.first:
      pictures.save_png(self.workdir / 'samples' / f'{name}.png', picture)


def seconds_since_start() -> float:
  """Returns how long this process has lived, imports included."""
  created = psutil.Process().create_time()
  if hasattr(time, 'CLOCK_BOOTTIME'):  # Linux: psutil adds the time of boot, which is kept in whole seconds
    return time.clock_gettime(time.CLOCK_BOOTTIME) - (created - psutil.boot_time())
  return time.time() - created


def open_writer(events: epath.Path):
  """Opens CLU's writer of TensorBoard's files."""
  import tensorflow as tf  # here, as it takes seconds, that nobody should wait for whose input is bad
  tf.config.set_visible_devices([], 'GPU')  # the accelerators are JAX's
  from clu import metric_writers
  return metric_writers.create_default_writer(events)


def write_scores(workdir: epath.Path, writer, step: int, evaluation, say=print):
  """Shows an evaluation.evaluator.Evaluation, writes it to eval.jsonl and, with a writer, to TensorBoard.

  The first process does: they all have the same.
  """
  if jax.process_index():
    return
  say(describe_scores(step, evaluation))
  append_scores(workdir / 'eval.jsonl', step, evaluation)
  if writer is None:
    return
  writer.write_scalars(step, {f'eval/{name}': float(np.mean(each)) for name, each in evaluation.scores.items()})
  writer.write_texts(step, {'eval/about': about_scores(evaluation)})


def describe_scores(step: int, evaluation) -> str:
  """Puts an evaluation into two lines; of several seeds the mean and the standard deviation."""
  spread = lambda each: f' +- {np.std(each, ddof=1):.2g}' if len(each) > 1 else ''
  values = [f'{name.rsplit("/", 1)[1]} {np.mean(each):.4g}{spread(each)}' for name, each in evaluation.scores.items()]
  return f'step {step}: {", ".join(values)}\n  by {about_scores(evaluation)}'


def about_scores(evaluation) -> str:
  """Says what scores are of."""
  return f'{evaluation.features}; {evaluation.num_samples} samples, {evaluation.reference} real'


def append_scores(path: epath.Path, step: int, evaluation):
  """Adds an evaluation to a file of JSON lines, in the place of an earlier one of the same step and kind."""
  def kind(record):
    return record['step'], record['features'], record['reference'], record['num_samples'], record['seed']

  record = {'step': step, **evaluation._asdict()}
  write_records(path, [*(each for each in read_records(path) if kind(each) != kind(record)), record])


def read_records(path: epath.Path) -> list[dict]:
  """Reads a file of JSON lines, none where there is no file. Raises UserError where it is not as it was written."""
  try:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
  except ValueError as error:
    raise UserError(f'{path} is not as it was written: {error}') from error


def write_records(path: epath.Path, records: list[dict]):
  """Writes a file of JSON lines."""
  disk.write_whole(path, ''.join(f'{json.dumps(record)}\n' for record in records))


class PlainLines:
  """The file of a progress bar where there is no terminal: each state of the bar is a line of its own."""

  def write(self, text: str):
    if text.strip():
      print(text.strip(), flush=True)

  def flush(self):
    sys.stdout.flush()


def read_scalars(events: epath.Path, names, last_step: int, group: str = 'train/') -> dict[str, dict[int, float]]:
  """Reads {name: {step: value}} of those scalars `group` + name that TensorBoard's files have, up to a step."""
  from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
  from tensorboard.util.tensor_util import make_ndarray
  accumulator = EventAccumulator(str(events), size_guidance={'tensors': 0, 'images': 1}).Reload()
  return {name: {event.step: float(make_ndarray(event.tensor_proto))
                 for event in accumulator.Tensors(group + name) if event.step <= last_step}
          for name in names if group + name in accumulator.Tags()['tensors']}


def flatten(tree: dict, prefix: str = '') -> dict:
  """Flattens nested dicts: {'dataset': {'name': 'mnist'}} -> {'dataset.name': 'mnist'}; sequences become text."""
  flat = {}
  for key, value in tree.items():
    if isinstance(value, dict):
      flat |= flatten(value, f'{prefix}{key}.')
    else:
      flat[prefix + key] = str(value) if isinstance(value, (list, tuple)) else value
  return flat
