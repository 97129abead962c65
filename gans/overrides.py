"""The flag --config and those that change a field, --config.FIELD=VALUE: a value may be whatever the field may be.

What is imported of this project is imported where it is used, so that a mistyped flag is answered at once.
"""
from collections.abc import Collection, Mapping
import pathlib

from absl import flags
import ml_collections
from ml_collections import config_flags
from ml_collections.config_flags import tuple_parser

from gans.errors import UserError


class WholeNumberParser(flags.IntegerParser):
  """Also takes a whole number that is written as a float is, such as 1e5."""

  def convert(self, argument: str) -> int:
    try:
      return super().convert(argument)
    except ValueError:
      pass
    try:
      value = float(argument)
    except ValueError:
      value = float('nan')
    if not value.is_integer():
      raise ValueError('expected a whole number, such as 5000 or 5e3')
    return int(value)


class TupleParser(flags.ArgumentParser):
  """Reads a tuple as ml_collections does, whose own parser would join the tuples of a flag that is given twice."""
  _theirs = tuple_parser.TupleParser()

  def parse(self, argument) -> tuple:
    return self._theirs.parse(argument)

  def flag_type(self) -> str:
    return self._theirs.flag_type()


class ConfigParser(flags.ArgumentParser):
  """Reads FILE or FILE:VARIANT; a file that is not here is looked for in the folder of the program, `root`."""

  def __init__(self, parser: flags.ArgumentParser, root: pathlib.Path):
    self.parser = parser
    self.root = root

  def parse(self, argument: str):
    file, colon, variant = argument.partition(':')
    in_root = self.root / file
    if not pathlib.Path(file).exists() and in_root.is_file():
      file = str(in_root)
    config = self.parser.parse(f'{file}{colon}{variant}')
    if issubclass(type(config), ml_collections.ConfigDict):
      open_fields(config, _list_ranges(config))
    return config

  def flag_type(self) -> str:
    return 'config object'


def define_config_flag(root: pathlib.Path, help_text: str, flag_values=flags.FLAGS) -> flags.FlagHolder:
  """Defines --config. Fields that the config does not name may be set too, and are refused where nothing reads them."""
  config_flags.register_flag_parser_for_type(int, WholeNumberParser())
  config_flags.register_flag_parser_for_type(tuple, TupleParser())
  holder = config_flags.DEFINE_config_file('config', None, help_text, flag_values, lock_config=False,
                                           accept_new_attributes=True)
  flag = flag_values['config']
  flag.parser = ConfigParser(flag.parser, root)
  return holder


def _list_ranges(config: ml_collections.ConfigDict) -> dict:
  from gans.validate import list_ranges
  try:
    return list_ranges(config)
  except (UserError, AttributeError, KeyError, TypeError):
    return {}  # it is no config that can be used, and check_config says why


def open_fields(config: ml_collections.ConfigDict, ranges: Mapping):
  """Lets fields take what their ranges say, and not only the type of their values, which ml_collections holds on to.

  A field of one value or one for each layer takes both, and a number that is written as 10 takes 0.5. `ranges` are
  {field: range}, of which the config may lack some.
  """
  from gans.ranges import Either, Number
  for field, each in ranges.items():
    *groups, name = field.split('.')
    group = config
    for part in groups:
      group = group.get(part, {})
    if name not in group:
      continue
    own = dict(group.items(preserve_field_references=True))[name]
    if isinstance(own, ml_collections.FieldReference):
      continue  # it follows from another field, and that one's type
    if isinstance(each, Either):
      group[name] = ml_collections.FieldReference(group[name], field_type=object)
    elif isinstance(each, Number) and type(group[name]) is int:
      with config.ignore_type():
        group[name] = float(group[name])


def drop_unread(config: ml_collections.ConfigDict, changed: Collection[str]):
  """Deletes what the network or the optimizer that a flag names does not read, unless a flag gave it.

  So `--config.critic.optimizer.name=sgd` drops Adam's b1 and b2; what both read is kept. `changed` are the fields of
  all flags.

  Raises:
    UserError: there is no such network or optimizer.
  """
  from gans.build import NOT_OF_THE_NETWORK
  from gans.networks import network_ranges
  from gans.optimizers import optimizer_ranges
  for field in changed:
    player, *rest = field.split('.')
    if rest == ['network']:
      group = config[player]
      taken = {*NOT_OF_THE_NETWORK, *network_ranges(player, group.network)}
    elif rest == ['optimizer', 'name']:
      group = config[player].optimizer
      taken = set(optimizer_ranges(f'{player}.optimizer', group.name))
    else:
      continue
    prefix = field.rpartition('.')[0]
    for own in list(group):
      if own not in taken and f'{prefix}.{own}' not in changed:
        del group[own]
