"""This project against PyTorch: the same GANs, on the same machine, turn by turn.

    pip install torch && python -m benchmarks.throughput            # --cases=gan,toy --rounds=5 --dtype=bfloat16

For every case both sides are first shown equal on the same weights (benchmarks/equality.py). Then each contestant, in a
process of its own (benchmarks/contestants.py), takes steps in turn with the others, round after round: a neighbour who
slows the machine slows all. On a GPU, whose processor has nothing to do but compile, those of a case do so at once. A
contestant that cannot take its step is left out and named. Writes docs/performance.md and its plot, with --write.
"""
from concurrent.futures import ProcessPoolExecutor
import multiprocessing
import pathlib
import statistics
import time
from typing import NamedTuple

from absl import app, flags
import jax
import jax.numpy as jnp
import numpy as np
import torch

from benchmarks import cases, equality, ours, page, torch_gans
from benchmarks.names import define_names
from benchmarks.race import Contestant, half_iqr, take_turns, three_digits
from gans.algorithms import build_algorithm

CASES = define_names('cases', cases.CASES, cases.CASES, 'Names in benchmarks/cases.py.')
ROUNDS = flags.DEFINE_integer('rounds', 7, 'Turns of each contestant.')
SECONDS = flags.DEFINE_float('seconds', 3.0, 'Length of a turn, about.')
DTYPE = flags.DEFINE_enum('dtype', 'float32', ['float32', 'bfloat16'], 'What networks compute in.')
WRITE = flags.DEFINE_string('write', '', 'Folder for performance.md and its plot, such as docs; empty: print only.')

LARGEST_DIFFERENCE = 0.01  # float32's rounding through 128x128 with two derivatives is 0.001


class Result(NamedTuple):
  """One contestant in one case."""
  case: str
  contestant: str
  images: int  # real ones in a step
  first_step: float  # seconds, compilation included
  times: list[float]  # seconds a step, one a round
  memory: float  # bytes at the peak
  flops: float  # operations of a step

  @property
  def step(self) -> float:
    return statistics.median(self.times)

  @property
  def spread(self) -> float:
    """Half the distance between the quartiles, over the median."""
    return half_iqr(self.times)


def enter(case: str) -> dict[str, Contestant]:
  """Starts the contestants of a case; returns those that take their first step, by name, and says who does not."""
  names = [*ours_too(), *(f'torch {name}' for name in opponents(case))]
  contestants = (Contestant(case, name, {'dtype': DTYPE.value}, wait=False) for name in names)
  if jax.default_backend() != 'cpu':
    contestants = list(contestants)
  found = {}
  for contestant in contestants:
    try:
      contestant.wait()
      found[contestant.name] = contestant
    except RuntimeError as error:
      print(f'left out: {error}', flush=True)
  return found


def race(case: str, contestants: dict[str, Contestant]) -> list[Result]:
  """Times contestants in turn."""
  config = cases.make_config(case, {})
  times = take_turns(contestants, ROUNDS.value, SECONDS.value)
  images = config.batch_size * build_algorithm(config).batches_per_step
  flops = ours.count_flops(config)
  return [Result(case, name, images, contestant.first_step, times[name], contestant.close(), flops)
          for name, contestant in contestants.items()]


def matmul_peak() -> float:
  """FLOP/s of a large matmul, the better of both libraries, on the device that they run on.

  On a GPU in --dtype, where float32 is TF32; on a CPU in float32, as many have no units for bfloat16.
  """
  size, dtype = (3072, 'float32') if jax.default_backend() == 'cpu' else (8192, DTYPE.value)
  x = np.random.default_rng(0).standard_normal((size, size), np.float32)
  y, matmul = jnp.asarray(x, dtype), jax.jit(jnp.matmul)
  theirs = torch.tensor(x, dtype=getattr(torch, dtype), device='cuda' if torch.cuda.is_available() else 'cpu')

  def seconds(multiply):
    times = []
    for _ in range(6):
      start = time.perf_counter()
      multiply()
      times.append(time.perf_counter() - start)
    return min(times)

  return 2 * size ** 3 / min(seconds(lambda: matmul(y, y).block_until_ready()),
                             seconds(lambda: (theirs @ theirs)[0, 0].item()))


def opponents(case: str) -> dict[str, torch_gans.Mode]:
  """The ways to run PyTorch that suit a case: an order of channels is nothing to dense layers."""
  single, half = ((torch_gans.CUDA, torch_gans.CUDA_BFLOAT16) if torch.cuda.is_available()
                  else (torch_gans.CPU, torch_gans.CPU_BFLOAT16))
  return {name: mode for name, mode in (single if DTYPE.value == 'float32' else half).items()
          if is_convolutional(case) or not mode.channels_last}


def is_convolutional(case: str) -> bool:
  """Whether a case has maps, whose channels have an order."""
  return cases.make_config(case, {}).generator.network.startswith('dcgan.')


