"""Flags whose values are some of known names."""
from collections.abc import Collection

from absl import flags


def define_names(flag: str, default: Collection[str], known: Collection[str], about: str) -> flags.FlagHolder:
  """Defines a flag that takes a list of names; others are refused, with those that are known, before any work."""
  holder = flags.DEFINE_list(flag, list(default), about)
  flags.register_validator(flag, lambda names: {*names} <= {*known}, f'expected some of {list(known)}')
  return holder
