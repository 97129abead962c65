"""BiGAN: Donahue et al. 2017, Adversarial Feature Learning, equations 2 and 3 and Algorithm 1.

An encoder learns to invert the generator, as the critic tells pairs (x, E(x)) from pairs (G(z), z). Dumoulin et al.
2017, Adversarially Learned Inference, is the same game.
"""
from collections.abc import Callable
import dataclasses
import math

import jax
import jax.numpy as jnp

from gans.core import losses
from gans.core.game import Algorithm, Update
from gans.core.penalties import STREAM, Penalty, lazy_penalty, penalty_term
from gans.core.sampling import noise, noise_and_label
from gans.errors import UserError
from gans.ranges import Size


@dataclasses.dataclass(frozen=True)
class Fields:
  """What the algorithm reads of the config."""
  loss: losses.LossName = 'non_saturating'  # a name in gans/core/losses.py
  penalty: Penalty = Penalty()  # on the critic's gradient at the pair; a name in gans/core/penalties.py, or 'none'
  z_dim: Size = 50  # size of the noise z, and of a code E(x)


def make_algorithm(config: Fields) -> Algorithm:
  """Makes the game of a critic of pairs against a generator and an encoder."""
  loss = losses.BY_NAME[config.loss]

  def make_pairs(play, batch, rng):
    x, label = batch['image'], batch['label']
    z = noise(rng, len(x), config.z_dim)
    code = play.encoder(x, label)
    if code.shape != z.shape:
      raise UserError(f'encoder.outputs: a code has the shape {code.shape[1:]}; expected {z.shape[1:]}, of z_dim')
    return (x, code), (play.generator(z, label), z)

  def critic_loss(play, batch, rng):
    of_real, of_noise = make_pairs(play, batch, rng)
    real, fake = play.critic(*of_real), play.critic(*of_noise)
    term, metrics = penalty_term(config.penalty, play, score_of(play, batch['image'].shape), join(*of_real),
                                 join(*of_noise), jax.random.fold_in(rng, STREAM))
    value = loss.critic(real, fake) + term
    return value, metrics | {'critic_loss': value, 'real_score': jnp.mean(real), 'fake_score': jnp.mean(fake)}

  def examples(play, batch, rng):  # of a penalty that is not taken in each step
    of_real, of_noise = make_pairs(play, batch, rng)
    return score_of(play, batch['image'].shape), join(*of_real), lambda: join(*of_noise)

  def generator_loss(play, batch, rng):  # section 3.4: the critic's objective with swapped labels, whatever the loss
    of_real, of_noise = make_pairs(play, batch, rng)
    value = loss.critic(play.critic(*of_noise), play.critic(*of_real))
    return value, {'generator_loss': value}

  def reconstruct(play, batch):
    x, label = batch['image'], batch['label']
    return play.generator(play.encoder(x, label), label), x

  return Algorithm(
      updates=(
          Update(('critic',), critic_loss),
          *lazy_penalty(config.penalty, examples),
          Update(('generator', 'encoder'), generator_loss),
      ),
      inputs=noise_and_label(config.z_dim),
      averaged=('generator', 'encoder'),
      reconstruct=reconstruct)


def join(x, z):
  """Joins images [B,...] and codes [B,Z] into one array [B,D+Z], for penalties on both."""
  return jnp.concatenate([x.reshape(len(x), -1), z], axis=-1)


def score_of(play, shape: tuple[int, ...]) -> Callable:
  """Returns the critic's scores as a function of pairs that `join` made of images of this shape, [B,...]."""
  size = math.prod(shape[1:])
  return lambda pairs: play.critic(pairs[:, :size].reshape(-1, *shape[1:]), pairs[:, size:])
