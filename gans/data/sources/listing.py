"""The files of a data set: which there are in a folder, and what else is there.

Links are followed, to files and to folders, inside and outside: whoever made the folder wanted what they lead to. What
is reached twice is read once. Hidden files and folders are left out, as systems and editors put them there.
"""
from collections import Counter
import errno
import os
import re
import stat
from typing import NamedTuple
import unicodedata
import zipfile

import numpy as np

from gans.errors import UserError

# Folders that systems put beside files, as hidden as those that begin with a dot.
SYSTEM_FOLDERS = ('__MACOSX', '@eaDir', '$RECYCLE.BIN', 'System Volume Information', 'lost+found')
# Kinds of files that are not read, beside those of other suffixes.
HIDDEN, NO_SUFFIX = '.*', '(no suffix)'
NO_CLASSES, LABELS_OF = 'no classes', 'labels are those of'  # begin the notes that say so
# Names of folders that are the splits of a data set and not its classes.
FOR_TRAINING = re.compile(r'train(ing)?[-_ ]?(set|\d+|a|b)?', re.IGNORECASE)
FOR_EVALUATION = re.compile(r'(val|valid|validation|dev|test|testing)[-_ ]?(set|\d+|a|b)?', re.IGNORECASE)
# System errors that are a file's own. Any other, such as of a network or a disk, says nothing about a file, and nothing
# may be concluded from it.
OF_THE_FILE = (None, errno.EACCES, errno.EPERM, errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ELOOP,
               errno.ENAMETOOLONG, errno.EINVAL, errno.ENXIO)
UNKNOWN = (-1, -1, -1)  # the stat of a file that may not be asked for it


class Listing(NamedTuple):
  """The N files of some suffixes below a folder, in the order of their paths."""
  root: str
  names: list[str]  # their paths from `root`, with '/' between folders
  stats: list[tuple[int, int, int]]  # size, and times of the last change of contents and of the rest, in ns
  left_out: dict[str, str]  # {file, folder or kind of files: why it is not among them}
  notes: tuple[str, ...]
  archive: zipfile.ZipFile | None = None  # that the files lie in, if `root` is one

  @property
  def paths(self) -> list[str] | list[zipfile.Path]:
    """Returns the files' paths, on disk or in the archive."""
    if self.archive:
      return [zipfile.Path(self.archive, name) for name in self.names]
    return [os.path.join(self.root, name) for name in self.names]

  def key(self, *details) -> tuple:
    """Returns what is read from these files as a key of the cache; a changed file gives another key."""
    return (*details, os.path.realpath(self.root), list(zip(self.names, self.stats)))

  def identity(self, *details) -> tuple:
    """Returns the same for all versions of the folder."""
    return (*details, os.path.realpath(self.root))


def find_folder(path: str, what: str) -> str:
  """Returns the folder that dataset.path names; raises UserError if there is none; `what` says what it should hold."""
  root = os.path.expanduser(path)
  if not path or not os.path.isdir(root):
    raise UserError(f'dataset.path={path!r} is not a folder: give the folder that holds the {what}')
  return root


def find_files(path: str, suffixes: tuple[str, ...], what: str) -> Listing:
  """Lists the files of these suffixes below the folder `path`; `what` says for people what they hold.

  Raises:
    UserError: there is no such folder, it holds fewer than two such files, or it holds the splits of a data set.
  """
  return check_listing(path, list_files(find_folder(path, what), suffixes), suffixes, what)


def check_listing(path: str, listing: Listing, suffixes: tuple[str, ...], what: str) -> Listing:
  """Returns the listing of dataset.path, or raises the UserError of find_files."""
  if len(listing.names) < 2:
    others = [f'{file!r}: {reason!r}' for file, reason in list(listing.left_out.items())[:10]]
    also = f'; left out are {", ".join(others)}' if others else ''
    raise UserError(f'dataset.path={path!r} holds {len(listing.names)} {what} ({", ".join(suffixes)}): expected 2'
                    f'{also}')
  _refuse_splits(path, listing)
  return listing


def _refuse_splits(path: str, listing: Listing):
  splits = _find_splits(listing.names, depth=0)
  if splits:
    advice = (f'unpack it and give one of them, such as the folder {splits[0]!r}' if listing.archive else
              f'give one of them, such as --config.dataset.path={os.path.join(path, splits[0])!r}, or a folder with '
              'links to what is to be read')
    raise UserError(f'dataset.path={path!r} holds the splits {", ".join(map(repr, splits))}, which are no classes: '
                    f'{advice}')


def _find_splits(names: list[str], depth: int) -> list[str]:
  """Returns the folders at a depth, 0 being the first, that are splits of a data set: for training, then others."""
  paths = {name.rpartition('/')[0] for name in names}  # few, of many files
  folders = sorted({parts[depth] for parts in (path.split('/') for path in paths) if len(parts) > depth})
  training = [folder for folder in folders if FOR_TRAINING.fullmatch(folder)]
  evaluation = [folder for folder in folders if FOR_EVALUATION.fullmatch(folder)]
  return training + evaluation if training and evaluation else []


