"""Where things are kept that can be made again: ~/.cache/gans, or $XDG_CACHE_HOME/gans."""
import os
import pathlib

import jax


def home() -> pathlib.Path:
  """The folder; it need not exist yet."""
  return pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path('~/.cache').expanduser()) / 'gans'


def keep_compilations():
  """Lets JAX keep compiled programs there, or where JAX_COMPILATION_CACHE_DIR says: a second start need not compile."""
  if not jax.config.jax_compilation_cache_dir:
    jax.config.update('jax_compilation_cache_dir', str(home() / 'compiled'))
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.1)
