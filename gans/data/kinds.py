"""The kinds of data, images, voxels and points: the one place that knows what differs between them.

The axes of voxels [X,Y,Z,1] run to the right, to the back and up, in files, in memory and in networks, as in those of
ModelNet10 and of .binvox: a model that stands has its feet at Z = 0, and one that faces the viewer has its back at the
end of Y.
"""
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from gans.errors import UserError
from gans.system import pictures, rendering

GRID_COLUMNS = 8


class Kind(NamedTuple):
  """What differs between images, voxels and points."""
  name: str  # 'images', 'voxels' or 'points'; also the name of the array in an .npz of samples
  ndim: int  # of one example
  decode: Callable  # stored examples -> float32, as networks take them; images and voxels in [-1, 1]
  encode: Callable  # the inverse: what networks return -> what is stored and shown
  picture: Callable  # (samples [N,...], columns) -> one picture [H,W,C] uint8 of all
  render: Callable | None  # samples [N,...] -> a picture of each [N,H,W,C] uint8; None: one alone is no picture
  summarise: Callable  # stored examples [N,...] -> a sentence on their values
  turning: Callable | None  # samples [N,...] -> frames [T,H,W,C] uint8 of all as they turn around; None: they are flat
  num_shown: int  # samples in a run's pictures
  max_classes_shown: int | None  # classes in a run's pictures; None: all
  shown_per_class: int | None  # samples of each class there; None: num_shown divided by the classes
  mirror_axis: int | None  # that runs from left to right, counted from the last; None: mirroring makes no sense

  @property
  def separate(self) -> bool:
    """Tells whether one sample alone is a picture."""
    return self.render is not None

  @property
  def can_be_mirrored(self) -> bool:
    """Tells whether what is mirrored left to right may be another example."""
    return self.mirror_axis is not None


def pixels_to_unit(images):
  """Scales uint8 [0, 255] to float32 [-1, 1]."""
  return images.astype(jnp.float32) / 127.5 - 1


def unit_to_pixels(images):
  """Rounds float [-1, 1] to uint8 [0, 255]: the inverse of `pixels_to_unit`."""
  return jnp.clip(jnp.round((images + 1) * 127.5), 0, 255).astype(jnp.uint8)


def cells_to_unit(voxels):
  """Turns uint8 0 (empty) and 1 (occupied) into float32 -1 and 1."""
  return voxels.astype(jnp.float32) * 2 - 1


def unit_to_cells(voxels):
  """Turns float [-1, 1] into uint8: 1, occupied, above 0: the inverse of `cells_to_unit`."""
  return (voxels > 0).astype(jnp.uint8)


def unchanged(samples):
  """Returns them as they are: points are float32, in the unit of the data; an image is its own picture."""
  return samples


def draw_voxels(voxels: np.ndarray, columns: int) -> np.ndarray:
  """Draws voxels [N,X,Y,Z,1] row by row, shaded: [H,W,1] uint8."""
  return rendering.grid(rendering.render(voxels), columns)


def draw_images(images: np.ndarray, columns: int) -> np.ndarray:
  """Lays images [N,H,W,C] out row by row, transparent ones on a checkerboard: [H,W,1] or [H,W,3] uint8."""
  return pictures.grid(pictures.on_checkerboard(images), columns)


def scatter(points: np.ndarray, columns: int) -> np.ndarray:
  """Plots points [N,2] in one picture, which has no columns."""
  del columns
  return pictures.scatter(points)


def summarise_pixels(images: np.ndarray) -> str:
  """Returns the mean and the deviation of each channel of uint8 [N,H,W,C], and how much is black or white."""
  counts = np.zeros((images.shape[-1], 256), np.int64)  # of each value, as the images in float take many times as much
  for image in images:
    counts += [np.bincount(channel.ravel(), minlength=256) for channel in np.moveaxis(image, -1, 0)]
  shares = counts / counts.sum(axis=1, keepdims=True)
  mean = shares @ np.arange(256)
  deviation = np.sqrt(shares @ np.arange(256)**2 - mean**2)
  means, deviations = (' '.join(f'{value:.1f}' for value in values) for values in (mean, deviation))
  black, white = shares[:, 0].mean(), shares[:, 255].mean()
  return f'pixels from 0 to 255: mean {means}, standard deviation {deviations}; {black:.1%} are 0, {white:.1%} are 255'


def summarise_cells(voxels: np.ndarray) -> str:
  """Returns the share of occupied cells in voxels [N,X,Y,Z,1], and of the emptiest and the fullest model."""
  shares = voxels.reshape(len(voxels), -1).mean(axis=1)
  return f'{shares.mean():.1%} of the cells are occupied, {shares.min():.1%} to {shares.max():.1%} of a model'


def summarise_points(points: np.ndarray) -> str:
  """Returns the mean and the deviation of each number of points [N,D]."""
  means, deviations = (' '.join(f'{value:.3g}' for value in values) for values in (points.mean(0), points.std(0)))
  return f'mean {means}, standard deviation {deviations}'


IMAGES = Kind('images', 3, pixels_to_unit, unit_to_pixels, draw_images, render=unchanged,
              summarise=summarise_pixels, turning=None, num_shown=64,
              max_classes_shown=16, shown_per_class=GRID_COLUMNS, mirror_axis=-2)
VOXELS = Kind('voxels', 4, cells_to_unit, unit_to_cells, draw_voxels, render=rendering.render,
              summarise=summarise_cells, turning=rendering.turning, num_shown=32, max_classes_shown=16,
              shown_per_class=GRID_COLUMNS, mirror_axis=-4)
POINTS = Kind('points', 1, unchanged, unchanged, scatter, render=None,
              summarise=summarise_points, turning=None, num_shown=2000,
              max_classes_shown=None, shown_per_class=None, mirror_axis=None)
KINDS = (IMAGES, VOXELS, POINTS)


def kind_of(shape: tuple[int, ...]) -> Kind:
  """Returns the kind of an example of this shape: (H, W, C) of images, (X, Y, Z, 1) of voxels, (D,) of points.

  Raises:
    UserError: there is no such kind.
  """
  for kind in KINDS:
    if len(shape) == kind.ndim:
      return kind
  raise UserError(f'examples of the shape {tuple(shape)}: expected images (H, W, C), voxels '
                  '(X, Y, Z, 1) or points (D,)')


def labels_shown(kind: Kind, num_classes: int) -> np.ndarray:
  """Returns the labels [N] int32 of the samples in a run's pictures: equally many of each class shown, class by class.

  num_classes is 0 for a model without labels. Images and voxels have a row of GRID_COLUMNS for each
  class.
  """
  if not num_classes:
    return np.zeros(kind.num_shown, np.int32)
  classes = min(num_classes, kind.max_classes_shown or num_classes)
  per_class = kind.shown_per_class or kind.num_shown // classes
  return np.repeat(np.arange(classes, dtype=np.int32), per_class)
