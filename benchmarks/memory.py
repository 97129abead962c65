"""What a step needs in memory and in time, whole and in the ways that need less of it.

    python -m benchmarks.memory --write=docs      # --cases=wgan_gp_64 --rounds=5

Memory is what XLA plans for the values inside a call of train_steps, its temporaries, beside what goes in and comes out
(`compiled.memory_analysis()`). All programs of a case take steps in turn. Time is the
processors', of all threads together, which others who share the machine do not change much.
"""
import pathlib
import statistics
import time

from absl import app, flags

from benchmarks import cases, ours, page
from benchmarks.names import define_names

CASES = define_names('cases', ['wgan_gp_64 batch 64', 'wgan_gp_128'], cases.CASES, 'Names in benchmarks/cases.py.')
ROUNDS = flags.DEFINE_integer('rounds', 5, 'Turns of each program.')
STEPS = flags.DEFINE_integer('steps', 2, 'Steps of a turn.')
WRITE = flags.DEFINE_string('write', '', 'Folder of scaling.md, such as docs; empty: print only.')

REMAT = {'generator.remat': True, 'critic.remat': True}
WAYS = {  # config fields that differ
    'whole': {},
    'critic.remat': {'critic.remat': True},
    'both remat': REMAT,
    'microbatches=8': {'microbatches': 8},
    'microbatches=8, both remat': {'microbatches': 8, **REMAT},
    'bfloat16': {'dtype': 'bfloat16'},
}


def measure(case: str) -> list[str]:
  """Returns the rows of a case's table."""
  runs, temporaries = {}, {}
  for way, fields in WAYS.items():
    config = cases.make_config(case, fields)
    runs[way] = ours.Run(config, cases.make_images(config))
    temporaries[way] = runs[way].compile().memory_analysis().temp_size_in_bytes
    runs[way].advance(1)
  times = {way: [] for way in WAYS}
  for _ in range(ROUNDS.value):
    for way, run in runs.items():
      start = time.process_time()
      run.advance(STEPS.value)
      times[way].append((time.process_time() - start) / STEPS.value)
  whole = statistics.median(times['whole'])
  return [f'| {case} | {way} | {temporaries[way] / 2**20:.0f} MiB | {temporaries[way] / temporaries["whole"]:.0%} '
          f'| {statistics.median(seconds) * 1e3:.0f} | {statistics.median(seconds) / whole:.0%} |'
          for way, seconds in times.items()]


def main(argv):
  del argv
  lines = [f'{page.command()} on {page.machine()}; medians of {ROUNDS.value} turns of {STEPS.value} steps.', '',
           '| case | | temporaries | of whole | processor ms/step | of whole |', '|---|---|---|---|---|---|']
  for case in CASES.value:
    lines += measure(case)
    print('\n'.join(lines), flush=True)
  if WRITE.value:
    page.write_section(pathlib.Path(WRITE.value) / 'scaling.md', 'Memory against time', '\n'.join(lines))


if __name__ == '__main__':
  app.run(main)
