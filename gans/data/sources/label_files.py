"""Labels of a folder's images from a file in it, in place of subfolders: StyleGAN's dataset.json, or a labels.csv.

dataset.json has {"labels": [["00000/img0.png", 3], ...]}, a path from the folder and a whole number from 0 on for each
image, or null where there are none. labels.csv has a header, and then each image by its path and the name of its class.
"""
from collections import Counter
from collections.abc import Callable
import csv
import io
import json
import pathlib
from typing import NamedTuple
import zipfile

import numpy as np

from gans.data.dataset import Dataset
from gans.data.sources import archive, listing
from gans.errors import UserError, shorten

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
  readers = {JSON: _read_json, CSV: _read_csv}
  found = [_read(readers[name], root / name) for name in readers]
  labels = [each for each in found if each]
  if len(labels) > 1:
    raise UserError(f'dataset.path: {str(root)!r} has labels in {JSON} and in {CSV}: keep one of them')
  return labels[0] if labels else None


def _read(read: Callable, path: Path) -> Labels | None:
  try:
    if not path.is_file():
      return None
    label, class_names = read(archive.read_bytes(path).decode('utf-8-sig'))
  except Exception as error:  # a damaged or encrypted archive leads zipfile to raise nearly anything
    raise UserError(f'dataset.path: {str(path)!r} cannot be read as labels: {error}') from error
  return Labels(path, label, class_names) if label else None


def _read_json(text: str) -> tuple[dict[str, int], tuple[str, ...]]:
  read = json.loads(text)
  pairs = read.get('labels') if isinstance(read, dict) else None
  if pairs is None:  # or a file of something else
    return {}, ()
  if not isinstance(pairs, list):
    raise UserError('expected {"labels": [["IMAGE", NUMBER], ...]}')
  label = {}
  for pair in pairs:
    match pair:
      case [str(image), int(number)] if (
          number >= 0 and not isinstance(number, bool) and listing.composed(image) not in label):
        label[listing.composed(image)] = number
      case _:
        raise UserError(f'{pair!r} is not an image that is named once, and a whole number from 0 on')
  return _number(label)  # numbered again: of part of a data set some are not there


def _read_csv(text: str) -> tuple[dict[str, int], tuple[str, ...]]:
  reader = csv.reader(io.StringIO(text, newline=''))
  rows = [(reader.line_num, [value.strip() for value in row]) for row in reader if row]
  name_of = {}
  for line, row in rows[1:]:
    image = listing.composed(row[0])
    if len(row) != 2 or not all(row) or image in name_of:
      raise UserError(f'line {line}, {",".join(row)!r}, is not an image that is named once, and its class')
    name_of[image] = row[1]
  return _number(name_of)


def _number(class_of: dict[str, int] | dict[str, str]) -> tuple[dict[str, int], tuple[str, ...]]:
  """Numbers classes in their order: ({image: label}, the classes' names)."""
  classes = sorted(set(class_of.values()))
  label_of = {name: label for label, name in enumerate(classes)}
  return {image: label_of[name] for image, name in class_of.items()}, tuple(map(str, classes))


def label_images(dataset: Dataset, labels: Labels) -> Dataset:
  """Returns a data set of images with these labels, in place of those that its subfolders gave them.

  An image's line has its path from the folder, or its name alone, where no other image has that name.

  Raises:
    UserError: an image has no label, or a class no image.
  """
  names = [listing.composed(name) for name in dataset.names]
  file_names = [name.rpartition('/')[2] for name in names]
  count = Counter(file_names)
  lines = [next((line for line in (name, file_name if count[file_name] == 1 else name) if line in labels.label), None)
           for name, file_name in zip(names, file_names)]
  missing = [name for name, line in zip(dataset.names, lines) if line is None]
  if missing:
    shown = shorten([repr(name) for name in missing], SHOWN)
    raise UserError(f'dataset.path: {len(missing)} of {len(lines)} images have no label in {str(labels.path)!r}: '
                    f'{shown}; add them there, or remove the images')
  found = [labels.label[line] for line in lines]
  counts = np.bincount(found, minlength=len(labels.class_names))
  if not counts.all():
    raise UserError(f'dataset.path: no image has the class {labels.class_names[counts.argmin()]!r} of '
                    f'{str(labels.path)!r}: expected some of each of its {len(counts)} classes')
  file = labels.path.name
  notes = [note for note in dataset.notes if not note.startswith(listing.NO_CLASSES)]
  class_names = labels.class_names if len(counts) > 1 else ()  # one class tells nothing apart
  unused = sorted(set(labels.label) - set(lines))
  if unused:
    lines_name = 'line names' if len(unused) == 1 else 'lines name'
    notes.append(f'{len(unused):,} {lines_name} no image in {file}, such as {unused[0]!r}')
  notes.append(f'{listing.LABELS_OF} {file}' if class_names else
               f'{listing.NO_CLASSES}: all labels in {file} are {labels.class_names[0]!r}')
  return dataset._replace(labels=np.array(found, np.int32), num_classes=len(class_names), class_names=class_names,
                          notes=tuple(notes), left_out=listing.but_for(dataset.left_out, file))
