"""--mode=inspect: shows what the data set of a config holds, before any training."""
from collections import defaultdict
import hashlib
import math
import pathlib

import numpy as np

from gans.data import kinds
from gans.data.dataset import Dataset
from gans.data.inventory import SHOWN, describe_inventory, spaced_positions, take_inventory
from gans.data.sources import load_dataset
from gans.modes import outputs
from gans.system import pictures
from gans.validate import check_config

# Evenly spaced examples, at most, by which values and duplicates are judged, and their bytes.
MEASURED, MEASURED_BYTES = 20_000, 2**28


def inspect(config, out: str | None = None):
  """Prints what was read of a config's data, its values and its duplicates, and writes a grid of it.

  The grid has a row for each class. `out` is a PNG; the default is NAME.png in the present folder, for dataset.name.

  Raises:
    UserError: a field is wrong, the data cannot be read, or the picture exists already.
  """
  check_config(config)
  target = outputs.choose(pathlib.Path.cwd(), out or f'{config.dataset.name}.png', own='data.png')
  dataset = load_dataset(config.dataset)
  for line in describe_inventory(take_inventory(config.dataset, dataset)):
    print(line)
  number = len(dataset.images)
  bytes_of_one = math.prod(dataset.images.shape[1:]) * dataset.images.dtype.itemsize
  measured = spaced_positions(min(MEASURED, max(1, MEASURED_BYTES // bytes_of_one), number), number)
  examples = dataset.images[measured]
  print(f'  {dataset.spec.kind.summarise(examples)}')
  for line in describe_duplicates(dataset, measured, examples):
    print(f'  {line}')
  picture = dataset.spec.kind.picture(dataset.images[choose_pictured(dataset)], kinds.GRID_COLUMNS)
  with outputs.explain_errors(target):
    target.parent.mkdir(parents=True, exist_ok=True)
    pictures.save_png(target, picture)
  print(f'wrote {target}, what the networks will see')


def choose_pictured(dataset: Dataset) -> np.ndarray:
  """Returns the positions of the examples in the grid: evenly spaced ones of each class shown, or of all."""
  kind = dataset.spec.kind
  if not dataset.num_classes or not kind.shown_per_class:
    number = len(dataset.images)
    return spaced_positions(min(kind.num_shown, number), number)
  rows = []
  for label in np.unique(dataset.labels)[:kind.max_classes_shown or dataset.num_classes]:
    of_class, = np.nonzero(dataset.labels == label)
    spaced = of_class[spaced_positions(min(kind.shown_per_class, len(of_class)), len(of_class))]
    rows.append(np.resize(spaced, kind.shown_per_class))  # a class of fewer is repeated: each row is of one class
  return np.concatenate(rows)


def describe_duplicates(dataset: Dataset, measured: np.ndarray, examples: np.ndarray) -> list[str]:
  """Returns lines on which of the examples [M,...], at the positions `measured` [M], are equal to an earlier one."""
  by_contents = defaultdict(list)
  for position, example in zip(measured.tolist(), examples):
    by_contents[hashlib.sha256(np.ascontiguousarray(example)).digest()].append(position)
  pairs = [(first, other) for first, *others in by_contents.values() for other in others]
  if not pairs:
    return [f'no two of {len(measured):,} examples are equal']
  lines = [f'{len(pairs):,} of {len(measured):,} examples are equal to an earlier one:']
  lines += [f'  {_name(dataset, other)} is {_name(dataset, first)}' for first, other in pairs[:SHOWN]]
  if len(pairs) > SHOWN:
    lines.append(f'  and {len(pairs) - SHOWN:,} more')
  if contradicting := sum((dataset.conditions[first] != dataset.conditions[other]).any() for first, other in pairs):
    lines.append(f'  {contradicting:,} of them have another label than the one that they are equal to')
  return lines


def _name(dataset: Dataset, position: int) -> str:
  return repr(dataset.names[position]) if dataset.names else f'number {position:,}'
