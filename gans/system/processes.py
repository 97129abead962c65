"""Several processes of one run: they find each other, fail together, and only the first one prints."""
from collections.abc import Iterator
import contextlib
import os
import signal

import jax
from jax.experimental import multihost_utils
import numpy as np

from gans.errors import UserError

TEXT = 2000  # bytes of a text that reach the other processes
PATIENCE = 60  # seconds that a process which ends waits for the others to end as well


def connect(**known):
  """Connects this process to the others of the same command; call it before anything else looks for a device.

  `known` are arguments of jax.distributed.initialize; JAX finds the others on Cloud TPU and GKE, under SLURM and Open
  MPI. From here on all processes but the first print errors only.

  Raises:
    UserError: JAX cannot find the others.
  """
  address = known.get('coordinator_address')
  if address is not None and ':' not in address:
    raise UserError(f'--coordinator_address={address}: expected HOST:PORT')
  if not known.get('process_id'):
    print('waiting for the other processes, for five minutes at most', flush=True)
  handler = signal.signal(signal.SIGINT, signal.SIG_DFL)  # a handler of Python's would run only after the wait
  try:
    jax.distributed.initialize(**known, shutdown_timeout_seconds=PATIENCE)
  except (ValueError, RuntimeError) as error:
    found = known or 'found by JAX'
    raise UserError(f'several processes, {found}: {error} Where JAX cannot find them, give '
                    '--coordinator_address=HOST:PORT of the first, --num_processes and --process_id') from error
  signal.signal(signal.SIGINT, handler)
  # JAX takes SIGTERM for a notice; until `signals.watched` is entered it has to end the process.
  signal.signal(signal.SIGTERM, signal.SIG_DFL)
  if jax.process_index():
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)


@contextlib.contextmanager
def explain_missing_devices() -> Iterator[None]:
  """Turns what JAX raises at its first use, where JAX_PLATFORMS names what there is none of here, into a UserError."""
  try:
    yield
  except (RuntimeError, AssertionError) as error:
    asked = os.environ.get('JAX_PLATFORMS')
    if not asked or _has_devices():
      raise
    raise UserError(f'JAX_PLATFORMS={asked!r}: JAX finds no such device on this machine; expected cpu, or nothing, for '
                    'the best that there is') from error


def _has_devices() -> bool:
  try:
    jax.devices()
  except (RuntimeError, AssertionError):
    return False
  return True


@contextlib.contextmanager
def fail_together() -> Iterator[None]:
  """Raises an error of one process in all of them, at the end of a block; in the others it is a UserError.

  So none waits in vain for one that has ended. All processes must enter the same blocks in the same order, and inside
  a block none may wait for another.
  """
  if jax.process_count() == 1:
    yield
    return
  try:
    yield
  except Exception as error:
    _gather(str(error) or repr(error))
    raise
  for message in _gather(''):
    if message:
      raise UserError(message)


def check_same(what: str, fingerprint: str):
  """Raises UserError in all processes if the fingerprint of `what` is not the same in all of them."""
  fingerprints = _gather(fingerprint)
  others = [i for i, other in enumerate(fingerprints) if other != fingerprints[0]]
  if others:
    raise UserError(f'{what} differs between processes: {others} of {len(fingerprints)} do not have that of process 0')


def greatest(number: int) -> int:
  """Returns the greatest of the processes' numbers, in all of them."""
  numbers = [int(text) for text in _gather(str(number))]
  return max(numbers)


def _gather(text: str) -> list[str]:
  """Returns the texts of all processes, cut to TEXT bytes, in all of them; waits until all have come here."""
  if jax.process_count() == 1:
    return [text]
  padded = text.encode()[:TEXT].ljust(TEXT, b'\0')
  gathered = multihost_utils.process_allgather(np.frombuffer(padded, np.uint8))
  contents = [bytes(row).rstrip(b'\0') for row in gathered]
  return [content.decode(errors='ignore') for content in contents]
