"""What a real run adds to its steps: the start, and the logging, pictures and checkpoints on the way.

    python -m benchmarks.loop --write=docs       # --config=configs/wgan_gp.py --case=wgan_gp_28

Starts main.py with an empty compilation cache, lets it run, and starts it again with what it left there. Between the
two and around them it times the bare train_steps. The run's speed counts from its first log line to the end of the
process.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

from absl import app, flags

from benchmarks import cases, page
from benchmarks.race import Contestant

CONFIG = flags.DEFINE_string('config', 'configs/wgan_gp.py', 'The config to run.')
CASE = flags.DEFINE_enum('case', 'wgan_gp_28', list(cases.CASES), 'The same GAN in benchmarks/cases.py.')
STEPS = flags.DEFINE_integer('steps', 1000, 'Steps of the run.')
BARE = flags.DEFINE_integer('bare', 150, 'Bare steps a turn.')
WRITE = flags.DEFINE_string('write', '', 'Folder of performance.md, such as docs; empty: print only.')


class Run(NamedTuple):
  """What a run of main.py took."""
  first_step: float  # seconds after the command
  steps_per_second: float  # from the first log line to the end of the process


def run_main(folder: pathlib.Path, name: str) -> Run:
  """Runs main.py to its end in a new workdir; compiled programs are kept in `folder`."""
  process = subprocess.Popen(
      [sys.executable, 'main.py', f'--config={CONFIG.value}', f'--workdir={folder / name}',
       f'--config.num_steps={STEPS.value}', '--config.eval_every=0'], stdout=subprocess.PIPE, text=True,
      env=os.environ | {'JAX_COMPILATION_CACHE_DIR': str(folder / 'compiled')})
  output = process.communicate()[0]
  end = time.time()
  if process.returncode:
    raise RuntimeError(f'main.py ended with {process.returncode}: {output}')
  first_step = float(re.search(r'first step ([\d.]+) s after', output)[1])
  step, wall_time = first_log(folder / name / 'events')
  return Run(first_step, (STEPS.value - step) / (end - wall_time))


def first_log(events: pathlib.Path) -> tuple[int, float]:
  """Returns (step, time) of a run's first metrics."""
  from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
  event = EventAccumulator(str(events)).Reload().Tensors('steps_per_second')[0]
  return event.step, event.wall_time


def main(argv):
  del argv
  bare, speeds, runs = Contestant(CASE.value, 'gans', {}), [], []
  bare.run(50)
  with tempfile.TemporaryDirectory() as folder:
    for name in ('first', 'second'):
      speeds.append(1 / bare.run(BARE.value))
      runs.append(run_main(pathlib.Path(folder), name))
  speeds.append(1 / bare.run(BARE.value))
  bare.close()
  text = report(runs, speeds)
  print(text)
  if WRITE.value:
    page.write_section(pathlib.Path(WRITE.value) / 'performance.md', 'Start and loop', text)


def report(runs: list[Run], speeds: list[float]) -> str:
  """The figures as Markdown; a run is compared with the mean of the bare steps before and after it."""
  rows = [f'| {name} start | {run.first_step:.1f} s | {run.steps_per_second:.2f} | {before:.2f}, {after:.2f} '
          f'| {run.steps_per_second / ((before + after) / 2):.1%} |'
          for name, run, before, after in zip(('first', 'second'), runs, speeds, speeds[1:])]
  return '\n'.join([
      f'{page.command()} on {page.machine()}: {STEPS.value} steps of {CONFIG.value} through main.py, with logging, '
      "pictures and checkpoints at the config's intervals, no evaluation; against bare train_steps before and after.",
      '',
      '| | first step after the command | steps/s of the run | bare steps/s | share |', '|---|---|---|---|---|', *rows,
      '', f"The second start's first step comes in {runs[1].first_step / runs[0].first_step:.0%} of the first's time."])


if __name__ == '__main__':
  app.run(main)
