"""Voxels: their kind, their pictures, the sources that make and read them, and their scores."""
import io
import os
import pathlib
import pickle
import re
import zipfile

import jax.numpy as jnp
import ml_collections
import numpy as np
from PIL import Image
import pytest

from gans.data import kinds
from gans.data.dataset import OnDisk, Spec
from gans.data.sources import digits, files, load_dataset, voxel_files, voxels
from gans.errors import UserError
from gans.evaluation import voxels as scores
from gans.system import pictures, rendering

WHITE = 255


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))


def ask(name, path='', size=4, device_bytes=2**30, **fields):
  return ml_collections.ConfigDict({
      'name': name, 'path': str(path), 'data_dir': '', 'split': 'train', 'crop': '', 'image_size': size, 'flip': False,
      'device_bytes': device_bytes, 'workers': 0, **fields})


def box(size, *corners):
  """One model [size,size,size,1] whose cells in the slices `corners` are occupied."""
  model = np.zeros((size, size, size, 1), np.uint8)
  model[corners] = 1
  return model


def some_models(num, size=4):
  """Models [num,size,size,size] that differ from each other and along each axis."""
  models = np.random.default_rng(0).integers(2, size=(num, size, size, size), dtype=np.uint8)
  models[:, 0, 0, 0] = 1
  return models


def binvox(model, dim=None, before=b'', pairs=None) -> bytes:
  """A .binvox file of a model [X,Y,Z], written cell by cell: in the order of the format the last axis runs fastest."""
  dim = dim or ' '.join(map(str, model.shape))
  pairs = b''.join(bytes((cell, 1)) for cell in model.ravel()) if pairs is None else pairs
  return b'#binvox 1\n' + before + f'dim {dim}\ntranslate -0.5 0 1e-3\nscale 2.5\ndata\n'.encode() + pairs


# The kind.


def test_decoding_and_encoding_are_inverse():
  assert Spec((4, 4, 4, 1)).kind is kinds.VOXELS
  cells = np.array([0, 1, 1, 0], np.uint8)
  decoded = kinds.VOXELS.decode(cells)
  assert decoded.dtype == jnp.float32
  np.testing.assert_array_equal(decoded, [-1, 1, 1, -1])
  encoded = kinds.VOXELS.encode(decoded)
  assert encoded.dtype == jnp.uint8
  np.testing.assert_array_equal(encoded, cells)
  np.testing.assert_array_equal(kinds.VOXELS.encode(jnp.array([-0.1, 0, 0.1])), [0, 0, 1])


def test_each_kind_says_what_a_picture_of_one_sample_is():
  images = np.zeros((2, 4, 5, 3), np.uint8)
  assert kinds.IMAGES.render(images) is images
  assert kinds.VOXELS.render(some_models(2)[..., None]).shape == (2, rendering.SIDE, rendering.SIDE, 1)
  assert [kind.separate for kind in (kinds.IMAGES, kinds.VOXELS, kinds.POINTS)] == [True, True, False]
  assert [kind.can_be_mirrored for kind in (kinds.IMAGES, kinds.VOXELS, kinds.POINTS)] == [True, True, False]


def test_mirroring_exchanges_left_and_right():
  left = box(4, 0)
  assert (np.flip(left[None], kinds.VOXELS.mirror_axis)[0] == box(4, 3)).all()


# Pictures.


def test_an_empty_model_is_white():
  assert (rendering.render(np.zeros((2, 3, 3, 3, 1), np.uint8), side=16) == WHITE).all()


def test_a_single_cell_is_seen_where_it_is():
  """From the front, with no elevation: X to the right, Z up, Y unseen."""
  picture = rendering.render(box(4, 3, 1, 0)[None], side=64, azimuth=0, elevation=0)[0, ..., 0]
  rows, columns = np.nonzero(picture < WHITE)
  # The picture is sqrt(2) cubes wide, so that a corner stays in it as the cube turns: a cell is 64 / (4 sqrt 2) pixels.
  middle, cell = 32, 64 / (4 * 2 ** 0.5)
  np.testing.assert_allclose([columns.min(), columns.max() + 1], [middle + cell, middle + 2 * cell], atol=1)
  np.testing.assert_allclose([rows.min(), rows.max() + 1], [middle + cell, middle + 2 * cell], atol=1)
  # From the right, Y runs to the right.
  picture = rendering.render(box(4, 3, 1, 0)[None], side=64, azimuth=90, elevation=0)[0, ..., 0]
  _, columns = np.nonzero(picture < WHITE)
  np.testing.assert_allclose([columns.min(), columns.max() + 1], [middle - cell, middle], atol=1)


