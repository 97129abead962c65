"""The papers' figures, by their protocols, on several seeds.

    python -m benchmarks.reproduce ring8 --write=docs      # grid25, swiss_roll; --variant=narrow or paper: the config's
    python -m benchmarks.reproduce stacked_mnist_5k        # stacked_mnist --data_dir=DIR: of all of MNIST
    python -m benchmarks.reproduce losses                  # R3GAN's and others, by the modes of stacked_mnist_5k
    python -m benchmarks.reproduce pacgan_ring8            # pacgan_grid25: modes by how many points the critic sees

Runs are kept in --workdir; the same command resumes them.
"""
import importlib
import itertools
import pathlib

from absl import app, flags
from etils import epath
import numpy as np

from benchmarks import page
from benchmarks.runs import DATA_DIR, launch
from gans.evaluation import evaluator
from gans.evaluation.evaluator import Evaluation
from gans.runs import evaluations
from gans.system import cache
from gans.training.loop import train

WORKDIR = flags.DEFINE_string('workdir', '/tmp/reproduce', 'Folder of the runs.')
VARIANT = flags.DEFINE_string('variant', '', 'Variant of the config, such as narrow or paper.')
SEEDS = flags.DEFINE_integer('seeds', None, 'Seeds; ten of 2-D data, three of images unless given.', lower_bound=2)
STEPS = flags.DEFINE_integer('steps', 0, "Steps; 0: the config's.")
WRITE = flags.DEFINE_string('write', '', 'Folder for results.md, such as docs; empty: print only.')

LOSSES = {'relativistic': 'RpGAN', 'non_saturating': 'GAN'}
PENALTIES = {'r1_r2': 'R1 + R2', 'r1': 'R1'}
DISTANCE = 'sliced_wasserstein'
PUBLISHED = {  # Lin et al. 2018, PacGAN, table 1 (means and standard errors of ten), and the EnGAN paper's WGAN-GP
    'ring8': ['GAN, PacGAN paper | 6.3 +- 0.5 | 98.2 % | 0.45', 'PacGAN2 | 7.9 +- 0.1 | 95.6 % | 0.07',
              'PacGAN4 | 7.8 +- 0.1 | 95.9 % | 0.07'],
    'grid25': ['GAN, PacGAN paper | 17.3 +- 0.8 | 94.8 % | 0.70', 'PacGAN2 | 23.8 +- 0.7 | 91.3 % | 0.13',
               'PacGAN4 | 24.8 +- 0.2 | 93.6 % | 0.04'],
    'stacked_mnist': ['DCGAN, PacGAN paper | 78.9 +- 6.5 | 4.50', 'PacDCGAN2 | 1000 | 0.06',
                      'WGAN-GP, EnGAN paper, 100,000 steps | 959.0 | 0.7276'],
    'losses': ['RpGAN, R1 + R2, R3GAN paper | 1000 | 0.0781', 'GAN, R1 + R2, R3GAN paper | 693 | 0.9270'],
}


def run(config, name: str) -> Evaluation:
  """Trains `config`, or resumes it, and returns the last evaluation."""
  workdir = pathlib.Path(WORKDIR.value) / name
  config.dataset.data_dir = DATA_DIR.value
  config.eval_every = config.num_steps
  train(config, workdir)
  asked = config.num_steps, config.eval.num_samples, config.eval.seed
  measured = evaluations.read_scores(epath.Path(workdir / evaluations.NAME))
  return next(found for step, found in measured if (step, found.num_samples, found.seed) == asked)


def make_config(name: str, dataset: str, seeds: int, variant: str = ''):
  """Returns configs/NAME.py on a data set, in a variant or that of --variant, for --seeds and --steps."""
  config = importlib.import_module(f'configs.{name}').get_config(variant or VARIANT.value)
  config.dataset.name, config.num_seeds = dataset, SEEDS.value or seeds
  config.num_steps = STEPS.value or config.num_steps
  config.sample_every = config.checkpoint_every = config.num_steps
  config.anneal_images = config.anneal_images and config.num_steps * config.batch_size
  # Ctrl-C is heeded between calls, and ten seeds take ten times as long.
  config.steps_per_call = config.log_every = min(config.steps_per_call, 20)
  return config


def values(found: Evaluation, score: str) -> np.ndarray:
  """A score's values [S], one a seed."""
  return np.array(evaluator.score_values(found.scores, score))


def mean_and_error(each: np.ndarray, digits: int = 2) -> str:
  """The mean over seeds and its standard error."""
  return f'{each.mean():.{digits}f} +- {each.std(ddof=1) / len(each) ** 0.5:.{digits}f}'


