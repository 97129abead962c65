"""Drawing from a trained generator: noise in, pictures' pixels out."""
import jax
import numpy as np
import tqdm

from gans.data.dataset import to_uint8

CHUNK = 500


def fixed_noise(seed: int, num: int, z_dim: int):
  """The noise of a run's sample grids, [num, z_dim], the same at every step: only the generator changes."""
  return jax.random.normal(jax.random.key(seed), (num, z_dim))


def make_sampler(generator):
  """Returns sample(variables, z [N,Z], label [N]) -> uint8 [N,H,W,C], or float32 points [N,D]; jitted.

  `variables` are the generator's, such as a state's `ema`; batch norm uses its running averages.
  """
  @jax.jit
  def sample(variables, z, label):
    images = generator.apply(variables, z, label, train=False)
    return to_uint8(images) if images.ndim == 4 else images

  return sample


def sample_many(sample, variables, z, label) -> np.ndarray:
  """Calls a `sample` of make_sampler on any number of z [N,Z], label [N], a bounded number at a time."""
  starts = tqdm.tqdm(range(0, len(z), CHUNK), unit_scale=CHUNK, unit=' samples', leave=False, disable=None)
  return np.concatenate([sample(variables, z[i:i + CHUNK], label[i:i + CHUNK]) for i in starts])
