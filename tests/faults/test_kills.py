"""Kill it anywhere, start the same command again: the end is that of the run that nobody killed, bit for bit."""
import random

import pytest

from tests.faults import interruptions, runs

NUM_STEPS, SAMPLE_EVERY = 320, 160
ARGUMENTS = (f'--config.num_steps={NUM_STEPS}', f'--config.sample_every={SAMPLE_EVERY}', '--config.steps_per_call=10',
             '--config.log_every=10', '--config.checkpoint_every=40', '--config.eval_every=120',
             '--config.eval.num_samples=200')


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
  """The run that nobody kills; it runs on beside the others until its end is asked for."""
  with runs.Run(tmp_path_factory.mktemp('uninterrupted'), *ARGUMENTS) as run:
    run.wait_until(lambda: run.stepping)  # so that the others find its compiled program
    yield run


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
  for phase in interruptions.PHASES:
    for _ in range(5):  # a moment may be missed, as the run goes on meanwhile
      with runs.Run(tmp_path, *ARGUMENTS) as run:
        hit.append(interruptions.kill([run], phase, rng, longest=0.5))
      if hit[-1] in (phase, ''):
        break
  assert set(interruptions.PHASES) <= set(hit), hit
  finish_and_compare(tmp_path, uninterrupted)
