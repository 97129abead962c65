"""WGAN with weight clipping: Arjovsky et al. 2017, Wasserstein GAN, Algorithm 1."""
import optax

from gans import losses
from gans.algorithms import adversarial
from gans.game import Game
from gans.train_step import Algorithm


def make_algorithm(config, generator, critic) -> Algorithm:
  """Takes z_dim and clip (the paper's c) of the config; n_critic and RMSProp are the train step's."""
  game = Game(generator, critic, config.z_dim)
  return Algorithm(
      critic_loss=adversarial.critic_loss(game, losses.wasserstein),  # lines 3 to 6
      project_critic=lambda w: optax.projections.projection_linf_ball(w, config.clip),  # line 7: clip(w, -c, c)
      generator_loss=adversarial.generator_loss(game, losses.wasserstein))  # lines 9 to 11
