"""Labels of a folder from StyleGAN's dataset.json, or from a labels.csv."""
import json

import ml_collections
import numpy as np
from PIL import Image
import pytest

from gans.data.sources import load_dataset
from gans.errors import UserError

IMAGES = ('00000/a.png', '00000/b.png', '00001/c.png')


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))


@pytest.fixture
def folder(tmp_path):
  for i, name in enumerate(IMAGES):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    Image.new('RGB', (4, 4), (60 * i, 0, 0)).save(tmp_path / name)
  return tmp_path


def load(path):
  return load_dataset(ml_collections.ConfigDict({'name': 'folder', 'path': str(path), 'image_size': 4,
                                                 'device_bytes': 2**30}))


def test_labels_of_stylegan_count_instead_of_subfolders(folder):
  assert load(folder).class_names == ('00000', '00001')
  (folder / 'dataset.json').write_text(json.dumps({'labels': [[IMAGES[2], 0], [IMAGES[0], 1], [IMAGES[1], 2]]}))
  loaded = load(folder)
  np.testing.assert_array_equal(loaded.labels, [1, 2, 0])
  assert loaded.labels.dtype == np.int32
  assert loaded.class_names == ('0', '1', '2') and loaded.num_classes == 3
  assert 'labels are those of dataset.json' in loaded.notes


@pytest.mark.parametrize('content', ['{"labels": null}', '{"width": 4}', '[["a.png", 1]]'])
def test_a_file_without_labels_changes_nothing(folder, content):
  (folder / 'dataset.json').write_text(content)
  assert load(folder).class_names == ('00000', '00001')


def test_a_csv_has_names_by_path_or_by_file(folder):
  (folder / 'labels.csv').write_text('﻿file,class\n00000/a.png, dog\nb.png,cat\n\n00001/c.png,"dog"\nd.png,cat\n',
                                     encoding='utf-8')
  loaded = load(folder)
  assert loaded.class_names == ('cat', 'dog')
  np.testing.assert_array_equal(loaded.labels, [1, 0, 1])
  assert loaded.notes[1:] == ("1 line names no image in labels.csv, such as 'd.png'", 'labels are those of labels.csv')


def test_of_part_of_a_data_set_the_numbers_of_its_classes_are_their_names(folder):
  pairs = '[["00000/a.png", 7], ["00000/b.png", 2], ["00001/c.png", 100000000]]'
  (folder / 'dataset.json').write_text(f'{{"labels": {pairs}}}')
  loaded = load(folder)
  assert loaded.class_names == ('2', '7', '100000000')
  np.testing.assert_array_equal(loaded.labels, [1, 0, 2])


@pytest.mark.parametrize('name, content, message', [
    ('dataset.json', '{"labels": [["00000/a.png", 0]]}', "2 of 3 images have no label in '.*': '00000/b.png', '00001"),
    ('dataset.json', '{"labels": [["00000/a.png", 0], ["00000/b.png", 1], ["00001/c.png", 0], ["d.png", 2]]}',
     "no image has the class '2' of .*: expected some of each of its 3 classes"),
    ('dataset.json', '{"labels": [["a", true]]}', r"\['a', True\] is not an image that is named once"),
    ('dataset.json', '{"labels": [["00000/a.png", [0.5, 1]]]}', r"\['00000/a.png', \[0.5, 1\]\] is not an image that"),
    ('dataset.json', '{"labels": [["a", 0], ["a", 1]]}', r"\['a', 1\] is not an image that is named once"),
    ('dataset.json', '{"labels": [["a", -1]]}', 'a whole number from 0 on'),
    ('dataset.json', '{"labels": {"a": 1}}', r'expected \{"labels": \[\["IMAGE", NUMBER\], ...\]\}'),
    ('dataset.json', '{"labels"', 'dataset.json.* cannot be read as labels: Expecting'),
    ('labels.csv', 'file,class\na.png,cat\na.png,dog\n', "line 3, 'a.png,dog', is not an image that is named once"),
    ('labels.csv', 'file,class\na.png\n', "line 2, 'a.png', is not an image"),
    ('labels.csv', 'file,class\na.png,\n', "line 2, 'a.png,', is not an image"),
    ('labels.csv', b'\xff\xfe\x00', 'labels.csv.* cannot be read as labels: .*decode'),
])
def test_a_wrong_file_is_refused_by_line(folder, name, content, message):
  path = folder / name
  path.write_bytes(content if isinstance(content, bytes) else content.encode())
  with pytest.raises(UserError, match=message):
    load(folder)


def test_a_name_alone_labels_no_two_images(folder):
  Image.new('RGB', (4, 4)).save(folder / '00001' / 'a.png')
  (folder / 'labels.csv').write_text('file,class\n00000/a.png,cat\na.png,cat\nb.png,dog\nc.png,dog\n')
  with pytest.raises(UserError, match="1 of 4 images have no label in .*: '00001/a.png'"):
    load(folder)


def test_one_class_is_none_and_notes_do_not_contradict_each_other(folder):
  Image.new('RGB', (4, 4)).save(folder / 'd.png')
  (folder / 'labels.csv').write_text('file,class\na.png,cat\nb.png,cat\nc.png,cat\nd.png,cat\n')
  loaded = load(folder)
  assert loaded.num_classes == 0 and not loaded.labels.any() and loaded.left_out == {}
  assert loaded.notes[1:] == ("no classes: all labels in labels.csv are 'cat'",)
  (folder / 'dataset.json').write_text('{"labels": null}')  # which is no second list
  assert load(folder).num_classes == 0


def test_two_files_are_refused(folder):
  (folder / 'labels.csv').write_text('file,class\na.png,cat\n')
  (folder / 'dataset.json').write_text('{"labels": [["a.png", 0]]}')
  with pytest.raises(UserError, match='has labels in dataset.json and in labels.csv: keep one of them'):
    load(folder)


def test_accents_may_be_written_either_way_and_a_file_may_begin_with_a_mark(folder):
  for name in IMAGES:
    (folder / name).rename(folder / name.replace('/', '/e\u0301'))
  lines = [[name.replace('/', '/\u00e9'), i] for i, name in enumerate(IMAGES)]
  (folder / 'dataset.json').write_text(json.dumps({'labels': lines}), encoding='utf-8-sig')
  np.testing.assert_array_equal(load(folder).labels, [0, 1, 2])
  (folder / 'dataset.json').unlink()
  (folder / 'labels.csv').write_text('file,class\ne\u0301.png,x\n\u00e9.png,y\n')
  with pytest.raises(UserError, match='line 3, .* is not an image that is named once'):
    load(folder)
