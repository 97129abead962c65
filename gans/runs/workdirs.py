"""The workdir, the folder of a run: it says what was trained in it, and a folder with other files is refused.

    config.json   data.json   checkpoints/   damaged/   events/   samples/   losses.png   eval.jsonl   starts.jsonl
    lock

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
from gans.data.inventory import describe_inventory, find_changes
from gans.errors import UserError
from gans.networks import default_network_fields
from gans.runs import packed
from gans.runs.layouts import VERSION, fill_missing, upgrade_config
from gans.system import disk, processes

# The fields that may change when a run resumes: they alter no step, except for rounding on other devices. Where the
# data lie may change as well; what they are is compared with data.json.
MAY_CHANGE = ('steps_per_call', 'log_every', 'sample_every', 'checkpoint_every', 'eval_every', 'eval.weights',
              'eval.gan_train', 'keep_checkpoints', 'keep_every', 'profile', 'mesh.data', 'dataset.path',
              'dataset.data_dir', 'dataset.device_bytes', 'dataset.workers')
MAY_CHANGE_IN_A_PLAYER = ('remat',)
# What a folder that is as good as empty has in it: what is left by a first start that was killed, beside an inventory,
# and by systems.
LEFT_BY_A_START = ('config.json.new', 'data.json.new', 'lock')
LEFT_BY_SYSTEMS = ('.DS_Store', 'Thumbs.db', 'desktop.ini', '.directory', 'lost+found')
PATTERN = '*?[\\'  # what Orbax and TensorFlow read in a path as a pattern of paths


def check_workdir(path, config, resume_with_changes: bool = False) -> epath.Path:
  """Returns the path of a folder that is new, empty, or a run's of the same config; nothing is written.

  With `resume_with_changes` the run may be of another config.

  Raises:
    UserError: it is none of these, or checkpoints could be written there and not be read back, or a run is to be
      resumed and there is none.
  """
  workdir = disk.absolute(path)
  _refuse_pattern(workdir)
  try:
    if _is_taken(workdir):
      _refuse_other_files(workdir)
      if not resume_with_changes:
        _refuse_another_config(workdir, config)
    elif resume_with_changes:
      raise UserError(f'--workdir={path} holds no run that --resume_with_changes could resume; expected the folder of '
                      'one, or a start without that flag')
  except OSError as error:
    raise UserError(f'--workdir={path} cannot be read: {error.strerror or error}') from error
  return workdir


def write_record(workdir: epath.Path, config, spec, inventory: dict | None = None):
  """Writes what a run is of: config.json, and data.json if an inventory of its data is given.

  Raises:
    UserError: the folder cannot be written, or is not the same one for all processes.
  """
  record = {'version': VERSION, 'data': spec._asdict(), 'config': config.to_dict()}
  with processes.fail_together():
    try:
      workdir.mkdir(parents=True, exist_ok=True)
      if not jax.process_index():
        if inventory:  # first, as config.json makes the folder a run's
          disk.write_whole(workdir / 'data.json', json.dumps(inventory, indent=1) + '\n')
        disk.write_whole(workdir / 'config.json', json.dumps(record, indent=2) + '\n')
    except OSError as error:
      raise _not_writable(workdir, error) from error
  with processes.fail_together():
    if not (workdir / 'config.json').exists():
      raise UserError(f'--workdir={workdir} is not the same folder in process {jax.process_index()} as in process 0: '
                      'give one that all of them share')


def check_data(workdir: epath.Path, spec: Spec, inventory: dict, resume_with_changes: bool = False) -> list[str]:
  """Compares a run's data with an inventory of those at hand; returns what has changed, a sentence each.

  Raises:
    UserError: something has, and the run is not to be resumed with changes; nothing was written.
  """
  if not _is_taken(workdir):
    return []
  changes = find_other_data(workdir, spec, inventory)
  if changes and not resume_with_changes:
    lines = '\n'.join(f'  {change}' for change in changes)
    raise UserError(f'--workdir={workdir} was trained on other data:\n{lines}\nrestore them, or give another '
                    '--workdir; --resume_with_changes trains on from the latest checkpoint with these')
  return changes


def find_other_data(workdir: epath.Path, spec: Spec, inventory: dict) -> list[str]:
  """Says what is other than in the data that the run or the packed model in a folder was trained on; [] for nothing."""
  recorded = read_inventory(workdir)
  if recorded:
    return find_changes(recorded, inventory)
  before = read_spec(workdir)  # all that earlier versions wrote down
  if before and (before.shape, before.num_classes) != (spec.shape, spec.num_classes):
    return [f'examples of the shape {before.shape} in {before.num_classes} classes there, of the shape {spec.shape} in '
            f'{spec.num_classes} now']
  if before and before.class_names and before.class_names != spec.class_names:
    return [f'the classes {before.class_names} there, {spec.class_names} now']
  return []


def read_inventory(path) -> dict | None:
  """Returns the inventory of a run's data; None for a run from before there were any.

  Raises:
    UserError: it is not as it was written.
  """
  file = disk.absolute(path) / 'data.json'
  try:
    if not file.exists():
      return None
    inventory = json.loads(file.read_text())
    # Both read all that is in it.
    describe_inventory(inventory)
    find_changes(inventory, inventory)
    return inventory
  except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
    raise UserError(f'{file} is not as it was written: {error!r}') from error


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
    class_names = tuple(str(name) for name in data.get('class_names', ()))
    return Spec(shape, int(data['num_classes']), attributes, bool(data.get('paired', False)), class_names)
  except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
    raise UserError(f"--workdir={path}: the field 'data' of its config.json is not as it was written") from error


def read_config(path) -> ml_collections.ConfigDict:
  """Returns the config of the run in a workdir; raises UserError where it is no workdir."""
  try:
    record = _read_record(path)
    version = int(record['version'])
    config = ml_collections.ConfigDict(upgrade_config(record['config'], version))
  except UserError:  # which says what is wrong with it
    raise
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
  """Returns a config with the defaults of the fields of its algorithm and its players that it does not name."""
  complete = fill_missing(config, default_fields(config['algorithm']))
  for player, group in complete.items():
    if isinstance(group, dict) and 'network' in group:
      defaults = {'augment': (), 'freeze': (), **default_network_fields(player, group['network'])}
      complete[player] = fill_missing(group, defaults)
  return json.loads(json.dumps(complete))  # as in a config.json, where tuples are lists


def _not_writable(path, error: OSError) -> UserError:
  reason = error.strerror or error
  return UserError(f'--workdir={path} cannot be written: {reason}')


def _is_taken(workdir: epath.Path) -> bool:
  """Tells whether the folder holds more than an inventory, LEFT_BY_A_START and LEFT_BY_SYSTEMS."""
  if not workdir.exists():
    return False
  names = {child.name for child in workdir.iterdir()} - {*LEFT_BY_A_START, *LEFT_BY_SYSTEMS}
  if 'checkpoints' in names and not any((workdir / 'checkpoints').iterdir()):  # made before the first record
    names.remove('checkpoints')
  return not _is_inventory(workdir) if names == {'data.json'} else bool(names)


def _is_inventory(workdir: epath.Path) -> bool:
  """Tells whether the data.json in a folder is a run's, and not a file of somebody else's."""
  try:
    return read_inventory(workdir) is not None
  except UserError:
    return False


def _refuse_pattern(workdir: epath.Path):
  found = sorted(set(PATTERN) & set(str(workdir)))
  if found and not disk.is_remote(workdir):
    raise UserError(f'--workdir={workdir} has {" ".join(found)} in it, which Orbax takes for a pattern: it could not '
                    'read its checkpoints there. Give a folder whose whole path has none of  '
                    f'{" ".join(PATTERN)}')
  try:
    str(workdir).encode()
  except UnicodeEncodeError as error:
    raise UserError(f'--workdir={str(workdir)!r} is not UTF-8, and Orbax could not write its checkpoints there: give a '
                    'folder whose whole path is') from error


def _refuse_other_files(workdir: epath.Path):
  if not (workdir / 'config.json').exists():
    raise UserError(f'--workdir={workdir} holds files of something else: give a new or empty folder')
  if packed.is_packed(workdir):
    raise UserError(f'--workdir={workdir} is a packed generator, which cannot be trained: give a new or empty folder')


def changed_fields(workdir: epath.Path, config) -> dict[str, tuple]:
  """Returns {field: (value there, value in `config`)} of what would make the run in a workdir another one."""
  if not _is_taken(workdir):
    return {}
  old = read_config(workdir).to_dict()
  players = _players_of(old)
  changed = differences(fill_defaults(old), fill_defaults(config.to_dict()))
  has_inventory = (workdir / 'data.json').exists()  # by which data are known, wherever they lie
  changed = {field: values for field, values in changed.items()
             if not _may_change(field, players) or field == 'dataset.path' and not has_inventory}
  if 'num_steps' in changed and _is_extension(*changed['num_steps'], config):
    del changed['num_steps']
  return changed


def _refuse_another_config(workdir: epath.Path, config):
  changed = changed_fields(workdir, config)
  if not changed:
    return
  lines = [f'--workdir={workdir} was made with another config:']
  lines += [f'  {field}: {before!r} there, {after!r} now' for field, (before, after) in changed.items()]
  if 'num_steps' in changed and (schedules := _find_schedules(config)):
    lines += [f"  (learning rates that follow a schedule, here {', '.join(schedules)}, depend on num_steps)"]
  lines += ['give another --workdir, or the same config to resume; --resume_with_changes trains on from the latest '
            'checkpoint with this config']
  raise UserError('\n'.join(lines))


def _players_of(config: dict) -> list[str]:
  return [field for field, value in config.items() if isinstance(value, dict) and 'network' in value]


def _find_schedules(config) -> list[str]:
  """Names the schedules that depend on num_steps, as PLAYER.optimizer.schedule=NAME."""
  schedules = {player: config[player].optimizer.schedule for player in _players_of(config.to_dict())}
  return [f'{player}.optimizer.schedule={name}' for player, name in schedules.items() if name != 'constant']


def _may_change(field: str, players: list[str]) -> bool:
  player, _, own_field = field.partition('.')
  may_change_in_player = player in players and own_field in MAY_CHANGE_IN_A_PLAYER
  return field in MAY_CHANGE or may_change_in_player


def _is_extension(before: int, after: int, config) -> bool:
  """Tells whether a run may be trained for more steps: only if no learning rate depends on their number."""
  return after > before and not _find_schedules(config)
