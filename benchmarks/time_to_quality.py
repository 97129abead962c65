"""How soon digits are good: this project's default WGAN-GP against the source's.

The source is the PyTorch code that this project started from, as its author wrote it.

    pip install torch && python -m benchmarks.time_to_quality --data_dir=~/tensorflow_datasets --write=docs

Both learn the full MNIST on the same processor, one after the other. At moments of training, compilation included and
the measuring left out, the Frechet distance of 10,000 samples to the test set is taken on the features of a classifier
of MNIST. Takes twice --minutes, and some minutes more.
"""
from collections.abc import Callable
import itertools
import pathlib
import time
from typing import NamedTuple

from absl import flags
import jax
import numpy as np
import torch
from torch import nn

from benchmarks import judge, ours, page, torch_gans
from benchmarks.runs import launch
from configs import wgan_gp
from gans.core.sampling import make_sampler, noise
from gans.data.kinds import unit_to_pixels

MINUTES = flags.DEFINE_float('minutes', 10, 'Training time of each side.')
WRITE = flags.DEFINE_string('write', '', 'Folder for its part of performance.md and the plot, such as docs.')
MOMENTS = (10, 15, 20, 30, 45, 60, 90, *range(120, 3601, 60))  # seconds of training
SAMPLES, CHUNK, CALL = 10_000, 500, 10


class Point(NamedTuple):
  """What a side has reached at a moment."""
  seconds: float
  steps: int
  distance: float


def start_gans(images: np.ndarray):
  """Returns (advance, sample): advance() trains and returns the steps taken, sample() draws SAMPLES uint8 images.

  configs/wgan_gp.py as it stands, on 60,000 digits instead of 5,000.
  """
  config = wgan_gp.get_config()
  run = ours.Run(config, images)
  draw = make_sampler(run.experiment.algorithm, run.experiment.modules, run.spec.kind.encode)
  z = noise(jax.random.key(1), SAMPLES, config.z_dim)

  def advance() -> int:
    run.advance(CALL)
    return CALL

  def sample() -> np.ndarray:
    label = np.zeros(CHUNK, np.int32)
    chunks = []
    for start in range(0, SAMPLES, CHUNK):
      inputs = {'z': z[start:start + CHUNK], 'label': label}
      chunks.append(np.asarray(draw(run.state.ema, inputs)))
    return np.concatenate(chunks)

  return advance, sample


def start_source(images: np.ndarray):
  """As start_gans, for the source: eager, batch 128, Adam 2e-4 (.5, .999), five repeats on one batch.

  Its loader is spared the decoding of images.
  """
  config = wgan_gp.get_config('source')
  generator = torch_gans.make_generator(config.generator, config.z_dim, (28, 28, 1)).apply(small_weights)
  critic = torch_gans.make_critic(config.critic, (28, 28, 1)).apply(small_weights)
  generator_optimizer = make_adam(generator, config.generator.optimizer)
  critic_optimizer = make_adam(critic, config.critic.optimizer)
  loader = torch.utils.data.DataLoader(torch.tensor(images).permute(0, 3, 1, 2) / 127.5 - 1, config.batch_size, True)
  batches = itertools.chain.from_iterable(itertools.repeat(loader))

  def advance() -> int:
    real = next(batches)
    for _ in range(config.n_critic):
      critic_optimizer.zero_grad()
      fake = generator(torch.randn(len(real), config.z_dim))
      eps = torch.rand(len(real), 1, 1, 1)
      gradient = torch_gans.autograd_gradient(critic, eps * real + (1 - eps) * fake.detach())
      penalty = ((gradient.flatten(1).norm(2, dim=1) - 1) ** 2).mean()
      loss = critic(fake.detach()).mean() - critic(real).mean() + config.gp_weight * penalty
      loss.backward()
      critic_optimizer.step()
    generator_optimizer.zero_grad()
    loss = -critic(generator(torch.randn(len(real), config.z_dim))).mean()
    loss.backward()
    generator_optimizer.step()
    return 1

  @torch.no_grad()
  def sample() -> np.ndarray:
    chunks = [generator(torch.randn(CHUNK, config.z_dim)) for _ in range(SAMPLES // CHUNK)]
    return np.asarray(unit_to_pixels(torch.cat(chunks).permute(0, 2, 3, 1).numpy()))

  return advance, sample


def make_adam(player: nn.Module, settings) -> torch.optim.Optimizer:
  """Makes PyTorch's Adam of a player's config."""
  return torch.optim.Adam(player.parameters(), settings.learning_rate, (settings.b1, settings.b2))


def small_weights(layer: nn.Module):
  """The source's first weights: N(0, 0.02), batch norm's scales too, and no bias there."""
  if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d)):
    nn.init.normal_(layer.weight, 0.0, 0.02)
  if isinstance(layer, nn.BatchNorm2d):
    nn.init.zeros_(layer.bias)


