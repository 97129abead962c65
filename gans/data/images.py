"""Fitting an image of any size into the square that a network takes."""
import numpy as np
from PIL import Image, ImageOps


def fit(image: np.ndarray, size: int) -> np.ndarray:
  """Crops the largest centred square of [h,w,C] uint8 and resizes it, antialiased, to [size,size,C]."""
  if image.shape[:2] == (size, size):
    return image
  squeezed = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
  fitted = ImageOps.fit(squeezed, (size, size), Image.Resampling.LANCZOS)
  return np.asarray(fitted).reshape(size, size, -1)
