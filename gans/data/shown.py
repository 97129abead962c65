"""What the pictures of a run show: the batch that its samples are made for, and how the samples are laid out."""
from typing import NamedTuple

import jax
import numpy as np

from gans.data import kinds
from gans.data.batches import condition
from gans.data.dataset import Dataset, Spec
from gans.data.order import find_order

SOURCES = 8  # images that are translated
WIDEST = 12  # images in a row of translations, where each has few
# Of these CelebA attributes an image has at most one: StarGAN's targets exchange them.
HAIR_COLOURS = ('Black_Hair', 'Blond_Hair', 'Brown_Hair', 'Gray_Hair')


class Shown(NamedTuple):
  """Samples in a picture."""
  batch: dict  # what `Algorithm.inputs` makes their inputs of: 'label' [N] or 'attributes' [N,K], and 'image' [N,...]
  columns: int
  before: np.ndarray | None = None  # [R,...], as stored: what each row of translations is made of
  after: np.ndarray | None = None  # [R,...]: what its translation should be, where that is known

  def lay_out(self, samples: np.ndarray) -> np.ndarray:
    """Returns the examples of the picture [M,...]: samples [N,...] alone, or each row of them beside its source."""
    if self.before is None:
      return samples
    by_row = samples.reshape(len(self.before), -1, *samples.shape[1:])
    parts = [self.before[:, None], by_row]
    if self.after is not None:
      parts.append(self.after[:, None])
    rows = np.concatenate(parts, axis=1)
    return rows.reshape(-1, *samples.shape[1:])


def show_samples(spec: Spec, num_labels: int) -> Shown:
  """Shows samples from noise: equally many for each label or attribute, or any if `num_labels` is 0."""
  label = kinds.labels_shown(spec.kind, num_labels)
  return Shown({condition(spec): as_condition(spec, label)}, kinds.GRID_COLUMNS)


def as_condition(spec: Spec, label: np.ndarray) -> np.ndarray:
  """Returns labels [N] int32 as a batch has them: of a data set with attributes, label k is attribute k alone."""
  return np.eye(spec.num_labels, dtype=np.float32)[label] if spec.attributes else label


def show_translations(spec: Spec, sources: np.ndarray, targets: np.ndarray, after: np.ndarray | None = None) -> Shown:
  """Shows images, as stored [R,...], and their translations to the targets of each, [R,T] labels or [R,T,K]."""
  num_targets = targets.shape[1]
  in_row = 1 + num_targets + (after is not None)
  batch = {
      'image': np.asarray(spec.kind.decode(sources)).repeat(num_targets, axis=0),
      condition(spec): targets.reshape(-1, *targets.shape[2:]),
  }
  rows_side_by_side = min(max(1, WIDEST // in_row), len(sources))
  return Shown(batch, in_row * rows_side_by_side, sources, after)


def targets_of(spec: Spec, num_labels: int, num: int, attributes: np.ndarray | None = None) -> np.ndarray:
  """Returns the targets of `num` images: every class, or every attribute changed, [num,T] int32 or [num,T,K] float32.

  `attributes` [num,K] are what the images have; where that is not known, each target has one attribute alone. A model
  without targets has one translation of each, [num,1].
  """
  if spec.attributes:
    if attributes is None:
      attributes = np.zeros((num, len(spec.attributes)), np.float32)
    return change_each(attributes, spec.attributes)
  num_targets = min(num_labels, spec.kind.max_classes_shown) or 1
  return np.tile(np.arange(num_targets, dtype=np.int32), (num, 1))


def change_each(attributes: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
  """Returns for attributes [N,K] of 0 and 1 those with attribute k changed, [N,K,K] float32 (Choi et al. 2018, Fig. 4).

  A colour of hair takes the place of the others; anything else is reversed.
  """
  changed = np.stack([attributes] * len(names), axis=1).astype(np.float32)
  colours = [k for k, name in enumerate(names) if name in HAIR_COLOURS]
  for k in range(len(names)):
    if k in colours:
      changed[:, k, colours] = 0
      changed[:, k, k] = 1
    else:
      changed[:, k, k] = 1 - changed[:, k, k]
  return changed


def choose_sources(data: str, dataset: Dataset, seed: int, num: int) -> np.ndarray:
  """Returns the positions of `num` images to be translated, the first in the order of a seed's training.

  In 'pairs' they are of the first class, in 'domains' of both.
  """
  batch_size = num if data != 'domains' else -(-num // 2)
  first, = find_order(data, dataset)(seed, 0, 1, batch_size, len(dataset.images))
  return first[::2] if data == 'pairs' else first[:num]


def choose_shown(data: str, dataset: Dataset, seed: int, num_labels: int, translates: bool) -> Shown:
  """Returns what the pictures of a run show; translations are of images of its data set."""
  spec = dataset.spec
  if not translates:
    return show_samples(spec, num_labels)
  num = SOURCES if num_labels else SOURCES * (WIDEST // 3)
  return show_translated(data, dataset, choose_sources(data, dataset, seed, num), num_labels)


def show_translated(data: str, dataset: Dataset, positions: np.ndarray, num_labels: int,
                    targets: np.ndarray | None = None) -> Shown:
  """Shows the images at some positions [R] of a data set, translated to `targets` [R,T,...]; None: see targets_of."""
  spec = dataset.spec
  if targets is None:
    attributes = dataset.attributes[positions] if spec.attributes else None
    targets = targets_of(spec, num_labels, len(positions), attributes)
  after = dataset.images[dataset.partners[positions]] if data == 'pairs' else None
  return show_translations(spec, dataset.images[positions], targets, after)


def number_of_samples(shown: Shown) -> int:
  """Returns the number of samples shown."""
  return len(jax.tree.leaves(shown.batch)[0])
