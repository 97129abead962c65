"""The files of a data set that is one zip archive: they are read as they lie in it, and nothing is unpacked to disk."""
from collections import Counter
import os
import pathlib
import zipfile

from gans.data.sources import listing
from gans.data.sources.listing import Listing
from gans.errors import UserError

LARGEST = 2**30  # bytes of a file, unpacked in memory
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others unpack all that there is at once


def is_archive(path: str) -> bool:
  """Tells whether dataset.path names a zip archive."""
  return path.lower().endswith('.zip') and os.path.isfile(os.path.expanduser(path))


def open_root(path: str) -> pathlib.Path | zipfile.Path:
  """Returns the folder that dataset.path names, or the inside of the archive; raises UserError if there is neither."""
  if is_archive(path):
    return zipfile.Path(_open(path))
  return pathlib.Path(listing.find_folder(path, 'images, or a .zip'))


def list_archive(path: str, suffixes: tuple[str, ...]) -> Listing:
  """Lists the files of these suffixes in an archive, and says what else is there; raises UserError if it is none."""
  archive = _open(path)
  stats: dict[str, tuple[int, int, int]] = {}
  left_out: dict[str, str] = {}
  others: Counter = Counter()
  for info in archive.infolist():
    kind = listing.kind_of_file(info.filename, suffixes)
    if kind:
      others[kind] += 1
    elif reason := _find_fault(info):
      left_out[info.filename] = reason
    else:
      stats[info.filename] = info.file_size, info.CRC, 0
  names = sorted(stats, key=listing.sort_key)
  return Listing(os.path.expanduser(path), names, [stats[name] for name in names],
                 left_out | listing.describe_others(others), listing.describe_folders(names), archive)


def read_bytes(path: pathlib.Path | zipfile.Path) -> bytes:
  """Reads a file of a folder or of an archive, of which no more is unpacked than it says that it has.

  Raises:
    ValueError: it is packed by a method that cannot be stopped there, or says that it has too much.
  """
  if isinstance(path, pathlib.Path):
    return path.read_bytes()
  info = path.root.getinfo(path.at)
  if reason := _find_fault(info):
    raise ValueError(reason)
  with path.root.open(info) as file:
    return file.read(info.file_size + 1)  # all of it, so that its checksum is compared, and no more than one byte else


def _find_fault(info: zipfile.ZipInfo) -> str:
  """Says why a file in an archive is not read, '' if it is."""
  if info.compress_type not in METHODS:
    return 'it is packed by another method than deflate'
  if info.file_size > LARGEST:
    return f'it has {info.file_size:,} bytes: expected at most {LARGEST:,}'
  return ''


def _open(path: str) -> zipfile.ZipFile:
  """Opens an archive, and names its files as they are named from the folder that was packed.

  Programs differ in whether that folder's own name comes before, and in which way a separator is written.
  """
  try:
    archive = zipfile.ZipFile(os.path.expanduser(path))
  except Exception as error:  # a damaged archive leads zipfile to raise nearly anything
    raise UserError(f'dataset.path={path!r} cannot be read as a zip archive: {error}') from error
  for info in archive.infolist():
    parts = info.filename.replace('\\', '/').split('/')
    info.filename = '/'.join(part for part in parts if part != '.')
  files = [info for info in archive.infolist() if info.filename and not info.filename.endswith('/')]
  packed = {_first_folder(info.filename) for info in files if not listing.is_hidden(info.filename)}
  if len(packed) == 1 and None not in packed:
    for info in files:
      info.filename = info.filename.removeprefix(f'{min(packed)}/')
  archive.filelist, archive.NameToInfo = files, {info.filename: info for info in files}
  return archive


def _first_folder(name: str) -> str | None:
  folder, separator, _ = name.partition('/')
  return folder if separator else None
