"""Crops and resizes images of any size to the square that a network takes."""
import numpy as np
from PIL import Image


def fit_square(image: np.ndarray, size: int) -> np.ndarray:
  """Crops the largest centred square of [h,w,C] uint8 and resizes it, antialiased, to [size,size,C]."""
  if image.shape[:2] == (size, size):
    return image
  height, width, channels = image.shape
  side = min(height, width)
  top, left = (height - side) // 2, (width - side) // 2
  square = image[top:top + side, left:left + side]
  if channels == 1:
    square = square[..., 0]  # as Pillow takes grey images
  resized = Image.fromarray(square).resize((size, size), Image.Resampling.LANCZOS)
  return np.asarray(resized).reshape(size, size, channels)
