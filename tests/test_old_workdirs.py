"""Workdirs and packed models of earlier versions are read as they are; tests/workdirs/README.md says how they were
made."""
import json
import shutil

import jax
import numpy as np
import pytest

from configs import wgan_gp_toy
import gans
from gans.errors import UserError
from gans.modes.pack import pack_generator
from gans.runs import checksums
from gans.runs.layouts import VERSION
from gans.runs.workdirs import read_config
from gans.training.loop import train
from tests.conftest import ROOT
from tests.shrink import shrink

WORKDIRS = ROOT / 'tests' / 'workdirs'
ZOO = ROOT / 'gans' / 'zoo'
SAVED = {  # layout: step of the checkpoint, and the sum of the magnitudes of all weights and averages in it
    1: (3, 205.08165768361607),
    2: (3, 205.08165768361607),
    3: (3, 205.08165768361607),
    4: (3, 205.08165747641118),  # made on another CPU, on which commit a933895 comes to the same
}
RESUMED = 212.524978  # the same two steps later, by commit a933895 for layouts 1 to 3


def magnitude(state) -> float:
  leaves = jax.tree.leaves((state.players, state.ema))
  return float(sum(np.abs(np.asarray(leaf, np.float64)).sum() for leaf in leaves))


def version_of(folder) -> int:
  return json.loads((folder / 'config.json').read_text())['version']


@pytest.fixture
def config():
  """The config of all these workdirs."""
  config = shrink(wgan_gp_toy.get_config())
  config.z_dim = 8
  config.checkpoint_every = 3
  for player in ('generator', 'critic'):
    config[player].optimizer.schedule = 'constant'
  return config


def test_there_is_one_of_every_layout():
  assert sorted(SAVED) == list(range(1, VERSION + 1))


def test_all_are_of_the_same_run():
  _, expected = SAVED[1]
  assert [saved for _, saved in SAVED.values()] == pytest.approx([expected] * len(SAVED), rel=1e-8)


@pytest.mark.parametrize('layout', SAVED)
def test_it_resumes(tmp_path, capsys, config, layout):
  run = shutil.copytree(WORKDIRS / f'layout_{layout}', tmp_path / 'run')
  assert version_of(run) == layout
  step, saved = SAVED[layout]
  config.num_steps = step
  assert magnitude(train(config, run)) == pytest.approx(saved, rel=1e-12)  # finished: as it was saved
  config.num_steps += 2
  state = train(config, run)
  assert int(state.step) == step + 2
  assert magnitude(state) == pytest.approx(RESUMED, rel=1e-7)
  assert f'resuming at step {step} of {step + 2}' in capsys.readouterr().out
  assert checksums.find_damage(run / 'checkpoints' / str(step)) == ''
  assert version_of(run) == VERSION


@pytest.mark.parametrize('layout, name', [(2, 'seal.json'), (3, 'seal.json'), (4, 'checksums.json')])
def test_its_checksums_are_compared(tmp_path, layout, name):
  run = shutil.copytree(WORKDIRS / f'layout_{layout}', tmp_path / 'run')
  checkpoint = run / 'checkpoints' / '3'
  files = json.loads((checkpoint / 'default' / name).read_text())['files']
  for file in files:
    path = checkpoint / 'default' / file
    before = path.read_bytes()
    path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    assert checksums.find_damage(checkpoint) == f'{path.name!r} is altered'
    path.write_bytes(before)
  assert len(files) >= 5 and checksums.find_damage(checkpoint) == ''


PACKED = {path.name: path for path in (*ZOO.iterdir(), *WORKDIRS.glob('packed_*')) if path.is_dir()}


def test_there_are_packed_models_of_earlier_layouts():
  assert {version_of(folder) for folder in PACKED.values()} >= {1, 2, 3}


@pytest.mark.parametrize('name', PACKED)
def test_a_packed_model_draws_the_same_when_it_is_packed_again(tmp_path, name):
  packed = pack_generator(PACKED[name], out=tmp_path / 'packed')
  assert version_of(packed) == VERSION and read_config(packed) == read_config(PACKED[name])
  before, after = gans.load(PACKED[name]), gans.load(packed)
  key = jax.random.key(0)
  assert (after.spec, after.step, after.training_seed) == (before.spec, before.step, before.training_seed)
  images = np.zeros((4, *before.image_shape)) if before.translates else None
  np.testing.assert_allclose(after(key, 4, images=images), before(key, 4, images=images), rtol=0, atol=1e-6)


def test_a_packed_model_draws_what_its_run_does():
  packed, run = gans.load(WORKDIRS / 'packed_3'), gans.load(WORKDIRS / 'layout_3')
  key = jax.random.key(0)
  np.testing.assert_allclose(packed(key, 100), run(key, 100), rtol=0, atol=1e-3)  # matrices are rounded


def test_a_run_of_an_algorithm_that_there_is_not_says_so(tmp_path):
  shutil.copy(WORKDIRS / 'layout_3' / 'config.json', tmp_path)
  path = tmp_path / 'config.json'
  record = json.loads(path.read_text())
  record['config']['algorithm'] = 'my_gan'
  path.write_text(json.dumps(record))
  with pytest.raises(UserError, match="algorithm='my_gan': expected one of"):
    read_config(tmp_path)
