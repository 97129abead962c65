"""Pages of docs/: each benchmark writes sections of its own there; what a person wrote stays."""
import importlib.metadata
import importlib.util
import os
import pathlib
import platform
import re
import shlex
import sys

import jax
import numpy as np


def write_section(path: pathlib.Path, title: str, text: str):
  """Puts text under the heading `## title`, in place of what stood there, or at the end."""
  page = path.read_text() if path.exists() else f'# {path.stem.capitalize()}\n'
  section = f'## {title}\n\n{text.strip()}\n'
  old = re.compile(rf'^## {re.escape(title)}\n.*?(?=^## |\Z)', re.MULTILINE | re.DOTALL)
  page = old.sub(lambda _: section + '\n', page) if old.search(page) else f'{page.rstrip()}\n\n{section}'
  path.write_text(page.rstrip() + '\n')


def command() -> str:
  """The command that is running, as one would type it."""
  module = pathlib.Path(sys.argv[0]).stem
  return f'`{shlex.join(["python", "-m", f"benchmarks.{module}", *sys.argv[1:]])}`'


def machine() -> str:
  """The machine and the libraries, in a line."""
  device = jax.devices()[0].device_kind
  if device == 'cpu':
    lines = pathlib.Path('/proc/cpuinfo').read_text().splitlines() if pathlib.Path('/proc/cpuinfo').exists() else []
    name = next((line.split(':')[1].strip() for line in lines if line.startswith('model name')), platform.machine())
    device = f'{os.cpu_count()} cores of {name}'
  installed = [name for name in ('jax', 'torch') if importlib.util.find_spec(name)]
  return f'{device}; {", ".join(f"{name} {importlib.metadata.version(name)}" for name in installed)}'


def mean_and_range(values, scale: float = 1, digits: int = 1) -> str:
  """The mean of the seeds' values and, in brackets, the lowest and the highest."""
  values = scale * np.array(values)
  mean = f'{values.mean():.{digits}f}'
  return mean if len(values) == 1 else f'{mean} ({values.min():.{digits}f} to {values.max():.{digits}f})'
