"""Checks that a run is still worth its time: it stops where a number is not finite, and a collapse is noticed.

What is not finite is never saved. A generator has collapsed that draws the same thing again and again.
"""
from collections.abc import Callable

import numpy as np

from gans.core.finite import all_finite
from gans.core.game import GANState
from gans.errors import UserError

HELP = ("what usually helps: a lower optimizer.learning_rate of each player, dtype='float32', a gradient penalty or "
        'another loss')
RESUME = '; --resume_with_changes resumes from the latest checkpoint with such a change'
COLLAPSED = 0.1  # the share of the real data's spread below which samples have collapsed
LEARNT = 1000  # steps after which a healthy generator's samples differ; those of an untrained one hardly do


def check_finite(step: int, metrics: dict, count: int, state: GANState):
  """Raises UserError for the first of `count` steps after `step` with a NaN or infinity; metrics are {name: [T,...]}.

  A state that is bad after the last of them is found too, although only the next step's metrics would show it.
  """
  first_bad = {}
  for name, values in metrics.items():
    taken = np.asarray(values)[:count]
    bad = np.argwhere(~np.isfinite(taken))
    if len(bad):
      first_bad[name] = int(bad[0, 0])
  if first_bad:
    name = min(first_bad, key=first_bad.get)
    place = first_bad[name]
    raise UserError(f'diverged in step {step + place + 1}: {name}={metrics[name][place]}; {HELP}{RESUME}')
  for name, player in state.players.items():
    if not all_finite(player):
      raise UserError(f'diverged in step {step + count}: the {name} has parameters that are not finite; {HELP}'
                      f'{RESUME}')


def rms_distance(samples: np.ndarray) -> float:
  """Returns the root mean square distance between two of the samples [N,...]: (2 sum of the variances)^(1/2)."""
  flat = samples.reshape(len(samples), -1)
  variances = np.var(flat, axis=0, ddof=1, dtype=np.float64)
  return float(np.sqrt(2 * variances.sum()))


def watch_collapse(images: np.ndarray, num: int, say: Callable[[str], None]) -> Callable[[int, np.ndarray], None]:
  """Returns check(step, samples [N,...]), which warns once, with its evidence, that samples are all but the same.

  Their spread is compared with that of `num` of the real `images` [M,...], taken evenly from first to last. There is a
  warning only after LEARNT steps, or once the samples have differed. A collapse onto a few modes that lie far apart is
  not noticed, as the spread is then as it should be.
  """
  places = np.linspace(0, len(images) - 1, num).astype(int)
  real = rms_distance(images[places])
  differed = False
  warned = False

  def check(step: int, samples: np.ndarray):
    nonlocal differed, warned
    fake = rms_distance(np.asarray(samples))
    collapsed = fake < COLLAPSED * real
    if collapsed and not warned and (differed or step >= LEARNT):
      say(f'warning: the samples have collapsed at step {step}: the distance between two samples is {fake:.3g} on '
          f'average, between two real examples {real:.3g}; {HELP}')
      warned = True
    differed |= not collapsed

  return check
