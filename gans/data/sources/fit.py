"""Crops and resizes images of any size to that which a network takes, `dataset.image_size`."""
from collections.abc import Sequence

import numpy as np
from PIL import Image

from gans.errors import UserError


def sides_of(image_size: int | Sequence[int]) -> tuple[int, int]:
  """Returns (height, width) of dataset.image_size, one number for both or one for each; a config.json has a list."""
  if isinstance(image_size, int):
    return image_size, image_size
  height, width = image_size
  return height, width


def one_side(config) -> int:
  """Returns the image_size of a config's group `dataset` for what has one alone: cubes, and images that are turned.

  Raises:
    UserError: it has a height and a width.
  """
  if not isinstance(config.image_size, int):
    raise UserError(f'dataset.image_size={tuple(config.image_size)}: {config.name} has one size for all sides; '
                    'expected a whole number')
  return config.image_size


def fit(image: np.ndarray, image_size: int | Sequence[int]) -> np.ndarray:
  """Crops the largest centred part of [h,w,C] uint8 that has these proportions, and resizes it, antialiased."""
  height, width = sides_of(image_size)
  if image.shape[:2] == (height, width):
    return image
  scale = min(image.shape[0] / height, image.shape[1] / width)
  part = _centre(image, max(1, round(scale * height)), max(1, round(scale * width)))
  if image.shape[2] == 1:
    part = part[..., 0]  # as Pillow takes grey images
  picture = Image.fromarray(part)
  if picture.mode == 'RGBA':  # weighted by alpha, so that colours that nobody sees do not show at the edges
    resized = picture.convert('RGBa').resize((width, height), Image.Resampling.LANCZOS).convert('RGBA')
  else:
    resized = picture.resize((width, height), Image.Resampling.LANCZOS)
  return np.asarray(resized).reshape(height, width, -1)


def _centre(image: np.ndarray, height: int, width: int) -> np.ndarray:
  top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
  return image[top:top + height, left:left + width]
