"""Attributes of a folder's images, from CelebA's list or a CSV beside them, and the faults that such lists have."""
import json
import sys

from absl import flags
import ml_collections
from ml_collections import config_flags
import numpy as np
from PIL import Image
import pytest

from configs import wgan_gp
from gans.data.dataset import OnDisk
from gans.data.sources import load_dataset
from gans.errors import UserError

NAMES = ('Male', 'Young')
CELEBA = """3
Male Smiling Young
a.png -1  1  1
b.png  1 -1  1
c.png  1 -1 -1
"""
CSV = """file,Male,Smiling,Young
c.png,1,0,-1
b.png,true,-1,1
a.png,False,1,TRUE
"""
WANT = [[0, 1], [1, 1], [1, 0]]  # Male, Young of a, b, c


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))


@pytest.fixture
def images(tmp_path):
  """A folder of three images, a, b and c."""
  save_images(tmp_path / 'images', 'abc')
  return tmp_path / 'images'


def save_images(path, names):
  path.mkdir(parents=True, exist_ok=True)
  for i, name in enumerate(names):
    Image.new('L', (9, 9), 10 * i).save(path / f'{name}.png')


def ask(path, attributes=NAMES, **fields):
  return ml_collections.ConfigDict({
      'name': 'folder', 'path': str(path), 'data_dir': '', 'split': 'train', 'crop': '', 'image_size': 8,
      'flip': False, 'device_bytes': 2**30, 'attributes': attributes, **fields})


@pytest.mark.parametrize('name, text', [
    ('list_attr_celeba.txt', CELEBA), ('list_attr_celeba.csv', CSV), ('attributes.csv', CSV),
    ('attributes.csv', '\ufeff' + CSV.replace('\n', '\r\n') + '\r\n')])  # as Excel writes it
@pytest.mark.parametrize('folder', ['images', '.'])
def test_each_list_in_the_folder_or_its_parent_is_read(images, name, text, folder):
  (images.parent / folder / name).write_text(text, encoding='utf-8')
  loaded = load_dataset(ask(images))
  assert loaded.attribute_names == NAMES == loaded.spec.attributes
  assert loaded.attributes.dtype == np.uint8
  np.testing.assert_array_equal(loaded.attributes, WANT)
  np.testing.assert_array_equal(loaded.images[:, 0, 0, 0], [0, 10, 20])
  assert loaded.left_out == {}


def test_the_order_is_that_of_the_config_which_may_be_a_list(images):
  (images / 'attributes.csv').write_text(CSV)
  loaded = load_dataset(ask(images, ['Young', 'Smiling', 'Male']))
  assert loaded.attribute_names == ('Young', 'Smiling', 'Male')
  np.testing.assert_array_equal(loaded.attributes, [[1, 1, 0], [1, 0, 1], [0, 0, 1]])


def test_none_are_read_unless_asked_for(images):
  (images / 'attributes.csv').write_text('not,a\nlist')
  for config in (ask(images, ()), ask(images, [])):
    assert load_dataset(config).attributes is None
  old = ask(images)
  del old['attributes']  # as in a run from before there were any
  assert load_dataset(old).spec.attributes == ()


def test_the_folders_own_list_comes_first(images):
  (images / 'attributes.csv').write_text(CSV)
  (images.parent / 'list_attr_celeba.txt').write_text('nothing of use')
  np.testing.assert_array_equal(load_dataset(ask(images)).attributes, WANT)


def test_images_in_subfolders_are_found_by_path_else_by_name(tmp_path):
  for letter in 'abc':
    save_images(tmp_path / 'all' / f'of_{letter}', letter)
  (tmp_path / 'list_attr_celeba.txt').write_text(CELEBA)
  loaded = load_dataset(ask(tmp_path / 'all'))
  np.testing.assert_array_equal(loaded.attributes, WANT)
  assert loaded.num_classes == 3
  for prefix in ('', 'all/'):  # from the folder of images, or from that of the list
    (tmp_path / 'list_attr_celeba.txt').write_text(CELEBA.replace('a.png', f'{prefix}of_a/a.png'))
    np.testing.assert_array_equal(load_dataset(ask(tmp_path / 'all')).attributes, WANT)