def test_a_face_hides_what_is_behind_it():
  wall = box(4, slice(None), 0)
  hidden = wall | box(4, slice(1, 3), 2, slice(1, 3))
  before = box(4, slice(1, 3), 0, slice(1, 3)) | box(4, slice(None), 3)
  front = {'azimuth': 0, 'elevation': 0}
  np.testing.assert_array_equal(rendering.render(hidden[None], **front), rendering.render(wall[None], **front))
  assert (rendering.render(before[None], **front) != rendering.render(box(4, slice(None), 3)[None], **front)).any()
  assert (rendering.render(hidden[None], azimuth=90) != rendering.render(wall[None], azimuth=90)).any()


def test_faces_differ_in_shade_and_what_is_far_is_darker():
  cube = np.ones((1, 4, 4, 4, 1), np.uint8)
  picture = rendering.render(cube, side=64, azimuth=30, elevation=30)[0, ..., 0]
  top, left, right = picture[16, 32], picture[40, 24], picture[40, 44]
  assert WHITE > top > left > right > 0
  assert picture[24, 32] > picture[12, 32]  # the top's front and back


def test_a_cube_is_in_the_picture_from_all_sides():
  cube = np.ones((1, 3, 3, 3, 1), np.uint8)
  for azimuth in (0, 45, 100):
    for elevation in (0, 30, 90):
      picture = rendering.render(cube, 32, azimuth, elevation)[0, ..., 0]
      edges = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
      assert picture[16, 16] < WHITE and np.median(edges) == WHITE


def test_a_whole_turn_gives_the_same_picture():
  models = some_models(2)[..., None]
  np.testing.assert_array_equal(rendering.render(models, azimuth=30), rendering.render(models, azimuth=390))
  half_turned = models[:, ::-1, ::-1]
  np.testing.assert_array_equal(rendering.render(models, azimuth=30), rendering.render(half_turned, azimuth=210))


def test_models_turn_side_by_side(tmp_path):
  models = some_models(3)[..., None]
  frames = rendering.turning(models, num_frames=4, columns=2, side=16)
  assert frames.shape == (4, 2 * 16, 2 * 16, 1)
  np.testing.assert_array_equal(frames[0], rendering.grid(rendering.render(models, 16), 2))
  assert (frames[0, 16:, 16:] == WHITE).all()  # no fourth model
  assert (frames[0] != frames[1]).any()
  pictures.save_gif(tmp_path / 'a.gif', frames, 50)
  with Image.open(tmp_path / 'a.gif') as gif:
    assert gif.n_frames == 4


# 3-D digits.


def test_digits_are_solid_and_the_same_every_time():
  loaded = load_dataset(ask('voxel_digits', size=12))
  again = load_dataset(ask('voxel_digits', size=12))
  assert loaded.images.shape == (5000, 12, 12, 12, 1) and loaded.images.dtype == np.uint8 and loaded.images.max() == 1
  np.testing.assert_array_equal(loaded.images, again.images)
  np.testing.assert_array_equal(np.bincount(loaded.labels), [500] * 10)
  assert loaded.images.any((1, 2, 3, 4)).all()
  ones = loaded.images[loaded.labels == 1]
  assert scores.components(ones[:100]) < 1.1


def test_an_extruded_digit_is_seen_from_the_front():
  pixels, _ = digits.read_mnist_5k()
  digit = pixels[0, ..., 0]
  model = voxels.extrude(digit, 24, angle=0)[..., 0]
  from_the_front = model.any(1).T[::-1]  # rows are Z, from above; columns are X
  np.testing.assert_array_equal(from_the_front, digit[2:-2, 2:-2] > voxels.THRESHOLD)
  layers = model.any((0, 2))
  assert layers.sum() == 4 and layers[10:14].all()  # 0.18 of 24 cells
  turned = voxels.extrude(digit, 24, angle=np.pi / 2)[..., 0]
  np.testing.assert_array_equal(turned.any(0).T[::-1], from_the_front)  # seen from the right or the left


