"""The folder of what can be computed again, ~/.cache/gans or $XDG_CACHE_HOME/gans."""
from collections.abc import Callable
import contextlib
import hashlib
import os
import pathlib
import tempfile
import zipfile

import jax
import numpy as np


def home() -> pathlib.Path:
  """Returns the folder, which need not exist yet."""
  caches = os.environ.get('XDG_CACHE_HOME') or pathlib.Path('~/.cache').expanduser()
  return pathlib.Path(caches) / 'gans'


def keep_compilations():
  """Lets JAX keep compiled programs there or in JAX_COMPILATION_CACHE_DIR, so that a second start need not compile."""
  if not jax.config.jax_compilation_cache_dir:
    jax.config.update('jax_compilation_cache_dir', str(home() / 'compiled'))
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.1)


def load_or_make(kind: str, key: tuple, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
  """Loads the named arrays of a `kind` and `key`, or makes and keeps them; `key` is all that they depend on."""
  path = home() / kind / f'{digest(key)}.npz'
  damaged = (ValueError, EOFError, zipfile.BadZipFile)
  # There is never a pickle in it: NumPy refuses one with a ValueError.
  with contextlib.suppress(OSError, *damaged), np.load(path) as kept:
    return dict(kept)
  made = make()
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
      unfinished = pathlib.Path(folder, 'unfinished.npz')
      np.savez(unfinished, **made)
      unfinished.replace(path)
  except OSError as error:
    print(f'{path} cannot be written: {error.strerror or error}; its contents will be computed again next time')
  return made


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
