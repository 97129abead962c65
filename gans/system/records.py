"""Files of JSON lines, one record a line."""
import json

from etils import epath

from gans.errors import UserError
from gans.system import disk


def read_records(path: epath.Path) -> list[dict]:
  """Reads a file of JSON lines; one that does not exist has none. Raises UserError for a file that was altered."""
  if not path.exists():
    return []
  lines = path.read_text().splitlines()
  try:
    return [json.loads(line) for line in lines]
  except ValueError as error:
    raise UserError(f'{path} is not as it was written: {error}') from error


def write_records(path: epath.Path, records: list[dict]):
  """Writes a file of JSON lines."""
  lines = [json.dumps(record) + '\n' for record in records]
  disk.write_whole(path, ''.join(lines))


def flatten(tree: dict, prefix: str = '') -> dict:
  """Flattens nested dicts: {'dataset': {'name': 'mnist'}} -> {'dataset.name': 'mnist'}; sequences become text."""
  flat = {}
  for key, value in tree.items():
    if isinstance(value, dict):
      flat |= flatten(value, f'{prefix}{key}.')
    elif isinstance(value, (list, tuple)):
      flat[prefix + key] = str(value)
    else:
      flat[prefix + key] = value
  return flat
