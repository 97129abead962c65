"""benchmarks/table.py: a page of runs of equal processor time, which the same command completes."""
import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope='module')
def command(tmp_path_factory):
  """command(*flags) -> the process of a table of one system on digits; its runs and page are kept between calls."""
  folder = tmp_path_factory.mktemp('table')

  def run(*flags):
    return subprocess.run(
        [sys.executable, '-m', 'benchmarks.table', '--datasets=mnist_5k', '--systems=gan', '--minutes=0.001',
         '--num_seeds=1', f'--workdir={folder}', f'--write={folder}', *flags],
        cwd=ROOT, text=True, capture_output=True, timeout=500)

  run.folder = folder
  return run


def test_it_trains_measures_and_writes_its_page(command):
  result = command()
  assert result.returncode == 0, result.stderr
  assert '1 of 1 runs' in result.stdout
  steps = json.loads((command.folder / 'mnist_5k' / 'gan.json').read_text())['steps']
  *_, record = (command.folder / 'mnist_5k' / 'gan_0' / 'eval.jsonl').read_text().splitlines()
  scores = json.loads(record)['scores']
  distance, = next(values for name, values in scores.items() if name.endswith('/frechet_distance'))
  page = (command.folder / 'benchmark.md').read_text()
  assert page.startswith('# Benchmark\n')
  assert f'| gan | 551,952 + 533,505 | {steps} | 1 of 1 | {distance:.1f} |' in page
  assert '| ![gan](images/benchmark/mnist_5k_gan.png) |' in page
  assert (command.folder / 'images' / 'benchmark' / 'mnist_5k_gan.png').exists()


def test_what_is_done_is_not_done_again(command):
  before = {path: path.stat().st_mtime_ns for path in (command.folder / 'mnist_5k').rglob('*')}
  result = command()
  assert result.returncode == 0, result.stderr
  assert 'mnist_5k: ' in result.stdout
  assert {path: path.stat().st_mtime_ns for path in (command.folder / 'mnist_5k').rglob('*')} == before


def test_what_somebody_measured_by_other_means_is_not_in_it(command):
  path = command.folder / 'mnist_5k' / 'gan_0' / 'eval.jsonl'
  written = path.read_text()
  *_, record = map(json.loads, written.splitlines())
  others = record | {'num_samples': 7, 'scores': {name: [987.6] for name in record['scores']}}
  path.write_text(written + json.dumps(others) + '\n')
  result = command()
  path.write_text(written)
  assert result.returncode == 0, result.stderr
  assert '987.6' not in (command.folder / 'benchmark.md').read_text()


def test_runs_of_other_lengths_are_not_mixed(command):
  result = command('--minutes=0.002')
  assert result.returncode == 1
  assert 'its runs are of --minutes=0.001' in result.stderr + result.stdout


def test_unknown_names_are_refused(command):
  result = command('--systems=gan,stylegan')
  assert result.returncode == 1
  assert "flag --systems=['gan', 'stylegan']: expected some of ['gan', " in result.stderr