def test_digits_of_too_many_cells_are_refused():
  with pytest.raises(UserError, match=r'dataset.image_size=65: expected at most 64 for voxel_digits'):
    load_dataset(ask('voxel_digits', size=65))


# Files.


def test_all_formats_give_the_same_models_and_their_classes(tmp_path):
  models = some_models(6)
  for folder in ('chair', 'table'):
    (tmp_path / folder).mkdir()
  (tmp_path / 'chair' / '0.binvox').write_bytes(binvox(models[0], before=b'# a comment\n\n'))
  np.save(tmp_path / 'chair' / '1.npy', np.asfortranarray(models[1].astype(bool)))
  np.savez(tmp_path / 'chair' / '2.npz', voxels=models[2].astype(np.float32))
  (tmp_path / 'table' / '3.BINVOX').write_bytes(binvox(models[3]).replace(b'\n', b'\r\n', 5))
  np.savez_compressed(tmp_path / 'table' / '4.npz', voxels=models[4][..., None].astype('>i8'), labels=[7])
  np.save(tmp_path / 'table' / '5.npy', models[5].astype(np.int8))
  (tmp_path / 'notes.txt').write_text('no model')
  loaded = load_dataset(ask('voxel_folder', tmp_path))
  assert loaded.images.dtype == np.uint8 and loaded.spec.shape == (4, 4, 4, 1)
  np.testing.assert_array_equal(loaded.images[..., 0], models)
  np.testing.assert_array_equal(loaded.labels, [0, 0, 0, 1, 1, 1])
  assert loaded.num_classes == 2 and loaded.class_names == ('chair', 'table')
  again = load_dataset(ask('voxel_folder', tmp_path))  # from the cache
  np.testing.assert_array_equal(again.images, loaded.images)
  on_disk = load_dataset(ask('voxel_folder', tmp_path, device_bytes=10))
  assert isinstance(on_disk.images, OnDisk)
  np.testing.assert_array_equal(on_disk.images[:], loaded.images)
  np.testing.assert_array_equal(on_disk.labels, loaded.labels)
  (tmp_path / 'table' / '5.npy').write_bytes(b'')
  with pytest.raises(UserError, match='could be read before and cannot be now'):
    on_disk.images[5]


def test_binvox_runs_may_be_long_and_go_along_the_last_axis(tmp_path):
  """In the format's words y runs fastest, then z, then x: its y, which is up, is the last axis."""
  path = tmp_path / 'a.binvox'
  path.write_bytes(binvox(np.zeros((8, 8, 8)), pairs=bytes((0, 8, 1, 8, 0, 255, 0, 241))))
  np.testing.assert_array_equal(voxel_files.read_model(path, 8), box(8, 0, 1))


def test_models_are_pooled_down(tmp_path):
  for i in range(2):
    np.save(tmp_path / f'{i}.npy', box(4, 0, 0, 3)[..., 0])
  np.testing.assert_array_equal(load_dataset(ask('voxel_folder', tmp_path, size=2)).images, [box(2, 0, 0, 1)] * 2)


def test_one_file_of_all_models(tmp_path):
  models = some_models(4)
  np.savez(tmp_path / 'a.npz', voxels=models, labels=np.array([0, 2, 1, 0], np.uint8), names=['a', 'b', 'c', 'd'])
  loaded = load_dataset(ask('voxel_folder', tmp_path / 'a.npz'))
  np.testing.assert_array_equal(loaded.images[..., 0], models)
  np.testing.assert_array_equal(loaded.labels, [0, 2, 1, 0])
  assert loaded.class_names == ('a', 'b', 'c', 'd') and loaded.labels.dtype == np.int32
  models[1] = 0
  np.save(tmp_path / 'b.npy', models[..., None])
  with pytest.raises(UserError, match=r"1 of 4 voxel models(.|\n)*'model 1': 'it is empty(.|\n)*at most 10% are"):
    load_dataset(ask('voxel_folder', tmp_path / 'b.npy'))
  loaded = load_dataset(ask('voxel_folder', tmp_path / 'b.npy', max_unreadable=0.25))
  assert loaded.num_classes == 0 and len(loaded.images) == 3
  assert loaded.left_out == {'model 1': 'it is empty: no cell is occupied'}


