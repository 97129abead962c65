"""Files of JSON lines, one record a line."""
import json

from etils import epath

from gans.errors import UserError
from gans.system import disk


def read_records(path: epath.Path) -> list[dict]:
  """Reads a file of JSON lines; one that does not exist has none, and empty lines are none.

  Raises:
    UserError: a line was altered.
  """
  if not path.exists():
    return []
  text = path.read_bytes().decode('utf-8-sig', errors='replace')  # some editors put a mark at the start
  found = []
  for number, line in enumerate(text.split('\n'), start=1):
    if line.strip():
      found.append(_parse(line, f'line {number} of {path}'))
  return found


def _parse(line: str, place: str) -> dict:
  try:
    record = json.loads(line)
  except (ValueError, RecursionError) as error:
    raise UserError(f'{place} is not as it was written: {error}') from error
  if not isinstance(record, dict):
    raise UserError(f'{place} is not as it was written: expected {{...}}')
  return record


def write_records(path: epath.Path, records: list[dict]):
  """Writes a file of JSON lines."""
  lines = [json.dumps(record) + '\n' for record in records]
  disk.write_whole(path, ''.join(lines))


def flatten(tree: dict, prefix: str = '') -> dict:
  """Flattens nested dicts, {"dataset": {"name": "mnist"}} -> {"dataset.name": "mnist"}; sequences, None become text."""
  flat = {}
  for key, value in tree.items():
    if isinstance(value, dict):
      flat |= flatten(value, f'{prefix}{key}.')
    elif value is None or isinstance(value, (list, tuple)):
      flat[prefix + key] = str(value)
    else:
      flat[prefix + key] = value
  return flat
