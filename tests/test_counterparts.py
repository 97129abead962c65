"""Data sets of two classes whose pictures have exact counterparts in the other class."""
import ml_collections
import numpy as np
from PIL import Image
import pytest

from gans.data.dataset import OnDisk
from gans.data.sources import TFDS, counterparts, find_source, load_dataset
from gans.errors import UserError

MNIST = ('image_size',)
OF_FOLDERS = ('path', 'image_size', 'max_unreadable')
FROM_TFDS = ('data_dir', 'split', 'crop', 'image_size')


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))


def ask(name, **fields):
  defaults = {'path': '', 'data_dir': '', 'split': 'train', 'crop': '', 'image_size': 4, 'flip': False,
              'device_bytes': 2**30, 'attributes': ()}
  return ml_collections.ConfigDict({'name': name, **defaults, **fields})


def check_is_paired(dataset):
  """Checks that a data set has two classes of N images each, whose partners are each other's."""
  count = len(dataset.images) // 2
  assert dataset.num_classes == 2 and dataset.spec.paired
  assert dataset.partners.dtype == dataset.labels.dtype == np.int32
  np.testing.assert_array_equal(dataset.labels, [0] * count + [1] * count)
  np.testing.assert_array_equal(dataset.partners[dataset.partners], np.arange(2 * count))
  np.testing.assert_array_equal(dataset.labels[dataset.partners], 1 - dataset.labels)


def save(path, pixels):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


def test_sobel_of_a_step():
  step = np.tile(np.array([0, 0, 10, 10], np.uint8), (4, 1))[None, ..., None]
  want = np.tile([0, 40, 40, 0], (4, 1))  # (1 + 2 + 1) * 10 on both sides of the step
  np.testing.assert_array_equal(counterparts.sobel(step)[0, ..., 0], want)
  np.testing.assert_array_equal(counterparts.sobel(np.rot90(step, axes=(1, 2)))[0, ..., 0], want.T)


def test_sobel_of_a_corner_and_of_colours():
  corner = np.zeros((1, 4, 4, 3), np.uint8)
  corner[0, 2:, 2:, 1] = 10
  corner[..., 2] = 200  # a channel without edges
  magnitude = counterparts.sobel(corner)[0, ..., 0]
  assert magnitude.shape == (4, 4)
  assert magnitude[1, 1] == pytest.approx(np.hypot(10, 10))
  assert magnitude[1, 2] == pytest.approx(np.hypot(10, 30))
  assert magnitude[3, 1] == 40 and magnitude[0, 0] == magnitude[3, 3] == 0


def test_edges_are_dark_on_white():
  step = np.zeros((1, 4, 4, 1), np.uint8)
  step[:, :, 2:] = 60  # a magnitude of 240, of the 765 that are black
  drawn, picture = counterparts.edges(step)
  np.testing.assert_array_equal(drawn[0, ..., 0], np.tile([255, 175, 175, 255], (4, 1)))
  np.testing.assert_array_equal(picture, step)
  assert counterparts.edges(step // 60 * 255)[0].min() == 0


def test_inverted_and_rotated():
  images = np.arange(4, dtype=np.uint8).reshape(1, 2, 2, 1)
  a, b = counterparts.inverted(images)
  np.testing.assert_array_equal(a, images)
  np.testing.assert_array_equal(b[0, ..., 0], [[255, 254], [253, 252]])
  a, b = counterparts.rotated(images)
  np.testing.assert_array_equal(a, images)
  np.testing.assert_array_equal(b[0, ..., 0], [[1, 3], [0, 2]])  # the right column is the upper row now


def test_grey_pictures_are_coloured_one_to_one():
  images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
  a, b = counterparts.coloured(images)
  np.testing.assert_array_equal(a, images)
  assert b[0, 0, 0].tolist() == [0, 51, 153] and b[0, -1, -1].tolist() == [255, 221, 0]
  assert len(np.unique(b.reshape(-1, 3), axis=0)) == 256


def test_colour_pictures_lose_their_colour():
  images = np.array([[[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 9, 9]]]], np.uint8)
  a, b = counterparts.coloured(images)
  np.testing.assert_array_equal(a[0, ..., 0], [[76, 150], [29, 9]])  # .299, .587, .114 of 255
  np.testing.assert_array_equal(b, images)


