"""The command itself, as a user types it: exit codes and messages."""
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

import gans
from tests.conftest import ROOT

CONFIG = '''"""A digit GAN, shrunk to a run of seconds."""
from configs import NAME
from tests.shrink import shrink


def get_config():
  return shrink(NAME.get_config())
'''


@pytest.fixture(autouse=True)
def cache_home(tmp_path_factory, monkeypatch):
  home = tmp_path_factory.mktemp('cache')
  monkeypatch.setenv('XDG_CACHE_HOME', str(home))
  return home


@pytest.fixture
def write_config(tmp_path):
  """Returns write_config(name) -> the path of a config file that shrinks configs/NAME.py."""
  def write(name):
    path = tmp_path / f'small_{name}.py'
    path.write_text(CONFIG.replace('NAME', name))
    return path

  return write


def run(*arguments, timeout=120):
  return subprocess.run([sys.executable, 'main.py', *map(str, arguments)], cwd=ROOT, capture_output=True, text=True,
                        timeout=timeout)


@pytest.mark.parametrize('arguments, message', [
    (['--config=configs/wgan_gp.py', '--config.generator.hiden=3'], 'no such field'),
    (['--config=configs/wgan_gp.py', '--config.n_critic=many'], 'config.n_critic=many'),
    (['--config=configs/wgan_gp.py:tiny'], "no variant 'tiny'"),
    (['--config=configs/no_such.py'], '--config=configs/no_such.py: [Errno 2] No such file or directory: '),
    ([f'--config={"x" * 300}'], 'File name too long; those of'),
    ([], '--config'),
    (['--mode=evaluate', '--eval.featuers=points'], 'eval.features'),
    (['--mode=evaluate'], 'neither the folder of a run'),
    (['--config=configs/wgan_gp.py', '--eval.seed=1'], '--config.eval.seed'),
    (['--mode=evaluate', '--config=configs/wgan_gp.py'], 'config of the workdir'),
    (['--mode=sample'], 'neither the folder of a run'),
    (['--mode=sample', '--eval.seed=1'], '--eval.seed: belongs to --mode=evaluate'),
    (['--config=configs/wgan_gp.py', '--num=3'], '--num: belongs to --mode=sample'),
    (['--config=configs/wgan_gp.py', '--seed=3'], '--seed: belongs to --mode=sample or interpolate or nearest; give '
     '--config.seed to train'),
    (['--mode=sample', '--num=0'], '--num=0'),
    (['--mode=sample', '--seed=-1'], '--seed=-1'),
    (['--mode=sample', '--sample.num=3'], 'sample.num'),
    (['--config=configs/wgan_gp.py', '--coordinator_address=foo'], 'coordinator_address=foo: expected HOST:PORT'),
    (['--mode=report'], 'not the folder of a run'),
    (['--mode=export', '--num=3'], 'belongs to --mode=sample or interpolate or nearest'),
])
def test_mistyped_flags_are_answered_in_a_line(tmp_path, arguments, message):
  result = run(*arguments, f'--workdir={tmp_path / "run"}', timeout=20)
  assert result.returncode == 1 and message in result.stderr
  assert 'Traceback' not in result.stderr and len(result.stderr.splitlines()) <= 3
  assert not (tmp_path / 'run').exists()


def test_a_device_that_there_is_not_is_named(tmp_path, monkeypatch):
  monkeypatch.setenv('JAX_PLATFORMS', 'bogus')
  result = run('--config=configs/wgan_gp_toy.py', f'--workdir={tmp_path / "run"}')
  assert result.returncode == 1 and "error: JAX_PLATFORMS='bogus': JAX finds no such device" in result.stderr
  assert 'Traceback' not in result.stderr and not (tmp_path / 'run').exists()


def test_trains_from_the_command_line(tmp_path, cache_home, write_config, monkeypatch):
  monkeypatch.delenv('JAX_COMPILATION_CACHE_DIR')  # the suite's
  config = write_config('wgan_gp')
  result = run(f'--config={config}', f'--workdir={tmp_path / "run"}')
  assert result.returncode == 0, result.stderr
  assert 'critic_loss=' in result.stdout and '4/4' in result.stdout  # no terminal: the bar as plain lines
  assert 'losses.png' in result.stdout and re.search(r'first step \d+\.\d s after the command', result.stdout)
  assert list((cache_home / 'gans' / 'compiled').glob('jit_train_steps*'))  # the next start need not compile
  (tmp_path / 'mine').mkdir()
  (tmp_path / 'mine' / 'notes').write_text('')
  refused = run(f'--config={config}', f'--workdir={tmp_path / "mine"}')
  assert refused.returncode == 1 and 'something else' in refused.stderr and 'Traceback' not in refused.stderr


def test_samples_from_the_command_line(tmp_path):
  command = ['--mode=sample', '--workdir=acgan_mnist_5k', '--labels=3,3,7', f'--out={tmp_path / "x.npz"}']
  result = run(*command)
  step = gans.load('acgan_mnist_5k').step
  assert result.returncode == 0 and f'{tmp_path / "x.npz"}: 3 of step {step}' in result.stdout, result.stderr
  with np.load(tmp_path / 'x.npz') as file:
    assert file['images'].shape == (3, 28, 28, 1) and file['labels'].tolist() == [3, 3, 7]
  refused = run(*command)
  assert refused.returncode == 1 and refused.stderr.startswith('error: --out=') and 'exists' in refused.stderr


@pytest.mark.parametrize('number, code', [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_saves_and_the_same_command_resumes(tmp_path, write_config, number, code):
  command = [sys.executable, 'main.py', f'--config={write_config("gan")}', f'--workdir={tmp_path / "run"}',
             '--config.num_steps=1000000', '--config.checkpoint_every=1000000', '--config.sample_every=1000000']
  with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
    next(line for line in process.stdout if 'first step' in line)
    process.send_signal(number)
    output = process.communicate(timeout=60)[0]
  assert process.returncode == code and 'Traceback' not in output
  step = int(re.search(r'interrupted: saved at step (\d+)', output)[1])
  assert step > 0 and (tmp_path / 'run' / 'checkpoints' / str(step)).is_dir()
  with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
    assert f'resuming at step {step} of 1000000' in next(line for line in process.stdout if 'resuming' in line)
    process.kill()
