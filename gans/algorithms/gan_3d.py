"""3D-GAN: Wu et al. 2016, "Learning a Probabilistic Latent Space of Object Shapes", section 3.1.

The adversarial game, in which the critic learns from a batch only if it was not too good at it. The
networks are those of gans/networks/dcgan.py, for voxels.
"""
import dataclasses

import jax.numpy as jnp

from gans.algorithms import adversarial
from gans.core import losses
from gans.core.game import Algorithm, Update
from gans.core.sampling import noise, noise_and_label
from gans.ranges import Share, Size


@dataclasses.dataclass(frozen=True)
class Fields:
  """What the algorithm reads of the config."""
  loss: losses.LossName = 'non_saturating'  # a name in gans/core/losses.py
  max_accuracy: Share = 0.8  # of the critic on a batch, above which it does not learn from it; 1: it always learns
  z_dim: Size = 200  # size of the noise z, of which the paper's is uniform and this one normal


def make_algorithm(config: Fields) -> Algorithm:
  """Makes the game of a critic and a generator."""
  loss = losses.BY_NAME[config.loss]
  game = adversarial.Fields(loss=config.loss, z_dim=config.z_dim)

  def critic_loss(play, batch, rng):
    x, label = batch['image'], batch['label']
    x_tilde = play.generator(noise(rng, len(x), config.z_dim), label)
    real, fake = play.critic(x, label), play.critic(x_tilde, label)
    value = loss.critic(real, fake)
    return value, {'critic_loss': value, 'critic_accuracy': accuracy(real, fake)}

  def is_not_too_good(metrics):
    return metrics['critic_accuracy'] <= config.max_accuracy

  return Algorithm(
      updates=(
          Update(('critic',), critic_loss, gate=is_not_too_good),
          Update(('generator',), adversarial.generator_loss(game)),
      ),
      inputs=noise_and_label(config.z_dim))


def accuracy(real, fake):
  """Share of scores, real [B] and fake [B], on the right side of 0, where sigmoid(score) is 1/2."""
  return (jnp.mean(real > 0) + jnp.mean(fake < 0)) / 2
