"""Where things are kept that can be made again: ~/.cache/gans, or $XDG_CACHE_HOME/gans."""
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
  """The folder; it need not exist yet."""
  return pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path('~/.cache').expanduser()) / 'gans'


def keep_compilations():
  """Lets JAX keep compiled programs there, or where JAX_COMPILATION_CACHE_DIR says: a second start need not compile."""
  if not jax.config.jax_compilation_cache_dir:
    jax.config.update('jax_compilation_cache_dir', str(home() / 'compiled'))
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.1)


def arrays(kind: str, key: tuple, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
  """Returns make()'s named arrays, kept for the next time under `kind` and all that they depend on, `key`."""
  path = home() / kind / f'{digest(key)}.npz'
  damaged = (ValueError, EOFError, zipfile.BadZipFile)
  # There is never a pickle in it: NumPy refuses those, as a ValueError, unless told otherwise.
  with contextlib.suppress(OSError, *damaged), np.load(path) as kept:
    return dict(kept)
  made = make()
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as part:
      np.savez(pathlib.Path(part, 'part.npz'), **made)
      pathlib.Path(part, 'part.npz').replace(path)
  except OSError as error:
    print(f'{path} cannot be written: {error.strerror or error}; what it would keep is made anew next time')
  return made


def digest(key: tuple) -> str:
  """Tells keys apart by what they print as."""
  return hashlib.sha256(repr(key).encode()).hexdigest()[:32]


def fingerprint(*parts: np.ndarray) -> str:
  """Tells arrays apart by their contents."""
  found = hashlib.sha256()
  for part in parts:
    found.update(repr((part.shape, part.dtype)).encode())
    found.update(np.ascontiguousarray(part))
  return found.hexdigest()