def _describe_splits(names: list[str]) -> list[str]:
  """Says that the splits of each class, as ModelNet has them, are read as one."""
  splits = _find_splits(names, depth=1)
  return [f'read together: the splits {", ".join(map(repr, splits))} in the subfolders'] if splits else []


def list_files(root: str, suffixes: tuple[str, ...]) -> Listing:
  """Lists the files of these suffixes below a folder, and says what else is there.

  Raises:
    UserError: a folder in it cannot be read for a reason that may pass.
  """
  walk = _Walk(root, suffixes)
  walk.enter('', os.path.realpath(root))
  walk.follow_folders()
  walk.follow_files()
  names = sorted(walk.stats, key=sort_key)
  stats = [walk.stats[name] for name in names]
  notes = (*walk.notes(), *describe_folders(names))
  return Listing(root, names, stats, walk.left_out | describe_others(walk.others), notes)


def describe_folders(names: list[str]) -> tuple[str, ...]:
  """Says what is to be known of the subfolders of files."""
  return (*_describe_classes(names), *_describe_splits(names))


def kind_of_file(name: str, suffixes: tuple[str, ...]) -> str:
  """Returns '' for a file of one of the suffixes, '.*' for a hidden one, else its suffix, or NO_SUFFIX."""
  if is_hidden(name):
    return HIDDEN
  suffix = _suffix(name)
  return '' if suffix in suffixes else suffix or NO_SUFFIX


def is_hidden(name: str) -> bool:
  """Tells whether a file, or a folder above it, is hidden."""
  return any(part.startswith('.') or part in SYSTEM_FOLDERS for part in name.split('/'))


def sort_key(name: str) -> tuple[list[str], str]:
  """Sorts folder by folder, whichever way a file system writes an accented letter."""
  return composed(name).split('/'), name


def composed(name: str) -> str:
  """Returns a name with each accented letter as one character, where a file system may have written two."""
  return name if name.isascii() else unicodedata.normalize('NFC', name)


class _Walk:
  """A walk through a folder; links come last, so that of what is reached twice the link is left out."""

  def __init__(self, root: str, suffixes: tuple[str, ...]):
    self.root = root
    self.suffixes = suffixes
    self.stats: dict[str, tuple[int, int, int]] = {}  # of the files found, as in a Listing
    self.left_out: dict[str, str] = {}
    self.names: dict[tuple[int, int], str] = {}  # by device and inode
    self.visited: dict[str, str] = {}  # {real path of a folder: its name}
    self.others: Counter = Counter()  # files of other formats by suffix, and hidden ones
    self.folder_links: list[str] = []
    self.file_links: list[str] = []
    self.followed: list[str] = []  # links to files and to folders

  def enter(self, name: str, real: str):
    """Adds the files below a folder, whose real path is `real`, and collects the links there."""
    pending = [(name, real)]
    while pending:
      name, real = pending.pop()
      if real in self.visited:
        self.left_out[f'{name}/'] = f'read already, as {self.visited[real]!r}'
        continue
      self.visited[real] = name or '.'
      path = os.path.join(self.root, name)
      try:
        with os.scandir(path) as entries:
          folders = [entry.name for entry in entries if self._is_to_be_entered(entry, _join(name, entry.name))]
      except OSError as error:
        self.left_out[f'{name}/'] = explain(error, path)
        continue
      pending += [(_join(name, folder), os.path.join(real, folder)) for folder in folders]

  def _is_to_be_entered(self, entry: os.DirEntry, name: str) -> bool:
    """Tells whether an entry is a folder whose files are to be added; adds or counts anything else."""
    is_hidden = entry.name.startswith('.') or entry.name in SYSTEM_FOLDERS
    if entry.is_dir(follow_symlinks=False):
      if is_hidden:
        self.left_out[f'{name}/'] = 'hidden'
      return not is_hidden
    if is_hidden:
      self.others[HIDDEN] += 1
    elif not entry.is_symlink():
      self._add(name, entry.path, is_link=False)
    elif os.path.isdir(entry.path):
      self.folder_links.append(name)
    else:
      self.file_links.append(name)
    return False

  def follow_folders(self):
    """Enters the folders that links lead to, and those that links there lead to."""
    while self.folder_links:
      links = sorted(self.folder_links, key=sort_key)
      self.folder_links = []
      for name in links:
        self._follow_folder(name)

  def _follow_folder(self, name: str):
    real = os.path.realpath(os.path.join(self.root, name))
    if real in self.visited:
      self.left_out[name] = f'a link to {self.visited[real]!r}, which is read already'
    elif os.path.realpath(self.root).startswith(os.path.join(real, '')):
      self.left_out[name] = f'a link to {real!r}, which holds this folder itself'
    else:
      self.followed.append(name)
      self.enter(name, real)

  def follow_files(self):
    """Adds the files that links lead to."""
    for name in sorted(self.file_links, key=sort_key):
      self._add(name, os.path.join(self.root, name), is_link=True)

  def _add(self, name: str, path: str, is_link: bool):
    """Adds a file of a suffix that is read, and counts any other."""
    suffix = _suffix(name)
    if suffix not in self.suffixes:
      self.others[suffix or NO_SUFFIX] += 1
      return
    try:
      found = os.stat(path)
    except OSError as error:
      if is_link:
        self.left_out[name] = f'a link that cannot be followed: {explain(error, path)}'
      else:
        self.stats[name] = UNKNOWN  # why it cannot be read is said when it is tried
      return
    identity = found.st_dev, found.st_ino
    if not stat.S_ISREG(found.st_mode):
      self.left_out[name] = 'it is no file'
    elif is_link and found.st_ino and identity in self.names:
      self.left_out[name] = f'a link to {self.names[identity]!r}, which is read already'
    else:
      self.names[identity] = name
      self.stats[name] = found.st_size, found.st_mtime_ns, found.st_ctime_ns
      self.followed += [name] * is_link

  def notes(self) -> list[str]:
    """Returns where links lead that were followed."""
    if not self.followed:
      return []
    first = self.followed[0]
    target = os.path.realpath(os.path.join(self.root, first))
    return [f'{len(self.followed):,} links were followed, such as {first!r} to {target!r}']


