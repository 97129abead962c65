"""Points in the plane that papers measure mode collapse on: 100,000 draws, [N,2] float32, unscaled."""
import numpy as np

from gans.data.dataset import Dataset

NUM_POINTS = 100_000


def ring_modes(radius: float) -> np.ndarray:
  """Eight modes on a circle: [8,2]."""
  angles = 2 * np.pi * np.arange(8) / 8
  return radius * np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def sample_mixture(rng, modes: np.ndarray, sigma: float) -> Dataset:
  """Draws points around modes [K,2]; the label of a point is its mode."""
  labels = rng.integers(len(modes), size=NUM_POINTS)
  points = modes[labels] + sigma * rng.standard_normal((NUM_POINTS, 2))
  return Dataset(points.astype(np.float32), labels.astype(np.int32), num_classes=len(modes))


SAMPLERS = {
    # Gulrajani et al. 2017, gan_toy: radius 2, sigma 0.02, all divided by 1.414.
    'ring8': lambda rng: sample_mixture(rng, ring_modes(2 / 1.414), 0.02 / 1.414),
}


def load(name: str, config) -> Dataset:
  """Draws the data set `name`, a key of SAMPLERS, always the same points."""
  del config
  return SAMPLERS[name](np.random.default_rng(0))
