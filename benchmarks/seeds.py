"""Several seeds in one program against as many runs one after the other.

    python -m benchmarks.seeds --write=docs      # --cases=gan,toy --num_seeds=3

A step of the program and a step of one run are timed in turn, each in a process of its own.
"""
import pathlib
import statistics

from absl import app, flags

from benchmarks import cases, page
from benchmarks.names import define_names
from benchmarks.race import Contestant, half_iqr, take_turns, three_digits

CASES = define_names('cases', ['gan', 'wgan_gp_28', 'toy'], cases.CASES, 'Names in benchmarks/cases.py.')
NUM_SEEDS = flags.DEFINE_integer('num_seeds', 10, 'Seeds.', lower_bound=2)
ROUNDS = flags.DEFINE_integer('rounds', 7, 'Turns of each.')
SECONDS = flags.DEFINE_float('seconds', 3.0, 'Length of a turn, about.')
WRITE = flags.DEFINE_string('write', '', 'Folder for performance.md, such as docs; empty: print only.')


def compare(case: str) -> str:
  """One row of the table."""
  contestants = {num: Contestant(case, 'gans', {'num_seeds': num}) for num in (1, NUM_SEEDS.value)}
  times = take_turns(contestants, ROUNDS.value, SECONDS.value)
  for contestant in contestants.values():
    contestant.close()
  ratios = [together / (NUM_SEEDS.value * single) for single, together in zip(*times.values())]
  single, together = (three_digits(1e3 * statistics.median(each)) for each in times.values())
  return f'| {case} | {single} | {together} | **{statistics.median(ratios):.2f}** | {half_iqr(ratios):.0%} |'


def main(argv):
  del argv
  num = NUM_SEEDS.value
  columns = ('case', 'one seed, ms/step', f'{num} seeds, ms/step', f'against {num} runs in turn', 'spread')
  rows = [f'| {" | ".join(columns)} |', '|---' * len(columns) + '|']
  for case in CASES.value:
    rows.append(compare(case))
    print(rows[-1], flush=True)
  text = (f'{page.command()} on {page.machine()}; medians of {ROUNDS.value} turns of {SECONDS.value:.0f} s each, taken '
          'in turn. A ratio of 1: the seeds cost what they cost one by one.\n\n' + '\n'.join(rows))
  print(text)
  if WRITE.value:
    page.write_section(pathlib.Path(WRITE.value) / 'performance.md', 'Several seeds', text)


if __name__ == '__main__':
  app.run(main)
