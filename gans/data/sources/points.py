"""Points in the plane that papers measure mode collapse on: 100,000 draws, [N,2] float32, unscaled.

As in the released gan_toy of Gulrajani et al. 2017, which divides each by its own number so that its spread is about 1.
"""
import functools

import numpy as np

from gans.data.dataset import Dataset

NUM_POINTS = 100_000


def ring_modes(radius: float) -> np.ndarray:
  """Eight modes on a circle: [8,2]."""
  angles = 2 * np.pi * np.arange(8) / 8
  return radius * np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def grid_modes(spacing: float) -> np.ndarray:
  """Five by five modes around the origin: [25,2]."""
  ticks = spacing * np.arange(-2, 3)
  return np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(25, 2)


def sample_mixture(rng, modes: np.ndarray, sigma: float) -> Dataset:
  """Draws points around modes [K,2]; the label of a point is its mode."""
  labels = rng.integers(len(modes), size=NUM_POINTS)
  points = modes[labels] + sigma * rng.standard_normal((NUM_POINTS, 2))
  return Dataset(points.astype(np.float32), labels.astype(np.int32), num_classes=len(modes))


def sample_swiss_roll(rng, noise: float, scale: float) -> Dataset:
  """Draws points of scikit-learn's swiss roll, seen from its end; unlabelled."""
  t = 1.5 * np.pi * (1 + 2 * rng.random(NUM_POINTS))
  points = np.stack([t * np.cos(t), t * np.sin(t)], axis=-1) + noise * rng.standard_normal((NUM_POINTS, 2))
  return Dataset((points / scale).astype(np.float32), np.zeros(NUM_POINTS, np.int32))


MIXTURES = {  # modes [K,2] and their sigma
    'ring8': (ring_modes(2 / 1.414), 0.02 / 1.414),
    'grid25': (grid_modes(2 / 2.828), 0.05 / 2.828),
}
SAMPLERS = {
    **{name: functools.partial(sample_mixture, modes=modes, sigma=sigma) for name, (modes, sigma) in MIXTURES.items()},
    'swiss_roll': functools.partial(sample_swiss_roll, noise=0.25, scale=7.5),
}


def load_points(config) -> Dataset:
  """Draws the data set config.name, a key of SAMPLERS: always the same points."""
  return SAMPLERS[config.name](np.random.default_rng(0))
