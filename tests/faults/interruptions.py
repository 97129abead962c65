"""What ends a run before its time: kills in a chosen phase, a disk that is full, folders that become read only."""
import contextlib
import os
import random
import resource
import shutil
import time

from gans.system import disk
from tests.faults import runs

# The run that is interrupted.
NUM_STEPS, SAMPLE_EVERY = 320, 160
ARGUMENTS = (f'--config.num_steps={NUM_STEPS}', f'--config.sample_every={SAMPLE_EVERY}', '--config.steps_per_call=10',
             '--config.log_every=10', '--config.checkpoint_every=40', '--config.eval_every=120',
             '--config.eval.num_samples=200')
PHASES = ('start-up', 'step', 'write', 'finalisation')
START_SECONDS = 3


def is_finalised(workdir) -> bool:
  """Tells whether the arrays of a checkpoint are written, but not yet under its final name."""
  return any((path / item / 'manifest.ocdbt').exists()
             for path in runs.unfinished(workdir) for item in ('default', 'default.orbax-checkpoint-tmp'))


def wait_for(run: runs.Run, phase: str, rng: random.Random, longest: float):
  """Waits for a phase, up to `longest` seconds after the first step or, for a write, for the next after that."""
  if phase == 'start-up':
    time.sleep(rng.uniform(0, START_SECONDS))
    return
  run.wait_until(lambda: run.stepping)
  time.sleep(rng.uniform(0, longest))
  run.wait_until({'step': lambda: not runs.unfinished(run.workdir), 'write': lambda: runs.unfinished(run.workdir),
                  'finalisation': lambda: is_finalised(run.workdir)}[phase])


def kill(found: list[runs.Run], phase: str, rng: random.Random, longest: float) -> str:
  """Kills all processes of a run in a phase, in any order; the first is the one that writes.

  Returns the phase that it was really in, '' where it had ended before.
  """
  first = found[0]
  wait_for(first, phase, rng, longest)
  if first.process.poll() is not None:
    assert all(run.finish() == 0 for run in found), first.output
    return ''
  for run in rng.sample(found, len(found)):
    run.process.kill()
  for run in found:
    run.finish()
  if not first.stepping:  # and what lies there is of an earlier kill
    return 'start-up'
  if is_finalised(first.workdir):
    return 'finalisation'
  return 'write' if runs.unfinished(first.workdir) else 'step'


def fill_disk(run: runs.Run, rng: random.Random, longest: float) -> str:
  """From a moment on no file may grow beyond some size, as on a full disk; waits for the end of the run."""
  wait_for(run, 'step', rng, longest)
  size = rng.choice([0, 1_000, 5_000, 13_000])
  with contextlib.suppress(ProcessLookupError):  # it has ended
    resource.prlimit(run.process.pid, resource.RLIMIT_FSIZE, (size, size))
  return _expect_explained(run, 'File too large', 'full disk')


def make_read_only(run: runs.Run, rng: random.Random, longest: float) -> str:
  """From a moment on no folder of the workdir may be written; waits for the end of the run."""
  wait_for(run, 'step', rng, longest)
  folders = [run.workdir, *(path for path in run.workdir.iterdir() if path.is_dir())]
  try:
    for folder in folders:
      folder.chmod(0o555)
    return _expect_explained(run, 'Permission denied', 'read only')
  finally:
    for folder in folders:
      folder.chmod(0o755)


def _expect_explained(run: runs.Run, reason: str, name: str) -> str:
  """Returns the name of what happened, '' where the run ended before; a line says why it ended."""
  code = run.finish()
  if code == 0:
    return ''
  explanation = next((line for line in run.lines if line.startswith('error: ')), '')
  is_explained = reason in explanation or disk.NO_TEMPORARY_FOLDER in explanation  # which libraries ask for
  assert code == 1 and is_explained, run.output
  return name


def assert_same_end(workdir, expected):
  """Compares the last state of a run, and its sample grids, with those of the run that nobody interrupted."""
  assert runs.saved_steps(workdir)[-1] == NUM_STEPS
  runs.assert_same(*(folder / 'checkpoints' / str(NUM_STEPS) for folder in (workdir, expected)))
  grids = [f'fake_{step:07d}' for step in range(SAMPLE_EVERY, NUM_STEPS + 1, SAMPLE_EVERY)]
  for folder in (workdir, expected):
    assert sorted({path.stem[:len(grids[0])] for path in (folder / 'samples').glob('fake_*.png')}) == grids
  names = [sorted(path.name for path in (folder / 'samples').iterdir()) for folder in (workdir, expected)]
  assert names[0] == names[1]
  for name in names[0]:
    assert (workdir / 'samples' / name).read_bytes() == (expected / 'samples' / name).read_bytes()


def obeying() -> list[str] | None:
  """The start of a command whose process obeys the permissions of files, which root's own does not; None: no way."""
  if os.geteuid():
    return []
  if not shutil.which('setpriv'):
    return None
  rights = '-dac_override,-dac_read_search'
  return ['setpriv', f'--bounding-set={rights}', f'--inh-caps={rights}']
