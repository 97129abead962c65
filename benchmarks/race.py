"""Contestants that take steps in turn: a neighbour who slows the machine slows all of them."""
from collections.abc import Mapping
import json
import os
import subprocess
import sys

import numpy as np

# A GPU's memory is taken as it is needed: the contestants share it, and JAX would keep most of it for the first.
os.environ.setdefault('XLA_PYTHON_CLIENT_PREALLOCATE', 'false')
# PyTorch's threads wait for work without spinning, or the compiled code is many times slower.
TORCH_ENVIRONMENT = {'OMP_WAIT_POLICY': 'PASSIVE', 'TORCHINDUCTOR_COMPILE_THREADS': '1',
                     'TORCHINDUCTOR_FORCE_DISABLE_CACHES': '1'}  # its compilation is timed, from nothing


class Contestant:
  """The process of a contestant, see contestants.py; `checkout` is the folder whose code it runs, None for this one.

  It takes its first step, which compiles, at once; without `wait`, wait() is to be called before it can run.
  """

  def __init__(self, case: str, name: str, fields: dict, checkout: str | None = None, wait: bool = True,
               num_images: int | None = None):
    self.name = name
    environment = os.environ | (TORCH_ENVIRONMENT if name.startswith('torch') else {})
    self.process = subprocess.Popen(
        [sys.executable, '-m', 'benchmarks.contestants', f'--case={case}', f'--contestant={name}',
         f'--fields={json.dumps(fields)}', *([f'--num_images={num_images}'] if num_images else [])],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=checkout)
    if wait:
      self.wait()

  def wait(self):
    """Waits for the first step, whose seconds are then in `first_step`; raises RuntimeError where the process ended."""
    self.first_step = self._read('first_step')

  def run(self, steps: int) -> float:
    """Takes steps; returns seconds a step."""
    print(steps, file=self.process.stdin, flush=True)
    return self._read('seconds') / steps

  def close(self) -> float:
    """Ends the process; returns its peak memory in bytes."""
    self.process.stdin.close()
    return self._read('memory')

  def _read(self, key: str) -> float:
    line = self.process.stdout.readline()
    if not line:
      raise RuntimeError(f'{self.process.args} ended')
    return json.loads(line)[key]


def take_turns(contestants: Mapping[str, Contestant], rounds: int, seconds: float) -> dict[str, list[float]]:
  """Returns {name: seconds a step, one a round}; a turn takes about `seconds`."""
  steps = {name: _steps_in(contestant, seconds) for name, contestant in contestants.items()}
  times = {name: [] for name in contestants}
  for _ in range(rounds):
    for name, contestant in contestants.items():
      times[name].append(contestant.run(steps[name]))
  return times


def _steps_in(contestant: Contestant, seconds: float) -> int:
  """How many steps take so long: a short trial says how long a longer one has to be."""
  trial = max(1, round(0.3 / contestant.run(1)))
  return max(1, round(seconds / contestant.run(trial)))


def half_iqr(values: list[float]) -> float:
  """Half the distance between the quartiles, over the median."""
  low, middle, high = np.percentile(values, [25, 50, 75])
  return float((high - low) / 2 / middle)


def three_digits(value: float) -> str:
  """The value to three digits, and never as 1e+03."""
  return f'{value:.3g}' if value < 1000 else f'{value:.0f}'
