"""WGAN with weight clipping: Arjovsky et al. 2017, Wasserstein GAN, Algorithm 1."""
import dataclasses

import optax

from gans.algorithms import adversarial
from gans.core.game import Algorithm, Update
from gans.core.sampling import noise_and_label
from gans.ranges import Count, Positive, Size


@dataclasses.dataclass(frozen=True)
class Fields:
  """What the algorithm reads of the config."""
  clip: Positive = 0.01  # the critic's weights stay within +-clip, the paper's c
  n_critic: Count = 5  # critic updates before each generator update
  z_dim: Size = 64  # size of the noise z


def make_algorithm(config: Fields) -> Algorithm:
  """Makes the game; RMSProp is the config's."""
  game = adversarial.Fields(loss='wasserstein', z_dim=config.z_dim)
  critic_loss = adversarial.critic_loss(game)  # lines 3 to 6
  generator_loss = adversarial.generator_loss(game)  # lines 9 to 11

  def clip(weights):  # line 7
    return optax.projections.projection_linf_ball(weights, config.clip)

  return Algorithm(
      updates=(
          Update(('critic',), critic_loss, repeats=config.n_critic, project=clip),
          Update(('generator',), generator_loss),
      ),
      inputs=noise_and_label(config.z_dim))
