"""Few images, with and without augmentation: how far samples are from real ones, and what the critic memorised.

    python -m benchmarks.few_images --config=configs/dcgan.py --config.dataset.name=mnist --num_images=6000,12000 \
        --config.eval.features=lenet5_mnist --config.eval.weights=FILE --data_dir=DIR
    python -m benchmarks.few_images --config=configs/r3gan.py:small --config.dataset.path=FOLDER --num_images=700 \
        --config.eval.features=squeezenet_imagenet --config.eval.weights=FILE

Of a data set of TFDS the first images of its training set are taken, and samples are compared with its test set; of a
folder any, and they are compared with all of it. A critic that has memorised its images gives them higher scores than
those that it has not seen. The seeds train side by side; each quarter of the steps is measured. Runs are kept in
--workdir; the same command resumes them, and one with other fields of the config needs another folder.
"""
import pathlib
from typing import NamedTuple

from absl import flags
from etils import epath
import jax
import numpy as np

from benchmarks import page
from benchmarks.page import mean_and_range
from benchmarks.runs import DATA_DIR, launch, read_config
from gans import overrides
from gans.build import build
from gans.core.game import bind_trained, each_seed, variables_of
from gans.core.sampling import make_sampler
from gans.data.batches import condition
from gans.data.dataset import Dataset
from gans.data.sources import load_dataset
from gans.evaluation import evaluator
from gans.runs import opening
from gans.system.records import read_records, write_records
from gans.training.loop import train

ROOT = pathlib.Path(__file__).parent.parent
CONFIG = overrides.define_config_flag(ROOT, 'The config, as main.py takes it, and its fields.')
NUM_IMAGES = flags.DEFINE_list('num_images', None, 'How many images to train on, one or several numbers.',
                               required=True)
POLICY = flags.DEFINE_list('policy', ['color', 'translation', 'cutout'], 'The changes: critic.augment.')
NUM_SEEDS = flags.DEFINE_integer('num_seeds', 3, "Seeds, from the config's on.", lower_bound=1)
WORKDIR = flags.DEFINE_string('workdir', '/tmp/few_images', 'Folder of the runs.')
SCORED = 5_000  # images of each sort, at most, that the critic scores
CHUNK = 500  # of them at a time


class Case(NamedTuple):
  """A row of the table: the seeds that train on so many images, with augmentation or without."""
  num_images: int
  augmented: bool

  @property
  def workdir(self) -> epath.Path:
    return epath.Path(WORKDIR.value) / f'{self.num_images}_{"augmented" if self.augmented else "plain"}'


class Data(NamedTuple):
  """What a row trains on, and what it is measured by."""
  config: object  # the config's group `dataset` for training
  unseen: Dataset  # what the critic has not seen
  reference: Dataset  # what samples are compared with


def split(config, num_images: int) -> Data:
  """Takes the images for training from the data set of a config's group `dataset`."""
  taken, others = config.copy_and_resolve_references(), config.copy_and_resolve_references()
  if config.name == 'folder':
    whole = load_dataset(config)
    taken.path, others.path = link_parts(whole, pathlib.Path(config.path), num_images)
    return Data(taken, load_dataset(others), whole)
  taken.split, others.split = f'train[:{num_images}]', 'test'
  test_set = load_dataset(others)
  return Data(taken, test_set, test_set)


def link_parts(dataset: Dataset, root: pathlib.Path, num_images: int) -> list[str]:
  """Makes two folders of links, to so many images of a folder and to its others; returns their paths."""
  order = np.random.default_rng(0).permutation(len(dataset.names))
  parts = {f'{num_images}_images': order[:num_images], f'without_{num_images}': order[num_images:]}
  for name, positions in parts.items():
    for position in positions:
      link = pathlib.Path(WORKDIR.value) / name / dataset.names[position]
      link.parent.mkdir(parents=True, exist_ok=True)
      if not link.is_symlink():
        link.symlink_to((root / dataset.names[position]).resolve())
  return [str(pathlib.Path(WORKDIR.value) / name) for name in parts]


def make_config(case: Case, data: Data):
  """Returns the experiment of a row."""
  config = CONFIG.value.copy_and_resolve_references()
  quarter = config.num_steps // 4
  config.update({'dataset': data.config, 'num_seeds': NUM_SEEDS.value, 'eval_every': 0, 'checkpoint_every': quarter,
                 'keep_checkpoints': -1, 'sample_every': quarter})
  config.critic.augment = tuple(POLICY.value) if case.augmented else ()
  return config


