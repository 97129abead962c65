"""Shared by all tests: tiny configs and runs, and a small TFDS data set."""
import gc
from importlib.metadata import version
import os
import pathlib
import shutil
import signal
import tempfile

os.environ.setdefault('JAX_PLATFORMS', 'cpu')
# A third of the time to compile, which is most of the suite's; the dots, which are a library's, run as fast as ever.
FLAGS = ['--xla_backend_optimization_level=0']
if version('jaxlib').startswith('0.10.'):  # newer ones may lack these, and XLA exits at a flag that it lacks
  FLAGS += ['--xla_cpu_use_fusion_emitters=false', '--xla_cpu_parallel_codegen_split_count=1']
os.environ.setdefault('XLA_FLAGS', ' '.join(FLAGS))
# What one test has compiled, the others and the processes that they start need not compile again.
IS_FIRST = 'JAX_COMPILATION_CACHE_DIR' not in os.environ  # of pytest's processes
if IS_FIRST:
  os.environ['JAX_COMPILATION_CACHE_DIR'] = tempfile.mkdtemp(prefix='gans_compiled_')
os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0.1')
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has what it starts with `&` ignore Ctrl-C
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and nohup a hangup, for which a test would wait without end
gc.set_threshold(100_000)  # the traces of all tests stay, millions of objects, and each collection goes through them

import jax
import numpy as np
import pytest

from configs import base, wgan_gp
from gans.build import build, build_state
from gans.core import sharding
from gans.runs import checkpoints, workdirs
from gans.training.loop import train
from tests.shrink import shrink

ROOT = pathlib.Path(__file__).parent.parent


def pytest_unconfigure():
  """Removes the compiled programs."""
  if IS_FIRST:
    shutil.rmtree(os.environ['JAX_COMPILATION_CACHE_DIR'], ignore_errors=True)


@pytest.fixture
def config():
  """A small WGAN-GP on fully connected networks, which compile sooner; a test changes what it is about."""
  config = shrink(wgan_gp.get_config())
  adam = base.adam(learning_rate=2e-3, schedule='linear')
  config.generator = {'network': 'mlp.Generator', 'hidden': (8,), 'norm': 'batch', 'optimizer': adam}
  config.critic = {'network': 'mlp.Critic', 'hidden': (8,), 'norm': 'layer', 'optimizer': adam}
  return config


def set_optimizers(config, name: str = 'sgd', learning_rate: float = 0.02, **fields):
  """Gives all players the same optimizer, by default SGD: Adam magnifies rounding where a gradient is 0."""
  for group in config.values():
    if hasattr(group, 'optimizer'):
      group.optimizer = {'name': name, 'learning_rate': learning_rate, 'schedule': 'constant', **fields}


def cut_back(run: pathlib.Path, step: int, to: pathlib.Path) -> pathlib.Path:
  """Copies a run as if it had been killed after a step: without its later checkpoints. Returns the copy."""
  shutil.copytree(run, to)
  for checkpoint in (to / 'checkpoints').iterdir():
    if int(checkpoint.name) > step:
      shutil.rmtree(checkpoint)
  return to


@pytest.fixture(scope='session')
def digits_run(tmp_path_factory):
  """The workdir of a finished run of four steps on labelled digits of 8x8 pixels; tests only read it."""
  config = shrink(wgan_gp.get_config())
  config.dataset.image_size, config.sample_every = 8, 2
  adam = base.adam(learning_rate=2e-3, schedule='linear')
  config.generator = {'network': 'mlp.Generator', 'hidden': (8,), 'norm': 'batch', 'label_dim': 2, 'optimizer': adam}
  config.critic = {'network': 'mlp.Critic', 'hidden': (8,), 'norm': 'layer', 'optimizer': adam}
  path = tmp_path_factory.mktemp('runs') / 'digits'
  train(config, path)
  return path


def open_workdir(path, config, spec):
  """Makes the folder of a run on data of a Spec, without an inventory, or opens it again; returns its path."""
  workdir = workdirs.check_workdir(path, config)
  workdirs.write_record(workdir, config, spec)
  return workdir


def save_untrained(path, config, spec, *steps: int):
  """Makes the workdir of a run on data of a Spec, which need not exist, with checkpoints of some steps.

  All are the state of step 0, which is returned.
  """
  experiment = build(config, spec)
  state = build_state(config, experiment, sharding.make_mesh(1, jax.local_devices()[:1]))
  workdir = open_workdir(path, config, spec)
  with checkpoints.open_manager(workdir) as manager:
    for step in steps:
      checkpoints.save(manager, step, state)
  return state


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
