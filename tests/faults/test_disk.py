"""A disk that fails a run: the message names the path, what was saved before is whole, and the run resumes later."""
import shutil
import sys

import pytest

from gans.runs import checksums
from tests.faults import interruptions, runs

CONSTANT = runs.every_player('optimizer.schedule', 'constant')  # so that a finished run may be trained for longer
LONG = [*CONSTANT, '--config.num_steps=1000000', '--config.checkpoint_every=50', '--config.steps_per_call=10',
        '--config.log_every=10', '--config.sample_every=1000000']


def assert_explained(run: runs.Run, reason: str):
  """The run ended with one line that names a path in its workdir and the reason, not with a traceback."""
  assert run.finish() == 1, run.output
  last = run.lines[-1]
  assert last.startswith('error: ') and str(run.workdir) in last and reason in last, run.output
  assert 'Traceback' not in run.output


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
  """The folder of a short run, to be resumed in a copy."""
  workdir = tmp_path_factory.mktemp('finished')
  with runs.Run(workdir, *CONSTANT, '--config.checkpoint_every=2') as run:
    assert run.finish() == 0, run.output
  return workdir


STARVE = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)  # SIGXFSZ is ignored by Python: EFBIG
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.mark.parametrize('limit', [500, 3_000, 13_000])
def test_a_full_disk(tmp_path, finished, limit):
  """No file may grow beyond `limit` bytes: as on a full disk the config, the pictures or the checkpoints fail."""
  workdir = shutil.copytree(finished, tmp_path / 'run')
  arguments = [*CONSTANT, '--config.num_steps=8', '--config.sample_every=100']
  with runs.Run(workdir, *arguments, prefix=[sys.executable, '-c', STARVE, str(limit)]) as run:
    assert_explained(run, 'File too large')
  for step in (2, 4):
    runs.assert_same(*(folder / 'checkpoints' / str(step) for folder in (workdir, finished)))
  if limit == 13_000:
    with runs.Run(workdir, *arguments) as run:
      assert run.finish() == 0 and 'resuming at step 4 of 8' in run.output, run.output


@pytest.fixture
def obeying():
  """The start of a command whose process obeys the permissions of files, which root's own does not."""
  prefix = interruptions.obeying()
  if prefix is None:
    pytest.skip('root may write everywhere, and there is no setpriv to change that')
  return prefix


def test_permission_lost_midway(tmp_path, obeying):
  folder = tmp_path / 'checkpoints'
  with runs.Run(tmp_path, *LONG, prefix=obeying) as run:
    run.wait_until(lambda: len(runs.saved_steps(tmp_path)) >= 2)
    folder.chmod(0o555)
    try:
      assert_explained(run, 'Permission denied')
    finally:
      folder.chmod(0o755)
  assert all(checksums.find_damage(folder / str(step)) == '' for step in runs.saved_steps(tmp_path))


def test_a_folder_that_is_moved_midway(tmp_path):
  workdir, moved = tmp_path / 'run', tmp_path / 'moved'
  with runs.Run(workdir, *LONG) as run:
    run.wait_until(lambda: len(runs.saved_steps(workdir)) >= 2)
    workdir.rename(moved)
    assert_explained(run, 'is not there any more: it was moved or removed')
  assert all(checksums.find_damage(moved / 'checkpoints' / str(step)) == '' for step in runs.saved_steps(moved))


def test_a_folder_that_may_not_be_written_from_the_start(tmp_path, finished, obeying):
  workdir = shutil.copytree(finished, tmp_path / 'run')
  workdir.chmod(0o555)
  with runs.Run(workdir, *CONSTANT, '--config.num_steps=8', prefix=obeying) as run:
    assert_explained(run, 'Permission denied')
  workdir.chmod(0o755)
  for step in (2, 4):
    runs.assert_same(*(folder / 'checkpoints' / str(step) for folder in (workdir, finished)))
