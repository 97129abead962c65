"""--mode=nearest: the training examples nearest to samples, to judge whether the generator has learnt them by heart."""
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from gans.data.dataset import Dataset, OnDisk
from gans.data.sources import load_dataset
from gans.errors import UserError
from gans.evaluation import evaluator
from gans.evaluation.features import BY_NAME
from gans.modes import outputs
from gans.runs.trained import TrainedGenerator, choose_labels, find_model, inputs_for_labels, load
from gans.runs.workdirs import read_config
from gans.system import pictures

ROWS, NEIGHBOURS = 8, 7  # of the picture: samples, and the training images beside each
MEASURED = 1000  # samples, and at most as many training images, whose distances are told
CHUNK = 2 ** 26  # numbers of the training examples searched at a time, as they are float32 only then


class Look(NamedTuple):
  """What distances are between."""
  see: Callable  # images [N,H,W,C] uint8 -> [N,...]
  scale: float  # of the Euclidean distance, for people
  about: str


class Distances(NamedTuple):
  """Of samples, and of training images, to the nearest training image, which is another one: [M] each."""
  samples: np.ndarray
  real: np.ndarray


def show_nearest(path, *, num: int | None = None, seed: int = 0, labels: Sequence | None = None,
         truncation: float | None = None, features: str | None = None, out=None, **choice) -> Distances:
  """Writes a picture of samples, each with its nearest training images beside it, and says how far these are.

  Samples that are much nearer to the training images than these are to each other have been learnt by heart. Blurred
  ones are near to everything, so the picture decides.

  Args:
    path: whatever gans.load takes, whose data set is to be had; `choice` is its checkpoint, weights and training_seed.
    num: samples shown; None: 8. Distances are told of 1,000 at least.
    seed, labels, truncation: of the samples, as of --mode=sample.
    features: what distances are between: the pixels (None), or features of the images, 'classifier' or 'inception'.
    out: NAME.png, where nothing may be yet; None: `nearest.png` in the workdir.

  Raises:
    UserError: as gans.load, the data set is not to be had or not the model's, or an argument is not what it should be.
  """
  generate = load(path, **choice)
  outputs.refuse_other_than_images('nearest', path, generate.spec.kind)
  target = outputs.choose(path, out, 'nearest.png')
  num = ROWS if num is None else num
  label = choose_labels(generate, max(num, MEASURED), labels)
  config, dataset = load_data(path, generate)
  look = choose_look(config, dataset, features)
  samples = generate.draw(inputs_for_labels(generate, seed, label, truncation))
  real = with_mirrored(dataset.images) if config.dataset.flip else dataset.images
  indices, found = measure(samples, real, len(dataset.images), look)
  print(describe(found, len(dataset.images), look))
  shown = np.linspace(0, len(samples) - 1, num).astype(int)  # of all classes, where they are in order
  with outputs.explain_errors(target):
    target.parent.mkdir(parents=True, exist_ok=True)
    pictures.save_png(target, beside(samples[shown], real[indices[shown]]))
  print(f'{target}: {num} of these samples, the {NEIGHBOURS} nearest training images beside each')
  return found


def load_data(path, generate: TrainedGenerator):
  """Returns the config of a workdir and the data that it names; raises UserError where these are others by now."""
  config = read_config(find_model(path))
  dataset = load_dataset(config.dataset)
  if dataset.spec.shape != generate.image_shape:
    raise UserError(f'dataset.name={config.dataset.name!r}: its images are {dataset.spec.shape} now, those of {path} '
                    f'{generate.image_shape}')
  return config, dataset


def choose_look(config, dataset: Dataset, features: str | None) -> Look:
  """Returns what distances are between; raises UserError where there are no such features of the data set."""
  if features is None:
    return Look(lambda images: images, dataset.images[0].size ** -0.5, 'root mean square over the pixels, of 255')
  config = config.copy_and_resolve_references()
  config.eval.features, config.eval.best = features, ''  # the run's best score may be none of these
  config = evaluator.name_scores(config, dataset.spec)
  evaluator.check(config, dataset)
  extractor = BY_NAME[config.eval.features].make(config, dataset)

  def see(images):
    return evaluator.extract(extractor, lambda part: images[part], len(images))['features']

  return Look(see, 1.0, f'Euclidean, between features of {extractor.about}')


