"""Losses of scores: (real [B], fake [B]) -> scalar, one function for the critic's side and one for the generator's.

A score is a logit: where a paper has D(x), it is sigmoid(score). Natural logarithms throughout.
"""
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import optax


class Loss(NamedTuple):
  """Both sides of a game; each maps (real [B], fake [B]) to a scalar that its player minimises."""
  critic: Callable
  generator: Callable


def binary_cross_entropy(scores, target: float):
  """-E[log D] for target 1, -E[log(1 - D)] for target 0, from logits [B]."""
  return jnp.mean(optax.sigmoid_binary_cross_entropy(scores, jnp.full_like(scores, target)))


def cross_entropy_critic(real, fake):
  """-E[log D(real)] - E[log(1 - D(fake))] (Goodfellow et al. 2014, Algorithm 1)."""
  return binary_cross_entropy(real, 1) + binary_cross_entropy(fake, 0)


def wasserstein_critic(real, fake):
  """E[D(fake)] - E[D(real)]: minus the Wasserstein estimate (Arjovsky et al. 2017, eq. 2)."""
  return jnp.mean(fake) - jnp.mean(real)


def hinge_critic(real, fake):
  """E[max(0, 1 - D(real))] + E[max(0, 1 + D(fake))] (Miyato et al. 2018, eq. 16)."""
  return jnp.mean(jnp.maximum(0, 1 - real)) + jnp.mean(jnp.maximum(0, 1 + fake))


def least_squares_critic(real, fake):
  """(E[(D(real) - 1)^2] + E[D(fake)^2]) / 2 (Mao et al. 2017, eq. 9)."""
  return (jnp.mean((real - 1) ** 2) + jnp.mean(fake ** 2)) / 2


def minus_score(real, fake):
  """-E[D(fake)], for the Wasserstein game (Arjovsky et al. 2017, Algorithm 1, line 10) and the hinge."""
  del real
  return -jnp.mean(fake)


# -log D(fake), whose gradient does not vanish where the critic is sure (Goodfellow et al. 2014, section 3).
non_saturating = Loss(cross_entropy_critic, lambda real, fake: binary_cross_entropy(fake, 1))
# log(1 - D(fake)), the minimax game as Algorithm 1 has it.
saturating = Loss(cross_entropy_critic, lambda real, fake: -binary_cross_entropy(fake, 0))
wasserstein = Loss(wasserstein_critic, minus_score)
hinge = Loss(hinge_critic, minus_score)
# (D(fake) - 1)^2 / 2 (Mao et al. 2017, eq. 9).
least_squares = Loss(least_squares_critic, lambda real, fake: jnp.mean((fake - 1) ** 2) / 2)

BY_NAME = {'non_saturating': non_saturating, 'saturating': saturating, 'wasserstein': wasserstein, 'hinge': hinge,
           'least_squares': least_squares}
