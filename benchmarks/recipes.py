"""A config's recipe, judged: trained on several data sets and seeds, and measured by a classifier of held-out images.

    python -m benchmarks.recipes --config=configs/wgan_gp.py --data_dir=DIR --write=docs
    python -m benchmarks.recipes --config=configs/wgan_gp.py --config.n_critic=2 --datasets=mnist_5k --num_seeds=1

The seeds of a data set train side by side, without evaluations. Runs are kept in --workdir; the same command resumes
them, and one with other fields of the config needs another folder.
"""
import pathlib
from typing import NamedTuple

from absl import app, flags

from benchmarks import judge, page
from benchmarks.page import mean_and_range
from benchmarks.runs import DATA_DIR, launch, read_config, speed
from gans import overrides
from gans.build import build
from gans.data.sources import load_dataset
from gans.training.loop import train

ROOT = pathlib.Path(__file__).parent.parent
overrides.define_config_flag(ROOT, 'The config, as main.py takes it, and its fields.')
DATASETS = flags.DEFINE_list('datasets', ['mnist_5k', 'mnist', 'fashion_mnist'], 'Data sets to train on.')
NUM_SEEDS = flags.DEFINE_integer('num_seeds', 3, "Seeds, from the config's on.", lower_bound=1)
WORKDIR = flags.DEFINE_string('workdir', '/tmp/recipes', 'Folder of the runs.')
WRITE = flags.DEFINE_string('write', '', 'Folder for recipes.md, such as docs; empty: print only.')
BUILT_IN = {'mnist_5k': 'mnist'}  # {a data set that no file is needed for: that of TFDS which its judge learns from}


class Recipe(NamedTuple):
  """What came out of a config on one data set."""
  dataset: str
  judge: judge.Judge
  qualities: list[judge.Quality]  # one a seed
  minutes: float  # of training one seed: without compilation, and with the seeds' common time divided by their number


def try_recipe(config, dataset: str, folder: pathlib.Path) -> Recipe:
  """Trains the config on a data set, or resumes it, and judges each seed's last checkpoint."""
  config.update({'num_seeds': NUM_SEEDS.value, 'eval_every': 0})
  config.dataset.update({'name': dataset, 'data_dir': '' if dataset in BUILT_IN else DATA_DIR.value})
  if build(config, load_dataset(config.dataset).spec).translates:
    raise app.UsageError('it translates images, which its own scores judge: expected the config of a GAN that makes '
                         'images from noise')
  workdir = folder / dataset
  train(config, workdir)
  referee = judge.make_judge(BUILT_IN.get(dataset, dataset), config.dataset.image_size)
  seeds = range(config.seed, config.seed + config.num_seeds)
  samples = [judge.sample_run(str(workdir), training_seed=seed) for seed in seeds]
  qualities = [referee.measure(images, label) for _, images, label in samples]
  return Recipe(dataset, referee, qualities, config.num_steps / speed(workdir) / config.num_seeds / 60)


def table(recipes: list[Recipe]) -> str:
  """One row a data set."""
  labelled = recipes[0].qualities[0].agreement is not None
  head = ['data set', 'distance', f'over {judge.SURE} sure of, %', '*of the test set*', 'classes, %', 'minutes a seed']
  rows = []
  for name, referee, qualities, minutes in recipes:
    classes = f'{100 * min(q.rarest for q in qualities):.1f} to {100 * max(q.commonest for q in qualities):.1f}'
    row = [name, mean_and_range([q.distance for q in qualities]), mean_and_range([q.sure for q in qualities], 100),
           f'{100 * referee.sure:.1f}', classes, f'{minutes:.1f}']
    rows.append(row + ([mean_and_range([q.agreement for q in qualities], 100)] if labelled else []))
  head += ['label right, %'] if labelled else []
  return '\n'.join(f'| {" | ".join(row)} |' for row in [head, ['---'] * len(head), *rows])


def main(argv):
  del argv
  config = read_config()
  name = flags.FLAGS['config'].config_filename
  recipes = [try_recipe(config, dataset, pathlib.Path(WORKDIR.value)) for dataset in DATASETS.value]
  text = (f'{page.command()} on {page.machine()}: {config.num_steps} steps, {NUM_SEEDS.value} seeds. Frechet distance '
          f'of {judge.SAMPLES} samples to the test set, on the features of a classifier of the training set.\n\n'
          f'{table(recipes)}')
  print(text)
  if WRITE.value:
    page.write_section(pathlib.Path(WRITE.value) / 'recipes.md', pathlib.Path(name).name, text)


if __name__ == '__main__':
  launch(main)
