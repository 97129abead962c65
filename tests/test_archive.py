"""A zip archive of images is read as it lies there."""
import json
import tracemalloc
import zipfile

import ml_collections
import numpy as np
from PIL import Image
import pytest

from gans.data.dataset import OnDisk
from gans.data.sources import archive, load_dataset
from gans.errors import UserError


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))


@pytest.fixture
def folder(tmp_path):
  for i, name in enumerate(('cats/a.png', 'cats/b.tga', 'dogs/c.jpg', 'dogs/more/d.webp')):
    (tmp_path / 'data' / name).parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', (6, 4), (60 * i, 200, 0)).save(tmp_path / 'data' / name)
  return tmp_path / 'data'


def pack(folder, **texts):
  """Writes FOLDER.zip of a folder's files, with further ones in it."""
  path = folder.parent / f'{folder.name}.zip'
  with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as file:
    file.mkdir('empty')
    for each in sorted(folder.rglob('*.*')):
      file.write(each, each.relative_to(folder))
    for name, text in texts.items():
      file.writestr(name, text)
  return path


def load(path, **fields):
  return load_dataset(ml_collections.ConfigDict({'name': 'folder', 'path': str(path), 'image_size': 4,
                                                 'device_bytes': 2**30, **fields}))


def test_it_is_what_its_folder_is(folder):
  path = pack(folder, **{'__MACOSX/cats/._a.png': 'x', 'notes.txt': 'x', 'cats/.DS_Store': 'x'})
  unpacked, packed = load(folder), load(path)
  np.testing.assert_array_equal(packed.images, unpacked.images)
  np.testing.assert_array_equal(packed.checksums, unpacked.checksums)
  np.testing.assert_array_equal(packed.labels, [0, 0, 1, 1])
  assert packed.names == unpacked.names and packed.class_names == ('cats', 'dogs')
  assert packed.left_out == {'.*': '2 files: hidden', '*.txt': '1 file: not read'}


@pytest.mark.parametrize('rename', [lambda name: f'top/{name}', lambda name: name.replace('/', '\\'),
                                    lambda name: f'a\\{name}'])
def test_the_packed_folders_own_name_and_other_separators_are_left_away(folder, rename):
  path = folder.parent / 'renamed.zip'
  names = {str(each.relative_to(folder)): each for each in folder.rglob('*.*')}
  with zipfile.ZipFile(path, 'w') as file:
    for name, each in names.items():
      file.write(each, rename(name))
    labels = [[name, i % 2] for i, name in enumerate(sorted(names))]
    file.writestr(rename('dataset.json'), json.dumps({'labels': labels}))
    file.writestr('__MACOSX/x.png', 'x')
  loaded = load(path)
  np.testing.assert_array_equal(loaded.images, load(folder).images)
  assert loaded.names == load(folder).names
  np.testing.assert_array_equal(loaded.labels, [0, 1, 0, 1])


def test_damaged_labels_are_refused(folder):
  path = pack(folder, **{'dataset.json': json.dumps({'labels': None}) + ' ' * 50})
  contents = path.read_bytes()
  assert load(path).class_names == ('cats', 'dogs')
  with zipfile.ZipFile(path) as file:
    info = file.getinfo('dataset.json')
  start = info.header_offset + 30 + len('dataset.json')
  path.write_bytes(contents[:start] + b'\xff' * info.compress_size + contents[start + info.compress_size:])
  with pytest.raises(UserError, match='dataset.json.* cannot be read as labels'):
    load(path)


def test_a_large_one_stays_on_disk(folder):
  in_memory, streamed = load(folder), load(pack(folder), device_bytes=0)
  assert isinstance(streamed.images, OnDisk)
  np.testing.assert_array_equal(streamed.images[np.array([3, 0, 2])], in_memory.images[[3, 0, 2]])


def test_that_of_stylegan_has_its_labels_in_it_and_attributes_lie_beside_it(folder):
  names = ['cats/a.png', 'cats/b.tga', 'dogs/c.jpg', 'dogs/more/d.webp']
  path = pack(folder, **{'dataset.json': json.dumps({'labels': [[name, i // 3] for i, name in enumerate(names)]})})
  np.testing.assert_array_equal(load(path).labels, [0, 0, 0, 1])
  rows = ''.join(f'{name.rpartition("/")[2]},{i % 2}\n' for i, name in enumerate(names))
  (path.parent / 'attributes.csv').write_text(f'file,Old\n{rows}')
  np.testing.assert_array_equal(load(path, attributes=('Old',)).attributes, [[0], [1], [0], [1]])


def test_broken_images_are_left_out_by_name_and_what_is_too_large_too(folder, monkeypatch):
  path = pack(folder, **{'cats/broken.png': 'no image'})
  loaded = load(path, max_unreadable=0.5)
  assert len(loaded.images) == 4 and 'cannot identify it' in loaded.left_out['cats/broken.png']
  monkeypatch.setattr(archive, 'LARGEST', 100)
  large = load(pack(folder, **{'cats/large.png': 'x' * 101}), max_unreadable=0.5).left_out
  assert large['cats/large.png'] == 'it has 101 bytes: expected at most 100'


@pytest.mark.parametrize('content, message', [
    (b'no archive', 'cannot be read as a zip archive: File is not a zip file'),
    (None, 'is not a folder: give the folder that holds the images, or a .zip'),
])
def test_what_is_no_archive_is_refused(tmp_path, content, message):
  path = tmp_path / 'images.zip'
  if content:
    path.write_bytes(content)
  with pytest.raises(UserError, match=message):
    load(path)


def test_splits_and_too_few_images_are_refused(folder):
  (folder / 'cats').rename(folder / 'train')
  (folder / 'dogs').rename(folder / 'test')
  with pytest.raises(UserError, match="holds the splits 'train', 'test', .* unpack it .* such as the folder 'train'"):
    load(pack(folder))
  path = folder.parent / 'one.zip'
  with zipfile.ZipFile(path, 'w') as file:
    file.write(next(folder.rglob('*.png')), 'a.png')
  with pytest.raises(UserError, match='holds 1 images .*: expected 2'):
    load(path)


def test_names_that_begin_with_a_dot_and_a_slash_are_not_hidden(folder):
  path = folder.parent / 'dotted.zip'
  with zipfile.ZipFile(path, 'w') as file:
    for each in sorted(folder.rglob('*.*')):
      file.writestr(f'./{each.relative_to(folder)}', each.read_bytes())
  assert load(path).names == load(folder).names


@pytest.mark.parametrize('method', [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_no_more_is_unpacked_than_a_file_says_that_it_has(folder, method):
  path, size = folder.parent / 'bomb.zip', 50 * 2**20
  with zipfile.ZipFile(path, 'w', method) as file:
    for each in sorted(folder.rglob('*.*')):
      file.write(each, each.relative_to(folder), zipfile.ZIP_DEFLATED)
    file.writestr('cats/bomb.png', bytes(size))
  path.write_bytes(path.read_bytes().replace(size.to_bytes(4, 'little'), (100).to_bytes(4, 'little')))
  tracemalloc.start()
  loaded = load(path, max_unreadable=0.5)
  assert tracemalloc.get_traced_memory()[1] < size / 4
  tracemalloc.stop()
  reason = {zipfile.ZIP_DEFLATED: 'CRC', zipfile.ZIP_BZIP2: 'another method'}[method]
  assert len(loaded.images) == 4 and reason in loaded.left_out['cats/bomb.png']