@pytest.mark.parametrize('maker', counterparts.MAKERS)
def test_digits_and_their_counterparts(maker):
  digits = load_dataset(ask('mnist_5k')).images
  dataset = load_dataset(ask(f'mnist_5k_{maker}'))
  check_is_paired(dataset)
  a, b = counterparts.MAKERS[maker](digits)
  channels = 3 if maker == 'coloured' else 1
  assert dataset.images.shape == (10_000, 4, 4, channels) and dataset.images.dtype == np.uint8
  for i in (0, 4_321, 4_999):  # grey becomes colour where the other domain is
    np.testing.assert_array_equal(dataset.images[i], np.broadcast_to(a[i], (4, 4, channels)))
    np.testing.assert_array_equal(dataset.images[dataset.partners[i]], b[i])


def test_edges_of_a_data_set_of_tfds(tfds_dir):
  pictures = load_dataset(ask('blobs', data_dir=tfds_dir)).images
  dataset = load_dataset(ask('blobs_edges', data_dir=tfds_dir))
  check_is_paired(dataset)
  assert dataset.images.shape == (46, 4, 4, 3)
  np.testing.assert_array_equal(dataset.images[23:], pictures)
  np.testing.assert_array_equal(dataset.images[:23], np.repeat(counterparts.edges(pictures)[0], 3, axis=-1))


def test_counterparts_of_a_folder(tmp_path):
  for i in range(3):
    save(tmp_path / f'{i}.png', np.full((4, 4), 100 + i))
  dataset = load_dataset(ask('folder_inverted', path=str(tmp_path)))
  check_is_paired(dataset)
  np.testing.assert_array_equal(dataset.images[:, 0, 0, 0], [100, 101, 102, 155, 154, 153])


@pytest.mark.parametrize('name, reads', [
    ('mnist_5k_edges', MNIST), ('folder_rotated', OF_FOLDERS), ('fashion_mnist_edges', FROM_TFDS),
    ('mnist_coloured', FROM_TFDS), ('folder_pairs', OF_FOLDERS)])
def test_names_that_are_known(name, reads):
  assert find_source(name).reads == reads and find_source(name) is not TFDS


@pytest.mark.parametrize('name', [
    'edges', '_edges', 'ring8_edges', 'stacked_mnist_edges', 'folder_pairs_edges', 'mnist_5k_edges_rotated', 'mnist',
    'mnist_5k_crossed'])
def test_names_that_are_left_to_tfds(name):
  assert find_source(name) is TFDS


def test_the_names_are_listed_for_one_that_is_unknown():
  names = 'NAME_edges, NAME_inverted, NAME_rotated, NAME_coloured, where NAME is mnist_5k, folder or from'
  expected = f"expected .*'folder_pairs', .*, or {names}"
  with pytest.raises(UserError, match=f"'ring8_edges' is not a data set: did you mean ring8. {expected}"):
    load_dataset(ask('ring8_edges'))


@pytest.mark.parametrize('device_bytes', [0, 2 * 23 * 16 * 3 - 1])  # the pictures on disk, and in memory
def test_what_is_too_large_for_memory_is_refused(tfds_dir, device_bytes):
  config = ask('blobs_edges', data_dir=tfds_dir, device_bytes=device_bytes)
  with pytest.raises(UserError, match=f'dataset.device_bytes={device_bytes}: blobs_edges is made in memory and may '
                     'take 2208 bytes; give at least as many, or a smaller dataset.image_size'):
    load_dataset(config)
  config.device_bytes = 2208
  assert len(load_dataset(config).images) == 46


def test_turned_pictures_cannot_be_mirrored():
  with pytest.raises(UserError, match='dataset.flip=True: mnist_5k_rotated cannot be mirrored'):
    load_dataset(ask('mnist_5k_rotated', flip=True))
  assert load_dataset(ask('mnist_5k_edges', flip=True)).spec.paired


def test_the_classes_that_the_pictures_had_are_not_spoken_of(tmp_path):
  (tmp_path / 'in').mkdir()
  for name in ('a.png', 'in/b.png'):
    Image.new('L', (4, 4), 90).save(tmp_path / name)
  assert not any('class' in note for note in load_dataset(ask('folder_inverted', path=str(tmp_path))).notes)
  (tmp_path / 'labels.csv').write_text('file,class\na.png,x\nb.png,y\n')
  assert not any('label' in note for note in load_dataset(ask('folder_inverted', path=str(tmp_path))).notes)


