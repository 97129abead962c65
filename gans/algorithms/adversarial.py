"""The adversarial game with any loss of scores: Goodfellow et al. 2014, Generative Adversarial Nets, Algorithm 1.

The fully connected GAN, DCGAN and the conditional GAN are configs of this.
"""
from collections.abc import Callable
import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gans.core import adaptive, losses, regularizers
from gans.core.adaptive import Ada
from gans.core.annealing import anneal
from gans.core.augmentation import augment
from gans.core.game import Algorithm, Play, Update
from gans.core.penalties import Penalty, lazy_penalty, penalty_term
from gans.core.regularizers import Regularizers, consistency, weigh
from gans.core.sampling import noise, noise_and_label
from gans.errors import UserError
from gans.ranges import AnnealedShare, Count, Size


@dataclasses.dataclass(frozen=True)
class Fields:
  """What the algorithm reads of the config."""
  loss: losses.LossName = 'non_saturating'  # a name in gans/core/losses.py
  penalty: Penalty = Penalty()  # on the critic's gradient; its name is in gans/core/penalties.py, or 'none'
  regularizers: Regularizers = Regularizers()  # gans/core/regularizers.py, each by its weight
  ada: Ada = Ada()  # gans/core/adaptive.py: augmentation with a probability
  pack: Count = 1  # images that the critic judges together (Lin et al. 2018, PacGAN)
  top_k: AnnealedShare = 1.0  # share of generated images, those of the highest scores, that the generator learns from
  n_critic: Count = 1  # critic updates before each generator update
  z_dim: Size = 64  # size of the noise z


def make_algorithm(config: Fields) -> Algorithm:
  """Makes the game of a critic and a generator.

  Raises:
    UserError: fields that do not go with the loss, or with each other.
  """
  check_loss(config)
  return Algorithm(
      updates=(
          Update(('critic',), critic_loss(config), repeats=config.n_critic),
          *lazy_penalty(config.penalty, penalized(config), config.n_critic),
          Update(('generator',), generator_loss(config)),
      ),
      inputs=noise_and_label(config.z_dim),
      memories=regularizers.memories(config.regularizers) | adaptive.memories(config.ada, config.pack))


def check_loss(config: Fields):
  """Raises UserError for what looks at scores by themselves, with a loss that only compares them."""
  loss = losses.BY_NAME[config.loss]
  if loss.relative and config.top_k != 1:
    raise UserError(f'top_k={config.top_k}: loss={config.loss!r} compares each score with real ones; expected 1.0')
  if loss.undecided is None and config.ada.target:
    raise UserError(f'ada.target={config.ada.target}: the sign of a score of loss={config.loss!r} says nothing; '
                    'expected 0.0, and a p of your own, such as ada.p=(0.0, 0.3)')


class Round(NamedTuple):
  """The game on one batch: what the critic is shown, and what it says of it."""
  config: Fields
  play: Play
  label: jax.Array  # [B]

  def show(self, images):
    """Images [B,...] as the critic judges them, `pack` at a time."""
    return join_packs(images, self.config.pack)

  def generate(self, z):
    """Generated images, as the critic judges them, of noise [B,Z]."""
    return self.show(self.play.generator(z, self.label))

  def judge(self, x) -> tuple:
    """The critic's scores of one batch of what it is shown or of several; and its features, where they are matched."""
    label = for_each_batch(self.label, x) if self.config.pack == 1 else None  # a pack is of no class
    if adaptive.is_on(self.config.ada):
      x = self.show(self.play.changes(separate_packs(x, self.config.pack), self.probability()))
    judged = self.play.critic(x, label)
    has_more, weight = isinstance(judged, tuple), self.config.regularizers.feature_matching
    if weight and not has_more:
      raise UserError(f'regularizers.feature_matching={weight}: it compares features; expected critic.features=True')
    if has_more and not weight:
      raise UserError('critic.classify or critic.features=True: the critic of this game returns scores alone; expected '
                      'False, or with features a weight of regularizers.feature_matching')
    scores, features = judged if has_more else (judged, None)
    if scores.ndim > 1:
      raise UserError(f'critic.outputs={scores.shape[1]}: the critic of this game returns one score an example; '
                      'expected 0')
    return scores, features

  def score(self, x) -> jax.Array:
    """The scores alone."""
    scores, _ = self.judge(x)
    return scores

  def change(self, x, rng) -> jax.Array:
    """What the critic is shown, each image of it changed for consistency."""
    return self.show(augment(separate_packs(x, self.config.pack), rng, self.config.regularizers.changes))

  def probability(self):
    """The probability of each change that the critic sees images through."""
    ada = self.config.ada
    return self.play.probability() if ada.target else jnp.float32(anneal(ada.p, self.play.progress))


