"""The environment that a run was started in: command, versions, devices and, in a checkout, the commit."""
import importlib.metadata
import os
import pathlib
import platform
import shlex
import subprocess
import sys
import time

import jax
import psutil

ROOT = pathlib.Path(__file__).parents[2]  # of the checkout, if this is one
PACKAGES = ('jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'numpy')


def describe_environment() -> dict[str, str]:
  """Returns {what: value}, for people."""
  devices = jax.devices()
  kind = f'{devices[0].device_kind} ({devices[0].platform})'
  return {
      'time': time.strftime('%Y-%m-%d %H:%M:%S %z'),
      'command': shlex.join(['python', *sys.argv]),
      'commit': find_commit(),
      'devices': f'{len(devices)} x {kind}, {jax.process_count()} processes',
      'machine': f'{platform.platform()}, {os.cpu_count()} cores',
      'python': platform.python_version(),
      **{name: importlib.metadata.version(name) for name in PACKAGES},
  }


def find_commit() -> str:
  """Returns the commit that this code is at, with '-dirty' where files were changed; '' outside of a checkout."""
  if not (ROOT / '.git').exists():  # or git would answer for whatever repository the package is installed in
    return ''
  command = ['git', 'describe', '--always', '--dirty', '--abbrev=40', '--exclude=*']
  try:
    result = subprocess.run(command, cwd=ROOT, timeout=9, capture_output=True, text=True, check=True)
  except (OSError, subprocess.SubprocessError):
    return ''
  return result.stdout.strip()


def seconds_since_start() -> float:
  """Returns how long ago this process started, imports included."""
  created = psutil.Process().create_time()
  if hasattr(time, 'CLOCK_BOOTTIME'):  # Linux: psutil adds the time of boot, which is kept in whole seconds
    return time.clock_gettime(time.CLOCK_BOOTTIME) - (created - psutil.boot_time())
  return time.time() - created
