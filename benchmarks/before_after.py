"""This checkout against another one, such as an earlier commit: the same GANs on the same machine, turn by turn.

    git worktree add /tmp/before COMMIT
    python -m benchmarks.before_after --before=/tmp/before      # --cases=gan,toy --rounds=5

Each side is a process of its own that runs its checkout's code (benchmarks/contestants.py there), on its own table of
cases, and takes steps in turn with the other. The ratio of a round is that of two neighbouring turns.
"""
import statistics

from absl import app, flags

from benchmarks import cases, page
from benchmarks.race import Contestant, half_iqr, take_turns, three_digits

BEFORE = flags.DEFINE_string('before', None, 'Folder of the other checkout.', required=True)
CASES = flags.DEFINE_list('cases', list(cases.CASES), 'Names in benchmarks/cases.py, of both checkouts.')
ROUNDS = flags.DEFINE_integer('rounds', 7, 'Turns of each side.')
SECONDS = flags.DEFINE_float('seconds', 3.0, 'Length of a turn, about.')

COLUMNS = ('case', 'before, ms/step', 'after, ms/step', 'before/after', 'spread', 'first step', 'memory')


def race(case: str) -> str:
  """Times both sides of a case; returns its row."""
  sides = {'before': Contestant(case, 'gans', {}, BEFORE.value), 'after': Contestant(case, 'gans', {})}
  times = take_turns(sides, ROUNDS.value, SECONDS.value)
  ratios = [before / after for before, after in zip(times['before'], times['after'])]
  milliseconds = [three_digits(1e3 * statistics.median(times[side])) for side in sides]
  ratio = f'**{statistics.median(ratios):.2f}**'
  first_steps = [f'{side.first_step:.1f}' for side in sides.values()]
  memory = [f'{side.close() / 2**20:.0f}' for side in sides.values()]
  cells = [case, *milliseconds, ratio, f'{half_iqr(ratios):.0%}', f'{" -> ".join(first_steps)} s',
           f'{" -> ".join(memory)} MiB']
  return f'| {" | ".join(cells)} |'


def main(argv):
  del argv
  print(f'{page.command()} on {page.machine()}; medians of {ROUNDS.value} turns of {SECONDS.value:.0f} s each, taken '
        'in turn.\n')
  print(f'| {" | ".join(COLUMNS)} |\n{"|---" * len(COLUMNS)}|', flush=True)
  for case in CASES.value:
    print(race(case), flush=True)


if __name__ == '__main__':
  app.run(main)
