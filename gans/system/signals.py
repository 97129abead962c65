"""Ctrl-C, a closed terminal (SIGHUP), and the notice before a machine is taken away (SIGTERM).

The steps in flight end, and the state is saved.
"""
from collections.abc import Callable, Iterator
import contextlib
import os
import signal
import threading

WATCHED = tuple(getattr(signal, name) for name in ('SIGINT', 'SIGTERM', 'SIGHUP') if hasattr(signal, name))


@contextlib.contextmanager
def watched() -> Iterator[Callable[[], int]]:
  """Yields received() -> the number of the signal that asked to stop, 0 where none did.

  A second signal ends the process at once, whatever it is doing. Only a process that a signal was sent to knows of it,
  and has to tell the others.
  """
  numbers: list[int] = []

  def handle(number: int, _):
    numbers.append(number)

  def received() -> int:
    return numbers[0] if numbers else 0

  if threading.current_thread() is not threading.main_thread():  # signals can be handled only there
    yield received
    return
  # What is ignored stays so: nohup ignores SIGHUP, for a run that is to outlive its terminal.
  watched_numbers = [number for number in WATCHED if signal.getsignal(number) != signal.SIG_IGN]
  old = {number: signal.signal(number, handle) for number in watched_numbers}
  try:
    with _end_at_second_signal():
      yield received
  finally:
    for number, handler in old.items():
      signal.signal(number, handler or signal.SIG_DFL)  # a handler that is not Python's, such as JAX's, is None


@contextlib.contextmanager
def _end_at_second_signal():
  """Ends the process at the second signal, from a thread that is told of each by the system.

  Python itself runs no handler while the main thread compiles or waits for the device, which can take minutes.
  """
  read, write = os.pipe()
  os.set_blocking(write, False)
  old = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
  thread = threading.Thread(target=_wait_for_second_signal, args=(read,), daemon=True)
  thread.start()
  try:
    yield
  finally:
    signal.set_wakeup_fd(old)
    os.close(write)
    thread.join()
    os.close(read)


def _wait_for_second_signal(read: int):
  is_first = True
  while byte := os.read(read, 1):
    number = byte[0]
    if number not in WATCHED:
      continue
    if not is_first:
      os._exit(128 + number)
    is_first = False
