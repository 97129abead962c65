"""Shared by all tests: tiny configs, and a small TFDS data set."""
import os
import pathlib

os.environ.setdefault('JAX_PLATFORMS', 'cpu')
# Halves the time to compile, which is most of the suite's; the dots, which are a library's, run as fast as ever.
os.environ.setdefault('XLA_FLAGS', '--xla_backend_optimization_level=0')

import numpy as np
import pytest

from configs import wgan_gp

ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture
def config():
  """The test-size WGAN-GP config on fully connected networks, which compile sooner; a test changes what it is about."""
  config = wgan_gp.get_config('test')
  config.generator = {'family': 'mlp', 'hidden': (8,), 'norm': 'batch'}
  config.critic = {'family': 'mlp', 'hidden': (8,), 'norm': 'layer'}
  return config


@pytest.fixture(scope='session')
def tfds_dir(tmp_path_factory):
  """A folder with a real TFDS data set in it, prepared as array_record: 23 images of differing sizes."""
  import tensorflow_datasets as tfds

  class Blobs(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    VERSION = tfds.core.Version('1.0.0')

    def _info(self):
      features = tfds.features.FeaturesDict({
          'image': tfds.features.Image(), 'label': tfds.features.ClassLabel(names=['dark', 'light']),
          'head': tfds.features.BBoxFeature()})
      return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
      return {'train': self._generate_examples()}

    def _generate_examples(self):
      for i in range(23):
        image = np.full((10 + i, 12, 3), 10 * i, np.uint8)
        image[:5, :6] = 255
        head = tfds.features.BBox(ymin=0.0, xmin=0.0, ymax=5 / (10 + i), xmax=0.5)
        yield i, {'image': image, 'label': int(i > 11), 'head': head}

  folder = tmp_path_factory.mktemp('tfds')
  Blobs.name = 'blobs'
  Blobs(data_dir=folder, file_format='array_record').download_and_prepare()
  return str(folder)
