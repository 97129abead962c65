"""What the modes draw from a trained generator: the inputs of samples, and how samples are laid out in a picture."""
from collections.abc import Callable, Sequence
import math
import os
import pathlib
from typing import NamedTuple

import jax
import numpy as np
from PIL import Image

from gans.data.dataset import Spec
from gans.data.shown import SOURCES, Shown, as_condition, choose_sources, show_translated, show_translations, targets_of
from gans.data.sources.counterparts import decode_pair
from gans.data.sources.files import try_read
from gans.data.sources.folder import decode_image
from gans.data.sources.listing import list_files
from gans.data.sources.pixels import SUFFIXES
from gans.errors import UserError
from gans.runs.own_data import load_own_data
from gans.runs.trained import TrainedGenerator, find_model
from gans.runs.workdirs import read_config

PAIRS = 'folder_pairs'  # the data set whose files hold two images
ROW = 8  # default number of images of each class, and images in a row


class Drawing(NamedTuple):
  """Samples that are to be drawn."""
  inputs: dict  # {name: [N,...]}, as the algorithm's draw takes them
  label: np.ndarray | None  # [N] int32, a class, or the place of a target; None: the model takes none
  names: tuple[str, ...]  # of the labels 0, 1 and so on; (): they have none
  shown: Shown | None  # of translations: their sources, and what a picture shows beside them


def choose_drawing(path, generate: TrainedGenerator, *, num: int | None, seed: int, labels: Sequence | None,
                   truncation: float | None = None, images=None, at_least: int = 0,
                   load: Callable[[], tuple] | None = None) -> Drawing:
  """Chooses samples of a seed's noise and the given labels or, of a model that translates, of images.

  Args:
    path: of the model, as gans.load takes it; its data set is read for the images that are translated.
    generate: what gans.load made of it.
    num: the number of samples, or of images that are translated to each label; None: a picture's.
    seed: of the noise, or of the choice of the images from the data set.
    labels: as in --labels; None: as many of each, class by class.
    truncation: as in gans.load.
    images: a folder of images to translate, or a single one; None: some of the model's data set.
    at_least: samples, where fewer would do for a picture.
    load: load() -> what `load_data` returns, if the caller has its own way to it; None: `load_data` of the path.

  Raises:
    UserError: the model cannot take one of these, or its data set is not available.
  """
  if num is not None and num < 1:
    raise UserError(f'--num={num}: expected at least 1')
  refuse_inputs(generate, images)
  if not generate.translates:
    label = choose_labels(generate, max(num or 0, at_least) or None, labels)
    inputs = inputs_for_labels(generate, seed, label, truncation)
    return Drawing(inputs, label if generate.num_classes else None, generate.label_names, None)
  if truncation:
    raise UserError(f'--truncation={truncation}: samples of this model are not made from noise')
  shown = choose_translations(path, generate, num, seed, labels, images, at_least, load)
  inputs = generate.algorithm.inputs(jax.random.key(seed), shown.batch)
  num_targets = len(shown.batch['image']) // len(shown.before)
  label = np.tile(np.arange(num_targets, dtype=np.int32), len(shown.before))
  names = generate.label_names
  if labels is not None and generate.spec.attributes:
    names = tuple(map(str, labels))  # each is a target
  elif labels is not None:
    label = shown.batch['label']
  return Drawing(inputs, label if generate.num_classes else None, names, shown)


def refuse_inputs(generate: TrainedGenerator, images):
  """Raises UserError for images to translate, of a model that does not."""
  if images is not None and not generate.translates:
    raise UserError(f'--inputs={images}: samples of this model are not made of images')


def choose_translations(path, generate: TrainedGenerator, num: int | None, seed: int, labels: Sequence | None,
                        images, at_least: int, load: Callable[[], tuple] | None = None) -> Shown:
  """Returns what a picture of translations shows; the arguments are those of `choose_drawing`."""
  spec = generate.spec
  given = parse_labels(generate, labels) if labels is not None else None

  def targets_for(count: int) -> np.ndarray | None:
    return None if given is None else np.broadcast_to(given, (count, *given.shape))

  if images is not None:
    may_be_pairs = read_config(find_model(path)).dataset.name == PAIRS
    sources, after = read_sources(images, spec, may_be_pairs, num)
    targets = targets_for(len(sources))
    if targets is None:
      targets = targets_of(spec, generate.num_classes, len(sources))
    return show_translations(spec, sources, targets, after)
  num_targets = len(given) if given is not None else targets_of(spec, generate.num_classes, 1).shape[1]
  num = max(num or SOURCES, math.ceil(at_least / num_targets))
  data = generate.algorithm.data
  try:
    _, dataset = load() if load else load_data(path, generate)
  except UserError as error:
    raise UserError(f'{error}; or give images of your own to translate, --inputs=FOLDER') from error
  available = len(dataset.images) if data == 'examples' else len(dataset.images) // 2
  positions = choose_sources(data, dataset, seed, min(num, available))
  return show_translated(data, dataset, positions, generate.num_classes, targets_for(len(positions)))


