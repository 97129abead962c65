"""Workdirs of earlier versions go on as they are (tests/workdirs/README.md says how they were made)."""
import json
import shutil

import jax
import numpy as np
import pytest

from configs import wgan_gp_toy
from gans.runs import checksums, workdirs
from gans.training import loop
from tests.conftest import ROOT

WORKDIRS = ROOT / 'tests' / 'workdirs'
SAVED = {  # layout: step of the checkpoint, and the sum of the magnitudes of all weights and averages in it
    1: (3, 205.08165768361607),
    2: (3, 205.08165768361607),
    3: (3, 205.08165768361607),
}


def magnitude(state) -> float:
  leaves = jax.tree.leaves((state.generator, state.critic, state.ema))
  return float(sum(np.abs(np.asarray(leaf, np.float64)).sum() for leaf in leaves))


def test_there_is_one_of_every_layout():
  assert sorted(SAVED) == list(range(1, workdirs.VERSION + 1))


@pytest.mark.parametrize('layout', SAVED)
def test_it_goes_on(tmp_path, capsys, layout):
  run = shutil.copytree(WORKDIRS / f'layout_{layout}', tmp_path / 'run')
  assert json.loads((run / 'config.json').read_text())['version'] == layout
  step, saved = SAVED[layout]
  config = wgan_gp_toy.get_config('test')
  config.optimizer.schedule, config.num_steps, config.checkpoint_every = 'constant', step, 3
  assert magnitude(loop.train(config, run)) == pytest.approx(saved, rel=1e-12)  # finished: as it was saved
  config.num_steps += 2
  state = loop.train(config, run)
  assert int(state.step) == step + 2 and f'going on at step {step} of {step + 2}' in capsys.readouterr().out
  assert checksums.find_damage(run / 'checkpoints' / str(step)) == ''
  assert json.loads((run / 'config.json').read_text())['version'] == workdirs.VERSION