def mixture(dataset: str) -> str:
  """WGAN-GP's toy (Gulrajani et al. 2017) by PacGAN's measures of 2,500 points."""
  config = make_config('wgan_gp_toy', dataset, seeds=10)
  config.eval.num_samples = 2500
  found = run(config, f'{dataset}{VARIANT.value}')
  if dataset == 'swiss_roll':
    return f'{describe(config, found)}: sliced Wasserstein distance {mean_and_error(values(found, DISTANCE), 3)}.'
  return table_of_modes(config, found, dataset, [row_of_modes(found, 'WGAN-GP, here')])


def packing(name: str) -> str:
  """PacGAN's table 1 (Lin et al. 2018): modes of a GAN whose critic judges 1 to 4 points at once."""
  dataset, rows = name.removeprefix('pacgan_'), []
  for pack in range(1, 5):
    config = make_config('gan', dataset, seeds=10, variant='pacgan')
    config.pack, config.batch_size = pack, pack * config.batch_size
    found = run(config, f'{name}_{pack}')
    rows.append(row_of_modes(found, f'PacGAN{pack}, here' if pack > 1 else 'GAN, here'))
  return table_of_modes(config, found, dataset, rows)


def row_of_modes(found: Evaluation, title: str) -> str:
  """A row of `table_of_modes`."""
  modes, quality, kl = (values(found, score) for score in ('modes', 'high_quality', 'reverse_kl'))
  return (f'{title} | {mean_and_error(modes, 1)} | {mean_and_error(100 * quality, 1)} % | {mean_and_error(kl)} '
          f'| {mean_and_error(values(found, DISTANCE), 3)}')


def table_of_modes(config, found: Evaluation, dataset: str, rows: list[str]) -> str:
  """Rows of PacGAN's measures, and the published ones."""
  return table(config, found, ['modes', 'high quality', 'reverse KL', 'sliced Wasserstein'],
               [*rows, *(f'{row} | ' for row in PUBLISHED[dataset])])


def count_modes(config, name: str, title: str) -> tuple[Evaluation, str]:
  """Trains on stacked MNIST; returns the evaluation of 26,000 samples, and its row of the table."""
  config.eval.num_samples = 26_000
  found = run(config, name)
  modes, kl = values(found, 'modes'), values(found, 'mode_kl')
  return found, f'{title}, here | {mean_and_error(modes, 1)} | {mean_and_error(kl)}'


def stacked(dataset: str) -> str:
  """Stacked MNIST: modes of 26,000 samples."""
  config = make_config('wgan_gp', dataset, seeds=3)
  found, row = count_modes(config, dataset, f'WGAN-GP, {dataset}')
  return table(config, found, ['modes', 'KL'], [row, *PUBLISHED['stacked_mnist']])


def losses(name: str) -> str:
  """Two losses and two penalties on the networks of configs/r3gan.py: modes of 26,000 samples of stacked MNIST."""
  rows = []
  for (loss, title), (penalty, sort) in itertools.product(LOSSES.items(), PENALTIES.items()):
    dataset = 'stacked_mnist' if DATA_DIR.value else 'stacked_mnist_5k'
    config = make_config('r3gan', dataset, seeds=3, variant='stacked_mnist')
    config.loss, config.penalty.name = loss, penalty
    found, row = count_modes(config, f'{config.dataset.name}_{loss}_{penalty}', f'{title}, {sort}')
    rows.append(row)
  return table(config, found, ['modes', 'KL'], [*rows, *PUBLISHED[name]])


def describe(config, found: Evaluation) -> str:
  """Says how a figure came about."""
  return (f'{page.command()} on {page.machine()}: {config.num_steps} steps of {config.num_seeds} seeds. '
          f'Mean and standard error over the seeds; {found.features}; {found.num_samples} samples, '
          f'{found.reference} real')


def table(config, found: Evaluation, columns: list[str], rows: list[str]) -> str:
  """A Markdown table under its description."""
  head = f'| | {" | ".join(columns)} |\n{"|---" * (len(columns) + 1)}|'
  return '\n'.join([f'{describe(config, found)}.\n', head, *(f'| {row} |' for row in rows)])


def main(argv):
  cache.keep_compilations()
  makers = {'ring8': mixture, 'grid25': mixture, 'swiss_roll': mixture, 'stacked_mnist': stacked,
            'stacked_mnist_5k': stacked, 'losses': losses, 'pacgan_ring8': packing, 'pacgan_grid25': packing}
  if len(argv) != 2 or argv[1] not in makers:
    raise app.UsageError(f'expected one of {sorted(makers)}')
  text = makers[argv[1]](argv[1])
  print(text)
  if WRITE.value:
    title = ' '.join(['Reproduction:', argv[1], *VARIANT.value.split()])
    page.write_section(pathlib.Path(WRITE.value) / 'results.md', title, text)


if __name__ == '__main__':
  launch(main)
