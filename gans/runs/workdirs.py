"""The folder of a run: it says by itself what was trained, and is never taken from somebody else's files.

    config.json   checkpoints/   damaged/   events/   samples/   losses.png   eval.jsonl   starts.jsonl   lock

and what the modes that show it make: generated/, interpolation/, nearest.png, report.html, export/, packed/.
"""
from collections.abc import Iterator
import contextlib
import json

from etils import epath
import filelock
import jax
import ml_collections

from gans.algorithms import default_fields
from gans.data.dataset import Spec
from gans.errors import UserError
from gans.networks import default_network_fields
from gans.runs import packed
from gans.runs.layouts import VERSION, fill, upgrade_config
from gans.system import disk, processes

# What a run may change when it resumes: none of these alters a step, but for rounding, as other devices do.
MAY_CHANGE = ('steps_per_call', 'log_every', 'sample_every', 'checkpoint_every', 'eval_every', 'eval.weights',
              'profile', 'mesh.data', 'dataset.data_dir', 'dataset.device_bytes', 'dataset.workers')
MAY_CHANGE_IN_A_PLAYER = ('remat',)


def open_workdir(path, config, spec) -> epath.Path:
  """Creates the folder, or takes it up again where `config` made it on data of dataset.Spec `spec`; returns its path.

  Raises:
    UserError: it holds other files, was made with another config, cannot be written, or is not the same folder for
      all processes.
  """
  with processes.agreed():
    workdir = check_workdir(path, config)
    try:
      workdir.mkdir(parents=True, exist_ok=True)
      record = {'version': VERSION, 'data': spec._asdict(), 'config': config.to_dict()}
      if not jax.process_index():
        disk.write_whole(workdir / 'config.json', json.dumps(record, indent=2) + '\n')
    except OSError as error:
      raise _not_writable(path, error) from error
  with processes.agreed():
    if not (workdir / 'config.json').exists():
      raise UserError(f'--workdir={path} is not the same folder in process {jax.process_index()} as in process 0: give '
                      'one that all of them share')
  return workdir


def check_workdir(path, config) -> epath.Path:
  """Returns the folder's path, which `config` may take: new, empty, or made by it. Raises UserError otherwise."""
  workdir = disk.absolute(path)
  try:
    if _is_taken(workdir):
      _refuse_another_config(workdir, config)
  except OSError as error:
    raise UserError(f'--workdir={path} cannot be read: {error.strerror or error}') from error
  return workdir


@contextlib.contextmanager
def locked(workdir: epath.Path) -> Iterator[None]:
  """Creates a folder and keeps other runs out of it; the lock of a process that died is nobody's.

  Raises:
    UserError: another run is at work in it, or it cannot be written.
  """
  with contextlib.ExitStack() as stack:
    with processes.agreed():
      try:
        workdir.mkdir(parents=True, exist_ok=True)
        if not jax.process_index() and not disk.is_remote(workdir):  # one process locks for all; object stores cannot
          stack.enter_context(filelock.FileLock(workdir / 'lock', timeout=0))
      except filelock.Timeout as error:
        raise UserError(f'--workdir={workdir}: another run is at work there; give another folder or end it') from error
      except OSError as error:
        raise _not_writable(workdir, error) from error
    yield


def read_spec(path) -> Spec | None:
  """Returns the shape of the data that a workdir was made on; None where it was made before that was written down."""
  try:
    data = json.loads((disk.absolute(path) / 'config.json').read_text()).get('data')
    return data and Spec(tuple(map(int, data['shape'])), int(data['num_classes']))
  except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
    raise UserError(f"--workdir={path}: the field 'data' of its config.json is not as it was written") from error


def read_config(path) -> ml_collections.ConfigDict:
  """Returns the config that a workdir was made with; raises UserError where it is no workdir."""
  try:
    record = json.loads((disk.absolute(path) / 'config.json').read_text())
    version = int(record['version'])
    config = ml_collections.ConfigDict(upgrade_config(record['config'], version))
  except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
    raise UserError(f'--workdir={path} is not the folder of a run: it has no readable config.json') from error
  if version > VERSION:
    raise UserError(f'--workdir={path} was made by a later version (layout {version}, this one reads up to {VERSION})')
  return config


def differences(old: dict, new: dict, prefix: str = '') -> dict[str, tuple]:
  """Returns {field: (old value, new value)} of two nested dicts, fields as in the flags: 'dataset.name'."""
  found = {}
  for key in sorted(old.keys() | new.keys()):
    a, b = old.get(key), new.get(key)
    if isinstance(a, dict) and isinstance(b, dict):
      found |= differences(a, b, f'{prefix}{key}.')
    elif a != b:
      found[prefix + key] = (a, b)
  return found


def fill_defaults(config: dict) -> dict:
  """Returns a config with the defaults of the fields that its algorithm and its networks have and it does not name."""
  complete = fill(config, default_fields(config['algorithm']))
  for player, group in complete.items():
    if isinstance(group, dict) and 'network' in group:
      complete[player] = fill(group, default_network_fields(player, group['network']))
  return json.loads(json.dumps(complete))


def _not_writable(path, error: OSError) -> UserError:
  return UserError(f'--workdir={path} cannot be written: {error.strerror or error}')


def _is_taken(workdir: epath.Path) -> bool:
  """Tells whether there is anything in the folder but what a first start that was killed may leave."""
  return workdir.exists() and any(child.name not in ('config.json.new', 'lock') for child in workdir.iterdir())


def _refuse_another_config(workdir: epath.Path, config):
  if not (workdir / 'config.json').exists():
    raise UserError(f'--workdir={workdir} holds files of something else: give a new or empty folder')
  if packed.is_packed(workdir):
    raise UserError(f'--workdir={workdir} is a packed generator, which cannot be trained: give a new or empty folder')
  new = json.loads(json.dumps(config.to_dict()))  # as the file has it: tuples are lists there
  old = read_config(workdir).to_dict()
  players = [field for field, value in old.items() if isinstance(value, dict) and 'network' in value]
  changed = differences(fill_defaults(old), fill_defaults(new))
  changed = {field: values for field, values in changed.items() if not _may_change(field, players)}
  if _is_extension(changed.get('num_steps'), config, players):
    del changed['num_steps']
  if changed:
    lines = [f'  {field}: {before!r} there, {after!r} now' for field, (before, after) in changed.items()]
    raise UserError('\n'.join([f'--workdir={workdir} was made with another config:', *lines,
                               'give another --workdir, or the same config to resume']))


def _may_change(field: str, players: list[str]) -> bool:
  player, _, own = field.partition('.')
  return field in MAY_CHANGE or (player in players and own in MAY_CHANGE_IN_A_PLAYER)


def _is_extension(num_steps: tuple | None, config, players: list[str]) -> bool:
  """A finished run may be trained for longer, unless its learning rates depend on the number of steps."""
  if num_steps is None:
    return False
  before, after = num_steps
  return after > before and all(config[player].optimizer.schedule == 'constant' for player in players)
