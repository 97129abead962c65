"""Generative adversarial networks in JAX and Flax: from the paper to a fast, resumable training run."""
__version__ = '0.1.0'


def __getattr__(name: str):
  """Finds gans.load at its first use, so that `import gans` itself takes no time."""
  if name == 'load':
    from gans.runs.trained import load
    return load
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
