"""Fitting an image of any size into the square that a network takes."""
import numpy as np
from PIL import Image


def fit_square(image: np.ndarray, size: int) -> np.ndarray:
  """Crops the largest centred square of [h,w,C] uint8 and resizes it, antialiased, to [size,size,C]."""
  if image.shape[:2] == (size, size):
    return image
  side = min(image.shape[:2])
  top, left = ((length - side) // 2 for length in image.shape[:2])
  square = image[top:top + side, left:left + side]
  square = Image.fromarray(square[..., 0] if square.shape[-1] == 1 else square)
  return np.asarray(square.resize((size, size), Image.Resampling.LANCZOS)).reshape(size, size, -1)
