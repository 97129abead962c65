"""Penalties on the critic's gradient, by name: (score, real, fake, rng) -> scalar.

They take a score function, images [B,...] -> [B], so they depend on no model.
"""
import dataclasses
from typing import Annotated

import jax
import jax.numpy as jnp
import optax

from gans.ranges import Count, OneOf, Weight


def interpolate(real, fake, rng):
  """x_hat = eps x + (1 - eps) x_tilde with one eps ~ U[0, 1] per example; all [B,...]."""
  eps = jax.random.uniform(rng, (real.shape[0],) + (1,) * (real.ndim - 1))
  return eps * real + (1 - eps) * fake


def gradient_norms(score, x):
  """Norm of the gradient of each example's score, over all of the example's axes: x [B,...] -> [B] float32.

  The examples' scores are summed, so that one backward pass gives all gradients; that is right as long as an
  example's score depends on that example alone (no batch norm). The norm's own gradient at zero is zero, not NaN.
  """
  gradients = jax.grad(lambda x: jnp.sum(score(x)))(x).astype(jnp.float32)
  return jax.vmap(lambda gradient: optax.safe_norm(gradient.ravel(), 1e-12))(gradients)


def gradient_penalty(score, real, fake, rng):
  """E[(||grad D(x_hat)|| - 1)^2], x_hat between real and fake (Gulrajani et al. 2017, eq. 3, without the weight)."""
  return jnp.mean((gradient_norms(score, interpolate(real, fake, rng)) - 1)**2)


BY_NAME = {'gradient_penalty': gradient_penalty}
NAMES = ('none', *BY_NAME)


@dataclasses.dataclass(frozen=True)
class Penalty:
  """The settings of a penalty, `config.penalty`."""
  name: Annotated[str, OneOf(NAMES)] = 'none'
  weight: Weight = 10.0  # beside the loss of the scores
  every: Count = 1  # steps from one to the next; above 1 an update of its own, with `every` times the weight
