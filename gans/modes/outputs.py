"""The outputs of the modes that show a trained generator: where they are written, and what is refused."""
from collections.abc import Iterator
import contextlib
import mimetypes
import os

from etils import epath

from gans.data.kinds import Kind
from gans.errors import UserError
from gans.system import disk

ARRAYS = ('.npz', '.npy')  # which are no MIME types


def choose(path, out, own: str) -> epath.Path:
  """Returns the path that --out names, or by default `own` in the workdir.

  Raises:
    UserError: it exists already, or cannot be written, or the name does not have the suffix of `own`.
  """
  if out is None:
    target = disk.absolute(path) / own
    refuse_unwritable(target)
    return target
  target = epath.Path(out).expanduser()
  suffix = epath.Path(own).suffix
  if suffix_of(target) != suffix:
    expected = f'NAME{suffix}' if suffix else 'a new folder, without a suffix'
    raise UserError(f'--out={out}: expected {expected}')
  refuse_existing(target)
  return target


def suffix_of(target: epath.Path) -> str:
  """Returns the suffix that says which kind of file it is, '' where none does: the folder trunc0.7 has none."""
  is_file = any(mimetypes.guess_type(target.name)) or target.suffix in ARRAYS
  return target.suffix if is_file else ''


def refuse_existing(target: epath.Path):
  """Raises UserError if the target exists already, or cannot be written."""
  if target.exists():
    raise UserError(f'--out={target} exists; give another name, or remove it')
  refuse_unwritable(target)


def refuse_unwritable(target: epath.Path):
  """Raises UserError where a target could not be written, which would be found out after all the work."""
  if disk.is_remote(target):
    return
  parent = next(folder for folder in disk.absolute(target).parents if folder.exists())
  if not parent.is_dir():
    raise UserError(f'--out={target} cannot be written: {parent} is no folder')
  if not os.access(parent, os.W_OK):
    raise UserError(f'--out={target} cannot be written: {parent} does not let this user write')


@contextlib.contextmanager
def explain_errors(target: epath.Path) -> Iterator[None]:
  """Turns an error of the disk into a UserError that names the target."""
  try:
    yield
  except OSError as error:
    raise UserError(f'--out={target} cannot be written: {error.strerror or error}') from error


def refuse_other_than_images(mode: str, path, kind: Kind):
  """Raises UserError for a model whose single samples are no pictures, which --mode=`mode` cannot show."""
  if not kind.separate:
    raise UserError(f'--mode={mode}: {path} makes {kind.name}; expected a model that makes images')
