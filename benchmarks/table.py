"""Every GAN of images from noise on every data set: equal processor time, several seeds, one page.

    python -m benchmarks.table --data_dir=DIR --write=docs                   # days on a small machine
    python -m benchmarks.table --datasets=mnist_5k --minutes=1 --num_seeds=2

It runs in pieces: Ctrl-C ends it, the same command resumes from the last checkpoint, and writes the page after every
run. First it finds out how many steps a system takes in --minutes of a processor, and keeps them in --workdir; so the
runs are the same whoever else is at work on the machine. With other --minutes it needs another folder.
"""
import functools
import importlib
import json
import pathlib
import time
from typing import NamedTuple

from absl import app, flags
from etils import epath
import jax
import numpy as np

from benchmarks import ours, page
from benchmarks.names import define_names
from benchmarks.runs import DATA_DIR, launch
from gans.build import build, build_shapes
from gans.data.dataset import Spec
from gans.data.sources import load_dataset
from gans.errors import UserError
from gans.runs import evaluations
from gans.system import cache
from gans.training.loop import train
from gans.training.reporter import find_grids

SYSTEMS = ('gan', 'dcgan', 'wgan', 'wgan_gp', 'wgan_gp_resnet', 'sngan', 'r3gan', 'infogan', 'bigan')
LABELLED = ('cgan', 'acgan', 'sngan_projection', 'sagan', 'biggan_small')  # told the class
SIZES = {'mnist_5k': 28, 'fashion_mnist': 28, 'cifar10': 32, 'stacked_mnist_5k': 28}  # pixels of a side
MODES = 'stacked_mnist_5k'  # its 1,000 classes are to be found, so no system is told them
SIDES = ('start', 'attention_at')  # fields of networks that are sides of maps, for digits of 28 pixels
# Scores, what they are called in the table, and their decimals.
COLUMNS = (('frechet_distance', 'distance', 1), ('precision', 'precision', 2), ('recall', 'recall', 2),
           ('coverage', 'coverage', 2), ('gan_train', 'GAN-train', 3), ('modes', 'modes', 0), ('mode_kl', 'KL', 2))
PROBE = 5.0  # processor seconds of steps to find out what one costs

NAMES = define_names('systems', [*SYSTEMS, *LABELLED], [*SYSTEMS, *LABELLED], 'Configs, the rows.')
DATASETS = define_names('datasets', SIZES, SIZES, 'Data sets, a table each.')
NUM_SEEDS = flags.DEFINE_integer('num_seeds', 3, "Seeds, from the config's on.", lower_bound=1)
MINUTES = flags.DEFINE_float('minutes', 5.0, 'Minutes of a processor for the steps of each run.')
WEIGHTS = flags.DEFINE_string('cifar10_weights', '', 'The file of ResNet-20 for CIFAR-10 (docs/evaluation.md), whose '
                              "features compare its samples; '': a classifier that is trained on it.")
WORKDIR = flags.DEFINE_string('workdir', '/tmp/table', 'Folder of the runs.')
WRITE = flags.DEFINE_string('write', '', 'Folder for benchmark.md and its grids, such as docs; empty: print only.')


class Run(NamedTuple):
  """One of the runs that make up the page."""
  dataset: str
  system: str
  seed: int  # from 0

  @property
  def workdir(self) -> epath.Path:
    return epath.Path(WORKDIR.value) / self.dataset / f'{self.system}_{self.seed}'

  @property
  def length(self) -> epath.Path:
    """The file that says how many steps it takes, as all seeds do."""
    return self.workdir.parent / f'{self.system}.json'


def list_runs() -> list[Run]:
  """Returns all runs, the first seed of every system before the second of any."""
  return [Run(dataset, system, seed) for seed in range(NUM_SEEDS.value) for dataset in DATASETS.value
          for system in NAMES.value if dataset != MODES or system not in LABELLED]


