"""Checksums of a checkpoint's files, written beside them: a checkpoint that does not match is named and set aside.

Orbax and TensorStore read some altered bytes without an error, hence the checksums (docs/reliability.md).
"""
from collections.abc import Callable, Iterator
import contextlib
import hashlib
import json
import os
import pathlib

from etils import epath
import jax
import orbax.checkpoint as ocp
import tensorstore

import gans
from gans.errors import UserError, first_line
from gans.runs.layouts import shapes_of
from gans.system import disk, processes

NAME = 'checksums.json'
EARLIER_NAME = 'seal.json'  # of the same file in older checkpoints
ITEM = 'default'  # the folder that Orbax gives to a checkpoint's only item
UNFINISHED = '.orbax-checkpoint-tmp'
ARRAY = '/.zarray'  # what ends the key of an array in the index
ARRAYS = ('jax.Array', 'np.ndarray')  # as the metadata name them


class ChecksumHandler(ocp.StandardCheckpointHandler):
  """Orbax's own handler, which reads the index back and writes checksums; the rename that counts comes after that."""

  def finalize(self, directory: epath.Path):
    super().finalize(directory)
    if not disk.is_remote(directory):
      check_index(pathlib.Path(directory))
      write_checksums(pathlib.Path(directory))

  @classmethod
  def typestr(cls) -> str:
    return ocp.StandardCheckpointHandler.typestr()  # it writes the same format


def make_registry() -> ocp.handlers.CheckpointHandlerRegistry:
  """Makes the registry by which a manager's StandardSave writes checksums."""
  registry = ocp.handlers.DefaultCheckpointHandlerRegistry()
  handler = ChecksumHandler()
  registry.add(ITEM, ocp.args.StandardSave, handler)
  registry.add(ITEM, ocp.args.StandardRestore, handler)
  return registry


def write_checksums(folder: pathlib.Path):
  """Writes folder/checksums.json: the version of this package and {file: [bytes, sha256]} of all files below it."""
  files = {}
  for path in sorted(folder.rglob('*')):
    if path.is_file():
      files[str(path.relative_to(folder))] = _measure(path)
  record = {'gans': gans.__version__, 'files': files}
  (folder / NAME).write_text(json.dumps(record, indent=1) + '\n')


def check_index(folder: pathlib.Path):
  """Checks that the arrays which a checkpoint's metadata name can be found in it.

  Raises:
    UserError: they cannot, although Orbax reported no error as it wrote them.
  """
  metadata = json.loads((folder / '_METADATA').read_text())['tree_metadata']
  expected = set()
  for leaf in metadata.values():
    if leaf['value_metadata']['value_type'] in ARRAYS:
      expected.add('.'.join(key['key'] for key in leaf['key_metadata']))
  base = {'driver': 'file', 'path': f'{folder}/'}  # and no URL, in which # and % would mean something else
  index = tensorstore.KvStore.open({'driver': 'ocdbt', 'base': base}).result()
  keys = [key.decode() for key in index.list().result()]
  found = {key.removesuffix(ARRAY) for key in keys if key.endswith(ARRAY)}
  if missing := sorted(expected - found):
    raise UserError(f'{folder} was written and cannot be read back: {len(missing)} of {len(expected)} arrays are not '
                    f'there, such as {missing[0]}. Earlier checkpoints are unchanged; resume in another folder or on '
                    'another disk')


def find_checksums(folder: pathlib.Path | epath.Path) -> pathlib.Path | epath.Path | None:
  """Finds the file that `write_checksums` wrote, under its present or its earlier name; None where there is neither."""
  for name in (NAME, EARLIER_NAME):
    if (folder / name).exists():
      return folder / name
  return None


def find_damage(checkpoint: pathlib.Path) -> str:
  """Says what is wrong with a checkpoint's folder, '' where it is whole.

  A checkpoint from before there were checksums has nothing to be compared with: it is whole if it can be read.
  """
  folder = checkpoint / ITEM
  try:
    json.loads((checkpoint / '_CHECKPOINT_METADATA').read_text())
    checksums = find_checksums(folder)
    files = json.loads(checksums.read_text())['files'] if checksums else {}
    fault = _find_fault(folder, files)
  except FileNotFoundError as error:
    return f'{os.path.basename(error.filename)} is missing'
  except (ValueError, KeyError, TypeError, AttributeError):
    return 'its JSON files are not as they were written'
  if fault or files:
    return fault
  return _find_unreadable(checkpoint)


def set_damaged_aside(workdir: epath.Path, check: Callable[[pathlib.Path], None] = lambda checkpoint: None):
  """Moves checkpoints that are damaged, and newer than one that is whole, to workdir/damaged.

  Then the latest is the newest whole one. Each that is moved is named, with the reason, and so is a write that was cut
  short.

  Raises:
    UserError: there are checkpoints and none is whole, or check(the newest whole one) says so; nothing is moved.
    OSError: the system does not let them be read or moved, which says nothing about them.
  """
  with processes.fail_together():
    if not jax.process_index() and not disk.is_remote(workdir):
      local = pathlib.Path(workdir)
      _set_aside(local / 'checkpoints', local / 'damaged', check)


def read_metadata(checkpoint: pathlib.Path | epath.Path):
  """Returns the tree of a whole checkpoint's state, with the shape of each array in its place."""
  return ocp.StandardCheckpointHandler().metadata(checkpoint / ITEM).tree


