"""The workdir, the folder of a run: it says what was trained in it, and a folder with other files is refused.

    config.json   checkpoints/   damaged/   events/   samples/   losses.png   eval.jsonl   starts.jsonl   lock

The modes other than training add generated/, interpolation/, nearest.png, report.html, export/ and packed/.
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
from gans.runs.layouts import VERSION, fill_missing, upgrade_config
from gans.system import disk, processes

# The fields that may change when a run resumes: they alter no step, except for rounding on other devices.
MAY_CHANGE = ('steps_per_call', 'log_every', 'sample_every', 'checkpoint_every', 'eval_every', 'eval.weights',
              'profile', 'mesh.data', 'dataset.data_dir', 'dataset.device_bytes', 'dataset.workers')
MAY_CHANGE_IN_A_PLAYER = ('remat',)


def open_workdir(path, config, spec) -> epath.Path:
  """Creates the folder of a run of `config` on data of `spec` (dataset.Spec), or opens it again; returns its path.

  Raises:
    UserError: it holds other files, was made with another config, cannot be written, or is not the same folder for
      all processes.
  """
  with processes.fail_together():
    workdir = check_workdir(path, config)
    record = {'version': VERSION, 'data': spec._asdict(), 'config': config.to_dict()}
    try:
      workdir.mkdir(parents=True, exist_ok=True)
      if not jax.process_index():
        disk.write_whole(workdir / 'config.json', json.dumps(record, indent=2) + '\n')
    except OSError as error:
      raise _not_writable(path, error) from error
  with processes.fail_together():
    if not (workdir / 'config.json').exists():
      raise UserError(f'--workdir={path} is not the same folder in process {jax.process_index()} as in process 0: give '
                      'one that all of them share')
  return workdir


def check_workdir(path, config) -> epath.Path:
  """Returns the path of a folder that is new, empty, or a run's of the same config; raises UserError for any other."""
  workdir = disk.absolute(path)
  try:
    if _is_taken(workdir):
      _refuse_another_config(workdir, config)
  except OSError as error:
    raise UserError(f'--workdir={path} cannot be read: {error.strerror or error}') from error
  return workdir


@contextlib.contextmanager
def locked(workdir: epath.Path) -> Iterator[None]:
  """Creates a folder and keeps other runs out of it; the lock of a process that died is released.

  Raises:
    UserError: another run is at work in it, or it cannot be written.
  """
  with contextlib.ExitStack() as stack:
    with processes.fail_together():
      try:
        workdir.mkdir(parents=True, exist_ok=True)
        if not jax.process_index() and not disk.is_remote(workdir):  # one process locks for all; object stores do not
          stack.enter_context(filelock.FileLock(workdir / 'lock', timeout=0))
      except filelock.Timeout as error:
        raise UserError(f'--workdir={workdir}: another run is at work there; give another folder or end it') from error
      except OSError as error:
        raise _not_writable(workdir, error) from error
    yield


def read_spec(path) -> Spec | None:
  """Returns the shape of the data that a run was trained on; None for a run from before that was written down."""
  try:
    data = _read_record(path).get('data')
    if not data:
      return None
    shape = tuple(int(size) for size in data['shape'])
    attributes = tuple(str(name) for name in data.get('attributes', ()))
    return Spec(shape, int(data['num_classes']), attributes, bool(data.get('paired', False)))
  except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
    raise UserError(f"--workdir={path}: the field 'data' of its config.json is not as it was written") from error


def read_config(path) -> ml_collections.ConfigDict:
  """Returns the config of the run in a workdir; raises UserError where it is no workdir."""
  try:
    record = _read_record(path)
    version = int(record['version'])
    config = ml_collections.ConfigDict(upgrade_config(record['config'], version))
  except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
    raise UserError(f'--workdir={path} is not the folder of a run: it has no readable config.json') from error
  if version > VERSION:
    raise UserError(f'--workdir={path} was made by a later version (layout {version}, this one reads up to {VERSION})')
  return config


def _read_record(path) -> dict:
  """Reads a workdir's config.json."""
  return json.loads((disk.absolute(path) / 'config.json').read_text())


def differences(old: dict, new: dict, prefix: str = '') -> dict[str, tuple]:
  """Returns {field: (old value, new value)} of two nested dicts, fields as in the flags: 'dataset.name'."""
  found = {}
  for key in sorted(old.keys() | new.keys()):
    before = old.get(key)
    after = new.get(key)
    if isinstance(before, dict) and isinstance(after, dict):
      found |= differences(before, after, f'{prefix}{key}.')
    elif before != after:
      found[prefix + key] = (before, after)
  return found


def fill_defaults(config: dict) -> dict:
  """Returns a config with the defaults of the fields of its algorithm and its networks that it does not name."""
  complete = fill_missing(config, default_fields(config['algorithm']))
  for player, group in complete.items():
    if isinstance(group, dict) and 'network' in group:
      defaults = default_network_fields(player, group['network'])
      complete[player] = fill_missing(group, defaults)
  return json.loads(json.dumps(complete))  # as in a config.json, where tuples are lists


def _not_writable(path, error: OSError) -> UserError:
  reason = error.strerror or error
  return UserError(f'--workdir={path} cannot be written: {reason}')


def _is_taken(workdir: epath.Path) -> bool:
  """Tells whether the folder holds more than what a first start that was killed may leave."""
  if not workdir.exists():
    return False
  names = {child.name for child in workdir.iterdir()}
  return bool(names - {'config.json.new', 'lock'})


def _refuse_another_config(workdir: epath.Path, config):
  if not (workdir / 'config.json').exists():
    raise UserError(f'--workdir={workdir} holds files of something else: give a new or empty folder')
  if packed.is_packed(workdir):
    raise UserError(f'--workdir={workdir} is a packed generator, which cannot be trained: give a new or empty folder')
  old = read_config(workdir).to_dict()
  players = [field for field, value in old.items() if isinstance(value, dict) and 'network' in value]
  changed = differences(fill_defaults(old), fill_defaults(config.to_dict()))
  changed = {field: values for field, values in changed.items() if not _may_change(field, players)}
  if 'num_steps' in changed and _is_extension(*changed['num_steps'], config, players):
    del changed['num_steps']
  if not changed:
    return
  lines = [f'--workdir={workdir} was made with another config:']
  lines += [f'  {field}: {before!r} there, {after!r} now' for field, (before, after) in changed.items()]
  lines += ['give another --workdir, or the same config to resume']
  raise UserError('\n'.join(lines))


def _may_change(field: str, players: list[str]) -> bool:
  player, _, own_field = field.partition('.')
  may_change_in_player = player in players and own_field in MAY_CHANGE_IN_A_PLAYER
  return field in MAY_CHANGE or may_change_in_player


def _is_extension(before: int, after: int, config, players: list[str]) -> bool:
  """Tells whether a run may be trained for more steps: only if no learning rate depends on their number."""
  if after <= before:
    return False
  schedules = {config[player].optimizer.schedule for player in players if player in config}
  return schedules <= {'constant'}
