"""Scores of voxels: how much of the space they fill, into how many parts they fall, and whether they are memorised.

Voxels are [N,X,Y,Z,1] uint8 of 0 (empty) and 1 (occupied), as data.kinds.VOXELS stores them.
"""
import math

import numpy as np
from scipy import ndimage

from gans.errors import UserError
from gans.evaluation.checks import check_samples

CHUNK = 2 ** 26  # cells that are compared at a time, which are float32 only then, and bytes of their comparison


def occupied(samples: np.ndarray) -> float:
  """Returns the share of cells of samples [N,X,Y,Z,1] that are occupied."""
  check_voxels(samples=samples)
  return float(samples.mean(dtype=np.float64))


def components(samples: np.ndarray) -> float:
  """Returns the mean number of connected components of samples [N,X,Y,Z,1]: 1 if all are of one piece.

  Cells are connected through their faces, and a single cell far from the others is a component, too.
  """
  check_voxels(samples=samples)
  return float(np.mean([ndimage.label(sample[..., 0])[1] for sample in samples]))


def nearest_iou(samples: np.ndarray, training: np.ndarray, own: np.ndarray | None = None) -> np.ndarray:
  """Returns the intersection over union [M] of samples [M,X,Y,Z,1] and the most similar of training [N,X,Y,Z,1].

  It is 1 for a copy, which two empty models also are. Samples whose values are far above those of training shapes among
  themselves have been memorised: `own` [M] are the positions of the samples in `training` if they are part of it, where
  they are then left out.

  Raises:
    UserError: the shapes differ, or there is nothing to compare with.
  """
  check_voxels(samples=samples, training=training)
  check_samples(1 if own is None else 2, 'a nearest one', training=training)
  best = np.zeros(len(samples))
  rows = max(min(CHUNK // samples[0].size, math.isqrt(CHUNK // 8)), 1)  # 8 bytes for each pair
  for start in range(0, len(training), rows):
    others = training[start:start + rows]
    for first in range(0, len(samples), rows):
      part = slice(first, first + rows)
      iou = _pairwise_iou(samples[part], others)
      if own is not None:
        iou[own[part, None] == start + np.arange(len(others))] = -1
      best[part] = np.maximum(best[part], iou.max(1))
  return best


def _pairwise_iou(x: np.ndarray, y: np.ndarray) -> np.ndarray:
  """Returns the intersection over union [M,N] of x [M,...] and y [N,...]."""
  x = x.reshape(len(x), -1).astype(np.float32)
  y = y.reshape(len(y), -1).astype(np.float32)
  both = (x @ y.T).astype(np.float64)  # whole numbers, exact below 2^24
  either = x.sum(1)[:, None] + y.sum(1) - both
  return np.divide(both, either, out=np.ones_like(both), where=either > 0)


def check_voxels(**sets: np.ndarray):
  """Raises UserError, which names the set by its keyword, for other than [N,X,Y,Z,1] of 0 and 1 of one size."""
  for name, voxels in sets.items():
    if voxels.ndim != 5 or voxels.shape[-1] != 1 or not voxels.size:
      raise UserError(f'{name} has the shape {voxels.shape}: expected voxels [N,X,Y,Z,1]')
    if voxels.min() < 0 or voxels.max() > 1 or voxels.dtype.kind not in 'bu':
      raise UserError(f'{name} are {voxels.dtype} from {voxels.min()} to {voxels.max()}: expected uint8 of 0 and 1')
  sizes = {name: voxels.shape[1:] for name, voxels in sets.items()}
  if len(set(sizes.values())) > 1:
    raise UserError(f'sizes of the models {sizes}: expected equal ones')
