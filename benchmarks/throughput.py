"""This project against PyTorch: the same GANs, on the same machine, turn by turn.

    pip install torch && python -m benchmarks.throughput            # --cases=gan,toy --rounds=5 --dtype=bfloat16

For every case both sides are first shown equal on the same weights (benchmarks/equality.py). Then each contestant, in a
process of its own (benchmarks/contestants.py), takes steps in turn with the others, round after round: a neighbour who
slows the machine slows all. Writes docs/performance.md and its plot, with --write.
"""
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
from benchmarks.race import Contestant, spread, take_turns, three_digits
from gans.algorithms import build_algorithm

CASES = flags.DEFINE_list('cases', list(cases.CASES), 'Names in benchmarks/cases.py.')
ROUNDS = flags.DEFINE_integer('rounds', 7, 'Turns of each contestant.')
SECONDS = flags.DEFINE_float('seconds', 3.0, 'Length of a turn, about.')
DTYPE = flags.DEFINE_enum('dtype', 'float32', ['float32', 'bfloat16'], 'What networks compute in.')
SCALING = flags.DEFINE_bool('scaling', True, 'Also vary batch, width and resolution of wgan_gp_28.')
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
    return spread(self.times)


def race(case: str, names: list[str], fields: dict) -> list[Result]:
  """Times contestants in turn."""
  config = cases.make_config(case, fields)
  contestants = {name: Contestant(case, name, {**fields, 'dtype': DTYPE.value}) for name in names}
  times = take_turns(contestants, ROUNDS.value, SECONDS.value)
  images = config.batch_size * build_algorithm(config).batches_per_step
  flops = ours.count_flops(config)
  return [Result(label(case, fields), name, images, contestant.first_step, times[name], contestant.close(), flops)
          for name, contestant in contestants.items()]


def label(case: str, fields: dict) -> str:
  """Names a case with the fields that scaling changed."""
  return ', '.join([case, *(f'{name}={value}' for name, value in fields.items())])


def matmul_peak(size: int = 3072) -> float:
  """FLOP/s of a large float32 matmul, the better of both libraries, on the device that they run on."""
  x = np.random.default_rng(0).standard_normal((size, size), np.float32)
  ours, matmul = jnp.asarray(x), jax.jit(jnp.matmul)
  theirs = torch.tensor(x, device='cuda' if torch.cuda.is_available() else 'cpu')

  def seconds(multiply):
    times = []
    for _ in range(6):
      start = time.perf_counter()
      multiply()
      times.append(time.perf_counter() - start)
    return min(times)

  return 2 * size ** 3 / min(seconds(lambda: matmul(ours, ours).block_until_ready()),
                             seconds(lambda: (theirs @ theirs)[0, 0].item()))


def opponents(case: str) -> dict[str, torch_gans.Mode]:
  """The ways to run PyTorch that suit a case: an order of channels is nothing to dense layers."""
  single, half = ((torch_gans.CUDA, torch_gans.CUDA_BFLOAT16) if torch.cuda.is_available()
                  else (torch_gans.CPU, torch_gans.CPU_BFLOAT16))
  convolutional = cases.make_config(case, {}).generator.network.startswith('dcgan.')
  return {name: mode for name, mode in (single if DTYPE.value == 'float32' else half).items()
          if convolutional or not mode.channels_last}


def ours_too() -> list[str]:
  """This project's own contestants: on a GPU also its convolutions as dots, as a CPU has them."""
  return ['gans'] if jax.default_backend() == 'cpu' else ['gans', 'gans dots']


def scaling() -> list[tuple[str, dict]]:
  """wgan_gp_28 at other batches, widths and resolutions."""
  batches = [{'batch_size': size} for size in (16, 32, 64, 128, 256)]
  widths = [{'generator.hidden': [32 * w, 16 * w], 'critic.hidden': [8 * w, 16 * w, 32 * w]} for w in (1, 4)]
  resolutions = [{'generator.start': size // 4, 'dataset.image_size': size} for size in (16, 56)]
  return [('wgan_gp_28', fields) for fields in batches + widths + resolutions]


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
  ours = {r.case: r.step for r in results if r.contestant == 'gans'}
  for i, name in enumerate(names):
    mine = [r for r in results if r.contestant == name]
    axes.bar([groups.index(r.case) + 0.8 * i / len(names) for r in mine], [ours[r.case] / r.step for r in mine],
             0.8 / len(names), label=name)
  axes.set_xticks(np.arange(len(groups)) + 0.4 - 0.4 / len(names), groups, rotation=20, ha='right')
  axes.set(ylabel='speed, gans = 1')
  axes.grid(axis='y', alpha=0.3)
  figure.legend(loc='outside upper center', ncols=len(names))
  figure.savefig(path)


def show_equal(case: str) -> str:
  """Says how far PyTorch's losses and gradients are from this project's; raises where that is more than rounding."""
  found = {name: equality.largest_difference(case, mode._replace(graph=False))
           for name, mode in opponents(case).items()}
  if max(found.values()) > LARGEST_DIFFERENCE:
    raise AssertionError(f'{case}: {found}')
  line = f'{case}: ' + ', '.join(f'{difference:.0e} ({name})' for name, difference in found.items())
  print(f'losses and gradients differ by at most: {line}', flush=True)
  return line


def write(results: list[Result], sizes: list[Result], differences: list[str], peak: float):
  """Puts tables and plot where --write says; after every case, so that none is lost to one that fails."""
  if not WRITE.value:
    return
  folder, picture = pathlib.Path(WRITE.value), f'images/performance_{DTYPE.value}.png'
  head = (f'{page.command()} on {page.machine()}; matmul peak {peak / 1e9:.0f} GFLOP/s in float32; medians of '
          f'{ROUNDS.value} turns of {SECONDS.value:.0f} s each, taken in turn.')
  if differences:
    head += (" Losses and gradients differ from PyTorch's, relative to the largest of their array, by at most: "
             + '; '.join(differences) + '.')
  if results:
    plot(results, folder / picture)
    page.write_section(folder / 'performance.md', f'Training steps, {DTYPE.value}',
                       f'{head}\n\n{table(results, peak)}\n\n![Speed]({picture})')
  if sizes:
    page.write_section(folder / 'performance.md', f'Batch, width and resolution, {DTYPE.value}',
                       f'{head}\n\n{table(sizes, peak)}')


def main(argv):
  del argv
  peak = matmul_peak()
  print(f'{page.machine()}; matmul peak {peak / 1e9:.0f} GFLOP/s', flush=True)
  first = {cases.game(case): case for case in reversed(CASES.value)}
  differences = [show_equal(case) for case in reversed(first.values())] if DTYPE.value == 'float32' else []
  results, sizes = [], []
  for case in CASES.value:
    results += race(case, [*ours_too(), *(f'torch {name}' for name in opponents(case))], {})
    print(table([r for r in results if r.case == case], peak), flush=True)
    write(results, sizes, differences, peak)
  for case, fields in scaling() if SCALING.value else []:
    sizes += race(case, ['gans', 'torch eager'], fields)
    print(table(sizes[-2:], peak), flush=True)
    write(results, sizes, differences, peak)


if __name__ == '__main__':
  app.run(main)