def test_images_of_the_same_name_need_their_paths(tmp_path):
  save_images(tmp_path / 'x', 'ab')
  save_images(tmp_path / 'y', 'a')
  table = tmp_path / 'attributes.csv'
  table.write_text('file,Male\na.png,1\nb.png,0\n')
  with pytest.raises(UserError, match="several images in .* have the one line 'a.png' of .*; name them there by their"):
    load_dataset(ask(tmp_path, ('Male',)))
  table.write_text('file,Male\nx/a.png,1\ny/a.png,0\nb.png,0\n')
  np.testing.assert_array_equal(load_dataset(ask(tmp_path, ('Male',))).attributes, [[1], [0], [0]])


@pytest.mark.parametrize('device_bytes', [2**30, 0])
def test_cached_images_and_those_on_disk_have_them_and_unreadable_ones_are_left_out(images, device_bytes):
  letters = 'abcdefghijkl'
  save_images(images, letters)
  (images / 'b.png').write_bytes(b'broken, and without a line')
  lines = [f'{letter}.png,{i % 2}' for i, letter in enumerate(letters) if letter != 'b']
  (images / 'attributes.csv').write_text('\n'.join(['file,Odd', *lines]))
  for _ in range(2):
    loaded = load_dataset(ask(images, ('Odd',), device_bytes=device_bytes))
    assert isinstance(loaded.images, OnDisk) == (not device_bytes)
    np.testing.assert_array_equal(loaded.images[:][:, 0, 0, 0], [0, *range(20, 120, 10)])
    np.testing.assert_array_equal(loaded.attributes[:, 0], [0, *[0, 1] * 5])


def test_a_changed_list_is_seen(images):
  (images / 'attributes.csv').write_text(CSV)
  load_dataset(ask(images))
  (images / 'attributes.csv').write_text(CSV.replace('b.png,true', 'b.png,0'))
  np.testing.assert_array_equal(load_dataset(ask(images)).attributes, [[0, 1], [0, 1], [1, 0]])


@pytest.mark.parametrize('attributes, message', [
    (('Mail', 'Young'),
     r"'Mail' is not in '.*attributes.csv'; did you mean 'Male'\? It has \['Male', 'Smiling', 'Young'\]; several"),
    (('Hat',), r"'Hat' is not in '.*attributes.csv'; it has \['Male', 'Smiling', 'Young'\]; several are given as"),
    (('Male,Young',), "'Male,Young' is not in .* several are given as --config.dataset.attributes=\"\\('Male','Young'"),
    (('Male', 'Young', 'Male'), r"dataset.attributes=\('Male', 'Young', 'Male'\): 'Male' is in it twice"),
    ('Male', "dataset.attributes='Male': expected names"),
    ((1, 2), r'dataset.attributes=\(1, 2\): expected names'),
])
def test_attributes_that_cannot_be_read_are_refused(images, attributes, message):
  (images / 'attributes.csv').write_text(CSV)
  with pytest.raises(UserError, match=message):
    load_dataset(ask(images, attributes))


