"""Every file in configs/ trains: a new one is covered without being named here."""
import contextlib
import importlib
import pathlib

import jax
import numpy as np
from PIL import Image
import pytest

from gans import validate
from gans.data.sources import TFDS, find_source
from gans.runs import workdirs
from gans.training.loop import train
from tests.shrink import shrink

EXPERIMENTS = sorted(path.stem for path in pathlib.Path('configs').glob('*.py') if path.stem != 'base')


@contextlib.contextmanager
def data_at_hand(config, folder, monkeypatch):
  """Gives a config its data where they are not embedded: a folder of images, or TFDS's own mock of a data set."""
  if config.dataset.name == 'folder':
    monkeypatch.setenv('XDG_CACHE_HOME', str(folder / 'cache'))
    for i in range(16):
      Image.new('RGBA', (20, 30), (10 * i, 0, 0, 255)).save(folder / f'{i}.png')
    config.dataset.path = str(folder)
    yield
  elif find_source(config.dataset.name) is not TFDS:
    yield
  else:
    import tensorflow_datasets as tfds
    monkeypatch.setattr(tfds.core.DatasetBuilder, 'is_prepared', lambda self: True)
    # TFDS 4.9.10 calls its own mock of __getitems__ without the `self` that this takes.
    mocking = importlib.import_module('tensorflow_datasets.testing.mocking')
    monkeypatch.setattr(mocking, '_getitems', lambda keys, generator: [generator[key] for key in keys])
    # Where images stay encoded, its random boxes are encoded too, and many have their top below their bottom.
    monkeypatch.setattr(tfds.features.BBoxFeature, 'encode_example', lambda self, box: np.array(box, np.float32))
    with tfds.testing.mock_data(num_examples=16, policy=tfds.testing.MockPolicy.USE_CODE):
      yield


@pytest.mark.parametrize('name', EXPERIMENTS)
def test_trains_samples_and_describes_itself(name, tmp_path, monkeypatch):
  config = shrink(importlib.import_module(f'configs.{name}').get_config())
  (tmp_path / 'data').mkdir()
  with data_at_hand(config, tmp_path / 'data', monkeypatch):
    state = train(config, tmp_path / 'run')
  assert int(state.step) == config.num_steps
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))
  made = {str(path.relative_to(tmp_path / 'run')) for path in (tmp_path / 'run').glob('*/*')}
  assert {'samples/real.png', f'samples/fake_{config.num_steps:07d}.png', f'checkpoints/{config.num_steps}'} <= made
  assert (tmp_path / 'run' / 'losses.png').stat().st_size > 1000
  assert workdirs.read_config(tmp_path / 'run').num_steps == config.num_steps


@pytest.mark.parametrize('name', EXPERIMENTS)
def test_says_how_to_run_it_and_what_to_expect(name):
  header = importlib.import_module(f'configs.{name}').__doc__
  assert f'python main.py --config=configs/{name}.py' in header
  assert all(word in header for word in ('Hardware: ', 'Time: ', 'Expect: '))


VARIANTS = [('gan', 'pacgan'), ('wgan_gp', 'source'), ('wgan_gp_toy', 'narrow'), ('wgan_gp_toy', 'paper'),
            ('stargan', 'faces'), ('stargan', 'paper'), ('gan_3d', 'wgan_gp'), ('gan_3d', 'modelnet'),
            ('gan_3d', 'paper'), ('r3gan', 'stacked_mnist'), ('r3gan', 'small'), ('r3gan', 'faces_cpu'),
            ('r3gan', 'pokemon_cpu'), ('r3gan', 'cifar10_cpu'), ('r3gan', 'cifar10'), ('r3gan', 'faces'),
            ('sngan', 'cifar10'), ('sngan_projection', 'cifar10'), ('sagan', 'cifar10'), ('biggan_small', 'cifar10'),
            ('wgan_gp_resnet', 'cifar10')]


@pytest.mark.parametrize('name, variant', [*((name, '') for name in EXPERIMENTS), *VARIANTS])
def test_every_variant_is_a_config_that_a_run_can_use(name, variant):
  config = importlib.import_module(f'configs.{name}').get_config(variant)
  validate.check_config(config)
  validate.check_config(shrink(config))


@pytest.mark.parametrize('name', EXPERIMENTS)
def test_a_variant_that_is_not_there_is_refused(name):
  with pytest.raises(ValueError, match="no variant 'test'"):
    importlib.import_module(f'configs.{name}').get_config('test')