def describe_others(others: Counter) -> dict[str, str]:
  """Returns {kind of files: how many there are} of those whose names or suffixes, as of kind_of_file, are not read."""
  kinds = {}
  for kind, count in sorted(others.items()):
    pattern = kind if kind in (HIDDEN, NO_SUFFIX) else f'*{kind}'
    kinds[pattern] = describe_unread(count, 'hidden' if kind == HIDDEN else 'not read')
  return kinds


def describe_unread(count: int, reason: str = 'not read') -> str:
  """Says how many files of a kind are not read."""
  return f'{count} file{"s" * (count > 1)}: {reason}'


def but_for(left_out: dict[str, str], name: str) -> dict[str, str]:
  """Returns what is left out without a file that is read after all, as labels are, if no other is of its kind."""
  of_this_file = f'*{_suffix(name)}', describe_unread(1)
  return {kind: reason for kind, reason in left_out.items() if (kind, reason) != of_this_file}


def _join(folder: str, name: str) -> str:
  return f'{folder}/{name}' if folder else name


def _suffix(name: str) -> str:
  return os.path.splitext(name)[1].lower()


def _describe_classes(names: list[str]) -> list[str]:
  """Says why files in subfolders have no classes."""
  num_beside = sum('/' not in name for name in names)
  if not 0 < num_beside < len(names):
    return []
  files = 'file lies' if num_beside == 1 else 'files lie'
  return [f'{NO_CLASSES}: {num_beside:,} {files} beside the subfolders, such as {_first_beside(names)!r}']


def _first_beside(names: list[str]) -> str:
  return next(name for name in names if '/' not in name)


def label_by_folder(names: list[str]) -> tuple[np.ndarray, tuple[str, ...]]:
  """Labels each file by its first-level subfolder, in the order of their names: ([N] int32, the classes' names).

  There are no classes if a file lies beside the subfolders, or if there is only one of them.
  """
  unlabelled = np.zeros(len(names), np.int32), ()
  if any('/' not in name for name in names):
    return unlabelled
  folders = [name.split('/', 1)[0] for name in names]
  classes = sorted(set(folders), key=sort_key)
  if len(classes) < 2:
    return unlabelled
  label_of = {folder: label for label, folder in enumerate(classes)}
  labels = np.array([label_of[folder] for folder in folders], np.int32)
  names_shown = tuple(map(printable, classes))
  if len(set(names_shown)) < len(classes):  # one name in two spellings
    names_shown = tuple(ascii(folder)[1:-1] for folder in classes)
  return labels, names_shown


def printable(name: str) -> str:
  """Returns a file's name as text that can be written anywhere: bytes that are no UTF-8 become \\x and two digits."""
  text = os.fsencode(name).decode('utf-8', 'backslashreplace')
  return composed(text)


def explain(error: OSError, path: str) -> str:
  """Returns why a file or folder cannot be read; raises UserError if the reason lies elsewhere and may pass."""
  if error.errno in OF_THE_FILE:
    return error.strerror or str(error) or type(error).__name__
  raise UserError(f'dataset.path: {path!r} cannot be read now: {error.strerror}; the same command will do once this '
                  'is mended') from error
