"""The folder of what can be computed again, ~/.cache/gans or $XDG_CACHE_HOME/gans."""
from collections.abc import Callable
import contextlib
import hashlib
import os
import pathlib
import tempfile

import jax
import numpy as np

MAX_BYTES = 20 * 2**30  # of all that is kept, without JAX's compiled programs


def home() -> pathlib.Path:
  """Returns the folder, which need not exist yet."""
  caches = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
  return pathlib.Path(caches) / 'gans'


def keep_compilations():
  """Lets JAX keep compiled programs there or in JAX_COMPILATION_CACHE_DIR, so that a second start need not compile."""
  if not jax.config.jax_compilation_cache_dir:
    jax.config.update('jax_compilation_cache_dir', str(home() / 'compiled'))
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.1)


def load_or_make(kind: str, key: tuple, make: Callable[[], dict[str, np.ndarray]], of: tuple = (),
                 shipped: pathlib.Path | None = None) -> dict[str, np.ndarray]:
  """Loads the named arrays of a `kind` and `key`, or makes and keeps them; `key` is all that they depend on.

  `of` says what they are a version of, such as a folder: what was kept of it under another key is deleted. What has not
  been used for longest is deleted when all takes more than MAX_BYTES. `shipped` is a folder that may have it already.
  """
  prefix = f'{digest(of)}-' if of else ''
  name = f'{prefix}{digest(key)}.npz'
  if shipped and (shipped / name).exists():
    with np.load(shipped / name) as kept:
      return dict(kept)
  path = home() / kind / name
  # A damaged file may raise anything. There is never a pickle in it: NumPy refuses one.
  with contextlib.suppress(Exception), np.load(path) as kept:
    loaded = dict(kept)
    with contextlib.suppress(OSError):  # somebody else's, which can be read only
      os.utime(path)
    return loaded
  made = make()
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
      unfinished = pathlib.Path(folder, 'unfinished.npz')
      np.savez(unfinished, **made)
      unfinished.replace(path)
    older = path.parent.glob(f'{prefix}*.npz') if prefix else ()
    _delete([file for file in older if file != path])
    _delete(_find_excess(path))
  except OSError as error:
    print(f'{path} cannot be written: {error.strerror or error}; its contents will be computed again next time')
  return made


def _find_excess(newest: pathlib.Path) -> list[pathlib.Path]:
  """Returns the files that were not used for longest, without which all take at most MAX_BYTES; never the newest."""
  stats = {}
  for file in home().glob('*/*.npz'):
    with contextlib.suppress(FileNotFoundError):  # another process deleted it
      stats[file] = file.stat()
  stats.pop(newest, None)
  room = MAX_BYTES - newest.stat().st_size
  excess = []
  for file, found in sorted(stats.items(), key=lambda item: item[1].st_mtime, reverse=True):
    room -= found.st_size
    if room < 0:
      excess.append(file)
  return excess


def _delete(files: list[pathlib.Path]):
  for file in files:
    file.unlink(missing_ok=True)


def digest(key: tuple) -> str:
  """Returns a name for a key; keys that print alike have the same."""
  return hashlib.sha256(repr(key).encode()).hexdigest()[:32]


def fingerprint(*parts: np.ndarray) -> str:
  """Returns a checksum of arrays: of their shapes, types and contents."""
  checksum = hashlib.sha256()
  for part in parts:
    checksum.update(repr((part.shape, part.dtype)).encode())
    checksum.update(np.ascontiguousarray(part))
  return checksum.hexdigest()
