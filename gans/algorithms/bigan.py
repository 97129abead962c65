"""BiGAN: Donahue et al. 2017, Adversarial Feature Learning, equations 2 and 3 and Algorithm 1.

An encoder learns to invert the generator, as the critic tells pairs (x, E(x)) from pairs (G(z), z). Dumoulin et al.
2017, Adversarially Learned Inference, is the same game.
"""
import dataclasses

import jax.numpy as jnp

from gans.core import losses
from gans.core.game import Algorithm, Update
from gans.core.sampling import noise, noise_and_label
from gans.errors import UserError
from gans.ranges import Size


@dataclasses.dataclass(frozen=True)
class Fields:
  """What the algorithm reads of the config."""
  loss: losses.LossName = 'non_saturating'  # a name in gans/core/losses.py
  z_dim: Size = 50  # size of the noise z, and of a code E(x)


def make_algorithm(config: Fields) -> Algorithm:
  """Makes the game of a critic of pairs against a generator and an encoder."""
  loss = losses.BY_NAME[config.loss]

  def score_pairs(play, batch, rng):
    x, label = batch['image'], batch['label']
    z = noise(rng, len(x), config.z_dim)
    code = play.encoder(x, label)
    if code.shape != z.shape:
      raise UserError(f'encoder.outputs: a code has the shape {code.shape[1:]}; expected {z.shape[1:]}, of z_dim')
    real = play.critic(x, code)
    fake = play.critic(play.generator(z, label), z)
    return real, fake

  def critic_loss(play, batch, rng):
    real, fake = score_pairs(play, batch, rng)
    value = loss.critic(real, fake)
    return value, {'critic_loss': value, 'real_score': jnp.mean(real), 'fake_score': jnp.mean(fake)}

  def generator_loss(play, batch, rng):  # section 3.4: the critic's objective with swapped labels
    real, fake = score_pairs(play, batch, rng)
    value = loss.critic(fake, real)
    return value, {'generator_loss': value}

  def reconstruct(play, batch):
    x, label = batch['image'], batch['label']
    return play.generator(play.encoder(x, label), label), x

  return Algorithm(
      updates=(
          Update(('critic',), critic_loss),
          Update(('generator', 'encoder'), generator_loss),
      ),
      inputs=noise_and_label(config.z_dim),
      averaged=('generator', 'encoder'),
      reconstruct=reconstruct)
