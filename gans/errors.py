"""The exception for what a user can put right; `main.py` prints it without a traceback."""


class UserError(ValueError):
  """A wrong input. The message names the field and the value, and says what is expected."""