def finish(case: Case, data: Data) -> list[dict]:
  """Trains a row, or what is left of it, and measures each quarter, once; returns what `measure` does of each."""
  config = make_config(case, data)
  spec = data.reference.spec
  experiment = build(config, spec)
  evaluator.check(evaluator.name_scores(config, spec, experiment), data.reference, experiment)  # not after hours
  train(config, case.workdir)
  path = case.workdir / 'few_images.jsonl'
  found = read_records(path)
  if found and found[-1]['step'] == config.num_steps:  # or it was lengthened since
    return found
  with opening.open_run(case.workdir) as run:
    found = measure(run, load_dataset(data.config), data)
  write_records(path, found)
  return found


def measure(run: opening.Run, training: Dataset, data: Data) -> list[dict]:
  """Returns {'step', 'distance', 'training', 'unseen', 'generated'} of each checkpoint, but for the step one a seed.

  The last three are the critic's mean scores of images as they are, not augmented.
  """
  algorithm, modules, spec = run.experiment.algorithm, run.experiment.modules, run.spec
  sample = make_sampler(algorithm, modules, spec.kind.encode)
  evaluate = evaluator.make_evaluate(run.config, data.reference, run.experiment, sample)
  scored = {'training': choose(training), 'unseen': choose(data.unseen)}
  labels = np.resize(scored['training'][1], (SCORED, *training.conditions.shape[1:]))
  inputs = algorithm.inputs(jax.random.key(1), {condition(spec): labels})

  @jax.jit
  def score(variables, images, labels):
    return bind_trained(modules, {'critic': variables}).critic(spec.kind.decode(images), labels)

  def mean_score(variables, images, labels) -> float:
    return float(np.concatenate([score(variables, images[part], labels[part]) for part in parts(len(images))]).mean())

  def measure_step(step: int) -> dict:
    state = run.restore(step)
    averages, critics = (each_seed(part, run.config.num_seeds) for part in (state.ema, state.players['critic']))
    found = {'step': step, 'distance': evaluator.score_values(evaluate(averages).scores, 'frechet_distance'),
             'training': [], 'unseen': [], 'generated': []}
    for average, critic in zip(averages, critics):
      variables = variables_of(critic)
      for name, (images, conditions) in scored.items():
        found[name].append(mean_score(variables, images, conditions))
      generated = [sample(average, jax.tree.map(lambda x, part=part: x[part], inputs)) for part in parts(SCORED)]
      found['generated'].append(mean_score(variables, np.concatenate(generated), labels))
    return found

  return [measure_step(step) for step in sorted(run.manager.all_steps())]


def choose(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
  """Takes SCORED examples at random, as those of a folder lie class by class: images, and what networks are told."""
  chosen = np.random.default_rng(0).permutation(len(dataset.images))[:SCORED]
  return dataset.images[chosen], dataset.as_networks_take(chosen)


def parts(num: int) -> list[slice]:
  """Splits so many examples into parts of at most CHUNK."""
  return [slice(start, start + CHUNK) for start in range(0, num, CHUNK)]


def row(case: Case, found: list[dict]) -> str:
  """The row of the table: distances of each quarter, then the critic's scores after the last, and what it memorised."""
  last = found[-1]
  memorised = [(training - unseen) / (training - generated) for training, unseen, generated in zip(
      last['training'], last['unseen'], last['generated'])]
  cells = [f'{case.num_images:,}', ', '.join(POLICY.value) if case.augmented else 'none',
           *(mean_and_range(each['distance']) for each in found),
           *(mean_and_range(last[name], digits=2) for name in ('training', 'unseen', 'generated')),
           mean_and_range(memorised, 100, 0)]
  return f'| {" | ".join(cells)} |'


def table(found: dict[Case, list[dict]]) -> str:
  """The rows of all cases."""
  steps = [f'distance at {each["step"]:,}' for each in next(iter(found.values()))]
  head = ['images', 'augmentation', *steps, 'score of training images', 'unseen ones', 'samples', 'memorised, %']
  return '\n'.join([f'| {" | ".join(head)} |', '|---' * len(head) + '|',
                    *(row(case, records) for case, records in found.items())])


def main(argv):
  del argv
  config = read_config()
  if DATA_DIR.value:
    config.dataset.data_dir = DATA_DIR.value
  found = {}
  for num_images in map(int, NUM_IMAGES.value):
    data = split(config.dataset, num_images)
    for augmented in (False, True):
      case = Case(num_images, augmented)
      found[case] = finish(case, data)
      print(f'{table(found)}\n', flush=True)
  print(f'{page.command()} on {page.machine()}: {config.num_steps} steps, mean and range of {NUM_SEEDS.value} seeds. '
        'Memorised: how much higher the critic scores images that it has seen than those that it has not, as a share '
        'of what lies between the former and samples.')


if __name__ == '__main__':
  launch(main)
