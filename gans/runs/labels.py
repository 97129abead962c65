"""Labels as people write them: names of classes, their numbers, and attributes such as Blond_Hair+Young."""
from collections.abc import Sequence

import numpy as np

from gans.errors import UserError, shorten

LISTED = 20  # the most names in a message


def is_text(labels) -> bool:
  """Tells whether labels are, or have among them, texts."""
  if isinstance(labels, np.ndarray):
    return labels.dtype.kind == 'U'
  return isinstance(labels, str) or isinstance(labels, (list, tuple)) and any(isinstance(each, str) for each in labels)


def parse_classes(labels: Sequence, num_classes: int, names: tuple[str, ...] = ()) -> np.ndarray:
  """Returns classes, given by their names or their numbers, as [T] int32.

  Where all `names` are numbers, as of folders 1 to 9, a text that is a number means the name; an integer never does.

  Raises:
    UserError: there is none, or no class of that name or number.
  """
  texts = _as_texts(labels)
  numbers = {str(number): number for number in range(num_classes)}
  by_name = {name: number for number, name in enumerate(names)}
  if names and all(name.isdecimal() for name in names):
    numbers = {str(int(name)): number for name, number in by_name.items()}
  known = numbers | by_name
  found = []
  for label, text in zip(labels, texts):
    is_number = isinstance(label, (int, np.integer)) and not isinstance(label, bool)
    if is_number and 0 <= label < num_classes:
      found.append(int(label))
    elif not is_number and text in known:
      found.append(known[text])
    else:
      raise UserError(f'labels={",".join(texts)}: there is no class {text!r}; expected {_describe(names, num_classes)}')
  return np.array(found, np.int32)


def parse_attributes(labels: Sequence, names: tuple[str, ...]) -> np.ndarray:
  """Returns what images should have, such as Blond_Hair+Young, as [T,K] float32 of 0 and 1; an empty text is nothing.

  Raises:
    UserError: there is none, or no attribute of that name.
  """
  texts = _as_texts(labels)
  found = np.zeros((len(texts), len(names)), np.float32)
  for row, text in zip(found, texts):
    for name in filter(None, text.split('+')):
      if name not in names:
        raise UserError(f'labels={",".join(texts)}: there is no attribute {name!r}; expected some of '
                        f'{shorten(names, LISTED)}, such as {"+".join(names[:2])}')
      row[names.index(name)] = 1
  return found


def _as_texts(labels: Sequence) -> list[str]:
  if not len(labels):
    raise UserError('labels=: there is none; expected labels separated by commas, or that they are left out')
  return [str(label).strip() for label in labels]


def _describe(names: tuple[str, ...], num_classes: int) -> str:
  if not names:
    return f'whole numbers from 0 to {num_classes - 1}'
  if all(name.isdecimal() for name in names):
    return f'some of {shorten(names, LISTED)}'
  return f'some of {shorten(names, LISTED)}, or their numbers from 0 to {num_classes - 1}'
