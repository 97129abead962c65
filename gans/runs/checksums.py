"""Whole or damaged: every checkpoint holds the checksums of its files; what does not match is named and set aside.

Needed because Orbax and TensorStore read some altered bytes as if nothing had happened (docs/reliability.md).
"""
import hashlib
import json
import os
import pathlib

from etils import epath
import jax
import orbax.checkpoint as ocp

import gans
from gans.errors import UserError
from gans.runs.layouts import shapes_of
from gans.system import disk, processes

NAME = 'seal.json'
ITEM = 'default'  # the folder that Orbax gives to a checkpoint's only item
UNFINISHED = '.orbax-checkpoint-tmp'


class SealingHandler(ocp.StandardCheckpointHandler):
  """Orbax's own handler, which in the end also seals what it wrote; the rename that makes it count comes after that."""

  def finalize(self, directory: epath.Path):
    super().finalize(directory)
    if not disk.is_remote(directory):
      write(pathlib.Path(directory))

  @classmethod
  def typestr(cls) -> str:
    return ocp.StandardCheckpointHandler.typestr()  # what is written is its format


def handlers() -> ocp.handlers.CheckpointHandlerRegistry:
  """Makes the registry that lets a manager's StandardSave end with a seal."""
  registry, handler = ocp.handlers.DefaultCheckpointHandlerRegistry(), SealingHandler()
  registry.add(ITEM, ocp.args.StandardSave, handler)
  registry.add(ITEM, ocp.args.StandardRestore, handler)
  return registry


def write(folder: pathlib.Path):
  """Writes folder/seal.json: the version of this package and {file: [bytes, sha256]} of all that lies below."""
  paths = sorted(path for path in folder.rglob('*') if path.is_file())
  files = {str(path.relative_to(folder)): _measure(path) for path in paths}
  (folder / NAME).write_text(json.dumps({'gans': gans.__version__, 'files': files}, indent=1) + '\n')


def find_damage(checkpoint: pathlib.Path) -> str:
  """Says what is wrong with a checkpoint's folder, '' where it is whole.

  One of before there were seals cannot be compared with anything: it is whole if it can be read.
  """
  folder = checkpoint / ITEM
  try:
    json.loads((checkpoint / '_CHECKPOINT_METADATA').read_text())
    sealed = json.loads((folder / NAME).read_text())['files'] if (folder / NAME).exists() else {}
    faults = (_find_fault(folder / name, *measure) for name, measure in sealed.items())
    fault = next(filter(None, faults), '')
  except FileNotFoundError as error:
    return f'{os.path.basename(error.filename)} is missing'
  except (ValueError, KeyError, TypeError, AttributeError):
    return 'its JSON files are not as they were written'
  return fault or find_bad_score(checkpoint) or ('' if sealed else _find_unreadable(folder))


def find_bad_score(checkpoint: pathlib.Path) -> str:
  """Says so where a checkpoint's score cannot be read, which Orbax reads of all when it opens them."""
  score = checkpoint / 'metrics' / 'metrics'
  try:
    return '' if not score.exists() or isinstance(json.loads(score.read_text()), dict) else 'its score is altered'
  except ValueError:
    return 'its score is not as it was written'


def set_damaged_aside(workdir: epath.Path) -> epath.Path:
  """Moves checkpoints that are damaged, and newer than one that is whole, to workdir/damaged; returns workdir.

  So the newest that is whole is the latest. Each one is named, with the reason, and so is a write that was cut short.

  Raises:
    UserError: there are checkpoints and none is whole; nothing is moved.
    OSError: the system does not let them be read or moved, which says nothing about them.
  """
  with processes.agreed():
    if not jax.process_index() and not disk.is_remote(workdir):
      local = pathlib.Path(workdir)
      _set_aside(local / 'checkpoints', local / 'damaged')
  return workdir