def critic_loss(config: Fields) -> Callable:
  """Returns the critic's loss: that of its scores, the penalty, unless that is an update of its own, and regularisers.
  """
  loss, settings = losses.BY_NAME[config.loss], config.regularizers

  def critic_loss(play, batch, rng):
    z_rng, penalty_rng = jax.random.split(rng)
    game = Round(config, play, batch['label'])
    z = noise(z_rng, len(game.label), config.z_dim)
    x, x_tilde = game.show(batch['image']), game.generate(z)
    real, fake = game.score(x), game.score(x_tilde)
    penalty, metrics = penalty_term(config.penalty, play, game.score, x, x_tilde, penalty_rng)
    real_rng, fake_rng, near_rng = jax.random.split(jax.random.fold_in(rng, regularizers.STREAM), 3)
    regularizer, terms = weigh(settings, {
        'lecam': lambda: regularizers.lecam(real, fake, *play.score_averages(jnp.mean(real), jnp.mean(fake))),
        'real_consistency': lambda: consistency(real, game.score(game.change(x, real_rng))),
        'fake_consistency': lambda: consistency(fake, game.score(game.change(x_tilde, fake_rng))),
        'latent_consistency': lambda: consistency(fake, game.score(game.generate(settings.near(z, near_rng)))),
    })
    if config.ada.target:
      metrics['augmentation_probability'] = play.probability(real - loss.undecided)
    value = loss.critic(real, fake) + penalty + regularizer
    scores = {'critic_loss': value, 'real_score': jnp.mean(real), 'fake_score': jnp.mean(fake)}
    return value, metrics | terms | scores

  return critic_loss


def penalized(config: Fields) -> Callable:
  """Returns what a penalty with an update of its own looks at."""
  def examples(play, batch, rng):
    game = Round(config, play, batch['label'])
    return game.score, game.show(batch['image']), lambda: game.generate(noise(rng, len(game.label), config.z_dim))

  return examples


def generator_loss(config: Fields) -> Callable:
  """Returns the generator's loss: that of the critic's scores, of all or of the highest, and regularisers."""
  loss, settings = losses.BY_NAME[config.loss], config.regularizers

  def generator_loss(play, batch, rng):
    game = Round(config, play, batch['label'])
    z = noise(rng, len(game.label), config.z_dim)
    x_tilde = game.generate(z)
    fake, features = game.judge(x_tilde)
    judge_real = functools.cache(lambda: game.judge(game.show(batch['image'])))
    near_rng = jax.random.fold_in(rng, regularizers.STREAM)
    regularizer, terms = weigh(settings, {
        'latent_diversity': lambda: -jnp.mean((x_tilde - game.generate(settings.near(z, near_rng)))**2),
        'feature_matching': lambda: regularizers.distance(judge_real()[1], features),
    })
    if config.top_k == 1:
      adversarial = loss.of_generator(fake, lambda: judge_real()[0])
    else:
      adversarial = losses.mean_of_highest(loss.generator, fake, anneal(config.top_k, play.progress))
    value = adversarial + regularizer
    return value, terms | {'generator_loss': value}

  return generator_loss


def join_packs(images, pack: int):
  """Joins `pack` images along their channels, or points along their numbers: [B,...,C] -> [B/pack,...,pack C].

  Raises:
    UserError: the images cannot be shared out into packs.
  """
  if len(images) % pack:
    raise UserError(f'pack={pack}: expected a divisor of the {len(images)} images that a loss sees, which are '
                    'batch_size / microbatches')
  return jnp.concatenate(jnp.split(images, pack), axis=-1)


def separate_packs(packed, pack: int):
  """Returns the images that `join_packs` joined: [B/pack,...,pack C] -> [B,...,C]."""
  return jnp.concatenate(jnp.split(packed, pack, axis=-1))


def for_each_batch(label, x) -> jax.Array:
  """Repeats the labels [B] of a batch for each batch in images x [M*B,...]."""
  return jnp.concatenate([label] * (len(x) // len(label)))
