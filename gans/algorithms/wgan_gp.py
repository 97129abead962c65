"""WGAN with gradient penalty: Gulrajani et al. 2017, Improved Training of Wasserstein GANs, Algorithm 1."""
import jax

from gans import losses, penalties
from gans.algorithms import adversarial
from gans.game import Game
from gans.train_step import Algorithm


def make_algorithm(config, generator, critic) -> Algorithm:
  """Takes z_dim and gp_weight (the paper's lambda) of the config; n_critic and Adam are the train step's."""
  game = Game(generator, critic, config.z_dim)

  def critic_loss(critic_params, state, batch, rng):  # lines 4 to 8, all m examples at once
    turn_rng, eps_rng = jax.random.split(rng)
    turn = game.critic_turn(critic_params, state, batch, turn_rng)
    gp = penalties.gradient_penalty(turn.score, batch['image'], turn.x_tilde, eps_rng)
    estimate = -losses.wasserstein_critic(turn.real, turn.fake)
    loss = -estimate + config.gp_weight * gp
    metrics = {'critic_loss': loss, 'gradient_penalty': gp, 'wasserstein_estimate': estimate}
    return loss, (turn.model_states, metrics)

  return Algorithm(critic_loss, adversarial.generator_loss(game, losses.wasserstein))  # lines 11 and 12
