"""The adversarial game with any loss of scores: Goodfellow et al. 2014, Generative Adversarial Nets, Algorithm 1.

The fully connected GAN, DCGAN and the conditional GAN are configs of this. `config.loss` is a name in losses.BY_NAME; a
`gp_weight` above 0 adds a gradient penalty to the critic's loss.
"""
import jax
import jax.numpy as jnp

from gans import losses, penalties
from gans.game import Game
from gans.train_step import Algorithm


def make_algorithm(config, generator, critic) -> Algorithm:
  """Takes loss, gp_weight and z_dim of the config."""
  game, loss = Game(generator, critic, config.z_dim), losses.BY_NAME[config.loss]
  return Algorithm(critic_loss(game, loss, config.gp_weight), generator_loss(game, loss))


def critic_loss(game: Game, loss: losses.Loss, gp_weight: float = 0.0):
  """Returns the critic's half of an `Algorithm`."""
  def critic_loss(critic_params, state, batch, rng):
    turn_rng, eps_rng = jax.random.split(rng)
    turn = game.critic_turn(critic_params, state, batch, turn_rng)
    penalty, metrics = penalties.weighted(gp_weight, turn.score, batch['image'], turn.x_tilde, eps_rng)
    value = loss.critic(turn.real, turn.fake) + penalty
    metrics |= {'critic_loss': value, 'real_score': jnp.mean(turn.real), 'fake_score': jnp.mean(turn.fake)}
    return value, (turn.model_states, metrics)

  return critic_loss


def generator_loss(game: Game, loss: losses.Loss):
  """Returns the generator's half of an `Algorithm`."""
  def generator_loss(generator_params, state, batch, rng):
    turn = game.generator_turn(generator_params, state, batch, rng)
    value = loss.generator(turn.real, turn.fake)
    return value, (turn.model_states, {'generator_loss': value})

  return generator_loss
