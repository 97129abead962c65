"""One file per GAN. `config.algorithm` names the file here, or any module that Python can import.

The file has a frozen dataclass `Fields`, what the algorithm reads of the config, each field with its range
(gans/ranges.py) and its default; and make_algorithm(fields) -> `Algorithm` (gans/core/game.py).
"""
import dataclasses
from types import ModuleType

from flax import linen as nn

from gans.core.game import Algorithm, Update
from gans.errors import UserError
from gans.ranges import Range, declared_ranges
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
  if not (dataclasses.is_dataclass(module.Fields) and _have_defaults(module.Fields)):
    raise UserError(f'algorithm={name!r}: Fields of {module.__file__} is no dataclass whose fields all have defaults')
  return module


def _have_defaults(cls) -> bool:
  return all(field.default is not dataclasses.MISSING for field in dataclasses.fields(cls))


def default_fields(name: str) -> dict:
  """Returns the fields that an algorithm reads of the config, with their defaults; groups of them are dicts."""
  return dataclasses.asdict(find_algorithm(name).Fields())


def algorithm_ranges(name: str) -> dict[str, Range]:
  """Returns {field: range} of the fields that an algorithm reads of the config; those of a group are 'GROUP.FIELD'."""
  return declared_ranges(find_algorithm(name).Fields)


def build_algorithm(config) -> Algorithm:
  """Makes the algorithm that a config names from the config's fields; raises UserError for one that is missing."""
  module = find_algorithm(config.algorithm)
  algorithm = module.make_algorithm(_read_fields(module.Fields, config, config.algorithm))
  check_algorithm(algorithm, config.algorithm)
  return algorithm


def check_algorithm(algorithm: Algorithm, name: str):
  """Raises UserError for an `Algorithm` whose parts are not of the types that they should be."""
  where = f'algorithm={name!r}'
  if not isinstance(algorithm, Algorithm):
    raise UserError(f'{where}: make_algorithm returns {type(algorithm).__name__}; expected an Algorithm')
  for update in algorithm.updates:
    if not isinstance(update, Update):
      raise UserError(f'{where}: updates has {type(update).__name__} in it; expected each to be an Update')
    for field in ('repeats', 'every'):
      if getattr(update, field) < 1:
        raise UserError(f'{where}: {field}={getattr(update, field)} of an Update; expected at least 1')
  for players in (algorithm.averaged, *(update.players for update in algorithm.updates)):
    if not isinstance(players, tuple) or not players:
      raise UserError(f"{where}: the players {players!r}; expected a tuple of names, such as ('critic',)")
  for player, module in algorithm.memories.items():
    if not isinstance(module, nn.Module):
      raise UserError(f'{where}: the memory {player!r} is {module!r}; expected a linen module')
    if player in algorithm.averaged:
      raise UserError(f'{where}: averaged names the memory {player!r}; expected players that learn')
    if player in algorithm.networks:
      raise UserError(f'{where}: the memory {player!r} learns in an update; expected a name of its own')


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
