"""Where the modes that show a trained generator write, and what they refuse alike."""
from collections.abc import Iterator
import contextlib

from etils import epath

from gans.data.kinds import Kind
from gans.errors import UserError
from gans.system import disk


def choose(path, out, own: str) -> epath.Path:
  """Returns the place that --out names, or else a mode's `own` one in the workdir.

  Raises:
    UserError: there is something already, or the name has not the suffix of `own`.
  """
  if out is None:
    return disk.absolute(path) / own
  target, suffix = epath.Path(out).expanduser(), epath.Path(own).suffix
  if target.suffix != suffix:
    raise UserError(f'--out={out}: expected {f"NAME{suffix}" if suffix else "a new folder, without a suffix"}')
  refuse_existing(target)
  return target


def refuse_existing(target: epath.Path):
  """Raises UserError where there is anything already."""
  if target.exists():
    raise UserError(f'--out={target} exists; give another name, or remove it')


@contextlib.contextmanager
def explain_errors(target: epath.Path) -> Iterator[None]:
  """Turns an error of the disk into a UserError that names the target."""
  try:
    yield
  except OSError as error:
    raise UserError(f'--out={target} cannot be written: {error.strerror or error}') from error


def refuse_other_than_images(mode: str, path, kind: Kind):
  """Raises UserError for a model whose samples are no pictures one by one, which --mode=`mode` cannot show."""
  if not kind.separate:
    raise UserError(f'--mode={mode}: {path} makes {kind.name}; expected a model that makes images')
