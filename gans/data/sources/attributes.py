"""Attributes of a folder's images: what each has or has not, from a list beside them.

The list is CelebA's own list_attr_celeba.txt (a line with the number of images, one with the names of the attributes,
then one for each image), or a CSV whose header has the names and whose first column is the file name, such as Kaggle's
list_attr_celeba.csv.
"""
from collections import Counter
from collections.abc import Sequence
import csv
import difflib
import os
import pathlib
from typing import NamedTuple

import numpy as np

from gans.data.sources import listing
from gans.errors import UserError, shorten

LISTS = ('list_attr_celeba.txt', 'list_attr_celeba.csv', 'attributes.csv')
VALUES = {'1': 1, 'true': 1, '0': 0, '-1': 0, 'false': 0}
SHOWN = 5  # images without a line, listed by name
EXAMPLE = '''--config.dataset.attributes="('Male','Young')"'''


class Table(NamedTuple):
  """The chosen attributes of every image in a list."""
  path: pathlib.Path
  names: tuple[str, ...]  # of the K attributes chosen
  values: dict[str, list[int]]  # by the image's name in the list: K of 0 and 1


def check_names(config) -> tuple[str, ...]:
  """Returns config.attributes as a tuple; a config written before there were any has none.

  Raises:
    UserError: it is not a tuple or list of different names.
  """
  names = config.get('attributes', ())
  if not isinstance(names, (tuple, list)) or not all(isinstance(name, str) for name in names):
    raise UserError(f'dataset.attributes={names!r}: expected names, as in {EXAMPLE}')
  twice = _repeated(names)
  if twice:
    raise UserError(f'dataset.attributes={tuple(names)!r}: {twice[0]!r} is in it twice; give each name once')
  return tuple(names)


def read_table(root: pathlib.Path, names: tuple[str, ...]) -> Table:
  """Reads the attributes `names` of all images from the list in the folder `root` or in its parent.

  Raises:
    UserError: there is no list, it is malformed, or it has no such attribute.
  """
  path = find_list(root)
  try:
    with open(path, encoding='utf-8-sig', newline='') as file:
      lines = _celeba_lines(path, file) if path.suffix == '.txt' else _csv_lines(path, file)
  except (OSError, UnicodeDecodeError, csv.Error) as error:
    raise UserError(f'dataset.attributes: {str(path)!r} cannot be read: {error}') from error
  (_, header), *rows = lines
  columns = [_find_column(path, header, name) for name in names]
  values = {}
  for number, (image, *given) in rows:
    where = f'dataset.attributes: line {number} of {str(path)!r}'
    if len(given) != len(header):
      raise UserError(f'{where} has {len(given)} values after the file name: expected {len(header)}, one for each '
                      'attribute')
    image = listing.composed(image)
    if image in values:
      raise UserError(f'{where} is a second line for {image!r}: keep one of them')
    values[image] = [_parse(where, header[column], given[column]) for column in columns]
  return Table(path, names, values)


def find_list(root: pathlib.Path) -> pathlib.Path:
  """Returns the list for the images in a folder: the first of LISTS in it, else in its parent."""
  folders = (root, root.resolve().parent)
  for folder in folders:
    for name in LISTS:
      if os.path.isfile(folder / name):  # no error of a folder that may not be entered
        return folder / name
  raise UserError(f'dataset.attributes: no list of attributes in {str(folders[0])!r} nor in {str(folders[1])!r}: '
                  f'expected one of {", ".join(LISTS)}')


def _celeba_lines(path: pathlib.Path, file) -> list[tuple[int, list[str]]]:
  """Returns (number, words) of a list_attr_celeba.txt: the attributes' names, then each image's line."""
  lines = [(number, line.split()) for number, line in enumerate(file, 1) if line.strip()]
  if len(lines) < 2 or len(lines[0][1]) != 1 or not lines[0][1][0].isdecimal():
    raise UserError(f'dataset.attributes: {str(path)!r} does not begin as list_attr_celeba.txt does: expected the '
                    'number of images in line 1 and the names of the attributes in line 2')
  return lines[1:]


def _csv_lines(path: pathlib.Path, file) -> list[tuple[int, list[str]]]:
  """Returns (number, values) of a CSV: the attributes' names, then each image's line."""
  reader = csv.reader(file)
  lines = [(reader.line_num, [value.strip() for value in row]) for row in reader if row]
  if not lines or len(lines[0][1]) < 2:
    raise UserError(f'dataset.attributes: line 1 of {str(path)!r} names no attributes: expected a header such as '
                    'file,Male,Young')
  number, header = lines[0]
  return [(number, header[1:]), *lines[1:]]


def _find_column(path: pathlib.Path, header: list[str], name: str) -> int:
  """Returns where an attribute is in the header; raises UserError if it is not there exactly once."""
  if name not in header:
    near = difflib.get_close_matches(name, header)
    hint = f'did you mean {" or ".join(map(repr, near))}? It has' if near else 'it has'
    raise UserError(f'dataset.attributes: {name!r} is not in {str(path)!r}; {hint} {header}; several are given as '
                    f'{EXAMPLE}')
  if header.count(name) > 1:
    raise UserError(f'dataset.attributes: {str(path)!r} names {name!r} twice: keep one of them')
  return header.index(name)


def _parse(where: str, name: str, value: str) -> int:
  if value.lower() not in VALUES:
    raise UserError(f'{where}: {name} is {value!r}; expected 1 or true, or else 0, -1 or false')
  return VALUES[value.lower()]


def attributes_of(table: Table, root: pathlib.Path, images: Sequence[str]) -> np.ndarray:
  """Returns the attributes [N,K] uint8 of images, given by their paths from `root`, in the order of table.names.

  An image's line has its path from `root` or from the list's folder, else its file name alone, as CelebA's has.

  Raises:
    UserError: an image has no line, two images have the same one, or an attribute does not tell the images apart.
  """
  from_list = '' if table.path.parent == root else f'{root.resolve().name}/'
  keys = [_find_key(table, image, from_list + image) for image in images]
  missing = [image for image, key in zip(images, keys) if key is None]
  if missing:
    shown = shorten([repr(image) for image in missing], SHOWN)
    raise UserError(f'dataset.attributes: {len(missing)} of {len(images)} images have no line in {str(table.path)!r}: '
                    f'{shown}; add their lines or remove the images')
  twice = _repeated(keys)
  if twice:
    raise UserError(f'dataset.attributes: several images in {str(root)!r} have the one line {twice[0]!r} of '
                    f'{str(table.path)!r}; name them there by their paths from that folder')
  values = np.array([table.values[key] for key in keys], np.uint8)
  _check_both_occur(table, values)
  return values


def _find_key(table: Table, from_root: str, from_list: str) -> str | None:
  """Returns the name that the list has for an image, given by its two paths; None if it has no line."""
  keys = map(listing.composed, (from_root, from_list, from_root.rpartition('/')[2]))
  return next((key for key in keys if key in table.values), None)


def _check_both_occur(table: Table, values: np.ndarray):
  for name, column in zip(table.names, values.T):
    if column.min() == column.max():
      share = 'all' if column[0] else 'none'
      raise UserError(f'dataset.attributes: {share} of the {len(column)} images have {name!r} in {str(table.path)!r}: '
                      'expected images with it and images without it; leave it out')


def _repeated(names) -> list:
  return [name for name, count in Counter(names).items() if count > 1]
