"""WGAN with gradient penalty: Gulrajani et al. 2017, Improved Training of Wasserstein GANs, Algorithm 1."""
import dataclasses

import jax
import jax.numpy as jnp

from gans.core.game import Algorithm, Update
from gans.core.penalties import gradient_penalty
from gans.core.sampling import noise, noise_and_label
from gans.ranges import Count, Size, Weight


@dataclasses.dataclass(frozen=True)
class Fields:
  """What the algorithm reads of the config."""
  gp_weight: Weight = 10.0  # weight of the gradient penalty, the paper's lambda
  n_critic: Count = 5  # critic updates before each generator update
  z_dim: Size = 64  # size of the noise z


def make_algorithm(config: Fields) -> Algorithm:
  """Makes the game; Adam is the config's."""
  def critic_loss(play, batch, rng):  # lines 4 to 8, all m examples at once
    z_rng, eps_rng = jax.random.split(rng)
    x, label = batch['image'], batch['label']
    x_tilde = play.generator(noise(z_rng, len(x), config.z_dim), label)
    estimate = jnp.mean(play.critic(x, label)) - jnp.mean(play.critic(x_tilde, label))
    gp = gradient_penalty(lambda x: play.critic(x, label), x, x_tilde, eps_rng)
    loss = -estimate + config.gp_weight * gp
    return loss, {'critic_loss': loss, 'gradient_penalty': gp, 'wasserstein_estimate': estimate}

  def generator_loss(play, batch, rng):  # lines 11 and 12
    label = batch['label']
    x_tilde = play.generator(noise(rng, len(label), config.z_dim), label)
    loss = -jnp.mean(play.critic(x_tilde, label))
    return loss, {'generator_loss': loss}

  return Algorithm(
      updates=(
          Update(('critic',), critic_loss, repeats=config.n_critic),
          Update(('generator',), generator_loss),
      ),
      inputs=noise_and_label(config.z_dim))
