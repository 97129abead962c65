"""Impatience: the first Ctrl-C waits for the steps in flight, the second waits for nothing."""
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT
from tests.faults import runs


def test_a_second_ctrl_c_ends_it_at_once(tmp_path):
  """The call of the compiled program that it interrupts would take the better part of an hour."""
  intervals = ('steps_per_call', 'log_every', 'num_steps', 'sample_every', 'checkpoint_every')
  long = [f'--config.{interval}=1000000' for interval in intervals]
  with runs.Run(tmp_path, '--config.n_critic=1', '--config.critic.hidden=(2048,2048,2048)', *long) as run:
    run.wait_until(lambda: run.stepping)
    run.process.send_signal(signal.SIGINT)
    time.sleep(1)
    assert run.process.poll() is None  # it waits for the steps in flight
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(timeout=20) == 130


@pytest.mark.skipif(sys.platform != 'linux', reason='/proc tells when')
def test_ctrl_c_during_the_imports_is_answered_in_a_word(tmp_path):
  with runs.Run(tmp_path) as run:
    maps = pathlib.Path('/proc', str(run.process.pid), 'maps')
    run.wait_until(lambda: 'site-packages' in maps.read_text())  # the first library, with others to come
    run.process.send_signal(signal.SIGINT)
    assert run.finish() == 130
    assert 'Traceback' not in run.output and not list(tmp_path.iterdir())


def test_nohup_is_respected(tmp_path):
  with runs.Run(tmp_path, prefix=['nohup']) as run:
    run.wait_until(lambda: run.stepping)
    run.process.send_signal(signal.SIGHUP)
    assert run.finish() == 0, run.output


@pytest.mark.parametrize('closed', ['2>&-', '>&- 2>&-'])
def test_a_run_needs_no_output_at_all(tmp_path, closed):
  """As a daemon may start it."""
  command = ['sh', '-c', f'exec "$@" {closed}', 'sh', sys.executable, 'main.py', f'--config={runs.CONFIG}',
             f'--workdir={tmp_path}']
  assert subprocess.run(command, cwd=ROOT, timeout=runs.PATIENCE).returncode == 0
  assert runs.saved_steps(tmp_path)[-1] == 4


def test_a_run_outlives_the_reader_of_its_output(tmp_path):
  """As in `python main.py ... 2>&1 | head -1`."""
  command = [sys.executable, 'main.py', f'--config={runs.CONFIG}', f'--workdir={tmp_path}', '--config.log_every=1']
  with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=runs.PATIENCE) == 0
  assert runs.saved_steps(tmp_path)[-1] == 4
