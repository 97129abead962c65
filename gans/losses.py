"""Losses of scores: (real [B], fake [B]) -> scalar, one function for the critic's side and one for the generator's.

A score is a logit: D(x) = sigmoid(score) where a paper has probabilities. Natural logarithms throughout.
"""
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp


class Loss(NamedTuple):
  """Both sides of a game; each maps (real [B], fake [B]) to a scalar that its player minimises."""
  critic: Callable
  generator: Callable


def wasserstein_critic(real, fake):
  """E[D(fake)] - E[D(real)]: minus the Wasserstein estimate (Arjovsky et al. 2017, eq. 2)."""
  return jnp.mean(fake) - jnp.mean(real)


def wasserstein_generator(real, fake):
  """-E[D(fake)] (Arjovsky et al. 2017, Algorithm 1, line 10)."""
  del real
  return -jnp.mean(fake)


wasserstein = Loss(wasserstein_critic, wasserstein_generator)
