"""Progress bars; without a terminal, plain lines from time to time, so that no long work is silent."""
from collections.abc import Iterable
import sys

import tqdm

PLAIN_SECONDS = 15  # between lines where there is no terminal


def bar(items: Iterable | None = None, **settings) -> tqdm.tqdm:
  """Makes a bar with tqdm's settings. Without a terminal, work that takes less than PLAIN_SECONDS says nothing."""
  if sys.stderr.isatty():
    return tqdm.tqdm(items, dynamic_ncols=True, **settings)
  plain = {'mininterval': PLAIN_SECONDS, 'delay': PLAIN_SECONDS}
  # Without miniters, a thread of tqdm's would print the same count again where no item came for ten seconds.
  return tqdm.tqdm(items, file=_PlainLines(), miniters=1, **plain | settings)


class _PlainLines:
  """The file of a progress bar without a terminal: each state of the bar is a line of its own."""

  def write(self, text: str):
    if text.strip():
      print(text.strip(), flush=True)

  def flush(self):
    sys.stdout.flush()
