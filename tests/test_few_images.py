"""benchmarks/few_images.py: a table of runs with and without augmentation, of a part of a folder."""
import json
import subprocess
import sys

import numpy as np
from PIL import Image
import pytest

from gans.runs import workdirs
from tests.conftest import ROOT

NUM, TAKEN = 140, 100


@pytest.fixture(scope='module')
def done(tmp_path_factory):
  """The process of a table of a folder of two classes, and the folder of its runs."""
  folder, runs = tmp_path_factory.mktemp('images'), tmp_path_factory.mktemp('runs')
  noise = np.random.default_rng(0).integers(0, 255, (NUM, 8, 8), np.uint8)
  for i, pixels in enumerate(noise):
    path = folder / ('dark' if i % 2 else 'light') / f'{i}.png'
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels // (1 + i % 2)).save(path)
  result = subprocess.run(
      [sys.executable, '-m', 'benchmarks.few_images', '--config=configs/gan.py', '--config.dataset.name=folder',
       f'--config.dataset.path={folder}', '--config.dataset.image_size=8',
       '--config.generator.hidden=(8,)', '--config.critic.hidden=(8,)', '--config.num_steps=4',
       '--config.batch_size=8', '--config.eval.num_samples=140', '--config.eval.classifier_steps=2',
       f'--num_images={TAKEN}', '--policy=translation', '--num_seeds=2', f'--workdir={runs}'],
      cwd=ROOT, text=True, capture_output=True, timeout=500)
  assert result.returncode == 0, result.stderr
  return result.stdout, runs


def read(runs, name):
  return [json.loads(line) for line in (runs / name / 'few_images.jsonl').read_text().splitlines()]


def test_each_quarter_of_each_row_is_measured(done):
  _, runs = done
  plain, augmented = (read(runs, f'{TAKEN}_{name}') for name in ('plain', 'augmented'))
  assert [found['step'] for found in plain] == [found['step'] for found in augmented] == [1, 2, 3, 4]
  for found in plain + augmented:
    for name in ('distance', 'training', 'unseen', 'generated'):
      assert len(found[name]) == 2 and found[name][0] != found[name][1] and np.isfinite(found[name]).all()
  assert plain[-1] != augmented[-1]
  assert workdirs.read_config(runs / f'{TAKEN}_augmented').critic.augment == ['translation']


def test_what_is_trained_on_and_what_is_not_are_the_whole_folder(done):
  _, runs = done
  taken, others = (sorted(path.name for path in (runs / name).rglob('*.png'))
                   for name in (f'{TAKEN}_images', f'without_{TAKEN}'))
  assert len(taken) == TAKEN and len(others) == NUM - TAKEN and not set(taken) & set(others)


def test_the_table_tells_the_share_that_is_memorised(done):
  printed, runs = done
  last = read(runs, f'{TAKEN}_plain')[-1]
  training, unseen, generated = (np.array(last[name]) for name in ('training', 'unseen', 'generated'))
  share = 100 * (training - unseen) / (training - generated)
  row = next(line for line in printed.splitlines() if line.startswith(f'| {TAKEN} | none |'))
  assert row.endswith(f'| {share.mean():.0f} ({share.min():.0f} to {share.max():.0f}) |')
  assert f'| {TAKEN} | translation |' in printed


def test_what_it_cannot_train_on_is_said_in_a_line(tmp_path):
  result = subprocess.run(
      [sys.executable, '-m', 'benchmarks.few_images', '--config=configs/gan.py', '--config.dataset.name=folder',
       f'--config.dataset.path={tmp_path}', '--num_images=10', f'--workdir={tmp_path / "runs"}'],
      cwd=ROOT, text=True, capture_output=True, timeout=500)
  assert result.returncode == 1
  assert result.stderr.startswith('error: dataset.path=') and len(result.stderr.splitlines()) == 1
