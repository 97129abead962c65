"""Images with transparency: four channels that are kept, learnt and shown."""
import numpy as np
from PIL import Image
import pytest

from configs import dcgan
import gans
from gans.data.dataset import OnDisk, Spec
from gans.data.kinds import IMAGES
from gans.data.sources import load_dataset
from gans.errors import UserError
from gans.modes.sample import sample
from gans.runs.drawing import read_sources
from gans.system import pictures
from gans.training.loop import train
from tests.shrink import shrink


@pytest.fixture
def folder(tmp_path, monkeypatch):
  """Red squares on nothing, one opaque picture and one of grey and alpha."""
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  (tmp_path / 'data').mkdir()
  pixels = np.zeros((16, 16, 4), np.uint8)
  pixels[4:12, 4:12] = 255, 0, 0, 255
  for i in range(8):
    Image.fromarray(pixels).save(tmp_path / 'data' / f'{i}.png')
  Image.new('RGB', (16, 16), (0, 0, 255)).save(tmp_path / 'data' / 'opaque.jpg', quality=100)
  Image.new('LA', (16, 16), (40, 128)).save(tmp_path / 'data' / 'grey.png')
  return tmp_path / 'data'


def config_of(folder, **fields):
  config = shrink(dcgan.get_config())
  config.dataset.update({'name': 'folder', 'path': str(folder), 'image_size': 8, 'alpha': True, **fields})
  config.generator.start = 2
  return config


@pytest.mark.parametrize('device_bytes', [2**30, 0])
def test_alpha_is_kept_and_resized_without_fringes(folder, device_bytes):
  images = load_dataset(config_of(folder, device_bytes=device_bytes).dataset).images
  assert images.shape == (10, 8, 8, 4) and isinstance(images, OnDisk) == (not device_bytes)
  square, grey, opaque = images[0], images[8], images[9]
  visible = square[..., 3] > 0
  assert visible.any() and not visible.all()
  assert (square[visible][:, 0] > 250).all()  # red up to its edge, and nowhere a dark one
  np.testing.assert_allclose(grey[4, 4].astype(int), (40, 40, 40, 128), atol=1)
  assert (opaque[..., 3] == 255).all() and opaque[4, 4, 2] > 250


def test_16_bits_keep_their_range(folder):
  Image.fromarray(np.full((16, 16), 0x4000, np.uint16)).save(folder / '16.png', transparency=0)
  loaded = load_dataset(config_of(folder).dataset)
  np.testing.assert_array_equal(loaded.images[loaded.names.index('16.png'), 4, 4], (0x40, 0x40, 0x40, 255))


def test_inputs_keep_theirs(folder):
  read, _ = read_sources(folder, Spec((8, 8, 4)), may_be_pairs=False)
  np.testing.assert_array_equal(read, load_dataset(config_of(folder).dataset).images)


def test_without_it_they_are_on_white_as_ever(folder):
  images = load_dataset(config_of(folder, alpha=False).dataset).images
  assert images.shape == (10, 8, 8, 3) and (images[0, 0, 0] == 255).all()


def test_a_checkerboard_by_hand():
  images = np.zeros((1, 2, 2, 4), np.uint8)
  images[0, 0, 0] = 10, 20, 30, 255
  images[0, 0, 1] = 0, 0, 0, 51  # a fifth of it
  shown = pictures.on_checkerboard(images)
  np.testing.assert_array_equal(shown[0], [[[10, 20, 30], [163] * 3], [[204] * 3, [255] * 3]])
  np.testing.assert_array_equal(IMAGES.picture(images, 1), shown[0])


def test_a_run_learns_and_shows_it(folder, tmp_path):
  run = tmp_path / 'run'
  train(config_of(folder), run)
  assert np.shape(Image.open(run / 'samples' / 'real.png'))[-1] == 3
  assert gans.load(run).image_shape == (8, 8, 4)
  sample(run, num=2, out=str(tmp_path / 'single'))
  assert np.shape(Image.open(tmp_path / 'single' / '000000.png')) == (8, 8, 4)


def test_only_a_folder_has_it(folder):
  with pytest.raises(UserError, match="dataset.alpha=True: dataset.name='mnist_5k' does not read it"):
    load_dataset(config_of('', name='mnist_5k', path='').dataset)
