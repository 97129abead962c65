"""What a run was started with: command, versions, devices and, in a checkout, the commit."""
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

PACKAGES = ('jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'numpy')


def describe() -> dict[str, str]:
  """Returns {what: value}, for people."""
  devices = jax.devices()
  return {
      'time': time.strftime('%Y-%m-%d %H:%M:%S %z'),
      'command': shlex.join(['python', *sys.argv]),
      'commit': commit(),
      'devices': f'{len(devices)} x {devices[0].device_kind} ({devices[0].platform}), {jax.process_count()} processes',
      'machine': f'{platform.platform()}, {os.cpu_count()} cores',
      'python': platform.python_version(),
      **{name: importlib.metadata.version(name) for name in PACKAGES},
  }


def commit() -> str:
  """Returns the commit that this code is at, with '-dirty' where files were changed; '' outside of a checkout."""
  root = pathlib.Path(__file__).parent.parent
  if not (root / '.git').exists():  # or git would answer for whatever repository the package is installed in
    return ''
  try:
    return subprocess.run(['git', 'describe', '--always', '--dirty', '--abbrev=40', '--exclude=*'], cwd=root, timeout=9,
                          capture_output=True, text=True, check=True).stdout.strip()
  except (OSError, subprocess.SubprocessError):
    return ''


def seconds_since_start() -> float:
  """Returns how long this process has lived, imports included."""
  created = psutil.Process().create_time()
  if hasattr(time, 'CLOCK_BOOTTIME'):  # Linux: psutil adds the time of boot, which is kept in whole seconds
    return time.clock_gettime(time.CLOCK_BOOTTIME) - (created - psutil.boot_time())
  return time.time() - created
