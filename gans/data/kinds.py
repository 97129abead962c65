"""The kinds of data, images and points: the one place that knows what differs between them."""
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from gans.errors import UserError
from gans.system import pictures

GRID_COLUMNS = 8


class Kind(NamedTuple):
  """What differs between images and points."""
  name: str  # 'images' or 'points'; also the name of the array in an .npz of samples
  ndim: int  # of one example
  decode: Callable  # stored examples -> float32, as networks take them; images in [-1, 1]
  encode: Callable  # the inverse: what networks return -> what is stored and shown
  picture: Callable  # (samples [N,...], columns) -> one picture [H,W,C] uint8
  num_shown: int  # samples in a run's pictures
  max_classes_shown: int | None  # classes in a run's pictures; None: all
  shown_per_class: int | None  # samples of each class there; None: num_shown divided by the classes
  separate: bool  # one sample alone is a picture
  can_be_mirrored: bool


def pixels_to_unit(images):
  """Scales uint8 [0, 255] to float32 [-1, 1]."""
  return images.astype(jnp.float32) / 127.5 - 1


def unit_to_pixels(images):
  """Rounds float [-1, 1] to uint8 [0, 255]: the inverse of `pixels_to_unit`."""
  return jnp.clip(jnp.round((images + 1) * 127.5), 0, 255).astype(jnp.uint8)


def unchanged(points):
  """Returns points as they are: float32 in the unit of the data, in files and in networks."""
  return points


def scatter(points: np.ndarray, columns: int) -> np.ndarray:
  """Plots points [N,2] in one picture, which has no columns."""
  del columns
  return pictures.scatter(points)


IMAGES = Kind('images', 3, pixels_to_unit, unit_to_pixels, pictures.grid, num_shown=64, max_classes_shown=16,
              shown_per_class=GRID_COLUMNS, separate=True, can_be_mirrored=True)
POINTS = Kind('points', 1, unchanged, unchanged, scatter, num_shown=2000, max_classes_shown=None,
              shown_per_class=None, separate=False, can_be_mirrored=False)
KINDS = (IMAGES, POINTS)


def kind_of(shape: tuple[int, ...]) -> Kind:
  """Returns the kind of an example of this shape: (H, W, C) of images, (D,) of points.

  Raises:
    UserError: there is no such kind.
  """
  for kind in KINDS:
    if len(shape) == kind.ndim:
      return kind
  raise UserError(f'examples of the shape {tuple(shape)}: expected images (H, W, C) or points (D,)')


def labels_shown(kind: Kind, num_classes: int) -> np.ndarray:
  """Returns the labels [N] int32 of the samples in a run's pictures: equally many of each class shown, class by class.

  num_classes is 0 for a model without labels. Images have a row of GRID_COLUMNS for each class.
  """
  if not num_classes:
    return np.zeros(kind.num_shown, np.int32)
  classes = min(num_classes, kind.max_classes_shown or num_classes)
  per_class = kind.shown_per_class or kind.num_shown // classes
  return np.repeat(np.arange(classes, dtype=np.int32), per_class)
