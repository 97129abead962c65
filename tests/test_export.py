"""The exported generator: the same images without this code, on all platforms, for any number of samples."""
import importlib.util
import os
import pathlib
import subprocess
import sys

import jax
from jax import export
import numpy as np
import pytest

from configs import acgan, wgan_gp_toy
import gans
from gans.build import build, build_state
from gans.core.sharding import make_mesh
from gans.data.dataset import Spec
from gans.errors import UserError
from gans.modes.export import export_generator, serialize
from gans.runs.trained import TrainedGenerator
from tests.shrink import shrink

# All that the exported file may need: jax, what it depends on, and flatbuffers.
PACKAGES = ('jax', 'jaxlib', 'numpy', 'numpy.libs', 'scipy', 'scipy.libs', 'ml_dtypes', 'opt_einsum', 'flatbuffers')


def untrained(config, spec: Spec) -> TrainedGenerator:
  experiment = build(config, spec)
  state = build_state(config, experiment, make_mesh(1, jax.local_devices()[:1]))
  modules = {name: experiment.modules[name] for name in state.ema}
  return TrainedGenerator(experiment.algorithm, modules, state.ema, spec, experiment.num_labels,
                          experiment.translates, step=0, training_seed=0)


@pytest.fixture(scope='module')
def bare_environment(tmp_path_factory):
  """A folder with PACKAGES and nothing else, as links to the installed ones."""
  folder = tmp_path_factory.mktemp('environment')
  installed = pathlib.Path(importlib.util.find_spec('jax').origin).parent.parent
  for name in PACKAGES:
    if (installed / name).exists():  # the .libs are not there on every system
      (folder / name).symlink_to(installed / name)
  return folder


def run_bare(environment, *arguments) -> subprocess.CompletedProcess:
  """Runs Python without site-packages but for the environment, in a folder without this code."""
  variables = {'PYTHONPATH': str(environment), 'JAX_PLATFORMS': 'cpu', 'PATH': os.environ['PATH']}
  return subprocess.run([sys.executable, '-S', *map(str, arguments)], cwd=environment, env=variables, timeout=120,
                        capture_output=True, text=True, check=True)


def test_it_runs_without_this_code(digits_run, bare_environment, tmp_path):
  folder = export_generator(digits_run, out=tmp_path / 'out')
  find = "import importlib.util as u; print([n for n in ('gans', 'flax', 'optax', 'orbax', 'jax') if u.find_spec(n)])"
  assert run_bare(bare_environment, '-c', find).stdout == "['jax']\n"
  assert 'samples.npy: (16, 8, 8, 1) float32' in run_bare(bare_environment, folder / 'run.py').stdout
  generate = gans.load(digits_run)
  z, label = generate.latents(jax.random.key(0), 16), np.arange(16) * 10 // 16  # of --mode=sample --seed=0 --num=16
  np.testing.assert_allclose(np.load(folder / 'samples.npy'), generate.from_latents(z, label), atol=1e-5)


def test_convolutions_are_there_for_every_platform_and_any_number():
  config = shrink(acgan.get_config())
  generate = untrained(config, Spec((28, 28, 1), 10))
  loaded = export.deserialize(bytearray(serialize(generate)))
  assert loaded.platforms == ('cpu', 'cuda', 'tpu')
  program = loaded.mlir_module()
  assert 'stablehlo.case' in program and 'stablehlo.convolution' in program and 'stablehlo.dot_general' in program
  for num in (1, 3):
    z, label = jax.random.normal(jax.random.key(num), (num, config.z_dim)), np.arange(num, dtype=np.int32)
    images = loaded.call(z, label)
    assert images.shape == (num, 28, 28, 1) and images.dtype == np.float32
    np.testing.assert_allclose(images, generate.from_latents(z, label), atol=1e-5)


def test_points_are_exported_too():
  config = shrink(wgan_gp_toy.get_config())
  generate = untrained(config, Spec((2,), 0))
  z, label = jax.random.normal(jax.random.key(1), (5, config.z_dim)), np.zeros(5, np.int32)
  points = export.deserialize(bytearray(serialize(generate))).call(z, label)
  np.testing.assert_allclose(points, generate.from_latents(z), atol=1e-5)


def test_what_is_there_is_not_written_over(digits_run, tmp_path):
  (tmp_path / 'mine').mkdir()
  with pytest.raises(UserError, match='--out=.*mine exists'):
    export_generator(digits_run, out=tmp_path / 'mine')
  with pytest.raises(UserError, match='neither the folder of a run'):
    export_generator(tmp_path / 'mine')


def test_images_are_not_ignored_by_a_model_that_takes_none(digits_run, tmp_path):
  with pytest.raises(UserError, match='--inputs=/none: samples of this model are not made of images'):
    export_generator(digits_run, inputs='/none', out=tmp_path / 'new')