@pytest.mark.parametrize('name, text, message', [
    ('attributes.csv', CSV.replace('a.png', 'z.png'), r"1 of 3 images have no line in '.*attributes.csv': 'a.png'"),
    ('attributes.csv', CSV.replace('b.png,true', 'b.png'), 'line 3 of .* has 2 values after the file name: expected 3'),
    ('attributes.csv', CSV.replace('true', 'yes'), "line 3 of '.*attributes.csv': Male is 'yes'; expected 1 or true"),
    ('attributes.csv', CSV + 'b.png,1,1,1\n', "line 5 of .* is a second line for 'b.png'"),
    ('attributes.csv', CSV.replace('true', '0').replace(',1,0,', ',0,0,'), "none of the 3 images have 'Male'"),
    ('attributes.csv', CSV.replace('0,-1', '0,1'), "all of the 3 images have 'Young'"),
    ('attributes.csv', CSV.replace('Smiling', 'Male'), "names 'Male' twice"),
    ('attributes.csv', '', 'line 1 of .* names no attributes'),
    ('attributes.csv', 'file;Male;Young\n', 'line 1 of .* names no attributes: expected a header such as file,Male'),
    ('list_attr_celeba.txt', CELEBA.replace('b.png  1', 'b.png'), 'line 4 of .* has 2 values after the file name'),
    ('list_attr_celeba.txt', CELEBA.replace('c.png  1', 'c.png  2'), "line 5 of .*: Male is '2'; expected 1"),
    ('list_attr_celeba.txt', CELEBA[2:], 'does not begin as list_attr_celeba.txt does'),
    ('list_attr_celeba.txt', '3\n', 'does not begin as list_attr_celeba.txt does'),
])
def test_faults_of_a_list_are_named(images, name, text, message):
  (images / name).write_text(text)
  with pytest.raises(UserError, match=f'^dataset.attributes: .*{message}'):
    load_dataset(ask(images))


def test_what_is_no_text_is_said_so(images):
  (images / 'attributes.csv').write_bytes(b'file,Male,Young\n\xff\xfe')
  with pytest.raises(UserError, match="'.*attributes.csv' cannot be read: 'utf-8' codec"):
    load_dataset(ask(images))


def test_only_the_first_of_many_images_without_a_line_are_listed(images):
  save_images(images, 'defghijk')
  (images / 'attributes.csv').write_text(CSV)
  with pytest.raises(UserError, match="8 of 11 images have no line .*: 'd.png', .*'h.png' and 3 more"):
    load_dataset(ask(images))


def test_where_a_list_is_looked_for_is_said(images):
  with pytest.raises(UserError) as raised:
    load_dataset(ask(images))
  message = str(raised.value)
  assert f'no list of attributes in {str(images)!r} nor in {str(images.parent)!r}' in message
  assert 'list_attr_celeba.txt, list_attr_celeba.csv, attributes.csv' in message


def test_the_folder_must_be_there(tmp_path):
  with pytest.raises(UserError, match='dataset.path=.* is not a folder'):
    load_dataset(ask(tmp_path / 'nowhere'))


@pytest.mark.parametrize('flag, want', [
    ("('Male','Young')", NAMES), ("['Male','Young']", NAMES), ("('Male',)", ('Male',)), ('Male', ('Male',)),
    ('()', ())])
def test_the_flag_and_config_json_carry_them(images, monkeypatch, flag, want):
  (images / 'attributes.csv').write_text(CSV)
  values = flags.FlagValues()
  config_flags.DEFINE_config_file('config', flag_values=values)  # as main.py does
  command = ['main.py', f'--config={wgan_gp.__file__}', '--config.dataset.name=folder',
             f'--config.dataset.path={images}', f'--config.dataset.attributes={flag}']
  monkeypatch.setattr(sys, 'argv', command)  # where ml_collections looks for the fields to change
  values(command)
  given = values.config.dataset
  assert given.attributes == want
  kept = ml_collections.ConfigDict(json.loads(json.dumps(given.to_dict())))
  for config in (given, kept):
    assert load_dataset(config).attribute_names == want


def test_accents_may_be_written_either_way(tmp_path):
  save_images(tmp_path / 'images', ['e\u0301', 'b'])
  (tmp_path / 'images' / 'attributes.csv').write_text('file,Male\n\u00e9.png,1\nb.png,0\n')
  loaded = load_dataset(ask(tmp_path / 'images', ('Male',)))
  assert loaded.attributes[:, 0].tolist() == [0, 1]
