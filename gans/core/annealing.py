"""Numbers of a config that change as a run goes on: a pair (first, last) in place of a number.

All of them follow one cosine, from the first value at the start of a run to the last one after `anneal_images` images,
and stay there (Huang et al. 2024, R3GAN, where a penalty's weight, learning rates, Adam's b2 and the half-life of the
average do).
"""
from collections.abc import Sequence

import jax.numpy as jnp


def is_annealed(value) -> bool:
  """Tells whether a value of a config is a pair (first, last); in config.json it is a list."""
  return isinstance(value, Sequence) and not isinstance(value, str)


def anneal(value, progress):
  """Returns a number as it is, and a pair (first, last) at `progress` from 0 to 1, along half a cosine."""
  if not is_annealed(value):
    return value
  first, last = value
  return last + (first - last) * (1 + jnp.cos(jnp.pi * jnp.clip(progress, 0, 1))) / 2
