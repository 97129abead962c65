"""Labels of a folder's images from a file in it, in place of subfolders: StyleGAN's dataset.json, or a labels.csv.

dataset.json has {"labels": [["00000/img0.png", 3], ...]}, a path from the folder and a whole number from 0 on for each
image, or null where there are none. labels.csv has a header, and then each image by its path and the name of its class.
"""
import csv
import json
import pathlib
from typing import NamedTuple
import zipfile

import numpy as np

from gans.data.dataset import Dataset
from gans.errors import UserError

JSON, CSV = 'dataset.json', 'labels.csv'
SHOWN = 5  # images without a label, listed by name
Path = pathlib.Path | zipfile.Path


class Labels(NamedTuple):
  """What a file says."""
  path: Path  # of a file
  label: dict[str, int]  # by the image's path from the folder, or by its name alone
  class_names: tuple[str, ...]


def read_labels(root: Path) -> Labels | None:
  """Reads the file of labels in a folder; None if there is none, or it has none.

  Raises:
    UserError: there are both files, or one is not as it should be.
  """
  there = [root / name for name in (JSON, CSV) if (root / name).is_file()]
  if len(there) > 1:
    raise UserError(f'dataset.path: {str(root)!r} has labels in {JSON} and in {CSV}: keep one of them')
  if not there:
    return None
  path, = there
  try:
    return _read_json(path) if path.name == JSON else _read_csv(path)
  except (OSError, ValueError, csv.Error) as error:  # a wrong line is a UserError, which is a ValueError
    raise UserError(f'dataset.path: {str(path)!r} cannot be read as labels: {error}') from error


def _read_json(path: Path) -> Labels | None:
  read = json.loads(path.read_text(encoding='utf-8'))
  pairs = read.get('labels') if isinstance(read, dict) else None
  if pairs is None:  # or a file of something else
    return None
  if not isinstance(pairs, list):
    raise UserError('expected {"labels": [["IMAGE", NUMBER], ...]}')
  label = {}
  for pair in pairs:
    match pair:
      case [str(image), int(number)] if number >= 0 and image not in label:
        label[image] = number
      case _:
        raise UserError(f'{pair!r} is not an image that is named once, and a whole number from 0 on')
  return Labels(path, label, tuple(map(str, range(1 + max(label.values(), default=0)))))


def _read_csv(path: Path) -> Labels:
  with path.open(encoding='utf-8-sig', newline='') as file:
    reader = csv.reader(file)
    rows = [(reader.line_num, [value.strip() for value in row]) for row in reader if row]
  name_of = {}
  for line, row in rows[1:]:
    if len(row) != 2 or not all(row) or row[0] in name_of:
      raise UserError(f'line {line}, {",".join(row)!r}, is not an image that is named once, and its class')
    name_of[row[0]] = row[1]
  class_names = tuple(sorted(set(name_of.values())))
  return Labels(path, {image: class_names.index(name) for image, name in name_of.items()}, class_names)


def label_images(dataset: Dataset, labels: Labels) -> Dataset:
  """Returns a data set of images with these labels, in place of those that its subfolders gave them.

  Raises:
    UserError: an image has no label, or a class no image.
  """
  found = [labels.label.get(name, labels.label.get(name.rpartition('/')[2])) for name in dataset.names]
  missing = [name for name, label in zip(dataset.names, found) if label is None]
  if missing:
    more = f' and {len(missing) - SHOWN} more' if len(missing) > SHOWN else ''
    raise UserError(f'dataset.path: {len(missing)} of {len(found)} images have no label in {str(labels.path)!r}: '
                    f'{", ".join(map(repr, missing[:SHOWN]))}{more}; add them there, or remove the images')
  counts = np.bincount(found, minlength=len(labels.class_names))
  if not counts.all():
    raise UserError(f'dataset.path: no image has the class {labels.class_names[counts.argmin()]!r} of '
                    f'{str(labels.path)!r}: expected some of each of its {len(counts)} classes')
  note = f'labels are those of {labels.path.name}'
  return dataset._replace(labels=np.array(found, np.int32), num_classes=len(counts), class_names=labels.class_names,
                          notes=(*dataset.notes, note))
