"""The files of a packed generator: the run's config.json and, in place of checkpoints, one small file of weights."""
import io
import json
import zipfile

from etils import epath
from flax import traverse_util
import numpy as np

from gans.errors import UserError
from gans.runs.layouts import upgrade_packed
from gans.system import disk

NAME = 'generator.npz'
LARGE = 2 ** 18  # entries from which a matrix is kept as int8
SCALE = ' scale'  # ends the name of what int8 is multiplied by


def is_packed(folder: epath.Path) -> bool:
  """Tells a packed generator from a workdir."""
  return (folder / NAME).exists()


def write_generator(folder: epath.Path, record: dict, made: dict, variables):
  """Writes a new folder: `record` as config.json, with `made`, which says how; and {player: variables}."""
  arrays = {}
  for name, leaf in traverse_util.flatten_dict(variables, sep='/').items():
    arrays |= shrink(name, np.asarray(leaf))
  buffer = io.BytesIO()
  np.savez_compressed(buffer, **arrays)
  folder.mkdir(parents=True)
  disk.write_whole(folder / 'config.json', json.dumps(record | {'made': made}, indent=2) + '\n')
  (folder / NAME).write_bytes(buffer.getvalue())


def read_generator(folder: epath.Path) -> tuple[dict, dict]:
  """Returns (made, {player: variables in float32}) as they were written; raises UserError where they are damaged."""
  try:
    record = json.loads((folder / 'config.json').read_text())
    made, version = record['made'], int(record['version'])
    with np.load(io.BytesIO((folder / NAME).read_bytes())) as file:
      arrays = {name: array.astype(np.float32) for name, array in file.items()}
    made |= {'step': int(made['step']), 'weights': str(made['weights']), 'training_seed': int(made['training_seed'])}
  except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
    raise UserError(f'{folder} is no packed generator, or is damaged: {error}') from error
  leaves = {name: array * arrays.get(name + SCALE, 1) for name, array in arrays.items() if not name.endswith(SCALE)}
  return made, upgrade_packed(traverse_util.unflatten_dict(leaves, sep='/'), version)


def shrink(name: str, leaf: np.ndarray) -> dict[str, np.ndarray]:
  """Makes a float32 array smaller: vectors stay, matrices become float16, large ones int8 with a scale a column."""
  if leaf.ndim < 2:
    return {name: leaf}
  if leaf.size < LARGE:
    return {name: leaf.astype(np.float16)}
  scale = np.abs(leaf).max(tuple(range(leaf.ndim - 1)), keepdims=True) / 127
  scale = np.where(scale > 0, scale, 1).astype(np.float32)
  return {name: np.round(leaf / scale).astype(np.int8), name + SCALE: scale}