def write_npz(path, name='voxels.npy', contents=b'', compression=zipfile.ZIP_DEFLATED):
  with zipfile.ZipFile(path, 'w', compression) as archive:
    archive.writestr(name, contents)


def array_file(shape, dtype='|u1', contents=b'') -> bytes:
  """A .npy file with that header, whatever follows it."""
  file = io.BytesIO()
  np.lib.format.write_array_header_1_0(file, {'descr': dtype, 'fortran_order': False, 'shape': shape})
  return file.getvalue() + contents


GOOD = some_models(1)[0]
BAD_FILES = {
    'empty.binvox': (b'', "does not begin with '#binvox 1'|ends early"),
    'other.binvox': (b'RIFF\n' + bytes(99), "does not begin with '#binvox 1'"),
    'no_dim.binvox': (b'#binvox 1\ndata\n\1\1', "no line 'dim'"),
    'dim.binvox': (binvox(GOOD, dim='4 four 4'), 'expected three whole numbers'),
    'flat.binvox': (binvox(GOOD, dim='4 4 2'), '4 x 4 x 2 cells: expected a cube'),
    'huge.binvox': (binvox(GOOD, dim='99999 99999 99999'), '99999 cells a side: expected 1 to 256'),
    'none.binvox': (binvox(GOOD, dim='0 0 0'), '0 cells a side'),
    'endless.binvox': (b'#binvox 1\n' + b'# again\n' * 1000, "no line 'data'"),
    'line.binvox': (b'#binvox 1\n' + bytes(10**5), 'header ends early'),
    'keyword.binvox': (binvox(GOOD, before=b'run me\n'), 'expected dim, translate'),
    'few.binvox': (binvox(GOOD, pairs=b'\1\x3f'), 'says 64 cells .dim 4 4 4., and 63 follow'),
    'many.binvox': (binvox(GOOD, pairs=b'\1\x41'), 'says 64 cells .dim 4 4 4., and 65 follow'),
    'long.binvox': (binvox(GOOD, pairs=b'\1\1' * 1000), 'more pairs than there are cells'),
    'odd.binvox': (binvox(GOOD, pairs=b'\1\x40\0'), 'within a pair'),
    'grey.binvox': (binvox(GOOD, pairs=b'\xff\x40'), 'a cell is 255: expected 0 and 1'),
    'hollow.binvox': (binvox(GOOD, pairs=b'\0\x40'), 'it is empty'),
    'six.binvox': (binvox(some_models(1, 6)[0]), '6 cells a side: dataset.image_size=4 does not divide it'),
    'empty.npy': (b'', 'EOF|reading magic'),
    'cut.npy': (array_file((4, 4, 4), contents=bytes(63)), 'says 64 bytes .4, 4, 4., and there are less'),
    'more.npy': (array_file((4, 4, 4), contents=bytes(65)), 'there are more'),
    'huge.npy': (array_file((99999, 99999, 99999)), 'expected 1 to 256'),
    'negative.npy': (array_file((-4, -4, -4)), 'an array .-4, -4, -4.'),
    'objects.npy': (array_file((4, 4, 4), '|O', pickle.dumps([print] * 64)), 'an array of object: expected numbers'),
    'text.npy': (array_file((4, 4, 4), '<U9', bytes(36 * 64)), 'expected numbers'),
    'many.npy': (array_file((2, 4, 4, 4), contents=bytes(128)), 'expected one model'),
    'scalar.npy': (array_file((), contents=bytes(1)), 'expected one model'),
    'version.npy': (b'\x93NUMPY\2\0\xff\xff\xff\x7f' + bytes(99), 'a longer header'),
    'header.npy': (b"\x93NUMPY\1\0\x20\0{'descr': ((((" + bytes(99), '.'),
    'grey.npy': (array_file((4, 4, 4), contents=bytes([7] * 64)), 'a cell is 7: expected 0 and 1'),
    'nan.npy': (array_file((4, 4, 4), '<f8', np.full(64, np.nan).tobytes()), 'a cell is nan'),
    'empty.npz': (b'', 'not a zip file'),
}


