"""What a data set holds: written down when a run starts, shown to people, and compared when it resumes."""
from collections import defaultdict
import zlib

import numpy as np

from gans.data.dataset import Dataset, OnDisk
from gans.errors import shorten

COMPARED_ON_DISK = 100  # evenly spaced examples of data that stay on disk and have no checksums of files
SHOWN = 10  # classes, files and so on in a list for people


def take_inventory(config, dataset: Dataset) -> dict:
  """Returns what a data set holds, as JSON can hold it; `config` is the config's `dataset`.

  {'name', 'number', 'shape', 'classes': {name: number}, 'attributes': {name: how many have it}, 'left_out': {file:
  reason}, 'notes': [sentence], 'names': [name], 'checksums': 8 hex digits an example in one string, 'labels',
  'attribute_values': their checksums}. Where the data lie and when their files were written is not in it, so that it
  is the same for data that were moved or copied.
  """
  checksums = dataset.checksums
  if checksums is None:
    checksums = checksums_of(dataset.images)
  return {
      'name': config.name,
      'number': len(dataset.images),
      'shape': list(dataset.spec.shape),
      'classes': _count_classes(dataset),
      'attributes': _count_attributes(dataset),
      'left_out': dict(dataset.left_out),
      'notes': list(dataset.notes),
      'names': list(dataset.names),
      'checksums': ''.join(f'{checksum:08x}' for checksum in checksums.tolist()),
      'labels': f'{checksum_of(dataset.labels):08x}',
      'attribute_values': f'{checksum_of(dataset.conditions):08x}' if dataset.attribute_names else '',
  }


def checksums_of(images: np.ndarray | OnDisk) -> np.ndarray:
  """Returns the CRC-32 of each example, [N] uint32; of COMPARED_ON_DISK evenly spaced ones if they stay on disk."""
  if isinstance(images, OnDisk):
    images = images[spaced_positions(min(len(images), COMPARED_ON_DISK), len(images))]
  return np.array([checksum_of(image) for image in images], np.uint32)


def checksum_of(array: np.ndarray) -> int:
  """Returns the CRC-32 of an array's contents, the same on every machine."""
  little_endian = array.astype(array.dtype.newbyteorder('<'), copy=False)
  return zlib.crc32(np.ascontiguousarray(little_endian))


def spaced_positions(num: int, total: int) -> np.ndarray:
  """Returns `num` evenly spaced positions among `total`, the first and the last included: [num]."""
  return np.linspace(0, total - 1, num).round().astype(int)


def _count_classes(dataset: Dataset) -> dict[str, int]:
  """Returns the number of examples of each class, by its name or else by its label."""
  counts = np.bincount(dataset.labels, minlength=dataset.num_classes)[:dataset.num_classes].tolist()
  names = dataset.class_names or [str(label) for label in range(dataset.num_classes)]
  return dict(zip(names, counts, strict=True))


def _count_attributes(dataset: Dataset) -> dict[str, int]:
  if dataset.attributes is None:
    return {}
  return dict(zip(dataset.attribute_names, dataset.attributes.sum(0, dtype=int).tolist(), strict=True))


def describe_inventory(inventory: dict) -> list[str]:
  """Returns the lines that tell a person what was read and what was not; names are quoted safely."""
  lines = [f'data: {inventory["name"]}, {inventory["number"]:,} examples of {_describe_shape(inventory["shape"])}']
  classes = [f'{_describe_class(label, name)} ({count:,})'
             for label, (name, count) in enumerate(inventory['classes'].items())]
  if classes:
    lines.append(f'  {len(classes):,} classes: {shorten(classes, SHOWN)}')
  attributes = [f'{name!r} ({count:,})' for name, count in inventory['attributes'].items()]
  if attributes:
    lines.append(f'  {len(attributes):,} attributes: {shorten(attributes, SHOWN)}')
  lines += [f'  {note}' for note in inventory['notes']]
  left_out = [f'    {file!r}: {reason!r}' for file, reason in inventory['left_out'].items()]
  if left_out:
    lines += ['  left out:', *left_out[:SHOWN]]
  if len(left_out) > SHOWN:
    lines.append(f'    and {len(left_out) - SHOWN:,} more, which data.json names')
  return lines


