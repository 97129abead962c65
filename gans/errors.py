"""The exception for what a user can put right; `main.py` prints it without a traceback. And what messages quote."""
from collections.abc import Sequence


class UserError(ValueError):
  """A wrong input. The message names the field and the value, and says what is expected."""


def first_line(error: BaseException) -> str:
  """Returns the first line of what an error says, or its type where it says nothing."""
  lines = str(error).strip().splitlines()
  return lines[0] if lines else type(error).__name__


def shorten(items: Sequence[str], most: int, separator: str = ', ') -> str:
  """Returns the first `most` of the items, and how many more there are."""
  more = f' and {len(items) - most:,} more' if len(items) > most else ''
  return separator.join(items[:most]) + more
