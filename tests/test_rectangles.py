"""Images that are not square, from a folder to a trained network."""
import numpy as np
from PIL import Image
import pytest

from configs import base, dcgan, r3gan, sngan
import gans
from gans.build import build
from gans.data.dataset import Spec
from gans.data.sources import load_dataset
from gans.errors import UserError
from gans.modes.sample import sample
from gans.training.loop import train
from gans.validate import check_config
from tests.shrink import shrink


@pytest.fixture
def folder(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  (tmp_path / 'data').mkdir()
  for i in range(16):
    Image.new('RGB', (40 + i, 30), (15 * i, 100, 0)).save(tmp_path / 'data' / f'{i}.png')
  return tmp_path / 'data'


def wide(config, folder):
  config.dataset.update({'name': 'folder', 'path': str(folder), 'image_size': (8, 12)})
  with config.ignore_type():
    config.generator.start = (2, 3)
  return config


def test_a_run_on_wide_images_shows_wide_samples(folder, tmp_path):
  run = tmp_path / 'run'
  train(wide(shrink(dcgan.get_config()), folder), run)
  assert np.shape(Image.open(run / 'samples' / 'fake_0000004.png')) == (8 * 8, 8 * 12, 3)
  assert gans.load(run).image_shape == (8, 12, 3)
  sample(run, num=2, out=str(tmp_path / 'two.png'))
  assert np.shape(Image.open(tmp_path / 'two.png')) == (8, 24, 3)


@pytest.mark.parametrize('config', [shrink(sngan.get_config()), shrink(r3gan.get_config())], ids=['resnet', 'dcgan'])
def test_other_families_make_them_too(folder, config):
  config = wide(config, folder)
  check_config(config)
  build(config, Spec((8, 12, 3), 0))


def test_the_networks_of_r3gan_make_them_too(folder):
  config = wide(shrink(r3gan.get_config()), folder)
  config.generator = base.r3gan_generator(hidden=(8, 8, 8), num_blocks=1, start=(2, 3), group_width=4)
  config.critic = base.r3gan_critic(hidden=(8, 8), num_blocks=1, group_width=4)
  build(config, Spec((8, 12, 3), 0))


@pytest.mark.parametrize('fields, message', [
    ({'dataset.image_size': (8, 12, 3)}, r'dataset.image_size=\(8, 12, 3\): expected a whole number'),
    ({'dataset.image_size': (8, 0)}, r'dataset.image_size=\(8, 0\): expected'),
    ({'generator.start': (2, 3, 4)}, r'start=\(2, 3, 4\): expected one side, or 2'),
    ({'generator.start': 2}, r'start=2: it makes examples of the shape \(8, 8, 3\), the data have \(8, 12, 3\)'),
])
def test_sizes_that_do_not_fit_are_refused(folder, fields, message):
  config = wide(shrink(dcgan.get_config()), folder)
  with config.ignore_type():
    config.update_from_flattened_dict(fields)
  with pytest.raises(UserError, match=message):
    check_config(config)
    build(config, Spec((8, 12, 3), 0))


@pytest.mark.parametrize('name', ['folder_pairs', 'folder_rotated', 'voxel_folder', 'voxel_digits'])
def test_what_has_one_size_for_all_sides_is_refused(folder, name):
  config = wide(dcgan.get_config(), folder).dataset
  config.name = name
  if name == 'voxel_digits':
    config.path = ''
  with pytest.raises(UserError, match=rf'dataset.image_size=\(8, 12\): {name} has one size for all sides'):
    load_dataset(config)


def test_a_list_of_a_config_json_is_a_pair(folder):
  config = wide(dcgan.get_config(), folder).dataset
  config.image_size = [8, 12]
  np.testing.assert_array_equal(load_dataset(config).images.shape, (16, 8, 12, 3))
