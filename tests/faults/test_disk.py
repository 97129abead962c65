"""A disk that fails a run: the message names the path, what was saved before is whole, and the run goes on later."""
import os
import resource
import shutil

import pytest

from tests.faults import runs

CONSTANT = '--config.optimizer.schedule=constant'  # so that a finished run may be trained for longer
LONG = (CONSTANT, '--config.num_steps=1000000', '--config.checkpoint_every=50', '--config.log_every=10',
        '--config.sample_every=1000000')


def assert_explained(run: runs.Run, reason: str):
  """The run ended with one line that names a path in its workdir and the reason, not with a traceback."""
  assert run.finish() == 1, run.output
  last = run.lines[-1]
  assert last.startswith('error: ') and str(run.workdir) in last and reason in last, run.output
  assert 'Traceback' not in run.output


def assert_goes_on(workdir, step: int):
  """The same command takes the run up at `step`, all files as they were written."""
  with runs.Run(workdir, *LONG) as run:
    run.wait_until(lambda: run.stepping)
  assert f'going on at step {step} of' in run.output and 'damaged' not in run.output


@pytest.mark.parametrize('limit', [500, 3_000, 30_000])
def test_a_full_disk(tmp_path, limit):
  """No file may grow beyond `limit` bytes, as on a disk that is full: first the checkpoints fail, or the rest does."""
  with runs.Run(tmp_path, CONSTANT, '--config.checkpoint_every=2') as run:
    assert run.finish() == 0, run.output
  saved = runs.saved_steps(tmp_path)
  shutil.copytree(tmp_path, tmp_path.with_name('before'))

  def starve():  # SIGXFSZ is ignored by Python: writing fails with EFBIG
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

  with runs.Run(tmp_path, CONSTANT, '--config.num_steps=8', preexec_fn=starve) as run:
    assert_explained(run, 'File too large')
  for step in saved:
    runs.assert_same(*(folder / 'checkpoints' / str(step) for folder in (tmp_path, tmp_path.with_name('before'))))
  with runs.Run(tmp_path, CONSTANT, '--config.num_steps=8') as run:
    assert run.finish() == 0, run.output
  assert f'going on at step {saved[-1]} of 8' in run.output


@pytest.fixture
def obeying():
  """The start of a command whose process obeys the permissions of files, which root's own does not."""
  if os.geteuid():
    return []
  if not shutil.which('setpriv'):
    pytest.skip('root may write everywhere, and there is no setpriv to change that')
  rights = '-dac_override,-dac_read_search'
  return ['setpriv', f'--bounding-set={rights}', f'--inh-caps={rights}']


def test_permission_lost_midway(tmp_path, obeying):
  folder = tmp_path / 'checkpoints'
  with runs.Run(tmp_path, *LONG, prefix=obeying) as run:
    run.wait_until(lambda: len(runs.saved_steps(tmp_path)) >= 2)
    folder.chmod(0o555)
    try:
      assert_explained(run, 'Permission denied')
    finally:
      folder.chmod(0o755)
  assert_goes_on(tmp_path, runs.saved_steps(tmp_path)[-1])


def test_a_folder_that_may_not_be_written_from_the_start(tmp_path, obeying):
  with runs.Run(tmp_path / 'run', CONSTANT) as run:
    assert run.finish() == 0, run.output
  for mode in (0o555, 0o755):
    (tmp_path / 'run').chmod(mode)
    with runs.Run(tmp_path / 'run', CONSTANT, '--config.num_steps=8', prefix=obeying) as run:
      if mode == 0o555:
        assert_explained(run, 'Permission denied')
      else:
        assert run.finish() == 0 and 'going on at step 4 of 8' in run.output
