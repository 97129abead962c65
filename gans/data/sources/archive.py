"""The files of a data set that is one zip archive: they are read as they lie in it, and nothing is unpacked to disk."""
from collections import Counter
import os
import pathlib
import zipfile

from gans.data.sources import listing
from gans.data.sources.listing import Listing
from gans.errors import UserError

LARGEST = 2**30  # bytes of a file, unpacked in memory


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
    elif info.file_size > LARGEST:
      left_out[info.filename] = f'it has {info.file_size:,} bytes: expected at most {LARGEST:,}'
    else:
      stats[info.filename] = info.file_size, info.CRC, 0
  names = sorted(stats, key=listing.sort_key)
  return Listing(os.path.expanduser(path), names, [stats[name] for name in names],
                 left_out | listing.describe_others(others), listing.describe_folders(names), archive)


def _open(path: str) -> zipfile.ZipFile:
  """Opens an archive, and names its files as they are named from the folder that was packed.

  Programs differ in whether that folder's own name comes before, and in which way a separator is written.
  """
  try:
    archive = zipfile.ZipFile(os.path.expanduser(path))
  except (OSError, ValueError, zipfile.BadZipFile) as error:
    raise UserError(f'dataset.path={path!r} cannot be read as a zip archive: {error}') from error
  files = [info for info in archive.infolist() if not info.is_dir()]
  for info in files:
    info.filename = info.filename.replace('\\', '/')
  packed = {_first_folder(info.filename) for info in files if not listing.is_hidden(info.filename)}
  if len(packed) == 1 and None not in packed:
    for info in files:
      info.filename = info.filename.removeprefix(f'{min(packed)}/')
  archive.filelist, archive.NameToInfo = files, {info.filename: info for info in files}
  return archive


def _first_folder(name: str) -> str | None:
  folder, separator, _ = name.partition('/')
  return folder if separator else None
