"""Losses of scores, by name: one function for the critic's side, one for the generator's; each returns a scalar.

A score is a logit: where a paper has D(x), it is sigmoid(score). Natural logarithms throughout.
"""
from collections.abc import Callable
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gans.ranges import OneOf


class Loss(NamedTuple):
  """Both sides of a game; each player minimises its own."""
  critic: Callable  # (real scores [B], fake scores [B]) -> scalar
  generator: Callable  # (fake scores [B]) -> scalar; of a loss that is `relative`, (fake scores, real scores) -> scalar
  undecided: float | None = 0.0  # the score of which the critic cannot say whether it is real; None: there is none
  relative: bool = False  # whether the generator's side compares its scores with real ones

  def of_generator(self, fake, score_real: Callable):
    """The generator's side, for which score_real() is called only if it takes real scores too."""
    return self.generator(fake, score_real()) if self.relative else self.generator(fake)


def binary_cross_entropy(scores, target: float):
  """-E[log D] for target 1, -E[log(1 - D)] for target 0, from logits [B]."""
  return jnp.mean(optax.sigmoid_binary_cross_entropy(scores, jnp.full_like(scores, target)))


def cross_entropy_critic(real, fake):
  """-E[log D(real)] - E[log(1 - D(fake))] (Goodfellow et al. 2014, Algorithm 1)."""
  return binary_cross_entropy(real, 1) + binary_cross_entropy(fake, 0)


def non_saturating_generator(fake):
  """-E[log D(fake)], whose gradient does not vanish where the critic is sure (Goodfellow et al. 2014, section 3)."""
  return binary_cross_entropy(fake, 1)


def saturating_generator(fake):
  """E[log(1 - D(fake))], the minimax game of Goodfellow et al. 2014, Algorithm 1."""
  return -binary_cross_entropy(fake, 0)


def wasserstein_critic(real, fake):
  """E[D(fake)] - E[D(real)]: minus the Wasserstein estimate (Arjovsky et al. 2017, eq. 2)."""
  return jnp.mean(fake) - jnp.mean(real)


def hinge_critic(real, fake):
  """E[max(0, 1 - D(real))] + E[max(0, 1 + D(fake))] (Miyato et al. 2018, eq. 16)."""
  return jnp.mean(jnp.maximum(0, 1 - real)) + jnp.mean(jnp.maximum(0, 1 + fake))


def minus_score_generator(fake):
  """-E[D(fake)], for the Wasserstein game (Arjovsky et al. 2017, Algorithm 1, line 10) and the hinge."""
  return -jnp.mean(fake)


def least_squares_critic(real, fake):
  """(E[(D(real) - 1)^2] + E[D(fake)^2]) / 2 (Mao et al. 2017, eq. 9)."""
  return (jnp.mean((real - 1)**2) + jnp.mean(fake**2)) / 2


def least_squares_generator(fake):
  """E[(D(fake) - 1)^2] / 2 (Mao et al. 2017, eq. 9)."""
  return jnp.mean((fake - 1)**2) / 2


def relativistic(higher, lower):
  """-E[log sigmoid(higher - lower)] of pairs: the i-th of one batch against the i-th of the other.

  The critic wants real scores above fake ones, the generator the reverse (Jolicoeur-Martineau 2019, The relativistic
  discriminator; RpGAN in Huang et al. 2024, The GAN is dead; long live the GAN!).
  """
  return binary_cross_entropy(higher - lower, 1)


def relativistic_average(higher, lower):
  """-E[log sigmoid(higher - E lower)] - E[log(1 - sigmoid(lower - E higher))]: RaGAN (Jolicoeur-Martineau 2019)."""
  return binary_cross_entropy(higher - jnp.mean(lower), 1) + binary_cross_entropy(lower - jnp.mean(higher), 0)


def mean_of_highest(of_generator: Callable, fake, share):
  """The generator's side over the highest of the fake scores [B], a share of them in (0, 1], which may be traced.

  Sinha et al. 2020, Top-k Training of GANs, section 3. The loss must be a mean over examples, as all but the relative
  ones are.
  """
  of_each = jax.vmap(lambda score: of_generator(score[None]))(fake)
  num = jnp.maximum(1, jnp.round(share * len(fake)))
  rank = jnp.argsort(jnp.argsort(-fake))
  return jnp.sum(jnp.where(rank < num, of_each, 0)) / num


BY_NAME = {
    'non_saturating': Loss(cross_entropy_critic, non_saturating_generator),
    'saturating': Loss(cross_entropy_critic, saturating_generator),
    'wasserstein': Loss(wasserstein_critic, minus_score_generator, undecided=None),
    'hinge': Loss(hinge_critic, minus_score_generator),
    'relativistic': Loss(relativistic, relativistic, undecided=None, relative=True),
    'relativistic_average': Loss(
        relativistic_average, relativistic_average, undecided=None, relative=True),
    'least_squares': Loss(least_squares_critic, least_squares_generator, undecided=0.5),
}
LossName = Annotated[str, OneOf(tuple(sorted(BY_NAME)))]