def check_fit(checkpoint: pathlib.Path | epath.Path, saved, wanted):
  """Compares the names and shapes of the arrays in a whole checkpoint, which its metadata give, with a state's.

  Raises:
    UserError: they differ, so another version of this package has written it, or another config.
  """
  saved = shapes_of(saved)
  wanted = shapes_of(wanted)
  all_names = sorted(saved.keys() | wanted.keys())
  differing = [name for name in all_names if saved.get(name) != wanted.get(name)]
  if not differing:
    return
  name = differing[0]
  difference = (f'{name} has shape {saved.get(name)} there, {wanted.get(name)} now, and {len(differing) - 1} more '
                'differ')
  version = _find_version(checkpoint)
  if version == gans.__version__:
    raise UserError(f'{checkpoint} does not fit this config: {difference}. What decides which arrays there are has to '
                    'be as it was: networks, what of them is frozen, the number of seeds, the kind of optimizer and of '
                    'schedule, whether there is clip_norm or weight_decay, whether b2 is annealed, and memories, such '
                    'as those of lecam, ada.target and pool_size')
  writer = f'version {version}' if version else 'a version that wrote no checksums'
  raise UserError(f'{checkpoint} was written by {writer} of gans and does not fit this one, {gans.__version__}: '
                  f'{difference}: resume with that version, or give another --workdir')


def _find_version(checkpoint: epath.Path) -> str:
  """Returns the version of this package that wrote a checkpoint; '' where its checksums do not say."""
  checksums = find_checksums(checkpoint / ITEM)
  return json.loads(checksums.read_text())['gans'] if checksums else ''


def _set_aside(checkpoints: pathlib.Path, target: pathlib.Path, check: Callable[[pathlib.Path], None]):
  found = list(checkpoints.iterdir()) if checkpoints.exists() else []
  finished = [path for path in found if path.name.isdigit()]
  finished.sort(key=lambda path: int(path.name), reverse=True)
  unfinished = {path: 'its writing was cut short' for path in found if UNFINISHED in path.name}
  damaged = _find_newest_damaged(finished)
  if len(damaged) == len(finished):
    _refuse_to_start_over(checkpoints, target, damaged)
  else:
    check(finished[len(damaged)])
  for path, reason in (unfinished | damaged).items():
    print(f'{path} is damaged, {reason}: set aside as {_move(path, target)}', flush=True)


def _find_newest_damaged(finished: list[pathlib.Path]) -> dict[pathlib.Path, str]:
  """Returns {checkpoint: what is wrong with it}, from the newest on until one is whole."""
  damaged = {}
  for checkpoint in finished:
    damage = find_damage(checkpoint)
    if not damage:
      break
    damaged[checkpoint] = damage
  return damaged


def _refuse_to_start_over(checkpoints: pathlib.Path, target: pathlib.Path, damaged: dict[pathlib.Path, str]):
  """Raises UserError where there have been checkpoints, none of which is whole."""
  earlier = [path for path in target.iterdir() if path.name.isdigit()] if target.exists() else []
  if not damaged and not earlier:
    return
  lines = [f'no checkpoint in {checkpoints} is whole:']
  lines += [f'  {path}: {reason}' for path, reason in damaged.items()]
  lines += [f'  {path}' for path in earlier]
  lines += ['restore one from a copy, or give another --workdir to start from scratch']
  raise UserError('\n'.join(lines))


def _move(path: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
  """Moves a path into a folder, under the same name or the first free one of NAME-2, NAME-3 and so on."""
  folder.mkdir(exist_ok=True)
  target = folder / path.name
  number = 2
  while target.exists():
    target = folder / f'{path.name}-{number}'
    number += 1
  return path.rename(target)


def _measure(path: pathlib.Path) -> tuple[int, str]:
  """Returns a file's size in bytes and its SHA-256."""
  with path.open('rb') as file:
    digest = hashlib.file_digest(file, 'sha256').hexdigest()
  return path.stat().st_size, digest


def _find_fault(folder: pathlib.Path, files: dict[str, list]) -> str:
  """Names the first file that differs from its [bytes, sha256], and how; '' where none does."""
  for name, (size, digest) in files.items():
    path = folder / name
    if not path.is_file():
      return f'{path.name!r} is missing'
    present_size, present_digest = _measure(path)
    if present_size != size:
      return f'{path.name!r} has {present_size} bytes instead of {size}'
    if present_digest != digest:
      return f'{path.name!r} is altered'
  return ''


def _find_unreadable(checkpoint: pathlib.Path) -> str:
  """Reads a checkpoint of any structure, only to say why it cannot be read; an error of the system is no damage.

  The devices may differ from those of the process that wrote it.
  """
  here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])

  def place_here(leaf) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here)

  try:
    saved = read_metadata(checkpoint)
    with _open_alone() as checkpointer:
      checkpointer.restore((checkpoint / ITEM).absolute(), jax.tree.map(place_here, saved))
  except Exception as error:  # whatever TensorStore, Orbax and their parsers make of bad bytes
    if isinstance(error, MemoryError) or disk.find_trouble(disk.chain(error)):
      raise
    return f'it cannot be read: {first_line(error)}'
  return ''


@contextlib.contextmanager
def _open_alone() -> Iterator[ocp.StandardCheckpointer]:
  """Opens a reader that waits for no other process."""
  alone = jax.process_index()
  options = ocp.options.MultiprocessingOptions(
      primary_host=alone, active_processes={alone}, barrier_sync_key_prefix=f'alone_{alone}')
  with ocp.StandardCheckpointer(multiprocessing_options=options) as checkpointer:
    yield checkpointer
