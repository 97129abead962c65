"""Kill it anywhere, start the same command again: the end is that of the run that nobody killed, bit for bit."""
import random

import pytest

from tests.faults import interruptions, runs


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
  """The run that nobody kills; it runs on beside the others until its end is asked for."""
  with runs.Run(tmp_path_factory.mktemp('uninterrupted'), *interruptions.ARGUMENTS) as run:
    run.wait_until(lambda: run.stepping)  # so that the others find its compiled program
    yield run


def finish_and_compare(workdir, uninterrupted: runs.Run):
  """Starts the command a last time, not to be killed, and compares all that it leaves with the uninterrupted run's."""
  with runs.Run(workdir, *interruptions.ARGUMENTS) as run:
    assert run.finish() == 0, run.output
  assert uninterrupted.finish() == 0, uninterrupted.output
  interruptions.assert_same_end(workdir, uninterrupted.workdir)


def test_killed_once_in_every_phase(tmp_path, uninterrupted):
  rng, hit = random.Random(0), []
  for phase in interruptions.PHASES:
    for _ in range(5):  # a moment may be missed, as the run goes on meanwhile
      with runs.Run(tmp_path, *interruptions.ARGUMENTS) as run:
        hit.append(interruptions.kill([run], phase, rng, longest=0.5))
      if hit[-1] in (phase, ''):
        break
  assert set(interruptions.PHASES) <= set(hit), hit
  finish_and_compare(tmp_path, uninterrupted)
