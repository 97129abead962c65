"""AC-GAN: Odena et al. 2017, Conditional Image Synthesis with Auxiliary Classifier GANs, equations 2 and 3.

The critic also classifies: it returns (score [B], class logits [B,K]), `critic.classify` in the config. Both players
want both their batches put into the right class. Any loss of scores and a gradient penalty go with it.
"""
import jax
import jax.numpy as jnp
import optax

from gans import losses, penalties
from gans.game import Game
from gans.train_step import Algorithm


def make_algorithm(config, generator, critic) -> Algorithm:
  """Takes loss, gp_weight, z_dim and class_weight.{critic, generator} of the config."""
  game, loss = Game(generator, critic, config.z_dim), losses.BY_NAME[config.loss]

  def critic_loss(critic_params, state, batch, rng):  # minimises L_S's loss plus L_C's
    turn_rng, eps_rng = jax.random.split(rng)
    turn = game.critic_turn(critic_params, state, batch, turn_rng)
    (real, real_logits), (fake, fake_logits) = turn.real, turn.fake
    penalty, metrics = penalties.weighted(
        config.gp_weight, lambda x: turn.score(x)[0], batch['image'], turn.x_tilde, eps_rng)
    class_loss = classification(real_logits, batch['label']) + classification(fake_logits, batch['label'])
    value = loss.critic(real, fake) + config.class_weight.critic * class_loss + penalty
    metrics |= {'critic_loss': value, 'critic_class_loss': class_loss, 'real_accuracy': accuracy(
        real_logits, batch['label'])}
    return value, (turn.model_states, metrics)

  def generator_loss(generator_params, state, batch, rng):
    turn = game.generator_turn(generator_params, state, batch, rng)
    (real, _), (fake, fake_logits) = turn.real, turn.fake
    class_loss = classification(fake_logits, batch['label'])
    value = loss.generator(real, fake) + config.class_weight.generator * class_loss
    metrics = {'generator_loss': value, 'fake_accuracy': accuracy(fake_logits, batch['label'])}
    return value, (turn.model_states, metrics)

  return Algorithm(critic_loss, generator_loss)


def classification(logits, label):
  """-E[log P(C = label)] of logits [B,K], label [B]."""
  return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, label))


def accuracy(logits, label):
  """Share of logits [B,K] whose largest is at label [B]."""
  return jnp.mean(jnp.argmax(logits, -1) == label)