def why_not(path: pathlib.Path) -> str:
  """Returns why a file is no model."""
  return files.try_read(lambda path: voxel_files.read_model(path, 4), str(path))


@pytest.mark.parametrize('name', BAD_FILES)
def test_a_bad_file_has_its_reason(name, tmp_path):
  contents, reason = BAD_FILES[name]
  (tmp_path / name).write_bytes(contents)
  error = why_not(tmp_path / name)
  assert isinstance(error, str), name
  assert re.search(reason, error), error


def test_bad_archives_have_their_reasons(tmp_path):
  def reason():
    return why_not(path)

  path = tmp_path / 'a.npz'
  np.savez(path, occ=GOOD)
  assert "no array 'voxels'" in reason()
  write_npz(path, contents=array_file((10**4,) * 3, contents=bytes(10**7)))  # a zip bomb
  assert 'expected 1 to 256' in reason()
  write_npz(path, contents=array_file((4, 4, 4), contents=bytes(10**7)))
  assert 'there are more' in reason()
  write_npz(path, contents=array_file((4, 4, 4), contents=GOOD.tobytes()), compression=zipfile.ZIP_LZMA)
  assert 'compressed otherwise' in reason()
  np.savez(path, voxels=np.array([print], dtype=object))
  assert 'expected one model' in reason()
  np.savez(path, voxels=GOOD)
  damaged = bytearray(path.read_bytes())
  damaged[damaged.index(GOOD.tobytes())] ^= 1
  path.write_bytes(damaged)
  assert 'CRC' in reason()
  path.write_bytes(damaged[:-30])
  assert 'zip' in reason()


def fill(folder, count):
  folder.mkdir(parents=True, exist_ok=True)
  for i, model in enumerate(some_models(count)):
    np.save(folder / f'{i:03d}.npy', model)


def test_few_bad_files_are_skipped_and_many_refused(tmp_path):
  fill(tmp_path, 10)
  (tmp_path / 'bad.binvox').write_bytes(binvox(GOOD, dim='9 9 9'))
  for _ in range(2):  # the second time from the cache
    loaded = load_dataset(ask('voxel_folder', tmp_path))
    assert len(loaded.images) == 10 and list(loaded.left_out) == ['bad.binvox']
    assert loaded.left_out['bad.binvox'].startswith('9 cells a side')
  (tmp_path / 'worse.npy').write_bytes(b'')
  with pytest.raises(UserError, match=r"2 of 12 voxel models in(.|\n)*'worse.npy'(.|\n)*at most 10% are skipped"):
    load_dataset(ask('voxel_folder', tmp_path))


def test_what_is_no_file_is_left_out(tmp_path):
  inside = tmp_path / 'inside'
  fill(inside, 2)
  (inside / 'a.npz').mkdir()
  (inside / 'b.npy').symlink_to('b.npy')
  (inside / 'c').symlink_to(inside)
  (inside / 'd.npy').symlink_to(inside / '000.npy')
  os.mkfifo(inside / 'e.binvox')
  loaded = load_dataset(ask('voxel_folder', inside))
  assert loaded.names == ('000.npy', '001.npy')
  assert loaded.left_out.keys() == {'b.npy', 'c', 'd.npy', 'e.binvox'}


def test_paths_without_models_are_refused(tmp_path):
  fill(tmp_path, 1)
  with pytest.raises(UserError, match=r'holds 1 voxel models \(.binvox, .npy, .npz\): expected 2'):
    load_dataset(ask('voxel_folder', tmp_path))
  for path in ('', tmp_path / 'nowhere'):
    with pytest.raises(UserError, match='is not a folder: give the folder that holds the voxel models'):
      load_dataset(ask('voxel_folder', path))


def refusal(path: pathlib.Path, **fields) -> str:
  with pytest.raises(UserError) as caught:
    load_dataset(ask('voxel_folder', path, **fields))
  assert str(caught.value).startswith(f'dataset.path={str(path)!r}: ')
  return str(caught.value)


