"""Regularisers of the adversarial game, each by its weight; with a weight of 0 none of them is computed.

They help where images are few: the critic's scores may not run away from their averages (LeCam), nor depend on small
changes of an image or of the noise (consistency), and the generator may imitate the critic's features.
"""
from collections.abc import Callable
import dataclasses
from typing import Annotated

from flax import linen as nn
import jax
import jax.numpy as jnp

from gans.core.augmentation import POLICIES
from gans.ranges import Each, OneOf, Positive, Weight

# Folded into a loss's key for the regularisers, so that those of weight 0 change nothing; 0 and 1 are its halves.
STREAM = 3


@dataclasses.dataclass(frozen=True)
class Regularizers:
  """The settings of the regularisers, `config.regularizers`; each weight is beside the loss of the scores."""
  lecam: Weight = 0.0  # of the critic's scores' distance from the other side's average; .3 for BigGAN on CIFAR-10
  real_consistency: Weight = 0.0  # of the critic's scores of real images before and after `changes`; CR and bCR: 10
  fake_consistency: Weight = 0.0  # the same of generated images; bCR: 10
  # What changes images for these two; for photographs ('flip','translation').
  changes: Annotated[tuple[str, ...], Each(OneOf(tuple(POLICIES)), 1)] = ('translation',)
  latent_consistency: Weight = 0.0  # of the critic's scores of images from nearby noise; zCR: 20
  latent_diversity: Weight = 0.0  # of the distance between those images, which the generator enlarges; zCR: .5
  latent_stddev: Positive = 0.05  # of what is added to the noise for these two
  feature_matching: Weight = 0.0  # of the distance of the mean features, for the generator; with critic.features

  def near(self, z, rng):
    """Noise near to z [B,Z]."""
    return z + self.latent_stddev * jax.random.normal(rng, z.shape)


def weigh(config: Regularizers, terms: dict[str, Callable]) -> tuple[jax.Array | float, dict]:
  """Returns the weighted sum of those terms () -> scalar, by name, that have a weight, and their values."""
  values = {name: term() for name, term in terms.items() if getattr(config, name)}
  return sum(getattr(config, name) * value for name, value in values.items()), values


class ScoreAverages(nn.Module):
  """Mean scores of real and of fake batches, [] each -> their running averages, as a constant: LeCam's memory.

  The averages are free of their start at zero, as Adam's moments are.
  """
  decay: float = 0.99

  @nn.compact
  def __call__(self, real, fake, *, train):
    sums = self.variable('memory', 'sums', jnp.zeros, (2,))
    count = self.variable('memory', 'count', jnp.zeros, (), jnp.int32)
    if not train or self.is_initializing():
      return real, fake
    now = jax.lax.stop_gradient(jnp.stack([real, fake]))
    sums.value = self.decay * sums.value + (1 - self.decay) * now
    count.value += 1
    real_average, fake_average = sums.value / (1 - self.decay**count.value)
    return real_average, fake_average


def lecam(real, fake, real_average, fake_average):
  """E[max(0, D(x) - a_F)^2] + E[max(0, a_R - D(G(z)))^2] of scores [B] and averages [] (Tseng et al. 2021, eq. 7).

  The one-sided form is that of the authors' code.
  """
  return jnp.mean(jax.nn.relu(real - fake_average)**2) + jnp.mean(jax.nn.relu(real_average - fake)**2)


def consistency(scores, scores_of_changed):
  """E[(D(x) - D(T(x)))^2] of scores [B] each (Zhang et al. 2020, Consistency Regularization for GANs, eq. 4)."""
  return jnp.mean((scores - scores_of_changed)**2)


def distance(real, fake):
  """The mean over features of |E h(x) - E h(G(z))|, of features [B,F] (Salimans et al. 2016, section 3.1).

  The paper squares the difference; its absolute value is StudioGAN's.
  """
  return jnp.mean(jnp.abs(jnp.mean(real, axis=0) - jnp.mean(fake, axis=0)))


def memories(config: Regularizers) -> dict[str, nn.Module]:
  """The players without parameters that the regularisers need, by name."""
  return {'score_averages': ScoreAverages()} if config.lecam else {}
