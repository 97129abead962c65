"""The files of a packed generator: the run's config.json and, instead of checkpoints, one small file of weights."""
from collections.abc import Iterator
import contextlib
import io
import json
import urllib.parse

from etils import epath
from flax import traverse_util
import numpy as np

from gans.errors import UserError
from gans.runs.layouts import upgrade_packed
from gans.system import disk

NAME = 'generator.npz'
LARGE = 2 ** 18  # entries from which a matrix is kept as int8
SCALE = ' scale'  # ends the names of the factors of int8 matrices


def is_packed(folder: epath.Path) -> bool:
  """Tells a packed generator from a workdir."""
  return (folder / NAME).exists()


def write_generator(folder: epath.Path, record: dict, made: dict, variables):
  """Writes a new folder: `record` and `made`, which says how, as config.json, and {player: variables}."""
  arrays = {}
  for path, leaf in traverse_util.flatten_dict(variables).items():
    arrays |= shrink(join(path), np.asarray(leaf))
  buffer = io.BytesIO()
  np.savez_compressed(buffer, **arrays)
  folder.mkdir(parents=True)
  try:
    disk.write_whole(folder / 'config.json', json.dumps(record | {'made': made}, indent=2) + '\n')
    disk.write_whole(folder / NAME, buffer.getvalue())
  except BaseException:
    folder.rmtree()  # which is new
    raise


def read_made(folder: epath.Path) -> tuple[int, dict]:
  """Returns the layout's version, and how a packed generator was made; raises UserError where that is damaged."""
  with _explain_damage(folder):
    record = json.loads((folder / 'config.json').read_text())
    made = record['made']
    made |= {'step': int(made['step']), 'weights': str(made['weights']), 'training_seed': int(made['training_seed'])}
    return int(record['version']), made


@contextlib.contextmanager
def _explain_damage(folder: epath.Path) -> Iterator[None]:
  try:
    yield
  except Exception as error:  # a damaged archive may raise anything
    raise UserError(f'{folder} is no packed generator, or is damaged: {error}') from error


def read_generator(folder: epath.Path) -> tuple[dict, dict]:
  """Returns (made, {player: variables in float32}) as they were written; raises UserError where they are damaged."""
  version, made = read_made(folder)
  with _explain_damage(folder):
    arrays = _read_arrays(folder / NAME)
  leaves = {}
  for name, array in arrays.items():
    if not name.endswith(SCALE):
      leaves[split(name)] = array * arrays.get(name + SCALE, 1)
  variables = traverse_util.unflatten_dict(leaves)
  return made, upgrade_packed(variables, version)


def join(path: tuple[str, ...]) -> str:
  """Returns the name in the file of what is at a path; a part may hold a slash, as those of flax's SpectralNorm do."""
  return '/'.join(urllib.parse.quote(part, safe='') for part in path)


def split(name: str) -> tuple[str, ...]:
  """Returns the path of a name in the file, the inverse of `join`."""
  return tuple(map(urllib.parse.unquote, name.split('/')))


def _read_arrays(path: epath.Path) -> dict[str, np.ndarray]:
  contents = io.BytesIO(path.read_bytes())
  with np.load(contents) as file:
    return {name: array.astype(np.float32) for name, array in file.items()}


def shrink(name: str, leaf: np.ndarray) -> dict[str, np.ndarray]:
  """Makes a float32 array smaller: vectors stay, matrices become float16, large ones int8 with a scale per column."""
  if leaf.ndim < 2:
    return {name: leaf}
  if leaf.size < LARGE:
    return {name: leaf.astype(np.float16)}
  all_but_the_last = tuple(range(leaf.ndim - 1))
  scale = np.abs(leaf).max(all_but_the_last, keepdims=True) / 127
  scale = np.where(scale > 0, scale, 1).astype(np.float32)
  rounded = np.round(leaf / scale).astype(np.int8)
  return {name: rounded, name + SCALE: scale}
