"""The inventory of a data set: what is in it, what is said of it, and what has changed when it is compared."""
import json

import ml_collections
import numpy as np
import pytest

from gans.data import inventory
from gans.data.dataset import Dataset, OnDisk

CONFIG = ml_collections.ConfigDict({'name': 'folder'})


def example_set(values=(1, 2, 3, 4), labels=(0, 0, 1, 1), **fields):
  """A data set of one pixel an example."""
  images = np.array(values, np.uint8).reshape(-1, 1, 1, 1)
  fields = {'class_names': ('cats', 'dogs'), 'names': ('cats/a', 'cats/b', 'dogs/a', 'dogs/b'), **fields}
  return Dataset(images, np.array(labels, np.int32), num_classes=2, **fields)


def take(dataset) -> dict:
  """Takes an inventory as a workdir keeps it."""
  return json.loads(json.dumps(inventory.take_inventory(CONFIG, dataset)))


def changes(old, new) -> list[str]:
  return inventory.find_changes(take(old), take(new))


def test_what_is_in_it():
  has = np.array([[1, 0], [1, 0], [1, 1], [0, 0]], np.uint8)
  found = take(example_set(attributes=has, attribute_names=('Male', 'Young'), left_out={'x.png': 'broken'}))
  assert found['name'] == 'folder' and found['number'] == 4 and found['shape'] == [1, 1, 1]
  assert found['classes'] == {'cats': 2, 'dogs': 2} and found['attributes'] == {'Male': 3, 'Young': 1}
  assert found['left_out'] == {'x.png': 'broken'}
  assert found['checksums'][:8] == 'a505df1b'  # the CRC-32 of one byte, 1


def test_what_is_said():
  lines = inventory.describe_inventory(take(example_set(
      left_out={'bad\x1b.png': 'is\nbroken', **{f'{i}.png': 'empty' for i in range(11)}}, notes=('Two are links.',))))
  assert lines[:5] == ['data: folder, 4 examples of 1x1x1', "  2 classes: 0 = 'cats' (2), 1 = 'dogs' (2)",
                       '  Two are links.', '  left out:', r"    'bad\x1b.png': 'is\nbroken'"]
  assert len(lines) == 15 and lines[-1] == '    and 2 more, which data.json names'
  points = Dataset(np.zeros((1500, 2), np.float32), np.arange(1500, dtype=np.int32) % 12, num_classes=12)
  lines = inventory.describe_inventory(take(points))
  assert lines == ['data: folder, 1,500 examples of 2 numbers',
                   '  12 classes: ' + ', '.join(f'{label} (125)' for label in range(10)) + ' and 2 more']


@pytest.mark.parametrize('new, expected', [
    (example_set(), []),
    (example_set(names=('c/1', 'c/2', 'd/1', 'd/2')), []),  # other names of the same files in the same order
    (example_set(left_out={'x.png': 'broken'}), []),
    (example_set(values=(1, 9, 3, 4)), ["1 changed: 'cats/b'"]),
    (example_set(values=(1, 3, 4), labels=(0, 1, 1), names=('cats/a', 'dogs/a', 'dogs/b')), ["1 removed: 'cats/b'"]),
    (example_set(values=(1, 2, 5, 3, 4), labels=(0, 0, 0, 1, 1),
                 names=('cats/a', 'cats/b', 'cats/c', 'dogs/a', 'dogs/b')), ["1 added: 'cats/c'"]),
    (example_set(values=(2, 1, 3, 4), names=('cats/b', 'cats/a', 'dogs/a', 'dogs/b')),
     ['the examples come in another order']),
    (example_set(class_names=('cats', 'hounds')), ["the classes 'dogs' are gone, and 'hounds' are new"]),
    (example_set(class_names=('dogs', 'cats')),
     ["the classes come in another order: 'dogs', 'cats' now, and 'cats', 'dogs' before"]),
    (example_set(labels=(0, 1, 1, 1)), ['the labels of the same examples are others']),
])
def test_what_has_changed_is_named(new, expected):
  assert changes(example_set(), new) == expected


def test_examples_without_names_are_compared_by_their_positions():
  old = example_set(names=())
  assert changes(old, example_set(names=(), values=(1, 2, 9, 9))) == [
      '2 of the examples compared are others, the first at position 2']
  assert changes(old, example_set(names=(), values=(1, 2, 4, 3))) == ['the examples come in another order']
  assert changes(old, example_set(names=(), values=(1, 2, 3), labels=(0, 0, 1))) == [
      'there are 3 examples now, and were 4']


def test_another_shape_and_another_attribute():
  larger = Dataset(np.zeros((4, 2, 2, 3), np.uint8), np.zeros(4, np.int32), checksums=np.arange(4, dtype=np.uint32))
  smaller = larger._replace(images=np.zeros((4, 1, 1, 3), np.uint8))
  assert changes(smaller, larger) == ['the examples are 2x2x3 now, and were 1x1x3']
  has = np.array([[1], [1], [0], [0]], np.uint8)
  old, new = (example_set(attributes=each, attribute_names=('Male',)) for each in (has, 1 - has))
  assert changes(old, new) == ['the attributes of the same examples are others']


def test_what_stays_on_disk_is_what_was_in_memory():
  pixels = np.arange(250, dtype=np.uint8).reshape(-1, 1, 1, 1)
  labels = np.zeros(250, np.int32)
  memory = Dataset(pixels, labels)

  def stream(images):
    return Dataset(OnDisk(images.shape, '', lambda positions: list(images[positions])), labels)

  assert changes(memory, stream(pixels)) == changes(stream(pixels), memory) == []
  assert len(take(stream(pixels))['checksums']) == 8 * 100
  assert changes(memory, stream(pixels[::-1])) == ['100 of the examples compared are others, the first at position 0']
