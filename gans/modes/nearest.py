"""--mode=nearest: shows the training images nearest to samples, to judge whether the generator has memorised them."""
from collections.abc import Callable, Sequence
import functools
from typing import NamedTuple

import numpy as np

import gans
from gans.build import build
from gans.data.dataset import Dataset, OnDisk
from gans.data.kinds import IMAGES
from gans.evaluation import evaluator
from gans.evaluation.features import BY_NAME
from gans.modes import outputs
from gans.runs.drawing import choose_drawing, load_data
from gans.system import pictures

ROWS = 8  # samples in the picture
NEIGHBOURS = 7  # training images beside each
MEASURED = 1000  # samples, and at most as many training images, whose distances are measured
CHUNK = 2 ** 26  # numbers in the training examples searched at a time, which are float32 only then


class Space(NamedTuple):
  """The space that distances are measured in: pixels, or features of images."""
  embed: Callable  # images [N,H,W,C] uint8 -> [N,...]
  scale: float  # of the Euclidean distance, for people
  about: str


class Distances(NamedTuple):
  """The distances [M] of samples, and of training images, to the nearest other training image."""
  samples: np.ndarray
  real: np.ndarray


def show_nearest(path, *, num: int | None = None, seed: int = 0, labels: Sequence | None = None,
                 truncation: float | None = None, inputs=None, means: dict | None = None, out=None,
                 moved: dict | None = None, **choice) -> Distances:
  """Writes a picture of samples, each with its nearest training images beside it, and prints their distances.

  Samples that are much nearer to the training images than these are to each other have been memorised. Blurred ones are
  near to everything, so the picture decides.

  Args:
    path: whatever gans.load takes, if its data set is available; `choice` is its checkpoint, weights and training_seed.
    num: the number of samples shown; None: 8. Distances are measured for at least 1,000 where there are no `inputs`.
    seed, labels, truncation, inputs: as in --mode=sample.
    means: the space of the distances: pixels (None), or features of the images, {'eval.features': 'classifier'}.
    moved: where the data of the run lie now, {'dataset.path': ...}.
    out: NAME.png, which must not exist; None: `nearest.png` in the workdir.

  Raises:
    UserError: as gans.load, or the data set is not available or not the model's, or an argument is not what it should
      be.
  """
  generate = gans.load(path, **choice)
  outputs.refuse_other_than_images('nearest', path, generate.spec.kind)
  target = outputs.choose(path, out, 'nearest.png')
  num = ROWS if num is None else num
  load = functools.cache(functools.partial(load_data, path, generate, moved))
  drawing = choose_drawing(path, generate, num=num, seed=seed, labels=labels, truncation=truncation, images=inputs,
                           at_least=MEASURED, load=load)
  config, dataset = load()
  space = choose_space(config, dataset, means)
  samples = generate.draw(drawing.inputs)
  num_real = len(dataset.images)
  real = with_mirrored(dataset.images, generate.spec.kind.mirror_axis) if config.dataset.flip else dataset.images
  indices, found = measure_distances(samples, real, num_real, space)
  print(describe_distances(found, num_real, space))
  shown = np.linspace(0, len(samples) - 1, num).astype(int)  # some of all classes, which are in order by default
  render = generate.spec.kind.render
  neighbours = np.stack([render(real[nearest]) for nearest in indices[shown]])
  picture = pictures.on_checkerboard(lay_out_beside(render(samples[shown]), neighbours)[None])[0]
  with outputs.explain_errors(target):
    target.parent.mkdir(parents=True, exist_ok=True)
    pictures.save_png(target, picture)
  print(f'{target}: {num} of these samples, the {indices.shape[1]} nearest training images beside each')
  return found


def choose_space(config, dataset: Dataset, means: dict | None) -> Space:
  """Returns the space of the distances; raises UserError if the data set has no such features."""
  if not means:
    num_pixels = dataset.images[0].size
    greatest = np.ptp(dataset.spec.kind.encode(np.array([-1.0, 1.0])))
    return Space(pixels, num_pixels ** -0.5, f'root mean square over the pixels, of {greatest}')
  config = config.copy_and_resolve_references()
  config.update_from_flattened_dict(means)
  config.eval.best = ''  # the run's best score may not be one of these features
  config = evaluator.name_scores(config, dataset.spec, build(config, dataset.spec))
  evaluator.check_features(config, dataset)
  extractor = BY_NAME[config.eval.features].make(config, dataset)

  def embed(images):
    found = evaluator.extract(extractor, lambda part: images[part], len(images))
    return found['features']

  return Space(embed, 1.0, f'Euclidean, between features of {extractor.about}')


