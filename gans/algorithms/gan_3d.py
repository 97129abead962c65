"""3D-GAN: Wu et al. 2016, "Learning a Probabilistic Latent Space of Object Shapes", section 3.1.

The adversarial game, in which the critic learns from a batch only if it was not too good at it. The
networks are those of gans/networks/dcgan.py, for voxels.
"""
import dataclasses

import jax
import jax.numpy as jnp

from gans.algorithms import adversarial
from gans.core import losses
from gans.core.game import Algorithm, Update, always
from gans.core.penalties import STREAM, Penalty, lazy_penalty, penalty_term
from gans.core.sampling import noise, noise_and_label
from gans.errors import UserError
from gans.ranges import Share, Size


@dataclasses.dataclass(frozen=True)
class Fields:
  """What the algorithm reads of the config."""
  loss: losses.LossName = 'non_saturating'  # a name in gans/core/losses.py
  penalty: Penalty = Penalty()  # on the critic's gradient; a name in gans/core/penalties.py, or 'none'
  max_accuracy: Share = 0.8  # of the critic on a batch, above which it does not learn from it; 1: it always learns
  z_dim: Size = 200  # size of the noise z, of which the paper's is uniform and this one normal


def make_algorithm(config: Fields) -> Algorithm:
  """Makes the game of a critic and a generator.

  Raises:
    UserError: the critic is to be held back by its accuracy, and the loss has no score by which it is right or wrong,
      or a penalty is an update of its own, which would not be held back.
  """
  loss, has_gate = losses.BY_NAME[config.loss], config.max_accuracy < 1
  if has_gate and loss.undecided is None:
    raise UserError(f'max_accuracy={config.max_accuracy}: of loss={config.loss!r} no score by itself says that an '
                    'image is real, so the critic has no accuracy; expected 1.0')
  if has_gate and config.penalty.name != 'none' and config.penalty.every > 1:
    raise UserError(f'penalty.every={config.penalty.every}: with max_accuracy={config.max_accuracy} the critic leaves '
                    'updates out, for which a penalty in an update of its own would stand too; expected 1, or '
                    'max_accuracy=1.0')
  game = adversarial.Fields(loss=config.loss, penalty=config.penalty, z_dim=config.z_dim)

  def critic_loss(play, batch, rng):
    this_round, x = adversarial.Round(game, play, batch['label']), batch['image']
    x_tilde = this_round.generate(noise(rng, len(x), config.z_dim))
    real, fake = this_round.score(x), this_round.score(x_tilde)
    term, metrics = penalty_term(config.penalty, play, this_round.score, x, x_tilde, jax.random.fold_in(rng, STREAM))
    value = loss.critic(real, fake) + term
    if loss.undecided is not None:
      metrics['critic_accuracy'] = accuracy(real, fake, loss.undecided)
    return value, metrics | {'critic_loss': value}

  def is_not_too_good(metrics):
    return metrics['critic_accuracy'] <= config.max_accuracy

  return Algorithm(
      updates=(
          Update(('critic',), critic_loss, gate=is_not_too_good if has_gate else always),
          *lazy_penalty(config.penalty, adversarial.penalized(game)),
          Update(('generator',), adversarial.generator_loss(game)),
      ),
      inputs=noise_and_label(config.z_dim))


def accuracy(real, fake, undecided: float):
  """Share of scores, real [B] and fake [B], on the right side of the one at which the critic is undecided."""
  return (jnp.mean(real > undecided) + jnp.mean(fake < undecided)) / 2
