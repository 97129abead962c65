"""Every file in configs/ trains: a new one is covered without being named here."""
import importlib
import pathlib

import numpy as np
import pytest

from gans import train, workdir

EXPERIMENTS = sorted(path.stem for path in pathlib.Path('configs').glob('*.py') if path.stem != 'base')


@pytest.mark.parametrize('name', EXPERIMENTS)
def test_trains_samples_and_describes_itself(name, tmp_path):
  config = importlib.import_module(f'configs.{name}').get_config('test')
  state = train.train(config, tmp_path / 'run')
  assert int(state.step) == config.num_steps
  leaves = [leaf for leaf in train.jax.tree.leaves(state)]
  assert all(np.isfinite(leaf).all() for leaf in leaves)
  made = {str(path.relative_to(tmp_path / 'run')) for path in (tmp_path / 'run').glob('*/*')}
  assert {'samples/real.png', f'samples/fake_{config.num_steps:07d}.png', f'checkpoints/{config.num_steps}'} <= made
  assert (tmp_path / 'run' / 'losses.png').stat().st_size > 1000
  assert workdir.read_config(tmp_path / 'run').num_steps == config.num_steps


@pytest.mark.parametrize('name', EXPERIMENTS)
def test_says_how_to_run_it_and_what_to_expect(name):
  header = importlib.import_module(f'configs.{name}').__doc__
  assert f'python main.py --config=configs/{name}.py' in header
  assert all(word in header for word in ('Hardware:', 'Time:', 'Expect:'))