def follow(name: str, start_side: Callable, images: np.ndarray, measure: Callable) -> list[Point]:
  """Trains a side from nothing and measures it at the moments; the clock stands still meanwhile."""
  points, steps, start = [], 0, time.perf_counter()
  advance, sample = start_side(images)
  trained = time.perf_counter() - start
  for moment in (m for m in MOMENTS if m <= 60 * MINUTES.value):
    while trained < moment:
      start = time.perf_counter()
      steps += advance()
      trained += time.perf_counter() - start
    points.append(Point(trained, steps, measure(sample())))
    print(f'{name}: {trained:.0f} s, {steps} steps: Frechet distance {points[-1].distance:.1f}', flush=True)
  return points


def report(curves: dict[str, list[Point]], mnist_judge: judge.Judge, floor: float) -> str:
  """The curves as Markdown, with the moment at which this project is as good as the source at its end."""
  last = curves['source'][-1]
  reached = next((p for p in curves['gans'] if p.distance <= last.distance), None)
  verdict = (f'The source reaches {last.distance:.0f} in {last.seconds:.0f} s ({last.steps} steps); gans '
             + (f'is there after {reached.seconds:.0f} s ({reached.steps} steps).' if reached else 'is not, by then.'))
  rows = [f'| {mine.seconds:.0f} | {mine.steps} | {mine.distance:.1f} | {theirs.seconds:.0f} | {theirs.steps} '
          f'| {theirs.distance:.1f} |' for mine, theirs in zip(*(curves[name] for name in ('gans', 'source')))]
  return '\n'.join([
      f'{page.command()} on {page.machine()}. Frechet distance of {SAMPLES:,} samples to the '
      f"10,000 digits of MNIST's test set, on a classifier's 128 features ({mnist_judge.accuracy:.2%} right); 10,000 "
      f'digits of the training set are at {floor:.1f}. Seconds of training, compilation included.', '', verdict, '',
      '| gans, s | steps | distance | source, s | steps | distance |', '|---|---|---|---|---|---|', *rows, '',
      '![Distance over time](images/time_to_quality.png)'])


def plot(curves: dict[str, list[Point]], path: pathlib.Path):
  """Distance over seconds, both axes logarithmic."""
  from matplotlib.figure import Figure
  figure = Figure((8, 4.5), dpi=120, layout='constrained')
  axes = figure.add_subplot()
  for name, points in curves.items():
    axes.loglog([p.seconds for p in points], [p.distance for p in points], marker='o', markersize=3, label=name)
  axes.set(xlabel='seconds of training, compilation included', ylabel='Frechet distance, classifier features')
  axes.grid(alpha=0.3, which='both')
  axes.legend()
  figure.savefig(path)


def main(argv):
  del argv
  digits = judge.load_split('mnist', 'train')
  mnist_judge = judge.make_judge()
  curves = {name: follow(name, start, digits.images, mnist_judge.distance)
            for name, start in (('gans', start_gans), ('source', start_source))}
  text = report(curves, mnist_judge, floor=mnist_judge.distance(digits.images[:SAMPLES]))
  print(text)
  if WRITE.value:
    plot(curves, pathlib.Path(WRITE.value) / 'images' / 'time_to_quality.png')
    page.write_section(pathlib.Path(WRITE.value) / 'performance.md', 'Time to quality', text)


if __name__ == '__main__':
  launch(main)
