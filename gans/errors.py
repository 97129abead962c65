"""The one exception for what a user can put right; `main.py` prints it without a traceback."""


class UserError(ValueError):
  """A bad input. Its message names the field and the value, and says what would be right."""