def test_fields_of_the_pictures_are_read_and_no_others(tfds_dir):
  with pytest.raises(UserError, match=r"dataset.path='/data': dataset.name='mnist_5k_edges' does not read it; its "
                     r"fields are \['device_bytes', 'flip', 'image_size', 'name', 'workers'\]"):
    load_dataset(ask('mnist_5k_edges', path='/data'))
  with pytest.raises(UserError, match=r"dataset.attributes=\('Male',\): dataset.name='folder_edges' does not read it"):
    load_dataset(ask('folder_edges', path='/data', attributes=('Male',)))
  assert len(load_dataset(ask('blobs_edges', data_dir=tfds_dir, split='train[:5]', crop='head')).images) == 10


def save_pair(path, left, right, height=6, width=12, mode='RGB'):
  image = Image.new(mode, (width, height), left)
  image.paste(right, (width // 2, 0, width, height))
  path.parent.mkdir(parents=True, exist_ok=True)
  image.save(path)


@pytest.mark.parametrize('device_bytes', [2**30, 0])
def test_a_folder_of_pairs_in_memory_and_on_disk(tmp_path, device_bytes):
  for i in range(3):
    save_pair(tmp_path / f'{i}.png', (0, 0, 50 + i), (80 + i, 0, 0), width=11 + i)
  for _ in range(2):  # the second time from the cache
    dataset = load_dataset(ask('folder_pairs', path=str(tmp_path), device_bytes=device_bytes))
    check_is_paired(dataset)
    assert isinstance(dataset.images, OnDisk) == (not device_bytes)
    assert dataset.images.shape == (6, 4, 4, 3)
    np.testing.assert_array_equal(dataset.images[:][:, 2, 2], [[0, 0, 50 + i] for i in range(3)]
                                  + [[80 + i, 0, 0] for i in range(3)])
    np.testing.assert_array_equal(dataset.images[np.array([4, 1, 4])][:, 2, 2], [[81, 0, 0], [0, 0, 51], [81, 0, 0]])


@pytest.mark.parametrize('device_bytes', [2**30, 0])
def test_pairs_of_grey_have_one_channel_unless_one_is_in_colour(tmp_path, device_bytes):
  config = ask('folder_pairs', path=str(tmp_path), device_bytes=device_bytes)
  for i in range(2):
    save_pair(tmp_path / f'{i}.png', 10 * i, 200, mode='L')
  assert load_dataset(config).spec.shape == (4, 4, 1)
  save_pair(tmp_path / '2.png', (9, 9, 9), (80, 0, 0))
  assert load_dataset(config).spec.shape == (4, 4, 3)


def test_a_pair_is_told_apart_from_the_same_files_as_images(tmp_path):
  for i in range(2):
    save_pair(tmp_path / f'{i}.png', (0, 0, 50 + i), (80 + i, 0, 0))
  assert len(load_dataset(ask('folder', path=str(tmp_path))).images) == 2
  assert len(load_dataset(ask('folder_pairs', path=str(tmp_path))).images) == 4


def test_single_pictures_among_pairs_are_named_and_skipped(tmp_path):
  for i in range(11):
    save_pair(tmp_path / f'{i}.png', (0, 0, i), (i, 0, 0))
  Image.new('RGB', (256, 256)).save(tmp_path / 'single.png')
  dataset = load_dataset(ask('folder_pairs', path=str(tmp_path)))
  assert len(dataset.images) == 22 and dataset.class_names == ('left', 'right')
  assert dataset.names[:2] == dataset.names[11:13] == ('0.png', '1.png')
  assert dataset.left_out == {'single.png': 'is 256x256: expected A and B side by side, twice as wide as high'}


@pytest.mark.parametrize('width, height', [(6, 6), (15, 6), (9, 6), (1, 1)])
def test_a_folder_of_single_pictures_is_refused(tmp_path, width, height):
  for i in range(2):
    Image.new('RGB', (width, height), (i, 0, 0)).save(tmp_path / f'{i}.png')
  with pytest.raises(UserError, match=f"2 of 2 images(.|\n)*'0.png': 'is {width}x{height}: expected A and B side by"):
    load_dataset(ask('folder_pairs', path=str(tmp_path)))


def test_a_folder_with_subfolders_a_and_b_has_two_domains_without_partners(tmp_path):
  for i in range(3):
    save(tmp_path / 'B' / f'{i}.png', np.full((4, 4), i))
  for i in range(2):
    save(tmp_path / 'A' / f'{i}.png', np.full((4, 4), 100 + i))
  dataset = load_dataset(ask('folder', path=str(tmp_path)))
  assert dataset.num_classes == 2 and dataset.partners is None and not dataset.spec.paired
  np.testing.assert_array_equal(dataset.labels, [0, 0, 1, 1, 1])
  np.testing.assert_array_equal(dataset.images[:, 0, 0, 0], [100, 101, 0, 1, 2])
