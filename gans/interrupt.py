"""Ctrl-C and the notice before a machine is taken away (SIGTERM): the steps in flight end, and the state is saved."""
from collections.abc import Callable, Iterator
import contextlib
import signal
import threading

import jax


@contextlib.contextmanager
def watched() -> Iterator[Callable[[], int]]:
  """Yields received() -> the number of the signal that asked to stop, 0 where none did.

  A second signal acts as it always does, at once. With several processes SIGTERM is left to JAX, whose notice reaches
  all of them at the same step (Orbax's `reached_preemption`).
  """
  received, old = [], {}

  def receive(number, frame):
    del frame
    received.append(number)
    signal.signal(number, old[number])

  if threading.current_thread() is threading.main_thread():
    for number in (signal.SIGINT, *[signal.SIGTERM] * (jax.process_count() == 1)):
      old[number] = signal.signal(number, receive)
  try:
    yield lambda: received[0] if received else 0
  finally:
    for number, handler in old.items():
      signal.signal(number, handler)
