"""Files on a disk, which may be full, read-only or somebody else's: then a line names the path, not a traceback."""
from collections.abc import Iterable, Iterator
import contextlib
import errno
import os
import re

from etils import epath

from gans.errors import UserError

# What keeps a file from being written (or read) through no fault of the program.
TROUBLES = tuple(os.strerror(number) for number in (
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO))


@contextlib.contextmanager
def explained(workdir: epath.Path) -> Iterator[None]:
  """Turns whatever a run in `workdir` raises because of the disk into a UserError with the path and the reason.

  TensorStore, TensorFlow and threads wrap the system's error in types of their own, but keep its words.
  """
  try:
    yield
  except Exception as error:
    links = list(chain(error))
    if isinstance(error, UserError) or not (reason := find_trouble(links)):
      raise
    raise UserError(
        f'{find_path(links) or workdir} cannot be written or read: {reason}. The checkpoints in {workdir} are as '
        'they were; once that is mended, the same command goes on from the last') from error


def absolute(path) -> epath.Path:
  """Returns a path that a user gave as one from the root, as Orbax takes no other."""
  path = epath.Path(path).expanduser()
  return path if is_remote(path) else epath.Path(os.path.abspath(path))


def is_remote(path: epath.Path) -> bool:
  """Tells whether a path is in an object store: these have checksums of their own, no locks, and folders stay put."""
  return '://' in os.fspath(path)


def write_whole(path: epath.Path, text: str):
  """Writes a file in one move, so that a run killed here leaves the old one or the new one."""
  new = path.with_name(f'{path.name}.new')
  new.write_text(text)
  new.replace(path)


def chain(error: BaseException | None) -> Iterator[BaseException]:
  """Yields an exception and those it came from, the last first."""
  while error:
    yield error
    error = error.__cause__ or error.__context__


def find_trouble(links: Iterable[BaseException]) -> str:
  """Returns the system's words for what is wrong with the disk, '' where nothing is."""
  said = ' '.join(map(str, links))
  return next((trouble for trouble in TROUBLES if trouble in said), '')


def find_path(links: Iterable[BaseException]) -> str:
  """Returns the path that an error is about, '' where it names none (as Python does not when writing fails)."""
  names = [link.filename for link in links if isinstance(link, OSError) and link.filename]
  quoted = re.findall(r'local file "([^"]+)"', ' '.join(map(str, links)))  # TensorStore's way
  return next(iter(names + quoted), '')
