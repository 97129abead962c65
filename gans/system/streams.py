"""Standard output and error that may be closed by whoever reads them: `| head`, or a terminal that is gone."""
from collections.abc import Callable
import errno
import os
import sys
from typing import TextIO

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
  """Lets a program run on, and end as it would, after the readers of its output are gone."""
  sys.stdout = Lenient(sys.stdout)
  sys.stderr = Lenient(sys.stderr)
