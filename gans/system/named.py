"""Modules by the names that a config gives them: files of this project, or a user's own."""
import importlib
import pkgutil
from types import ModuleType

from gans.errors import UserError


def import_named(package: str, field: str, name: str) -> ModuleType:
  """Imports the file `name` of a package of this project or, if it has none, the module that Python finds by `name`.

  Raises:
    UserError: there is neither; the message names the config's `field`.
  """
  own = list_modules(package)
  full_name = f'{package}.{name}' if name in own else name
  message = (f'{field}={name!r}: expected one of {own}, or a module of your own that Python can import: its folder '
             'must be in PYTHONPATH')
  if not name or name.startswith('.'):
    raise UserError(message)
  try:
    return importlib.import_module(full_name)
  except ModuleNotFoundError as error:
    if name != error.name and not name.startswith(f'{error.name}.'):
      raise  # the module exists, and imports one that does not
    raise UserError(message) from error


def list_modules(package: str) -> list[str]:
  """Returns the names of the files in a package of this project."""
  path = importlib.import_module(package).__path__
  return sorted(module.name for module in pkgutil.iter_modules(path))