def ours_too() -> list[str]:
  """This project's own contestants: on a GPU, where many of its convolutions are dots, also XLA's own."""
  return ['gans'] if jax.default_backend() == 'cpu' else ['gans', 'gans convolutions']


def table(results: list[Result], peak: float) -> str:
  """A Markdown table, a row a contestant; the ratio is to the best opponent of the case."""
  columns = ('case', 'contestant', 'ms/step', 'spread', 'steps/s', 'images/s', 'ratio', 'GFLOP/s', 'of peak',
             'first step', 'memory')
  rows = [f'| {" | ".join(columns)} |', '|---' * len(columns) + '|']
  for r in results:
    others = [o.step for o in results if o.case == r.case and o.contestant.startswith('torch')]
    ratio = f'**{min(others) / r.step:.2f}**' if r.contestant == 'gans' and others else ''
    rate = r.flops / r.step
    rows.append(f'| {r.case} | {r.contestant} | {three_digits(r.step * 1e3)} | {r.spread:.0%} | {1 / r.step:.3g} | '
                f'{r.images / r.step:.0f} | {ratio} | {rate / 1e9:.0f} | {rate / peak:.0%} | '
                f'{r.first_step:.1f} s | {r.memory / 2**20:.0f} MiB |')
  return '\n'.join(rows)


def plot(results: list[Result], path: pathlib.Path):
  """Steps per second of every contestant, a group of bars a case, over this project's."""
  from matplotlib.figure import Figure
  figure = Figure((9, 4.5), dpi=120, layout='constrained')
  axes = figure.add_subplot()
  names = list(dict.fromkeys(r.contestant for r in results))
  groups = list(dict.fromkeys(r.case for r in results))
  own = {r.case: r.step for r in results if r.contestant == 'gans'}
  for i, name in enumerate(names):
    mine = [r for r in results if r.contestant == name]
    axes.bar([groups.index(r.case) + 0.8 * i / len(names) for r in mine], [own[r.case] / r.step for r in mine],
             0.8 / len(names), label=name)
  axes.set_xticks(np.arange(len(groups)) + 0.4 - 0.4 / len(names), groups, rotation=20, ha='right')
  axes.set(ylabel='speed, gans = 1')
  axes.grid(axis='y', alpha=0.3)
  figure.legend(loc='outside upper center', ncols=len(names))
  figure.savefig(path)


def show_equal(games: list[str]) -> list[str]:
  """Says how far PyTorch's losses and gradients are from this project's; raises where that is more than rounding."""
  kinds = {'eager': torch_gans.Mode(), 'channels_last': torch_gans.Mode(channels_last=True),
           'compile': torch_gans.Mode(compile=True)}
  pairs = [(case, name) for case in games for name in kinds if is_convolutional(case) or name != 'channels_last']
  workers = 1 if jax.default_backend() == 'cpu' else 4  # of whose memory on a GPU the race needs none
  with ProcessPoolExecutor(workers, multiprocessing.get_context('spawn')) as pool:
    found = pool.map(equality.largest_difference, *zip(*((case, kinds[name]) for case, name in pairs)))
    differences = dict(zip(pairs, found))
  if max(differences.values()) > LARGEST_DIFFERENCE:
    raise AssertionError(f'losses or gradients differ: {differences}')
  lines = [f'{case}: ' + ', '.join(f'{value:.0e} ({name})' for (of, name), value in differences.items() if of == case)
           for case in games]
  print('losses and gradients differ by at most:', *lines, sep='\n  ', flush=True)
  return lines


def write(results: list[Result], differences: list[str], peak: float):
  """Puts tables and plot where --write says; after every case, so that none is lost to one that fails."""
  if not WRITE.value:
    return
  folder, picture = pathlib.Path(WRITE.value), f'images/performance_{DTYPE.value}.png'
  head = (f'{page.command()} on {page.machine()}; matmul peak {peak / 1e9:.0f} GFLOP/s; medians of '
          f'{ROUNDS.value} turns of {SECONDS.value:g} s each, taken in turn.')
  if differences:
    head += (" Losses and gradients differ from PyTorch's, relative to the largest of their array, by at most: "
             + '; '.join(differences) + '.')
  plot(results, folder / picture)
  page.write_section(folder / 'performance.md', f'Training steps, {DTYPE.value}',
                     f'{head}\n\n{table(results, peak)}\n\n![Speed]({picture})')


def main(argv):
  del argv
  peak = matmul_peak()
  print(f'{page.machine()}; matmul peak {peak / 1e9:.0f} GFLOP/s', flush=True)
  first = {cases.game(case): case for case in reversed(CASES.value)}
  differences = show_equal(list(reversed(first.values()))) if DTYPE.value == 'float32' else []
  results = []
  for case in CASES.value:
    results += race(case, enter(case))
    print(table([r for r in results if r.case == case], peak), flush=True)
    write(results, differences, peak)


if __name__ == '__main__':
  app.run(main)