def make_config(run: Run, steps: int | None = None):
  """Returns configs/SYSTEM.py for a run: on its data set, with sides of maps that fit, and as long as it takes."""
  config = importlib.import_module(f'configs.{run.system}').get_config()
  size = SIZES[run.dataset]
  config.seed += run.seed
  config.dataset.update({'name': run.dataset, 'image_size': size, 'flip': run.dataset == 'cifar10',
                         'data_dir': '' if run.dataset.endswith('_5k') else DATA_DIR.value})
  for player in (group for group in config.values() if hasattr(group, 'network')):
    player.update({field: player[field] * size // 28 for field in SIDES if field in player})
  if run.dataset == 'cifar10' and WEIGHTS.value:
    config.eval.update({'features': 'resnet20_cifar10', 'weights': WEIGHTS.value})
  config.eval.gan_train = run.system in LABELLED
  if steps:
    config.num_steps = config.eval_every = steps
    config.sample_every = config.checkpoint_every = max(1, steps // 10)
    config.anneal_images = config.anneal_images and steps * config.batch_size
  return config


def find_steps(run: Run) -> int:
  """Returns how many steps of a system take --minutes of a processor, without compilation; it is measured once."""
  if run.length.exists():
    kept = json.loads(run.length.read_text())
    if kept['minutes'] != MINUTES.value:
      raise app.UsageError(f'--workdir={WORKDIR.value}: its runs are of --minutes={kept["minutes"]}')
    return kept['steps']
  config = make_config(run)
  images = load_dataset(config.dataset).images[:1024]
  steps = max(1, round(60 * MINUTES.value / seconds_per_step(config, images)))
  run.length.parent.mkdir(parents=True, exist_ok=True)
  run.length.write_text(json.dumps({'minutes': MINUTES.value, 'steps': steps}))
  return steps


def seconds_per_step(config, images: np.ndarray) -> float:
  """Processor seconds of a step, after compilation, the median of three."""
  run, found = ours.Run(config, images), []
  run.advance(1)
  for _ in range(3):
    start, steps = time.process_time(), 0
    while time.process_time() - start < PROBE / 3:
      run.advance(max(1, steps))  # twice as many each time
      steps += max(1, steps)
    found.append((time.process_time() - start) / steps)
  return float(np.median(found))


def finish(run: Run) -> bool:
  """Trains a run, or what is left of it, and measures it; returns whether it ended well."""
  try:
    train(make_config(run, find_steps(run)), run.workdir)
    return True
  except UserError as error:  # it diverged, say
    print(f'{run.dataset}, {run.system}, seed {run.seed}: {error}', flush=True)
    return False


@functools.cache
def asked_for(run: Run) -> dict:
  """Returns how a run is measured, the group `eval` of its config: every run is looked at again after each."""
  return make_config(run).eval.to_dict()


def read_scores(run: Run) -> dict[str, float]:
  """Returns the scores of a run that was measured as it is now asked for, else {}."""
  measured = [evaluation for _, evaluation in evaluations.read_scores(run.workdir / evaluations.NAME)
              if evaluations.is_as_asked(evaluation, asked_for(run), spec_of(run.dataset))]
  if not measured:
    return {}
  *_, evaluation = measured
  return {evaluations.short_name(name): value for name, (value,) in evaluation.scores.items()}


def row(dataset: str, system: str, columns: list[tuple[str, str, int]]) -> str:
  """One system's row: mean and spread over the seeds that are done."""
  runs = [Run(dataset, system, seed) for seed in range(NUM_SEEDS.value)]
  found = [scores for scores in map(read_scores, runs) if scores]
  config = make_config(runs[0])
  shapes = build_shapes(config, build(config, spec_of(dataset)))
  counts = [sum(leaf.size for leaf in jax.tree.leaves(player.params)) for player in shapes.players.values()]
  cells = [' + '.join(f'{count:,}' for count in counts if count), f'{find_steps(runs[0]):,}',
           f'{len(found)} of {len(runs)}']
  for score, _, digits in columns:
    values = [scores[score] for scores in found if score in scores]
    cells.append(mean_and_deviation(values, digits) if values else '')
  return f'| {system} | {" | ".join(cells)} |'


def mean_and_deviation(values: list[float], digits: int) -> str:
  """The mean and, of several, the standard deviation."""
  mean = f'{np.mean(values):.{digits}f}'
  return mean if len(values) == 1 else f'{mean} ± {np.std(values, ddof=1):.{digits}f}'


def spec_of(dataset: str) -> Spec:
  """What the networks need to know of a data set, which need not be there."""
  channels = 3 if dataset in ('cifar10', MODES) else 1
  return Spec((SIZES[dataset], SIZES[dataset], channels), 1000 if dataset == MODES else 10)


def write(dataset: str) -> str:
  """Returns the table of a data set, and puts it where --write says, with a grid in each row."""
  begun = [name for name in NAMES.value if Run(dataset, name, 0).length.exists()]
  scored = {score for run in list_runs() if run.dataset == dataset for score in read_scores(run)}
  columns = [column for column in COLUMNS if column[0] in scored]
  head = ['', 'parameters', 'steps', 'seeds', *(title for _, title, _ in columns)]
  rows = {name: row(dataset, name, columns) for name in begun}
  if WRITE.value:
    head.append('samples of the first seed')
    rows = {name: f'{cells} {show_grid(Run(dataset, name, 0))} |' for name, cells in rows.items()}
  lines = [f'| {" | ".join(head)} |', '|---' * len(head) + '|', *rows.values()]
  text = (f'{page.command()} on {page.machine()}: as many steps of each as take {MINUTES.value:g} minutes of a '
          f'processor, without compilation. Mean and standard deviation over the seeds that are done.\n\n'
          + '\n'.join(lines))
  if WRITE.value:
    page.write_section(pathlib.Path(WRITE.value) / 'benchmark.md', dataset, text)
  return text


def show_grid(run: Run) -> str:
  """Copies the grid of samples after a run's last step beside the page, and shows it; '' where it is not there yet."""
  grid = find_grids(run.workdir / 'samples').get('', {}).get(find_steps(run))
  if not grid:
    return ''
  path = f'images/benchmark/{run.dataset}_{run.system}.png'
  target = epath.Path(WRITE.value) / path
  target.parent.mkdir(parents=True, exist_ok=True)
  grid.copy(target, overwrite=True)
  return f'![{run.system}]({path})'


def main(argv):
  del argv
  cache.keep_compilations()
  runs = list_runs()
  for run in runs:
    if not read_scores(run) and finish(run):
      write(run.dataset)
    num = sum(bool(read_scores(each)) for each in runs)
    print(f'{num} of {len(runs)} runs, {num * MINUTES.value / 60:.1f} of {len(runs) * MINUTES.value / 60:.1f} '
          'processor hours of steps', flush=True)
  for dataset in DATASETS.value:
    print(f'\n{dataset}: {write(dataset)}')


if __name__ == '__main__':
  launch(main)
