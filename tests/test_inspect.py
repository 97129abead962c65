"""--mode=inspect: what it says of data sets of every kind, and its picture."""
import subprocess
import sys
import zlib

import numpy as np
from PIL import Image
import pytest

from configs import dcgan, gan_3d, wgan_gp_toy
from gans.data.dataset import Dataset
from gans.data.kinds import IMAGES, POINTS, VOXELS
from gans.errors import UserError
from gans.modes.inspect import choose_pictured, inspect
from tests.conftest import ROOT


@pytest.fixture
def folder(tmp_path):
  """A folder of two classes, in which one picture comes three times, once in the wrong class."""
  rng = np.random.default_rng(0)
  for name in ('cats', 'dogs'):
    (tmp_path / 'data' / name).mkdir(parents=True)
    for i in range(3):
      Image.fromarray(rng.integers(1, 255, (8, 8, 3), np.uint8)).save(tmp_path / 'data' / name / f'{i}.png')
  copied = Image.open(tmp_path / 'data' / 'cats' / '0.png')
  copied.save(tmp_path / 'data' / 'cats' / 'again.bmp')
  copied.save(tmp_path / 'data' / 'dogs' / 'wrong.png')
  return tmp_path / 'data'


def config_of(folder):
  config = dcgan.get_config()
  config.dataset.update({'name': 'folder', 'path': str(folder), 'image_size': 8})
  config.batch_size = 4
  return config


def test_it_says_what_was_read_and_which_pictures_are_equal(folder, tmp_path, capsys):
  inspect(config_of(folder), out=str(tmp_path / 'look.png'))
  said = capsys.readouterr().out
  assert "data: folder, 8 examples of 8x8x3" in said
  assert "2 classes: 0 = 'cats' (4), 1 = 'dogs' (4)" in said
  assert '2 of 8 examples are equal to an earlier one:' in said
  assert "'cats/again.bmp' is 'cats/0.png'" in said and "'dogs/wrong.png' is 'cats/0.png'" in said
  assert '1 of them have another label' in said
  picture = np.asarray(Image.open(tmp_path / 'look.png'))
  assert picture.shape == (16, 64, 3)  # a row of eight for each class
  cat = np.asarray(Image.open(folder / 'cats' / '0.png'))
  np.testing.assert_array_equal(picture[:8, :8], cat)
  assert picture[:8].any() and not np.array_equal(picture[:8], picture[8:])


def test_values_are_summarised_by_hand():
  images = np.array([0, 255, 255, 255], np.uint8).reshape(1, 2, 2, 1)
  assert IMAGES.summarise(images) == ('pixels from 0 to 255: mean 191.2, standard deviation 110.4; 25.0% are 0, 75.0% '
                                      'are 255')
  voxels = np.array([[1, 0, 0, 0, 0, 0, 0, 0], [1] * 8], np.uint8).reshape(2, 2, 2, 2, 1)
  assert VOXELS.summarise(voxels) == '56.2% of the cells are occupied, 12.5% to 100.0% of a model'
  assert POINTS.summarise(np.array([[1.0, 2], [3, 2]])) == 'mean 2 2, standard deviation 1 0'


@pytest.mark.parametrize('config, said', [
    (wgan_gp_toy.get_config(), ['examples of 2 numbers', 'no two of 20,000 examples are equal']),
    (gan_3d.get_config(), ['examples of 24x24x24x1', '10 classes', 'of the cells are occupied']),
], ids=['points', 'voxels'])
def test_points_and_voxels_are_shown_too(tmp_path, capsys, config, said):
  inspect(config, out=str(tmp_path / 'look.png'))
  printed = capsys.readouterr().out
  assert all(words in printed for words in said)
  assert (tmp_path / 'look.png').exists()


def test_a_picture_that_is_there_stays_and_a_wrong_config_is_refused(folder, tmp_path):
  (tmp_path / 'look.png').write_text('mine')
  with pytest.raises(UserError, match='look.png exists'):
    inspect(config_of(folder), out=str(tmp_path / 'look.png'))
  assert (tmp_path / 'look.png').read_text() == 'mine'
  with pytest.raises(UserError, match='expected NAME.png'):
    inspect(config_of(folder), out=str(tmp_path / 'look.jpg'))
  config = config_of(folder)
  config.n_critic = 0
  with pytest.raises(UserError, match='n_critic=0'):
    inspect(config)


def test_the_command(folder, tmp_path):
  def run(*flags):
    command = [sys.executable, ROOT / 'main.py', '--mode=inspect', *flags]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)

  own = [f'--config={ROOT}/configs/r3gan.py:small', f'--config.dataset.path={folder}']
  result = run(*own)
  assert result.returncode == 0 and 'dogs' in result.stdout, result.stderr
  assert (tmp_path / 'folder.png').exists()
  assert 'flag --workdir=/tmp/run: --mode=inspect takes none' in run(*own, '--workdir=/tmp/run').stderr
  assert '--mode=inspect needs one, such as configs/' in run().stderr


def test_pictures_of_one_checksum_are_not_equal_for_that(folder, tmp_path, capsys):
  pixels = np.asarray(Image.open(folder / 'cats' / '1.png')).copy()
  before = zlib.crc32(pixels)
  pixels.reshape(-1)[:5] ^= np.frombuffer(bytes.fromhex('410671db01'), np.uint8)  # the polynomial of CRC-32 itself
  assert zlib.crc32(pixels) == before
  Image.fromarray(pixels).save(folder / 'cats' / 'twin.png')
  inspect(config_of(folder), out=str(tmp_path / 'new' / 'look.png'))
  said = capsys.readouterr().out
  assert '2 of 9 examples are equal to an earlier one:' in said and 'twin' not in said


def test_the_classes_that_there_are_are_shown():
  labels = np.repeat([17, 19], 20).astype(np.int32)
  dataset = Dataset(np.zeros((40, 8, 8, 1), np.uint8), labels, 20)
  assert np.unique(labels[choose_pictured(dataset)]).tolist() == [17, 19]
