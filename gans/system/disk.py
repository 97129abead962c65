"""Files on a disk, which may be full, read-only or somebody else's: a message names the path, without a traceback."""
from collections.abc import Iterable, Iterator
import contextlib
import errno
import os
import re

from etils import epath

from gans.errors import UserError

# What keeps a file from being written or read through no fault of the program.
ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE,
          errno.ENOTCONN)
NO_TEMPORARY_FOLDER = 'No usable temporary directory'  # tempfile's words where all of them are full or read only
TROUBLES = (*(os.strerror(number) for number in ERRORS), NO_TEMPORARY_FOLDER)


@contextlib.contextmanager
def explain_errors(workdir: epath.Path) -> Iterator[None]:
  """Turns what a run in `workdir` raises because of the disk into a UserError with the path and the reason.

  TensorStore, TensorFlow and threads wrap the system's error in types of their own, but keep its text.
  """
  try:
    yield
  except Exception as error:
    links = list(chain(error))
    reason = find_trouble(links)
    if isinstance(error, UserError):
      raise
    if os.strerror(errno.ENOENT) in _text(links) and not (workdir / 'config.json').exists():
      raise UserError(f'--workdir={workdir} is not there any more: it was moved or removed. The same command with its '
                      'new place resumes from the latest checkpoint') from error
    if not reason:
      raise
    raise UserError(
        f'{find_path(links) or workdir} cannot be written or read: {reason}. The checkpoints in {workdir} are '
        'unchanged; once this is fixed, the same command resumes from the latest') from error


def absolute(path) -> epath.Path:
  """Makes a path that a user gave absolute, as Orbax takes no other."""
  path = epath.Path(path).expanduser()
  return path if is_remote(path) else epath.Path(os.path.abspath(path))


def is_remote(path: epath.Path) -> bool:
  """Tells whether a path is in an object store, which has its own checksums, no locks, and folders that stay put."""
  return '://' in os.fspath(path)


def write_whole(path: epath.Path, contents: str | bytes):
  """Writes a file and then moves it into place, so that a run killed here leaves the old one or the new one."""
  new = path.with_name(f'{path.name}.new')
  try:
    new.write_bytes(contents.encode() if isinstance(contents, str) else contents)
    new.replace(path)
  except OSError:
    with contextlib.suppress(OSError):
      new.unlink(missing_ok=True)  # half of it would keep a full disk full
    raise


def chain(error: BaseException | None) -> Iterator[BaseException]:
  """Yields an exception and those that it came from, the latest first."""
  while error:
    yield error
    error = error.__cause__ or error.__context__


def _text(links: Iterable[BaseException]) -> str:
  return ' '.join(map(str, links))


def find_trouble(links: Iterable[BaseException]) -> str:
  """Returns the system's text for what is wrong with the disk, '' where nothing is."""
  text = _text(links)
  for trouble in TROUBLES:
    if trouble in text:
      return trouble
  return ''


def find_path(links: list[BaseException]) -> str:
  """Returns the path that an error is about, '' where it names none (as Python does not when writing fails)."""
  for link in links:
    if isinstance(link, OSError) and link.filename:
      return link.filename
  quoted = re.search(r'local file "([^"]+)"', _text(links))  # as TensorStore writes it
  return quoted.group(1) if quoted else ''