def _describe_shape(shape: list[int]) -> str:
  return 'x'.join(map(str, shape)) if len(shape) > 1 else f'{shape[0]} numbers'


def _describe_class(label: int, name: str) -> str:
  return name if name == str(label) else f'{label} = {name!r}'


def find_changes(old: dict, new: dict) -> list[str]:
  """Returns what differs between two inventories, a sentence each; [] if the same examples come in the same order.

  Files may have other names as long as they come in the same order, and what was left out may differ.
  """
  changes = []
  if old['shape'] != new['shape']:
    changes.append(f'the examples are {_describe_shape(new["shape"])} now, and were {_describe_shape(old["shape"])}')
  changes += _find_changed_names('classes', list(old['classes']), list(new['classes']))
  changes += _find_changed_names('attributes', list(old['attributes']), list(new['attributes']))
  changes += _find_changed_examples(old, new)
  if not changes and old['labels'] != new['labels']:
    changes.append('the labels of the same examples are others')
  if not changes and old['attribute_values'] != new['attribute_values']:
    changes.append('the attributes of the same examples are others')
  return changes


def _find_changed_names(what: str, old: list[str], new: list[str]) -> list[str]:
  if old == new:
    return []
  if sorted(old) == sorted(new):
    return [f'the {what} come in another order: {_quote(new)} now, and {_quote(old)} before']
  removed = [name for name in old if name not in new]
  added = [name for name in new if name not in old]
  if not removed or not added:
    return [f'{what} {"removed" if removed else "added"}: {_quote(removed or added)}']
  return [f'the {what} {_quote(removed)} are gone, and {_quote(added)} are new']


def _find_changed_examples(old: dict, new: dict) -> list[str]:
  if _differing_positions(old, new) == []:
    return []
  if old['names'] and new['names']:
    return _find_changed_files(old, new)
  if old['number'] != new['number']:
    return [f'there are {new["number"]:,} examples now, and were {old["number"]:,}']
  if sorted(_split_checksums(old)) == sorted(_split_checksums(new)):
    return ['the examples come in another order']
  positions = _differing_positions(old, new)
  return [f'{len(positions):,} of the examples compared are others, the first at position {positions[0]:,}']


def _find_changed_files(old: dict, new: dict) -> list[str]:
  """Compares the checksums of each file, from which several examples may have been made."""
  before, now = _checksums_by_name(old), _checksums_by_name(new)
  groups = {
      'added': [name for name in now if name not in before],
      'removed': [name for name in before if name not in now],
      'changed': [name for name in now if name in before and before[name] != now[name]],
  }
  changes = [f'{len(names):,} {what}: {_quote(names)}' for what, names in groups.items() if names]
  return changes or ['the examples come in another order']


def _checksums_by_name(inventory: dict) -> dict[str, list[str]]:
  checksums = _split_checksums(inventory)
  found = defaultdict(list)
  for name in inventory['names']:
    found[name] = []
  positions = spaced_positions(len(checksums), inventory['number'])
  for position, checksum in zip(positions, checksums):
    found[inventory['names'][position]].append(checksum)
  return found


def _differing_positions(old: dict, new: dict) -> list[int] | None:
  """Returns where the examples differ, of those whose checksums are known to both; None if their numbers differ."""
  if old['number'] != new['number']:
    return None
  number = new['number']
  known = [dict(zip(spaced_positions(len(checksums), number).tolist(), checksums))
           for checksums in (_split_checksums(old), _split_checksums(new))]
  return [position for position in known[0] if position in known[1] and known[0][position] != known[1][position]]


def _split_checksums(inventory: dict) -> list[str]:
  packed = inventory['checksums']
  return [packed[start:start + 8] for start in range(0, len(packed), 8)]


def _quote(names: list[str]) -> str:
  return shorten([repr(name) for name in names], SHOWN)
