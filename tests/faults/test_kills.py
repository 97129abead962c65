"""Kill it anywhere, start the same command again: the end is that of the run that nobody killed, bit for bit."""
import collections
import random
import time

import pytest

from tests.faults import runs

NUM_STEPS, SAMPLE_EVERY = 320, 160
ARGUMENTS = (f'--config.num_steps={NUM_STEPS}', f'--config.sample_every={SAMPLE_EVERY}', '--config.steps_per_call=10',
             '--config.log_every=10', '--config.checkpoint_every=40', '--config.eval_every=120',
             '--config.eval.num_samples=200')
PHASES = ('start-up', 'step', 'write', 'finalisation')
START_SECONDS = 3
KILLS = 60  # in the long version


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
  """The run that nobody kills; it runs on beside the others until its end is asked for."""
  with runs.Run(tmp_path_factory.mktemp('uninterrupted'), *ARGUMENTS) as run:
    run.wait_until(lambda: run.stepping)  # so that the others find its compiled program
    yield run


def is_finalised(workdir) -> bool:
  """Tells whether the arrays of a checkpoint are written, but not yet under its final name."""
  return any((path / item / 'manifest.ocdbt').exists()
             for path in runs.unfinished(workdir) for item in ('default', 'default.orbax-checkpoint-tmp'))


def kill(run: runs.Run, phase: str, rng: random.Random, longest: float) -> str:
  """Kills a run in a phase, up to `longest` seconds after its first step or, for its write, at the next after that.

  Returns the phase that it was really in, '' where it had ended before.
  """
  if phase == 'start-up':
    time.sleep(rng.uniform(0, START_SECONDS))
  else:
    run.wait_until(lambda: run.stepping)
    time.sleep(rng.uniform(0, longest))
    run.wait_until({'step': lambda: not runs.unfinished(run.workdir), 'write': lambda: runs.unfinished(run.workdir),
                    'finalisation': lambda: is_finalised(run.workdir)}[phase])
  if run.process.poll() is not None:
    assert run.finish() == 0, run.output
    return ''
  run.process.kill()
  run.finish()
  if not run.stepping:  # and what lies there is of an earlier kill
    return 'start-up'
  if is_finalised(run.workdir):
    return 'finalisation'
  return 'write' if runs.unfinished(run.workdir) else 'step'


def finish_and_compare(workdir, uninterrupted: runs.Run):
  """Starts the command a last time, not to be killed, and compares all that it leaves with the uninterrupted run's."""
  with runs.Run(workdir, *ARGUMENTS) as run:
    assert run.finish() == 0, run.output
  assert uninterrupted.finish() == 0, uninterrupted.output
  assert runs.saved_steps(workdir)[-1] == NUM_STEPS
  runs.assert_same(*(folder / 'checkpoints' / str(NUM_STEPS) for folder in (workdir, uninterrupted.workdir)))
  grids = [f'fake_{step:07d}.png' for step in range(SAMPLE_EVERY, NUM_STEPS + 1, SAMPLE_EVERY)]
  for grid in grids:
    assert (workdir / 'samples' / grid).read_bytes() == (uninterrupted.workdir / 'samples' / grid).read_bytes()


def test_killed_once_in_every_phase(tmp_path, uninterrupted):
  rng, hit = random.Random(0), []
  for phase in PHASES:
    for _ in range(5):  # a moment may be missed, as the run goes on meanwhile
      with runs.Run(tmp_path, *ARGUMENTS) as run:
        hit.append(kill(run, phase, rng, longest=0.5))
      if hit[-1] in (phase, ''):
        break
  assert set(PHASES) <= set(hit), hit
  finish_and_compare(tmp_path, uninterrupted)


@pytest.mark.soak
def test_killed_many_times(tmp_path, uninterrupted, capsys):
  rng, hit, number = random.Random(1), collections.Counter(), 0
  while hit.total() < KILLS:
    workdir, number = tmp_path / str(number), number + 1
    while hit.total() < KILLS:
      with runs.Run(workdir, *ARGUMENTS) as run:
        phase = kill(run, rng.choice(PHASES), rng, longest=6)
      if not phase:
        break
      hit[phase] += 1
    finish_and_compare(workdir, uninterrupted)
  with capsys.disabled():
    print(f'\n{hit.total()} kills in {number} runs: {dict(hit)}')
  assert all(hit[phase] >= 5 for phase in PHASES), hit
