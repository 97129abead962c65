"""Penalties on a critic's gradient, by name: (score, real, fake, rng) -> scalar.

They take a score function, images [B,...] -> [B], or [B,h,w] of patches, which are summed; so they depend on no model.
r1_r2 calls it with [2B,...].
"""
from collections.abc import Callable
import dataclasses
from typing import Annotated

import jax
import jax.numpy as jnp
import optax

from gans.core.annealing import anneal
from gans.core.game import Play, Update
from gans.ranges import AnnealedWeight, Count, OneOf


def interpolate(real, fake, rng):
  """x_hat = eps x + (1 - eps) x_tilde with one eps ~ U[0, 1] per example; all [B,...]."""
  eps = jax.random.uniform(rng, (real.shape[0],) + (1,) * (real.ndim - 1))
  return eps * real + (1 - eps) * fake


def gradients_of(score, x):
  """Gradient of each example's score, in one row: x [B,...] -> [B,D] float32.

  The examples' scores are summed, so that one backward pass gives all gradients; that is right as long as an
  example's score depends on that example alone (no batch norm).
  """
  gradients = jax.grad(lambda x: jnp.sum(score(x)))(x).astype(jnp.float32)
  return gradients.reshape(len(x), -1)


def gradient_norms(score, x):
  """Norm of the gradient of each example's score: x [B,...] -> [B] float32. Its own gradient at zero is zero."""
  return jax.vmap(lambda gradient: optax.safe_norm(gradient, 1e-12))(gradients_of(score, x))


def gradient_penalty(score, real, fake, rng):
  """E[(||grad D(x_hat)|| - 1)^2], x_hat between real and fake (Gulrajani et al. 2017, eq. 3, without the weight)."""
  return jnp.mean((gradient_norms(score, interpolate(real, fake, rng)) - 1)**2)


def perturb(x, rng):
  """Adds the batch's standard deviation times U(-1/2, 1/2) to each number, within the range of the batch; x [B,...]."""
  noise = jax.random.uniform(rng, x.shape, minval=-0.5, maxval=0.5)
  return jnp.clip(x + jnp.std(x) * noise, jnp.min(x), jnp.max(x))


def dragan(score, real, fake, rng):
  """E[(||grad D(x)|| - 1)^2] around the real images (Kodali et al. 2017; noise as in Lucic et al. 2018)."""
  del fake
  return jnp.mean((gradient_norms(score, perturb(real, rng)) - 1)**2)


def zero_centred(score, x):
  """E[||grad D(x)||^2] / 2, of which the weight is the papers' gamma (Mescheder et al. 2018, section 4.1)."""
  return jnp.mean(jnp.sum(gradients_of(score, x)**2, axis=-1)) / 2


def r1(score, real, fake, rng):
  """E[||grad D(x)||^2] / 2 at the real images (Mescheder et al. 2018, eq. 9)."""
  del fake, rng
  return zero_centred(score, real)


def r2(score, real, fake, rng):
  """E[||grad D(x)||^2] / 2 at the generated images (Mescheder et al. 2018, eq. 10)."""
  del real, rng
  return zero_centred(score, fake)


def r1_r2(score, real, fake, rng):
  """The sum of r1 and r2 (Huang et al. 2024, R3GAN), by one pass over both batches."""
  del rng
  return 2 * zero_centred(score, jnp.concatenate([real, fake]))


BY_NAME = {'gradient_penalty': gradient_penalty, 'dragan': dragan, 'r1': r1, 'r2': r2, 'r1_r2': r1_r2}
NAMES = ('none', *BY_NAME)
OF_REAL = ('dragan', 'r1')  # which need no generated images
ZERO_CENTRED = ('r1', 'r2', 'r1_r2')  # whose gradients are to vanish; the others' are to have norm 1
STREAM = 2  # folded into a loss's key for the penalty, where the key itself is taken; 0 and 1 split it


@dataclasses.dataclass(frozen=True)
class Penalty:
  """The settings of a penalty, `config.penalty`."""
  name: Annotated[str, OneOf(NAMES)] = 'none'
  weight: AnnealedWeight = 10.0  # beside the loss of the scores; a number, or (first, last)
  every: Count = 1  # steps from one to the next; above 1 one update of its own for all of the critic's in these steps


def penalty_term(penalty: Penalty, play: Play, score: Callable, real, fake, rng, critic: str = 'critic'
                 ) -> tuple[jax.Array | float, dict]:
  """The weighted penalty as a term of a critic's loss, and its metrics: (0, {}) if it is none or an own update."""
  if penalty.name == 'none' or penalty.every > 1:
    return 0.0, {}
  value = BY_NAME[penalty.name](score, real, fake, rng)
  return anneal(penalty.weight, play.progress) * value, {metric_name(penalty, critic): value}


def metric_name(penalty: Penalty, critic: str) -> str:
  """Returns the name of the penalty as a metric: 'r1', or 'critic_a_r1' where a game has several critics."""
  return penalty.name if critic == 'critic' else f'{critic}_{penalty.name}'


def lazy_penalty(penalty: Penalty, examples: Callable, n_critic: int = 1, critic: str = 'critic'
                 ) -> tuple[Update, ...]:
  """Returns the update that a penalty with `every` k > 1 is: once for the k n_critic updates of k steps; else none.

  So it has that many times the weight (Karras et al. 2020, Analyzing and Improving the Image Quality of StyleGAN,
  section 3.1). examples(play, batch, rng) returns (score, real, generate): the critic's scores as a function of images,
  real images, and a function that makes generated ones.
  """
  if penalty.name == 'none' or penalty.every == 1:
    return ()

  def penalty_loss(play, batch, rng):
    examples_rng, penalty_rng = jax.random.split(rng)
    score, real, generate = examples(play, batch, examples_rng)
    fake = None if penalty.name in OF_REAL else generate()
    value = BY_NAME[penalty.name](score, real, fake, penalty_rng)
    weight = penalty.every * n_critic * anneal(penalty.weight, play.progress)
    return weight * value, {metric_name(penalty, critic): value}

  return (Update((critic,), penalty_loss, every=penalty.every),)
