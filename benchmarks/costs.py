"""What a step's images cost: images per second as one quantity at a time changes, with PyTorch's line beside ours.

    pip install torch && python -m benchmarks.costs --write=docs      # --sweeps=batch,width --rounds=5

The case is wgan_gp_28 of benchmarks/cases.py. At every point both sides take steps in turn. PyTorch runs several seeds
one after the other, which costs what one costs. docs/streaming.md has data sets that do not fit into memory.
"""
import pathlib
from typing import NamedTuple

from absl import app, flags
import numpy as np

from benchmarks import cases, page
from benchmarks.names import define_names
from benchmarks.race import Contestant, half_iqr, take_turns, three_digits
from gans.algorithms import build_algorithm

CASE = 'wgan_gp_28'
SIDES = ('gans', 'torch eager', 'torch channels_last')


class Point(NamedTuple):
  """One place of a sweep."""
  value: float  # on the axis
  fields: dict  # of the config
  num_images: int = cases.NUM_IMAGES  # in the data set


SWEEPS = {
    'batch': [Point(size, {'batch_size': size}) for size in (16, 32, 64, 128, 256)],
    'width': [Point(width, {'generator.hidden': [int(64 * width), int(32 * width)],
                            'critic.hidden': [int(width * each) for each in (16, 32, 64)]}) for width in (0.5, 1, 2)],
    'side in pixels': [Point(size, {'generator.start': size // 4, 'dataset.image_size': size})
                       for size in (16, 28, 56)],
    'n_critic': [Point(number, {'n_critic': number}) for number in (1, 2, 5)],
    'seeds': [Point(number, {'num_seeds': number}) for number in (1, 3, 10)],
    'images in the data set': [Point(number, {}, number) for number in (1_000, 10_000, 100_000)],
}
NAMES = define_names('sweeps', SWEEPS, SWEEPS, 'Which quantities to change.')
ROUNDS = flags.DEFINE_integer('rounds', 3, 'Turns of each side.')
SECONDS = flags.DEFINE_float('seconds', 1.0, 'Length of a turn, about.')
WRITE = flags.DEFINE_string('write', '', 'Folder for performance.md and its plot, such as docs; empty: print only.')


class Cost(NamedTuple):
  """One side at one point."""
  rate: float  # images/s, real ones of all seeds
  spread: float


def measure(point: Point) -> dict[str, Cost]:
  """Times both sides in turn."""
  config = cases.make_config(CASE, point.fields)
  sides = {side: Contestant(CASE, side, point.fields, num_images=point.num_images) for side in SIDES}
  times = take_turns(sides, ROUNDS.value, SECONDS.value)
  for side in sides.values():
    side.close()
  images = config.batch_size * build_algorithm(config).batches_per_step
  of_a_step = dict.fromkeys(SIDES, images) | {'gans': config.num_seeds * images}
  return {side: Cost(of_a_step[side] / float(np.median(each)), half_iqr(each)) for side, each in times.items()}


def table(found: dict[str, dict[float, dict[str, Cost]]]) -> str:
  """A row a point."""
  columns = ['', '', *(f'{side}, images/s' for side in SIDES), 'ratio to the better']
  rows = [f'| {" | ".join(columns)} |', '|---' * len(columns) + '|']
  for name, points in found.items():
    for value, costs in points.items():
      best = max(costs[side].rate for side in SIDES if side != 'gans')
      cells = [f'{three_digits(cost.rate)} ± {cost.spread:.0%}' for cost in costs.values()]
      rows.append(f'| {name} | {value:,g} | {" | ".join(cells)} | **{costs["gans"].rate / best:.2f}** |')
  return '\n'.join(rows)


def plot(found: dict[str, dict[float, dict[str, Cost]]], path: pathlib.Path):
  """A panel a quantity: images per second over it."""
  from matplotlib.figure import Figure
  figure = Figure((11, 3.2 * -(-len(found) // 3)), dpi=110, layout='constrained')
  panels = np.ravel(figure.subplots(-(-len(found) // 3), 3, squeeze=False))
  for axes, (name, points) in zip(panels, found.items()):
    for side in SIDES:
      axes.plot(list(points), [costs[side].rate for costs in points.values()], marker='o', label=side)
    axes.set(xlabel=name, xscale='log', ylim=(0, None))
    axes.set_xticks(list(points), [f'{value:,g}' for value in points])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
  for axes in panels[len(found):]:
    axes.set_axis_off()
  for axes in panels[::3]:
    axes.set_ylabel('images/s')
  figure.legend(*panels[0].get_legend_handles_labels(), loc='outside upper center', ncols=len(SIDES))
  figure.savefig(path)


def write(found: dict[str, dict[float, dict[str, Cost]]]):
  """Puts table and plot where --write says; after every quantity, so that none is lost to one that fails."""
  if not WRITE.value:
    return
  folder, picture = pathlib.Path(WRITE.value), 'images/costs.png'
  plot(found, folder / picture)
  text = (f'{page.command()} on {page.machine()}: {CASE} with one quantity changed at a time; medians of '
          f'{ROUNDS.value} turns of {SECONDS.value:g} s each, taken in turn, and half the distance of their quartiles.')
  page.write_section(folder / 'performance.md', 'Cost against work', f'{text}\n\n{table(found)}\n\n![Cost]({picture})')


def main(argv):
  del argv
  found = {}
  for name in NAMES.value:
    found[name] = {}
    for point in SWEEPS[name]:
      found[name][point.value] = measure(point)
      print(table({name: {point.value: found[name][point.value]}}).splitlines()[-1], flush=True)
    write(found)


if __name__ == '__main__':
  app.run(main)
