"""Several processes, one run: they find each other, agree on what went wrong, and only the first one speaks."""
from collections.abc import Iterator
import contextlib
import os
import signal

import jax
from jax.experimental import multihost_utils
import numpy as np

from gans.errors import UserError

TEXT = 2000  # bytes of a text that reach the other processes
PATIENCE = 60  # seconds that a process that ends waits for the others to end as well


def connect(**known):
  """Makes this process one of several, all started with the same command; before anything else looks for a device.

  What `known` leaves open of jax.distributed.initialize's arguments, JAX finds on Cloud TPU and GKE, under SLURM and
  Open MPI. From here on all processes but the first print errors only.

  Raises:
    UserError: JAX cannot find the others.
  """
  if ':' not in known.get('coordinator_address', ':'):
    raise UserError(f'--coordinator_address={known["coordinator_address"]}: expected HOST:PORT')
  if not known.get('process_id'):
    print('waiting for the other processes, for five minutes at most', flush=True)
  signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's own would be heeded after the wait only
  try:
    jax.distributed.initialize(**known, shutdown_timeout_seconds=PATIENCE)
  except (ValueError, RuntimeError) as error:
    raise UserError(f'several processes, {known or "found by JAX"}: {error} Where JAX cannot find them, give '
                    '--coordinator_address=HOST:PORT of the first, --num_processes and --process_id') from error
  signal.signal(signal.SIGINT, signal.default_int_handler)
  signal.signal(signal.SIGTERM, signal.SIG_DFL)  # JAX keeps it as a notice; until `interrupt.watched` it shall end us
  if jax.process_index():
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


@contextlib.contextmanager
def agreed() -> Iterator[None]:
  """Lets the processes leave a block together: an error in one of them is raised in all, those without as UserError.

  So none waits in vain for one that has ended. All must come here in the same order, and a block waits for no other
  process.
  """
  if jax.process_count() == 1:
    yield
    return
  try:
    yield
  except Exception as error:
    _gather(str(error) or repr(error))
    raise
  if failed := next(filter(None, _gather('')), ''):
    raise UserError(failed)


def check_same(what: str, fingerprint: str):
  """Raises UserError in all processes where `what`, told apart by its fingerprint, is not the same in all of them."""
  prints = _gather(fingerprint)
  if others := [i for i, other in enumerate(prints) if other != prints[0]]:
    raise UserError(f'{what} differs between processes: {others} of {len(prints)} have not that of process 0')


def greatest(number: int) -> int:
  """Returns the greatest of the processes' numbers, in all of them."""
  return max(map(int, _gather(str(number))))


def _gather(text: str) -> list[str]:
  """Returns the texts of all processes, cut to TEXT bytes, in all of them; waits until all have come here."""
  if jax.process_count() == 1:
    return [text]
  own = np.frombuffer(text.encode()[:TEXT].ljust(TEXT, b'\0'), np.uint8)
  return [bytes(row).rstrip(b'\0').decode(errors='ignore') for row in multihost_utils.process_allgather(own)]
