"""One file per GAN. `config.algorithm` names the file here, or any module that Python can import.

The file has a frozen dataclass `Fields`, what the algorithm reads of the config, each field with its default; and
make_algorithm(fields) -> `Algorithm` (gans/core/game.py).
"""
import dataclasses
from types import ModuleType

from gans.core.game import Algorithm
from gans.errors import UserError
from gans.system.named import import_named


def find_algorithm(name: str) -> ModuleType:
  """Imports an algorithm's file by its name.

  Raises:
    UserError: there is no such module, or it is no algorithm.
  """
  module = import_named(__name__, 'algorithm', name)
  for part in ('Fields', 'make_algorithm'):
    if not hasattr(module, part):
      raise UserError(f'algorithm={name!r}: {module.__file__} has no {part}; docs/adding-a-gan.md says what it needs')
  return module


def default_fields(name: str) -> dict:
  """Returns the fields that an algorithm reads of the config, with their defaults; groups of them are dicts."""
  return dataclasses.asdict(find_algorithm(name).Fields())


def build_algorithm(config) -> Algorithm:
  """Makes the algorithm that a config names from the config's fields; raises UserError for one that is missing."""
  module = find_algorithm(config.algorithm)
  return module.make_algorithm(_read_fields(module.Fields, config, config.algorithm))


def _read_fields(cls: type, config, algorithm: str, prefix: str = ''):
  values = {}
  for field in dataclasses.fields(cls):
    name = prefix + field.name
    if field.name not in config:
      raise UserError(f'{name} is missing from the config: the algorithm {algorithm!r} reads it')
    value = config[field.name]
    if dataclasses.is_dataclass(field.default):
      value = _read_fields(type(field.default), value, algorithm, f'{name}.')
    values[field.name] = value
  return cls(**values)
