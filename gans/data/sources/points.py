"""Points in the plane, on which papers measure mode collapse: 100,000 draws, [N,2] float32.

They are those of the released gan_toy of Gulrajani et al. 2017, which divides each data set by a number of its own so
that its spread is about 1.
"""
import functools

import numpy as np

from gans.data.dataset import Dataset

NUM_POINTS = 100_000


def ring_modes(radius: float) -> np.ndarray:
  """Returns eight modes on a circle: [8,2]."""
  angles = 2 * np.pi * np.arange(8) / 8
  circle = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
  return radius * circle


def grid_modes(spacing: float) -> np.ndarray:
  """Returns five by five modes around the origin: [25,2]."""
  ticks = spacing * np.arange(-2, 3)
  x, y = np.meshgrid(ticks, ticks)
  return np.stack([x, y], axis=-1).reshape(25, 2)


def sample_mixture(rng, modes: np.ndarray, sigma: float) -> Dataset:
  """Draws points around modes [K,2]; the label of a point is its mode."""
  labels = rng.integers(len(modes), size=NUM_POINTS)
  noise = rng.standard_normal((NUM_POINTS, 2))
  points = modes[labels] + sigma * noise
  return Dataset(points.astype(np.float32), labels.astype(np.int32), num_classes=len(modes))


def sample_swiss_roll(rng, noise: float, scale: float) -> Dataset:
  """Draws unlabelled points of scikit-learn's swiss roll, seen from its end."""
  t = 1.5 * np.pi * (1 + 2 * rng.random(NUM_POINTS))
  roll = np.stack([t * np.cos(t), t * np.sin(t)], axis=-1)
  points = (roll + noise * rng.standard_normal((NUM_POINTS, 2))) / scale
  labels = np.zeros(NUM_POINTS, np.int32)
  return Dataset(points.astype(np.float32), labels)


MIXTURES = {  # (modes [K,2], sigma)
    'ring8': (ring_modes(2 / 1.414), 0.02 / 1.414),
    'grid25': (grid_modes(2 / 2.828), 0.05 / 2.828),
}
SAMPLERS = {
    **{name: functools.partial(sample_mixture, modes=modes, sigma=sigma) for name, (modes, sigma) in MIXTURES.items()},
    'swiss_roll': functools.partial(sample_swiss_roll, noise=0.25, scale=7.5),
}


def load_points(config) -> Dataset:
  """Draws the data set config.name, a key of SAMPLERS; the points are always the same."""
  sampler = SAMPLERS[config.name]
  return sampler(np.random.default_rng(0))
