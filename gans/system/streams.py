"""Standard output and error: either may be closed by its reader, `| head` or a terminal that is gone."""
from collections.abc import Callable
import errno
import io
import os
import sys
from typing import TextIO

ORPHANED = 'Event loop is closed'  # asyncio's words
CLOSED = (errno.EPIPE, errno.EIO)  # of a pipe without a reader, of a terminal that hung up


class Lenient:
  """A stream that drops what nobody reads any more, where Python would raise and so end a run."""

  def __init__(self, stream: TextIO):
    self._stream = stream

  def __getattr__(self, name: str):
    return getattr(self._stream, name)

  def write(self, text: str) -> int:
    self._try(self._stream.write, text)
    return len(text)

  def flush(self):
    self._try(self._stream.flush)

  def _try(self, call: Callable, *arguments):
    try:
      call(*arguments)
    except OSError as error:
      if error.errno not in CLOSED:
        raise
      nowhere = os.open(os.devnull, os.O_WRONLY)
      os.dup2(nowhere, self._stream.fileno())  # for what is still in the buffer, too
      os.close(nowhere)


def outlive_readers():
  """Lets a program run on, and end as it would, where nobody reads its output any more, or can show its characters.

  Streams that were closed before it started, as by a daemon, are None.
  """
  for stream in (sys.stdout, sys.stderr):
    if isinstance(stream, io.TextIOWrapper):
      stream.reconfigure(errors='backslashreplace')
  sys.stdout, sys.stderr = (Lenient(stream or os.fdopen(os.open(os.devnull, os.O_WRONLY), 'w'))
                            for stream in (sys.stdout, sys.stderr))


def hide_orphaned_writes():
  """Shows no traceback for the other writes of a checkpoint that end after one has failed, as on a full disk.

  Orbax has closed their event loop by then, and TensorStore hands an error of each to Python, which prints its
  traceback. The one that failed has an error of its own.
  """
  show = sys.unraisablehook

  def show_others(unraisable):
    if str(unraisable.exc_value) != ORPHANED:
      show(unraisable)

  sys.unraisablehook = show_others
