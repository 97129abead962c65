"""Starts the real main.py, to be killed or to be starved of disk, and reads what it leaves behind."""
import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time

import jax
import numpy as np
import orbax.checkpoint as ocp

from tests.conftest import ROOT

PATIENCE = 120  # seconds, for what takes a few
TOY = '''"""The GAN of points in the plane, shrunk to a run of seconds."""
from configs import wgan_gp_toy
from tests.shrink import shrink


def get_config():
  return shrink(wgan_gp_toy.get_config())
'''
CONFIG = None  # the file with TOY in it, for runs that name no other; conftest.py writes it


def write_config(folder: pathlib.Path, contents: str) -> pathlib.Path:
  """Writes a config file into a folder; main.py, started in ROOT, finds `configs` and `tests`."""
  path = folder / 'small.py'
  path.write_text(contents)
  return path


def every_player(field: str, value) -> list[str]:
  """The flags that set a field of both players' groups."""
  return [f'--config.{player}.{field}={value}' for player in ('generator', 'critic')]


class Run:
  """A process of main.py, its output read as it comes; use it as a context manager, which leaves no process behind."""

  def __init__(self, workdir: pathlib.Path, *arguments, config=None, prefix=(), **popen):
    self.workdir, self.lines = workdir, []
    flags = [f'--config={config or CONFIG}', f'--workdir={workdir}', *arguments]
    command = [*prefix, sys.executable, 'main.py', *flags]
    self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                    **popen)
    self.reader = threading.Thread(target=self._read, daemon=True)
    self.reader.start()

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self.process.kill()
    self.process.wait()
    self.reader.join()
    self.process.stdout.close()

  def _read(self):
    for line in self.process.stdout:
      self.lines.append(line)

  @property
  def output(self) -> str:
    return ''.join(self.lines)

  @property
  def stepping(self) -> bool:
    """Tells whether the first step has been taken."""
    return 'first step' in self.output

  def wait_until(self, happened):
    """Waits, in steps of a fraction of a millisecond, until happened() or the process has ended."""
    end = time.monotonic() + PATIENCE
    while not happened() and self.process.poll() is None:
      assert time.monotonic() < end, self.output
      time.sleep(2e-4)

  def finish(self) -> int:
    """Waits for the end of the process and of its output; returns the exit code."""
    code = self.process.wait(timeout=PATIENCE)
    self.reader.join()
    return code


@contextlib.contextmanager
def started(config, workdir: pathlib.Path, count: int, *arguments, devices: int, of_last=(), prefix=()):
  """Starts `count` processes of one run, with so many devices in all; yields them and leaves none behind.

  `of_last` are flags of the last one alone, `prefix` is the start of the first one's command.
  """
  with socket.socket() as found:
    found.bind(('127.0.0.1', 0))
    address = f'127.0.0.1:{found.getsockname()[1]}'
  count_devices = f'--xla_force_host_platform_device_count={devices // count}'
  environment = {**os.environ, 'JAX_PLATFORMS': 'cpu', 'XLA_FLAGS': f'{os.environ["XLA_FLAGS"]} {count_devices}'}
  with contextlib.ExitStack() as stack:
    found = []
    for number in range(count):
      flags = [*arguments, *(of_last if number == count - 1 else ())]
      if count > 1:
        flags += [f'--coordinator_address={address}', f'--num_processes={count}', f'--process_id={number}']
      run = Run(workdir, *flags, config=config, prefix=() if number else prefix, env=environment)
      found.append(stack.enter_context(run))
    yield found


def unfinished(workdir: pathlib.Path) -> list[pathlib.Path]:
  """The folders of checkpoints that are being written, or whose writing was cut short."""
  return list((workdir / 'checkpoints').glob('*.orbax-checkpoint-tmp*'))


def saved_steps(workdir: pathlib.Path) -> list[int]:
  """The steps of the checkpoints that count, in order."""
  folder = workdir / 'checkpoints'
  return sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit()) if folder.exists() else []


def load(checkpoint: pathlib.Path):
  """Reads a checkpoint as it lies on the disk, without any of this project's code."""
  here = jax.sharding.SingleDeviceSharding(jax.devices()[0])  # the process that wrote it may have had more
  with ocp.StandardCheckpointer() as checkpointer:
    saved = checkpointer.metadata(checkpoint.absolute() / 'default').item_metadata.tree
    return checkpointer.restore(checkpoint.absolute() / 'default', jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here), saved))


def assert_same(checkpoint: pathlib.Path, other: pathlib.Path):
  """Compares two checkpoints bit for bit: structure, types and values."""
  jax.tree.map(lambda a, b: (np.testing.assert_array_equal(a, b), np.testing.assert_equal(a.dtype, b.dtype)),
               load(checkpoint), load(other))
