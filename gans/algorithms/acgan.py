"""AC-GAN: Odena et al. 2017, Conditional Image Synthesis with Auxiliary Classifier GANs, equations 2 and 3.

The critic also classifies: it returns (score [B], class logits [B,K]), `critic.classify` in the config. Both players
want both their batches put into the right class. Any loss of scores and a gradient penalty go with it.
"""
import dataclasses

import jax
import jax.numpy as jnp
import optax

from gans.algorithms.adversarial import for_each_batch
from gans.core import losses
from gans.core.game import Algorithm, Update
from gans.core.penalties import Penalty, lazy_penalty, penalty_term
from gans.core.sampling import noise, noise_and_label
from gans.ranges import Count, Size, Weight


@dataclasses.dataclass(frozen=True)
class ClassWeight:
  """The weight of the class loss beside the loss of the scores, for each player."""
  critic: Weight = 1.0
  generator: Weight = 1.0


@dataclasses.dataclass(frozen=True)
class Fields:
  """What the algorithm reads of the config."""
  loss: losses.LossName = 'non_saturating'  # a name in gans/core/losses.py
  class_weight: ClassWeight = ClassWeight()
  penalty: Penalty = Penalty()  # on the gradient of the critic's score; a name in gans/core/penalties.py, or 'none'
  n_critic: Count = 1  # critic updates before each generator update
  z_dim: Size = 64  # size of the noise z


def make_algorithm(config: Fields) -> Algorithm:
  """Makes the game."""
  loss = losses.BY_NAME[config.loss]

  def critic_loss(play, batch, rng):  # minimises -(L_S + L_C)
    z_rng, penalty_rng = jax.random.split(rng)
    x, label = batch['image'], batch['label']
    x_tilde = play.generator(noise(z_rng, len(x), config.z_dim), label)
    real, real_logits = play.critic(x, label)
    fake, fake_logits = play.critic(x_tilde, label)
    class_loss = classification(real_logits, label) + classification(fake_logits, label)
    term, metrics = penalty_term(
        config.penalty, play, lambda x: score(play, x, label), x, x_tilde, penalty_rng)
    value = loss.critic(real, fake) + config.class_weight.critic * class_loss + term
    return value, metrics | {'critic_loss': value, 'critic_class_loss': class_loss,
                             'real_accuracy': accuracy(real_logits, label)}

  def examples(play, batch, rng):
    x, label = batch['image'], batch['label']
    return (lambda x: score(play, x, label)), x, lambda: play.generator(noise(rng, len(x), config.z_dim), label)

  def generator_loss(play, batch, rng):  # minimises L_S - L_C
    label = batch['label']
    x_tilde = play.generator(noise(rng, len(label), config.z_dim), label)
    fake, fake_logits = play.critic(x_tilde, label)
    class_loss = classification(fake_logits, label)
    adversarial_loss = loss.of_generator(fake, lambda: score(play, batch['image'], label))
    value = adversarial_loss + config.class_weight.generator * class_loss
    return value, {'generator_loss': value, 'fake_accuracy': accuracy(fake_logits, label)}

  return Algorithm(
      updates=(
          Update(('critic',), critic_loss, repeats=config.n_critic),
          *lazy_penalty(config.penalty, examples, config.n_critic),
          Update(('generator',), generator_loss),
      ),
      inputs=noise_and_label(config.z_dim))


def score(play, x, label) -> jax.Array:
  """The critic's scores of images x, one batch [B,...] or several, without its class logits."""
  scores, _ = play.critic(x, for_each_batch(label, x))
  return scores


def classification(logits, label):
  """-E[log P(C = label)] of logits [B,K], label [B]."""
  return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, label))


def accuracy(logits, label):
  """Share of logits [B,K] whose largest is at label [B]."""
  return jnp.mean(jnp.argmax(logits, -1) == label)