def pixels(images):
  """Returns images as they are: the embedding of distances between pixels."""
  return images


def measure_distances(samples: np.ndarray, real: np.ndarray, num_own: int, space: Space):
  """Returns indices [M,k] of the nearest of real [N,...] to each of samples [M,...], and Distances.

  real is num_own training images, perhaps followed by their mirror images. For a training image, neither itself nor its
  mirror image counts as another one.
  """
  embedded = space.embed(real)
  distances, indices = find_nearest(space.embed(samples), embedded, NEIGHBOURS)
  picked = np.random.default_rng(0).permutation(num_own)[:MEASURED]
  to_others = distances_to_others(embedded[picked], picked, embedded, num_own)
  return indices, Distances(distances[:, 0] * space.scale, to_others * space.scale)


def with_mirrored(images: np.ndarray | OnDisk, axis: int = IMAGES.mirror_axis) -> np.ndarray | OnDisk:
  """Appends the mirror images, along an axis counted from the last, to images [N,...]: [2*N,...]."""
  if not isinstance(images, OnDisk):
    return np.concatenate([images, np.flip(images, axis)])
  num = len(images)

  def read(positions: list[int]) -> list[np.ndarray]:
    originals = images[np.array(positions) % num]
    found = []
    for position, image in zip(positions, originals):
      is_mirrored = position >= num
      found.append(np.flip(image, axis) if is_mirrored else image)
    return found

  return OnDisk((2 * num, *images.shape[1:]), f'{images.key} mirrored', read)


def find_nearest(queries: np.ndarray, examples: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
  """Finds for each of queries [M,...] its k nearest of examples [N,...], N >= k, the nearest first.

  Returns Euclidean distances [M,k] and indices [M,k]; a search of all pairs, CHUNK numbers at a time.
  """
  from sklearn.neighbors import NearestNeighbors  # here, as importing scikit-learn takes a second
  queries = _flatten(queries)
  distances = np.zeros((len(queries), 0))
  indices = np.zeros((len(queries), 0), int)
  count = max(1, CHUNK // queries.shape[1])
  for start in range(0, len(examples), count):
    part = _flatten(examples[start:start + count])
    search = NearestNeighbors(n_neighbors=min(k, len(part)), algorithm='brute').fit(part)
    part_distances, places = search.kneighbors(queries)
    distances = np.hstack([distances, part_distances])
    indices = np.hstack([indices, places + start])
    best = np.argsort(distances, axis=1, kind='stable')[:, :k]
    distances = np.take_along_axis(distances, best, axis=1)
    indices = np.take_along_axis(indices, best, axis=1)
  return distances, indices


def _flatten(x: np.ndarray) -> np.ndarray:
  return x.reshape(len(x), -1).astype(np.float32)


def distances_to_others(queries: np.ndarray, own: np.ndarray, examples: np.ndarray, period: int) -> np.ndarray:
  """Returns the distances [M] of queries [M,...] to their nearest example that is not their own: leave one out.

  Query i's own examples, of [N,...], are those at own[i] [M] plus any multiple of `period`.
  """
  distances, indices = find_nearest(queries, examples, 1 + len(examples) // period)
  is_own = indices % period == own[:, None]
  return np.where(is_own, np.inf, distances).min(axis=1)


def lay_out_beside(samples: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
  """Lays samples [M,H,W,C] out in a column, neighbours [M,k,H,W,C] beside them, with a white line between."""
  num, height, _, channels = samples.shape
  line = np.full((num, height, 2, channels), 255, np.uint8)
  columns = [samples, line, *neighbours.swapaxes(0, 1)]
  rows = np.concatenate(columns, axis=2)
  return rows.reshape(-1, *rows.shape[2:])


def describe_distances(found: Distances, num: int, space: Space) -> str:
  """Describes distances in a few lines."""
  samples = np.median(found.samples)
  real = np.median(found.real)
  lines = [
      f'distance to the nearest of {num} training images ({space.about}):',
      f'  {len(found.samples)} samples: median {samples:.4g}, least {found.samples.min():.4g}',
  ]
  if num == 1:
    lines.append('  there is no other training image to compare that with')
    return '\n'.join(lines)
  lines.append(f'  {len(found.real)} training images, to another: median {real:.4g}, least {found.real.min():.4g}')
  if real > 0:
    lines.append(f'samples are {samples / real:.2f} times as far: far below 1 they are memorised, or blurred')
  else:
    lines.append('most training images have an equal one, so that a ratio of these distances says nothing')
  return '\n'.join(lines)