def load_data(path, generate: TrainedGenerator, moved: dict | None = None) -> tuple:
  """Returns the config of a workdir and the data that it names; `moved` says where they lie now, {'dataset.path': ...}.

  Raises:
    UserError: they are not those of the model.
  """
  folder = find_model(path)
  config = read_config(folder)
  config.update_from_flattened_dict(moved or {})
  dataset = load_own_data(folder, config)
  if dataset.spec.shape != generate.image_shape:
    raise UserError(f'dataset.name={config.dataset.name!r}: its examples are {dataset.spec.shape} now, those of {path} '
                    f'{generate.image_shape}')
  return config, dataset


def read_sources(path, spec: Spec, may_be_pairs: bool,
                 num: int | None = None) -> tuple[np.ndarray, np.ndarray | None]:
  """Reads the first `num` images below a folder (None: all), or a single one, in a model's size: [N,H,W,C] uint8.

  If all of them may be and are pairs A|B, their left halves, and the right ones as what translations should be.

  Raises:
    UserError: there are none, or one cannot be read.
  """
  root = pathlib.Path(os.path.expanduser(path))
  files = list_files(str(root), SUFFIXES).paths if root.is_dir() else [str(root)] * root.is_file()
  if not files:
    raise UserError(f'--inputs={path} holds no image: give a folder of images, or one image')
  files = files[:num]
  *size, channels = spec.shape
  pairs = [try_read(lambda path: decode_pair(path, size), file) for file in files] if may_be_pairs else ['']
  if not any(isinstance(pair, str) for pair in pairs):
    a, b = np.stack(pairs, axis=1)
    return with_channels(a, channels), with_channels(b, channels)
  found = [try_read(lambda path: decode_image(path, size, alpha=channels == 4), file) for file in files]
  for file, pixels in zip(files, found):
    if isinstance(pixels, str):
      raise UserError(f'--inputs={path}: {file!r} cannot be read: {pixels}')
  return with_channels(np.stack(found), channels), None


def with_channels(images: np.ndarray, channels: int) -> np.ndarray:
  """Returns images [N,H,W,C] uint8 in grey if `channels` is 1."""
  if channels > 1:
    return images
  return np.stack([np.asarray(Image.fromarray(image).convert('L'))[..., None] for image in images])


def choose_labels(generate: TrainedGenerator, num: int | None, labels: Sequence | None) -> np.ndarray:
  """Returns the labels of samples [N] int32, zeros where the model takes none; `labels` are repeated up to `num`.

  By default each class has as many samples, class by class. Raises UserError for labels that the model cannot take.
  """
  if num is not None and num < 1:
    raise UserError(f'--num={num}: expected at least 1')
  if labels is not None:
    given = parse_labels(generate, labels)
    if given.ndim > 1:
      raise UserError(f'--labels={",".join(map(str, labels))}: this model was trained with the attributes '
                      f'{generate.spec.attributes}; without --labels there are samples of each')
    return np.resize(given, num or len(given))
  num_classes = max(generate.num_classes, 1)
  default_num = ROW * num_classes if generate.num_classes else ROW**2
  num = num or default_num
  return (np.arange(num) * num_classes // num).astype(np.int32)


def parse_labels(generate: TrainedGenerator, labels: Sequence) -> np.ndarray:
  """Returns --labels, names or numbers, as [T] int32, or as [T,K] float32 of a model with attributes.

  There, a label is the names of what an image should have, such as Blond_Hair+Young; it has nothing else.

  Raises:
    UserError: there is none, or the model cannot take one.
  """
  if not generate.num_classes:
    raise UserError(f'--labels={",".join(map(str, labels))}: this model was trained without labels, so its samples can '
                    'have none')
  return generate.parse_labels(labels)


def inputs_for_labels(generate: TrainedGenerator, seed: int, label: np.ndarray, truncation: float | None) -> dict:
  """Returns the inputs of samples with the noise of a seed and the labels [N] of `choose_labels`."""
  rng = jax.random.key(seed)
  labels = as_condition(generate.spec, label) if generate.num_classes else None
  return generate.inputs(rng, len(label), labels, truncation)
