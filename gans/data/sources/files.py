"""The files of a folder are read: each once, in parallel, and what cannot be read is left out with its reason."""
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
import os
import zipfile
import zlib

import numpy as np

from gans.data.dataset import Dataset, OnDisk
from gans.data.sources import archive, listing
from gans.errors import UserError
from gans.system import cache, progress

MAX_UNREADABLE = 0.1  # the default of dataset.max_unreadable
SHOWN = 100  # unreadable files listed by name where a folder is refused
LONGEST = 200  # characters of a reason
AHEAD = 10_000  # files in the thread pool's queue at a time
CHUNK = 2**20  # bytes of a file read at a time


def try_read(read: Callable, path: str | zipfile.Path):
  """Returns read(path), or why the file cannot be read as a str: whatever a decoder raises is about its file.

  Raises:
    UserError: the system cannot read it for a reason that may pass.
  """
  try:
    return read(path)
  except OSError as error:
    return listing.explain(error, str(path))
  except MemoryError as error:
    raise UserError(f'dataset.path: {str(path)!r} cannot be read now: out of memory; free some, or remove the file'
                    ) from error
  except Exception as error:
    return str(error)[:LONGEST] or type(error).__name__


def read_all(found: listing.Listing, read: Callable, what: str) -> tuple[list, dict[str, np.ndarray]]:
  """Calls read(path) -> a result, or why it cannot be read as a str, for all files.

  Returns the results of those that can be read, and the arrays {'good', 'checksums', 'bad', 'reasons'}: the positions
  of the ones and of the others in the listing, and what is to be said of each. `what` says for people what they hold.
  """
  def read_and_check(path) -> tuple:
    result = try_read(read, path)
    checksum = 0 if isinstance(result, str) else try_read(_checksum_of_file, path)
    return (checksum if isinstance(checksum, str) else result), checksum

  description = f'reading {os.path.basename(os.path.abspath(found.root))!r}'
  results = _call_in_parallel(read_and_check, found.paths, description, unit=f' {what}')
  good = [i for i, (result, checksum) in enumerate(results) if not isinstance(result, str)]
  bad = sorted(set(range(len(results))) - set(good))
  fields = {
      'good': np.array(good, int),
      'checksums': np.array([results[i][1] for i in good], np.uint32),
      'bad': np.array(bad, int),
      'reasons': np.array([results[i][0] for i in bad], str),
  }
  return [results[i][0] for i in good], fields


def _checksum_of_file(path: str | zipfile.Path) -> int:
  if isinstance(path, zipfile.Path):
    return zlib.crc32(archive.read_bytes(path))
  checksum = 0
  with open(path, 'rb') as file:
    while chunk := file.read(CHUNK):
      checksum = zlib.crc32(chunk, checksum)
  return checksum


def _call_in_parallel(read: Callable, paths: list, description: str, unit: str) -> list:
  """Returns read(path) of each path, computed on all cores: Pillow decodes and resizes without the GIL."""
  results = []
  shown = progress.bar(total=len(paths), desc=description, unit=unit)
  with shown, ThreadPoolExecutor(os.cpu_count()) as pool:
    for start in range(0, len(paths), AHEAD):
      for result in pool.map(read, paths[start:start + AHEAD]):
        results.append(result)
        shown.update()
  return results


def make_dataset(config, found: listing.Listing, kept: dict[str, np.ndarray], images: np.ndarray | OnDisk, what: str
                 ) -> Dataset:
  """Makes a data set of the files that could be read, labelled by their subfolders; `kept` is that of read_all.

  Raises:
    UserError: more than config.max_unreadable of the files cannot be read, or fewer than two can.
  """
  reasons = {found.names[i]: str(reason) for i, reason in zip(kept['bad'], kept['reasons'])}
  refuse_unreadable(config, reasons, len(found.names), what)
  names = [found.names[i] for i in kept['good']]
  labels, class_names = listing.label_by_folder(names)
  return Dataset(images, labels, len(class_names), class_names=class_names, names=tuple(names),
                 checksums=kept['checksums'], left_out=reasons | found.left_out, notes=found.notes)


def refuse_unreadable(config, reasons: dict[str, str], total: int, what: str):
  """Raises UserError if too many of `total` files or examples cannot be read, {name: reason}; it names them safely."""
  most = config.get('max_unreadable', MAX_UNREADABLE)
  if len(reasons) <= most * total and total - len(reasons) >= 2:
    return
  lines = [f'dataset.path: {len(reasons)} of {total} {what} in {config.path!r} cannot be read:']
  lines += [f'  {name!r}: {reason!r}' for name, reason in list(reasons.items())[:SHOWN]]
  if len(reasons) > SHOWN:
    lines.append(f'  and {len(reasons) - SHOWN} more; a run with dataset.max_unreadable=1 lists all in its data.json')
  lines.append(f'at most {most:.0%} are skipped: repair or remove them, or raise dataset.max_unreadable')
  raise UserError('\n'.join(lines))


def keep_on_disk(kept: dict[str, np.ndarray], found: listing.Listing, shape: tuple[int, ...], key: tuple, read: Callable
                 ) -> OnDisk:
  """Returns examples of this shape that are read from their files at each use, by read(path)."""
  paths = found.paths
  paths = [paths[i] for i in kept['good']]

  def read_again(positions: list[int]) -> list[np.ndarray]:
    results = {i: try_read(read, paths[i]) for i in positions}
    for i, result in results.items():
      if isinstance(result, str):
        raise UserError(f'dataset.path: {str(paths[i])!r} could be read before and cannot be now: {result!r}; restore '
                        'it, and the same command resumes')
    return [results[i] for i in positions]

  return OnDisk(shape, cache.digest(key), read_again)
