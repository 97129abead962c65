"""Ranges: which values a field of a config may have.

An algorithm and a network declare those of their own fields beside them, as types of which a type checker sees the
first part alone:

    n_critic: Annotated[int, Whole(1)] = 5
    gp_weight: Weight = 10.0  # one of the names at the end of this file

A field with a plain type has no bounds: an `int` is any whole number, a `float` any finite one. gans/validate.py has
the ranges of the fields that all configs share, and puts all of them together.
"""
from collections.abc import Sequence
import dataclasses
import math
import types
import typing
from typing import Annotated, Any

MOST = 2**31 - 1  # what a program's int32 holds


class Range:
  """What a field may be; `str` of it completes the words 'expected ...'."""

  def holds(self, value) -> bool:
    """Tells whether the range has this value."""
    raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Whole(Range):
  """Whole numbers from `least` to `most`, and others one by one; None: without bound."""
  least: int | None = None
  most: int | None = MOST
  others: tuple[int, ...] = ()

  def holds(self, value) -> bool:
    if not isinstance(value, int) or isinstance(value, bool):
      return False
    is_within = (self.least is None or value >= self.least) and (self.most is None or value <= self.most)
    return is_within or value in self.others

  def __str__(self):
    bounds = '' if self.least is None else f' of at least {self.least}'
    if self.most is not None:
      bounds += ', below 2^31' if self.most == MOST else f', at most {self.most}'
    return f'a whole number{bounds}' + ''.join(f', or {other}' for other in self.others)


@dataclasses.dataclass(frozen=True)
class Number(Range):
  """Finite numbers between bounds that belong to the range, `least` and `most`, or do not, `above` and `below`."""
  least: float | None = None
  above: float | None = None
  most: float | None = None
  below: float | None = None

  def holds(self, value) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
      return False
    return ((self.least is None or value >= self.least) and (self.above is None or value > self.above)
            and (self.most is None or value <= self.most) and (self.below is None or value < self.below))

  def __str__(self):
    bounds = {'of at least': self.least, 'above': self.above, 'at most': self.most, 'below': self.below}
    given = [f'{words} {bound:g}' for words, bound in bounds.items() if bound is not None]
    return ' '.join(['a finite number', ', '.join(given)]).rstrip()


@dataclasses.dataclass(frozen=True)
class OneOf(Range):
  """One of these values, such as names."""
  values: tuple

  def holds(self, value) -> bool:
    return any(type(value) is type(other) and value == other for other in self.values)

  def __str__(self):
    return f'one of {list(self.values)}'


@dataclasses.dataclass(frozen=True)
class Truth(Range):
  """True or False."""

  def holds(self, value) -> bool:
    return isinstance(value, bool)

  def __str__(self):
    return 'True or False'


@dataclasses.dataclass(frozen=True)
class Text(Range):
  """Any text: it has no range, and what it names is looked up where it is used."""

  def holds(self, value) -> bool:
    return isinstance(value, str)

  def __str__(self):
    return 'a text'


@dataclasses.dataclass(frozen=True)
class Each(Range):
  """A tuple of `least` to `most` entries, each of which is within a range; a config.json has lists."""
  range: Range
  least: int = 0
  most: int = MOST

  def holds(self, value) -> bool:
    is_sequence = isinstance(value, Sequence) and not isinstance(value, str)
    return is_sequence and self.least <= len(value) <= self.most and all(map(self.range.holds, value))

  def __str__(self):
    at_least = f' of at least {self.least}' if self.least else ''
    length = f' of {self.least}' if self.least == self.most else at_least
    return f'a tuple{length}, each {self.range}'


@dataclasses.dataclass(frozen=True)
class Either(Range):
  """A value that is within one of several ranges."""
  ranges: tuple[Range, ...]

  def holds(self, value) -> bool:
    return any(each.holds(value) for each in self.ranges)

  def __str__(self):
    return ', or '.join(map(str, self.ranges))