def measure(samples: np.ndarray, real: np.ndarray, num_own: int, look: Look):
  """Returns indices [M,k] of the nearest of real [N,...] to each of samples [M,...], and Distances.

  real is num_own training images, perhaps followed by their mirror images; neither it nor its mirror image counts as
  another one for a training image.
  """
  seen = look.see(real)
  distances, indices = nearest(look.see(samples), seen, NEIGHBOURS)
  picked = np.random.default_rng(0).permutation(num_own)[:MEASURED]
  others = nearest_others(seen[picked], picked, seen, num_own)
  return indices, Distances(distances[:, 0] * look.scale, others * look.scale)


def with_mirrored(images: np.ndarray | OnDisk) -> np.ndarray | OnDisk:
  """Appends the mirror images to images [N,H,W,C]: [2*N,H,W,C]."""
  if not isinstance(images, OnDisk):
    return np.concatenate([images, images[:, :, ::-1]])

  def read(positions: list[int]) -> list[np.ndarray]:
    found = images[np.array(positions) % len(images)]
    return [image[:, ::-1] if at >= len(images) else image for at, image in zip(positions, found)]

  return OnDisk((2 * len(images), *images.shape[1:]), f'{images.key} mirrored', read)


def nearest(queries: np.ndarray, examples: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
  """Finds for each of queries [M,...] its k nearest of examples [N,...], N >= k, the nearest first.

  Returns Euclidean distances [M,k] and indices [M,k]; a search of all pairs, CHUNK numbers at a time.
  """
  from sklearn.neighbors import NearestNeighbors  # here, as scikit-learn takes a second of a run's start
  flat = lambda x: x.reshape(len(x), -1).astype(np.float32)
  queries = flat(queries)
  distances, indices = np.zeros((len(queries), 0)), np.zeros((len(queries), 0), int)
  count = max(1, CHUNK // queries.shape[1])
  for start in range(0, len(examples), count):
    part = flat(examples[start:start + count])
    search = NearestNeighbors(n_neighbors=min(k, len(part)), algorithm='brute').fit(part)
    found, places = search.kneighbors(queries)
    distances, indices = np.hstack([distances, found]), np.hstack([indices, places + start])
    best = np.argsort(distances, axis=1, kind='stable')[:, :k]
    distances, indices = (np.take_along_axis(x, best, axis=1) for x in (distances, indices))
  return distances, indices


def nearest_others(queries: np.ndarray, own: np.ndarray, examples: np.ndarray, period: int) -> np.ndarray:
  """Returns the distances [M] of queries [M,...] to their nearest example that is not their own: leave one out.

  Of examples [N,...], those that are own[i] [M] but for multiples of `period` are query i's own.
  """
  distances, indices = nearest(queries, examples, 1 + len(examples) // period)
  return np.where(indices % period == own[:, None], np.inf, distances).min(axis=1)


def beside(samples: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
  """Lays samples [M,H,W,C] out in a column, neighbours [M,k,H,W,C] beside them, with a white line between."""
  line = np.full((*samples.shape[:2], 2, samples.shape[-1]), 255, np.uint8)
  rows = np.concatenate([samples, line, *neighbours.swapaxes(0, 1)], axis=2)
  return rows.reshape(-1, *rows.shape[2:])


def describe(found: Distances, num: int, look: Look) -> str:
  """Puts distances into lines."""
  samples, real = np.median(found.samples), np.median(found.real)
  return (f'distance to the nearest of {num} training images ({look.about}):\n'
          f'  {len(found.samples)} samples: median {samples:.4g}, least {found.samples.min():.4g}\n'
          f'  {len(found.real)} training images, to another: median {real:.4g}, least {found.real.min():.4g}\n'
          f'samples are {samples / real:.2f} times as far: far below 1 is learnt by heart, or blurred')
