"""What a person sees of a run: the progress bar, TensorBoard, sample grids and the loss plot."""
import sys
import time

from clu import metric_writers, parameter_overview, periodic_actions
from etils import epath
import jax
import numpy as np
import tqdm

from gans import pictures

PLOTTED = ('critic_loss', 'generator_loss', 'wasserstein_estimate')
PLAIN_SECONDS = 15  # between log lines where there is no terminal


class Reporter:
  """Writes a run's metrics and pictures to its workdir and shows its progress; a context manager.

  On all processes but the first it writes and shows nothing.
  """

  def __init__(self, workdir: epath.Path, num_steps: int, start: int):
    self.workdir, self.started = workdir, time.monotonic()
    self.first = jax.process_index() == 0
    (workdir / 'samples').mkdir(parents=True, exist_ok=True)
    self.writer = metric_writers.create_default_writer(workdir / 'events', just_logging=not self.first)
    self.speed = periodic_actions.ReportProgress(num_train_steps=num_steps, every_secs=10, writer=self.writer)
    terminal = sys.stderr.isatty()
    self.bar = tqdm.tqdm(
        total=num_steps, initial=start, unit=' steps', disable=not self.first, file=None if terminal else PlainLines(),
        mininterval=0.1 if terminal else PLAIN_SECONDS, dynamic_ncols=terminal)

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self.bar.close()
    self.writer.close()

  def describe(self, config, state):
    """Writes the hyperparameters and tables of both players' parameters."""
    self.writer.write_hparams(flatten(config.to_dict()))
    self.writer.write_texts(0, {
        f'parameters/{name}': parameter_overview.get_parameter_overview(player.params, include_stats=False)
        for name, player in (('generator', state.generator), ('critic', state.critic))})

  def metrics(self, step: int, metrics: dict, count: int):
    """Writes the means of the last `count` steps' metrics, {name: [T]}, and moves the bar to `step`."""
    means = {name: float(np.mean(np.asarray(values)[:count])) for name, values in metrics.items()}
    self.writer.write_scalars(step, {f'train/{name}': value for name, value in means.items()})
    self.speed(step)
    self.bar.set_postfix({name: f'{means[name]:.3g}' for name in ('critic_loss', 'generator_loss')}, refresh=False)
    self.bar.update(step - self.bar.n)

  def samples(self, step: int, name: str, samples: np.ndarray):
    """Writes samples (see `pictures.picture`) as samples/NAME.png and to TensorBoard."""
    image = pictures.picture(np.asarray(samples))
    self.writer.write_images(step, {f"samples/{name.split('_')[0]}": image[None]})
    if self.first:
      pictures.save_png(self.workdir / 'samples' / f'{name}.png', image)

  def plot_losses(self):
    """Draws losses.png from what TensorBoard has of the run, earlier starts included."""
    self.writer.flush()
    if self.first:
      pictures.plot_losses(self.workdir / 'losses.png', read_scalars(self.workdir / 'events', PLOTTED))

  def say(self, message: str):
    """Prints a line above the progress bar."""
    if self.first:
      self.bar.write(message, file=sys.stdout)


class PlainLines:
  """The file of a progress bar where there is no terminal: each state of the bar is a line of its own."""

  def write(self, text: str):
    if text.strip():
      print(text.strip(), flush=True)

  def flush(self):
    sys.stdout.flush()


def read_scalars(events: epath.Path, names) -> dict[str, tuple[list, list]]:
  """Reads {name: (steps, values)} of the scalars train/NAME from TensorBoard's files, those there are."""
  from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
  accumulator = EventAccumulator(str(events), size_guidance={'tensors': 0, 'images': 1}).Reload()
  found = {}
  for name in set(names) & {tag.removeprefix('train/') for tag in accumulator.Tags()['tensors']}:
    by_step = {event.step: float(event.tensor_proto.float_val[0] if event.tensor_proto.float_val
                                 else np.frombuffer(event.tensor_proto.tensor_content, np.float32)[0])
               for event in accumulator.Tensors(f'train/{name}')}
    found[name] = tuple(zip(*sorted(by_step.items())))
  return {name: found[name] for name in names if name in found}


def flatten(tree: dict, prefix: str = '') -> dict:
  """Flattens nested dicts: {'dataset': {'name': 'mnist'}} -> {'dataset.name': 'mnist'}; sequences become text."""
  flat = {}
  for key, value in tree.items():
    if isinstance(value, dict):
      flat |= flatten(value, f'{prefix}{key}.')
    else:
      flat[prefix + key] = str(value) if isinstance(value, (list, tuple)) else value
  return flat
