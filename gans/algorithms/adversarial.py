"""The adversarial game with any loss of scores: Goodfellow et al. 2014, Generative Adversarial Nets, Algorithm 1.

The fully connected GAN, DCGAN and the conditional GAN are configs of this.
"""
from collections.abc import Callable
import dataclasses

import jax
import jax.numpy as jnp

from gans.core import losses, penalties
from gans.core.annealing import anneal
from gans.core.game import Algorithm, Update
from gans.core.penalties import Penalty, penalty_term
from gans.core.sampling import noise, noise_and_label
from gans.ranges import Count, Size


@dataclasses.dataclass(frozen=True)
class Fields:
  """What the algorithm reads of the config."""
  loss: losses.LossName = 'non_saturating'  # a name in gans/core/losses.py
  penalty: Penalty = Penalty()  # on the critic's gradient; its name is in gans/core/penalties.py, or 'none'
  n_critic: Count = 1  # critic updates before each generator update
  z_dim: Size = 64  # size of the noise z


def make_algorithm(config: Fields) -> Algorithm:
  """Makes the game of a critic and a generator."""
  loss = losses.BY_NAME[config.loss]
  return Algorithm(
      updates=(
          Update(('critic',), critic_loss(loss, config.z_dim, config.penalty), repeats=config.n_critic),
          *lazy_penalty(config.penalty, config.z_dim, score),
          Update(('generator',), generator_loss(loss, config.z_dim)),
      ),
      inputs=noise_and_label(config.z_dim))


def critic_loss(loss: losses.Loss, z_dim: int, penalty: Penalty = Penalty()) -> Callable:  # noqa: B008, it is frozen
  """Returns the critic's loss: that of its scores plus the weighted penalty, unless that is an update of its own."""
  def critic_loss(play, batch, rng):
    z_rng, penalty_rng = jax.random.split(rng)
    x, label = batch['image'], batch['label']
    x_tilde = play.generator(noise(z_rng, len(x), z_dim), label)
    real, fake = play.critic(x, label), play.critic(x_tilde, label)
    term, metrics = penalty_term(penalty, play.progress, lambda x: score(play, x, label), x, x_tilde, penalty_rng)
    value = loss.critic(real, fake) + term
    return value, metrics | {'critic_loss': value, 'real_score': jnp.mean(real), 'fake_score': jnp.mean(fake)}

  return critic_loss


def generator_loss(loss: losses.Loss, z_dim: int) -> Callable:
  """Returns the generator's loss."""
  def generator_loss(play, batch, rng):
    label = batch['label']
    x_tilde = play.generator(noise(rng, len(label), z_dim), label)
    value = loss.of_generator(play.critic(x_tilde, label), lambda: play.critic(batch['image'], label))
    return value, {'generator_loss': value}

  return generator_loss


def score(play, x, label) -> jax.Array:
  """The critic's scores of images x, one batch [B,...] or several, each at the labels [B]."""
  return play.critic(x, for_each_batch(label, x))


def for_each_batch(label, x) -> jax.Array:
  """Repeats the labels [B] of a batch for each batch in images x [M*B,...]."""
  return jnp.concatenate([label] * (len(x) // len(label)))


def lazy_penalty(penalty: Penalty, z_dim: int, score: Callable) -> tuple[Update, ...]:
  """Returns the update that a penalty with `every` k > 1 is: every k steps, with k times the weight; else none.

  Karras et al. 2020, Analyzing and Improving the Image Quality of StyleGAN, section 3.1. `score` is as in this file.
  """
  if penalty.name == 'none' or penalty.every == 1:
    return ()
  penalize = penalties.BY_NAME[penalty.name]

  def penalty_loss(play, batch, rng):
    z_rng, penalty_rng = jax.random.split(rng)
    x, label = batch['image'], batch['label']
    x_tilde = play.generator(noise(z_rng, len(x), z_dim), label)
    value = penalize(lambda x: score(play, x, label), x, x_tilde, penalty_rng)
    return penalty.every * anneal(penalty.weight, play.progress) * value, {penalty.name: value}

  return (Update(('critic',), penalty_loss, every=penalty.every),)