def check_fit(checkpoint: epath.Path, saved, wanted):
  """Compares the names and shapes of the arrays of a whole checkpoint, as its metadata tell, with a state's.

  Raises:
    UserError: they differ, so another version of this package has written it.
  """
  saved, wanted = shapes_of(saved), shapes_of(wanted)
  names = [name for name in sorted(saved.keys() | wanted.keys()) if saved.get(name) != wanted.get(name)]
  if names:
    seal = checkpoint / ITEM / NAME
    writer = f'version {json.loads(seal.read_text())["gans"]}' if seal.exists() else 'a version before there were seals'
    raise UserError(
        f'{checkpoint} was written by {writer} of gans and does not fit this one, {gans.__version__}: {names[0]} has '
        f'shape {saved.get(names[0])} there, {wanted.get(names[0])} now, and {len(names) - 1} more differ: resume with '
        'that version, or give another --workdir')


def _set_aside(checkpoints: pathlib.Path, target: pathlib.Path):
  found = list(checkpoints.iterdir()) if checkpoints.exists() else []
  finished = sorted((path for path in found if path.name.isdigit()), key=lambda path: -int(path.name))
  damaged = {checkpoint: reason for checkpoint in finished if (reason := find_bad_score(checkpoint))}
  for checkpoint in finished:
    damage = find_damage(checkpoint)
    if not damage:
      break
    damaged[checkpoint] = damage
  else:
    _refuse_to_start_anew(checkpoints, target, damaged)
  unfinished = {path: 'its writing was cut short' for path in found if UNFINISHED in path.name}
  for path, reason in (unfinished | damaged).items():
    print(f'{path} is damaged, {reason}: set aside as {_move(path, target)}', flush=True)


def _refuse_to_start_anew(checkpoints: pathlib.Path, target: pathlib.Path, damaged: dict):
  """Raises UserError where there have been checkpoints, none of which is whole."""
  earlier = [path for path in target.iterdir() if path.name.isdigit()] if target.exists() else []
  if damaged or earlier:
    lines = [f'  {path}: {reason}' for path, reason in damaged.items()] + [f'  {path}' for path in earlier]
    raise UserError('\n'.join([f'no checkpoint in {checkpoints} is whole:', *lines,
                               'put one back from a copy, or give another --workdir to start anew']))


def _move(path: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
  """Moves into a folder, under the same name or the first free NAME-2, NAME-3 and so on."""
  folder.mkdir(exist_ok=True)
  target, number = folder / path.name, 2
  while target.exists():
    target, number = folder / f'{path.name}-{number}', number + 1
  return path.rename(target)


def _measure(path: pathlib.Path) -> list:
  with path.open('rb') as file:
    return [path.stat().st_size, hashlib.file_digest(file, 'sha256').hexdigest()]


def _find_fault(path: pathlib.Path, size: int, digest: str) -> str:
  if not path.is_file():
    return f'{path.name!r} is missing'
  now = _measure(path)
  if now[0] != size:
    return f'{path.name!r} has {now[0]} bytes instead of {size}'
  return '' if now[1] == digest else f'{path.name!r} is altered'


def _find_unreadable(folder: pathlib.Path) -> str:
  """Reads a checkpoint of any structure, only to see whether it can be; a system's error is no damage.

  It waits for no other process, and the devices may be others than those of the process that wrote it.
  """
  alone = jax.process_index()
  options = ocp.options.MultiprocessingOptions(
      primary_host=alone, active_processes={alone}, barrier_sync_key_prefix=f'alone_{alone}')
  here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
  try:
    with ocp.StandardCheckpointer(multiprocessing_options=options) as checkpointer:
      saved = checkpointer.metadata(folder.absolute()).item_metadata.tree
      checkpointer.restore(folder.absolute(), jax.tree.map(
          lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here), saved))
  except Exception as error:  # whatever TensorStore, Orbax and their parsers make of bad bytes
    if isinstance(error, MemoryError) or disk.find_trouble(disk.chain(error)):
      raise
    return f'it cannot be read: {str(error).splitlines()[0] if str(error) else repr(error)}'
  return ''
