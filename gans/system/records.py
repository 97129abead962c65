"""Files of JSON lines, a record each."""
import json

from etils import epath

from gans.errors import UserError
from gans.system import disk


def read_records(path: epath.Path) -> list[dict]:
  """Reads a file of JSON lines; a file that is not there has none. Raises UserError for one that was altered."""
  if not path.exists():
    return []
  try:
    return [json.loads(line) for line in path.read_text().splitlines()]
  except ValueError as error:
    raise UserError(f'{path} is not as it was written: {error}') from error


def write_records(path: epath.Path, records: list[dict]):
  """Writes a file of JSON lines."""
  disk.write_whole(path, ''.join(f'{json.dumps(record)}\n' for record in records))


def flatten(tree: dict, prefix: str = '') -> dict:
  """Flattens nested dicts: {'dataset': {'name': 'mnist'}} -> {'dataset.name': 'mnist'}; sequences become text."""
  flat = {}
  for key, value in tree.items():
    if isinstance(value, dict):
      flat |= flatten(value, f'{prefix}{key}.')
    else:
      flat[prefix + key] = str(value) if isinstance(value, (list, tuple)) else value
  return flat
