"""Hundreds of interruptions at random moments, of runs of several kinds: each end is that of the uninterrupted run.

    pytest -m soak -n 0 tests/faults/test_soak.py

GANS_SOAK_KILLS (300) is the number of kills over all kinds of runs, GANS_SOAK_SEED (1) chooses their moments. Beside
every ten kills there is a disk that becomes full, and one that becomes read only; not of several processes, where the
others, and Orbax, wait for ten minutes for the one that could not write.
"""
import collections
import contextlib
import json
import os
import random
import time

import pytest

from gans.system.events import read_scalars
from tests.faults import interruptions, runs

KINDS = {  # {name: (processes, flags)}
    'two processes': (2, []),
    'streamed': (1, ['--config.dataset.device_bytes=0']),
    'seeds': (1, ['--config.num_seeds=3']),
}
KILLS = int(os.environ.get('GANS_SOAK_KILLS', 300))
SEED = int(os.environ.get('GANS_SOAK_SEED', 1))
LONGEST = 6  # seconds after the first step; some runs end before


class Kind:
  """Starts the processes of one kind of run."""

  def __init__(self, count: int, flags: list[str]):
    self.count = count
    self.flags = flags

  @contextlib.contextmanager
  def started(self, workdir, prefix=()):
    with runs.started(runs.CONFIG, workdir, self.count, *interruptions.ARGUMENTS, *self.flags, devices=self.count,
                      prefix=prefix) as found:
      yield found

  def finish(self, workdir):
    """Starts it, not to be interrupted, and waits for its end."""
    with self.started(workdir) as found:
      assert all(run.finish() == 0 for run in found), found[0].output


def interrupt(kind: Kind, workdir, what: str, rng: random.Random) -> str:
  """Starts a run and interrupts it; returns what has happened, '' where it had ended before."""
  prefix = interruptions.obeying() if what == 'read only' else ()
  with kind.started(workdir, prefix) as found:
    if what == 'full disk':
      return interruptions.fill_disk(found[0], rng, LONGEST)
    if what == 'read only':
      return interruptions.make_read_only(found[0], rng, LONGEST)
    return interruptions.kill(found, what, rng, LONGEST)


def assert_same_results(workdir, expected):
  """Compares all that a run leaves with what another one left."""
  interruptions.assert_same_end(workdir, expected)
  assert scores(workdir) == scores(expected)
  curves, expected_curves = (read_scalars(path / 'events', lambda tag: 'loss' in tag) for path in (workdir, expected))
  assert curves.keys() == expected_curves.keys()
  for tag, by_step in curves.items():
    assert by_step.items() <= expected_curves[tag].items()  # what a killed process had not written yet is missing


def scores(workdir) -> dict[int, dict]:
  lines = (workdir / 'eval.jsonl').read_text().splitlines()
  return {record['step']: record['scores'] for record in map(json.loads, lines)}


def plan(rng: random.Random, kills: int, has_disk_faults: bool) -> list[str]:
  """What is to happen, in a random order: kills in all phases alike, and other faults."""
  faults = [rng.choice(interruptions.PHASES) for _ in range(kills)]
  if has_disk_faults:
    faults += ['full disk'] * (kills // 10)
    faults += ['read only'] * (kills // 10 if interruptions.obeying() is not None else 0)
  rng.shuffle(faults)
  return faults


@pytest.mark.soak
@pytest.mark.parametrize('name', KINDS)
def test_interrupted_many_times(tmp_path, capsys, name):
  kind = Kind(*KINDS[name])
  rng = random.Random(f'{SEED} {name}')
  start = time.monotonic()
  kind.finish(tmp_path / 'uninterrupted')
  hit = collections.Counter()
  left = plan(rng, KILLS // len(KINDS), has_disk_faults=kind.count == 1)
  number = 0
  while left:
    workdir = tmp_path / str(number)
    number += 1
    is_running = True
    while left and is_running:
      happened = interrupt(kind, workdir, left[-1], rng)
      is_running = bool(happened)
      if happened:
        hit[happened] += 1
        left.pop()
    kind.finish(workdir)
    assert_same_results(workdir, tmp_path / 'uninterrupted')
  with capsys.disabled():
    print(f'\n{name}: {hit.total()} interruptions of {number} runs, seed {SEED}, in {time.monotonic() - start:.0f} s: '
          f'{dict(hit)}')
  assert all(hit[phase] >= KILLS // len(KINDS) // 20 for phase in interruptions.PHASES), hit