def test_bad_files_of_all_models_are_refused(tmp_path):
  models = some_models(3)
  path = tmp_path / 'a.npz'
  np.savez(path, voxels=models)
  assert '192 bytes are more than dataset.device_bytes=100' in refusal(path, device_bytes=100)
  assert 'does not divide' in refusal(path, size=3)
  np.savez(path, voxels=models[0])
  assert 'expected at least two models' in refusal(path)
  np.savez(path, voxels=2 * models)
  assert 'a cell is 2: expected 0 and 1' in refusal(path)
  np.savez(path, voxels=0 * models)
  with pytest.raises(UserError, match=r"3 of 3 voxel models(.|\n)*'model 0': 'it is empty"):
    load_dataset(ask('voxel_folder', path))
  np.savez(path, voxels=models, labels=[0, 1])
  assert 'labels (2,) of int64: expected (3,) whole numbers' in refusal(path)
  np.savez(path, voxels=models, labels=[0, 1, -1])
  assert 'labels from -1 to 1: expected 0 to 1' in refusal(path)
  np.savez(path, voxels=models, labels=[0, 1, 2], names=['a', 'b'])
  assert 'labels from 0 to 2: expected 0 to 1' in refusal(path)
  np.savez(path, voxels=models, labels=[1, 2, 3])
  assert 'no model has the label 0: expected some of each from 0 to 3' in refusal(path)
  np.savez(path, voxels=models, labels=[0, 1, 1], names=['a', 'a'])
  assert 'a class is named twice' in refusal(path)
  np.savez(path, voxels=models, labels=[0, 1, 1], names=[1, 2])
  assert 'names (2,) of int64: expected a row of texts' in refusal(path)
  np.savez(path, voxels=models, labels=[0, 1, 10**9])
  assert 'at most 10000 classes' in refusal(path)
  path.write_bytes(b'PK')
  assert 'zip' in refusal(path)
  (tmp_path / 'a.binvox').write_bytes(binvox(models[0]))
  assert 'expected a folder of models' in refusal(tmp_path / 'a.binvox')


# Scores.


def test_occupied_and_components():
  two_apart = box(4, 0, 0, 0) | box(4, 1, 1, slice(0, 2))  # which touch along an edge only
  joined = two_apart | box(4, 0, 1, 0)
  assert scores.occupied(np.stack([two_apart, joined])) == pytest.approx((3 + 4) / 128)
  assert scores.components(np.stack([two_apart, joined])) == 1.5
  assert scores.components(np.zeros((1, 2, 2, 2, 1), np.uint8)) == 0


@pytest.mark.parametrize('chunk', [scores.CHUNK, 64])
def test_nearest_iou(chunk, monkeypatch):
  monkeypatch.setattr(scores, 'CHUNK', chunk)
  training = np.stack([box(4, 0), box(4, slice(0, 2)), box(4, 3, 3)])  # of 16, 32 and 4 cells
  samples = np.stack([box(4, 0), box(4, 1), box(4, 3), box(4, 2)])
  np.testing.assert_allclose(scores.nearest_iou(samples, training), [1, 16 / 32, 4 / 16, 0])
  np.testing.assert_allclose(scores.nearest_iou(training, training, np.arange(3)), [16 / 32, 16 / 32, 0])
  nothing = np.zeros((1, 4, 4, 4, 1), np.uint8)
  np.testing.assert_array_equal(scores.nearest_iou(nothing, nothing), [1])


def test_scores_refuse_other_than_voxels():
  voxel = box(4, 0)[None]
  with pytest.raises(UserError, match=r'samples has the shape \(4, 4, 1\): expected voxels'):
    scores.occupied(voxel[0, 0])
  with pytest.raises(UserError, match='samples are uint8 from 0 to 2'):
    scores.components(2 * voxel)
  with pytest.raises(UserError, match='sizes of the models .*expected equal ones'):
    scores.nearest_iou(voxel, box(2, 0)[None])
  with pytest.raises(UserError, match='expected at least 2, for a nearest one'):
    scores.nearest_iou(voxel, voxel, np.arange(1))
