"""Ctrl-C and the notice before a machine is taken away (SIGTERM): the steps in flight end, and the state is saved."""
from collections.abc import Callable, Iterator
import contextlib
import os
import signal
import threading


@contextlib.contextmanager
def watched() -> Iterator[Callable[[], int]]:
  """Yields received() -> the number of the signal that asked to stop, 0 where none did.

  A second signal ends the process at once, whatever it is doing. Of several processes only those that a signal was
  sent to know of it: they have to tell the others.
  """
  received = []
  if threading.current_thread() is not threading.main_thread():  # only there may signals be handled
    yield lambda: 0
    return
  numbers = (signal.SIGINT, signal.SIGTERM)
  old = {number: signal.signal(number, lambda number, _: received.append(number)) for number in numbers}
  try:
    with _second_ends(numbers):
      yield lambda: received[0] if received else 0
  finally:
    for number, handler in old.items():
      signal.signal(number, handler or signal.SIG_DFL)  # one that is not Python's, such as JAX's, is None


@contextlib.contextmanager
def _second_ends(numbers):
  """Ends the process at the second signal, from a thread that the system tells of each.

  Python itself runs no handler while the main thread compiles or waits for the device, which can take minutes.
  """
  read, write = os.pipe()
  os.set_blocking(write, False)
  old = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
  thread = threading.Thread(target=_end_at_second, args=(read, numbers), daemon=True)
  thread.start()
  try:
    yield
  finally:
    signal.set_wakeup_fd(old)
    os.close(write)
    thread.join()
    os.close(read)


def _end_at_second(read: int, numbers):
  asked = False
  while byte := os.read(read, 1):
    if byte[0] in numbers:
      if asked:
        os._exit(128 + byte[0])
      asked = True
