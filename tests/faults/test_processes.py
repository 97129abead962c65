"""Two real processes, with two devices each: they train as one with four does, stop together and resume as one."""
import functools
import json
import shutil
import signal

import filelock
import jax
import numpy as np
import pytest

from gans.runs import checksums
from tests.faults import runs

DEVICES, EVERY = 4, 20
CONFIG = f'''"""A run of seconds, under SGD, with batch norm: what a sum over the devices gets wrong shows."""
from configs import wgan_gp_toy
from tests.shrink import shrink


def get_config():
  config = shrink(wgan_gp_toy.get_config())
  config.num_steps = 100_000
  config.steps_per_call = config.log_every = {EVERY}
  config.checkpoint_every = config.sample_every = config.eval_every = {EVERY}
  config.eval.num_samples = 100
  config.generator.norm = 'batch'
  sgd = {{'name': 'sgd', 'schedule': 'constant', 'learning_rate': 0.001}}
  config.generator.optimizer = config.critic.optimizer = sgd
  return config
'''

started = functools.partial(runs.started, devices=DEVICES)


@pytest.fixture(scope='module')
def config(tmp_path_factory):
  return runs.write_config(tmp_path_factory.mktemp('config'), CONFIG)


def resume(config, workdir, count: int, interrupt, *arguments):
  """Starts processes, does interrupt(them) once they have saved a step of their own; returns exit codes and outputs."""
  before = runs.saved_steps(workdir)
  with started(config, workdir, count, *arguments) as found:
    found[0].wait_until(lambda: found[0].stepping and set(runs.saved_steps(workdir)) - set(before))
    interrupt(found)
    codes = [each.finish() for each in found]
  assert not before or f'resuming at step {before[-1]} of' in found[0].output
  return codes, [each.output for each in found]


def kill(found):
  for each in found:
    each.process.kill()


@pytest.fixture(scope='module')
def chain(config, tmp_path_factory):
  """A workdir of two processes, killed, then one, killed, then two, one of which was asked to stop; how these ended.

  The last two stream their data, each its share of every batch.
  """
  workdir = tmp_path_factory.mktemp('runs') / 'chain'
  for count in (2, 1):
    assert set(resume(config, workdir, count, kill)[0]) == {-signal.SIGKILL}
  return workdir, *resume(config, workdir, 2, lambda found: found[1].process.send_signal(signal.SIGTERM),
                         '--config.dataset.device_bytes=0')


@pytest.fixture(scope='module')
def whole(config, chain, tmp_path_factory):
  """The workdir of one process with four devices that takes as many steps, uninterrupted."""
  workdir = tmp_path_factory.mktemp('runs') / 'whole'
  with started(config, workdir, 1, f'--config.num_steps={runs.saved_steps(chain[0])[-1]}') as (only,):
    assert only.finish() == 0, only.output
  return workdir


def test_two_processes_killed_and_resumed_end_as_one(whole, chain):
  last = runs.saved_steps(whole)[-1]
  one, two = (runs.load(path / 'checkpoints' / str(last)) for path in (whole, chain[0]))
  assert last == runs.saved_steps(chain[0])[-1] == one['step'] >= 3 * EVERY
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-5), one, two)


def test_a_signal_to_one_process_stops_both_after_the_same_step(chain):
  workdir, codes, (first, second) = chain
  assert codes == [143, 143]
  assert f'interrupted: saved at step {runs.saved_steps(workdir)[-1]};' in first


def test_only_the_first_process_speaks_and_writes(whole, chain):
  workdir, _, (first, second) = chain
  assert 'critic_loss=' in first and second.strip() == ''
  names = lambda path, pattern: sorted(each.name for each in path.glob(pattern))
  assert names(workdir, '*') == sorted([*names(whole, '*'), *names(workdir, 'damaged')])
  assert names(workdir, 'samples/*') == names(whole, 'samples/*')
  assert len(names(workdir, 'events/*')) == 3  # one of each start
  steps = [json.loads(line)['step'] for line in (workdir / 'eval.jsonl').read_text().splitlines()]
  assert len(steps) == len(set(steps)) >= 3
  assert all((path / 'default' / 'checksums.json').exists() for path in (workdir / 'checkpoints').iterdir())


def test_one_without_checksums_is_whole_on_other_devices_too(whole, tmp_path):
  last = whole / 'checkpoints' / str(runs.saved_steps(whole)[-1])
  saved = shutil.copytree(last, tmp_path / 'saved')  # by four devices, here is one
  (saved / 'default' / 'checksums.json').unlink()
  assert checksums.find_damage(saved) == ''


def test_a_workdir_that_is_taken_is_refused_by_both(config, whole):
  with filelock.FileLock(whole / 'lock'), started(config, whole, 2) as found:
    assert [each.finish() for each in found] == [1, 1]
  assert all('another run is at work there' in each.output and 'Traceback' not in each.output for each in found)


def test_processes_with_different_configs_are_refused(config, tmp_path):
  with started(config, tmp_path / 'run', 2, of_last=['--config.seed=1']) as found:
    assert [each.finish() for each in found] == [1, 1]
  assert all('differs between processes: [1] of 2' in each.output for each in found)
  assert not (tmp_path / 'run').exists()
