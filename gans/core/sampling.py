"""Noise in, samples out: the one convention by which training, sample grids, `gans.load` and exports draw noise."""
from collections.abc import Callable, Mapping

import jax

from gans.core.game import Algorithm, bind_trained
from gans.core.sharding import along_batch


def noise(rng, num: int, z_dim: int) -> jax.Array:
  """Draws z ~ N(0, I), [num, z_dim] float32, with the first half of `rng`; the second is left for labels and more."""
  z_rng, _ = jax.random.split(rng)
  return along_batch(jax.random.normal(z_rng, (num, z_dim)))


def truncated_noise(rng, shape: tuple[int, ...], truncation: float) -> jax.Array:
  """Draws noise whose entries beyond +-truncation are drawn again (Brock et al. 2019, section 3.1)."""
  z_rng, _ = jax.random.split(rng)
  return jax.random.truncated_normal(z_rng, -truncation, truncation, shape)


def noise_and_label(z_dim: int) -> Callable:
  """Returns inputs(rng, batch) -> {'z': [B,z_dim], 'label': [B]}: the `Algorithm.inputs` of games from noise."""
  def inputs(rng, batch) -> dict:
    label = batch['label']
    return {'z': noise(rng, len(label), z_dim), 'label': label}

  return inputs


def make_sampler(algorithm: Algorithm, modules: Mapping, encode: Callable) -> Callable:
  """Returns a jitted sample(variables, inputs) -> samples [B,...].

  `variables` {player: variables} are those of the averaged players, such as a state's `ema`; `inputs` are the
  algorithm's; `encode` turns what networks make into data, such as uint8 pixels (data.kinds.Kind.encode).
  """
  @jax.jit
  def sample(variables, inputs):
    return encode(algorithm.draw(bind_trained(modules, variables), inputs))

  return sample