class MayBeAnnealed(Either):
  """A number, or a pair of them (first, last), which core/annealing.py explains."""

  def __init__(self, single: Range):
    super().__init__((single, Each(single, least=2, most=2)))


@dataclasses.dataclass(frozen=True)
class Anything(Range):
  """Any value: nothing is known of it."""

  def holds(self, value) -> bool:
    return True

  def __str__(self):
    return 'anything'


def one_or_each(single: Range) -> Either:
  """Returns the range of one value for all layers, or one for each."""
  return Either((single, Each(single, 1)))


NONE = OneOf((None,))
OF_TYPES: dict[Any, Range] = {bool: Truth(), int: Whole(most=None), float: Number(), str: Text(), types.NoneType: NONE}


def range_of_type(hint) -> Range:
  """Returns the range that a type declares, or that it is by itself: `int`, `tuple[int, ...]`, `float | None`."""
  declared = [each for each in getattr(hint, '__metadata__', ()) if isinstance(each, Range)]
  if declared:
    return declared[0]
  origin, arguments = typing.get_origin(hint), typing.get_args(hint)
  if origin is Annotated:
    return range_of_type(arguments[0])
  if origin in (typing.Union, types.UnionType):
    return Either(tuple(map(range_of_type, arguments)))
  if origin is tuple and len(arguments) == 2 and arguments[1] is ...:
    return Each(range_of_type(arguments[0]))
  return OF_TYPES.get(hint, Anything())


def _type_hints(cls: type) -> dict[str, Any]:
  try:
    return typing.get_type_hints(cls, include_extras=True)
  except NameError:  # a type that is imported for a type checker alone
    return {field.name: type(field.default) for field in dataclasses.fields(cls)}


def declared_ranges(cls: type) -> dict[str, Range]:
  """Returns {field: range} of a dataclass, whose fields may be dataclasses again: then {'group.field': range}."""
  hints = _type_hints(cls)
  ranges = {}
  for field in dataclasses.fields(cls):
    if dataclasses.is_dataclass(field.default):
      own = declared_ranges(type(field.default))
      ranges |= {f'{field.name}.{name}': each for name, each in own.items()}
    else:
      ranges[field.name] = range_of_type(hints[field.name])
  return ranges


# What many fields have in common.
SIZE = Whole(1, 2**16)
KERNEL = Whole(1, 2**8)
FRACTION = Number(least=0, below=1)
Count = Annotated[int, SIZE]  # of updates, or of steps
Size = Annotated[int, SIZE]  # a width, a kernel, a number of features
SizeOrNone = Annotated[int, Whole(0, 2**16)]  # 0: there is none
Sizes = Annotated[tuple[int, ...], Each(SIZE)]  # a size for each layer
SomeSizes = Annotated[tuple[int, ...], Each(SIZE, 1)]  # the same, of one layer at least
Kernel = Annotated[int, KERNEL]
KernelPerLayer = Annotated[int | tuple[int, ...], one_or_each(KERNEL)]  # or a stride
SidePerAxis = Annotated[int | tuple[int, ...], one_or_each(SIZE)]  # of a map
Weight = Annotated[float, Number(least=0)]  # of a term of a loss
AnnealedWeight = Annotated[float | tuple[float, float], MayBeAnnealed(Number(least=0))]
Stddev = Annotated[float, Number(least=0)]
Slope = Annotated[float, Number(least=0, most=1)]
Positive = Annotated[float, Number(above=0)]
Fraction = Annotated[float, FRACTION]  # from 0 to below 1
Share = Annotated[float, Number(above=0, most=1)]
AnnealedProbability = Annotated[float | tuple[float, float], MayBeAnnealed(Number(least=0, most=1))]
AnnealedShare = Annotated[float | tuple[float, float], MayBeAnnealed(Number(above=0, most=1))]
Several = Annotated[int, Whole(2, 2**16)]
