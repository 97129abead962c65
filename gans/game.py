"""One turn of each player, up to the scores: the part of Algorithm 1 that all GANs share."""
from collections.abc import Callable
from typing import Any, NamedTuple

from flax import linen as nn
import jax

from gans.sharding import along_batch
from gans.state import GANState


class Turn(NamedTuple):
  """What a player sees in its turn."""
  real: Any  # the critic's output on the real images: scores [B], or what its algorithm makes of them
  fake: Any  # the same on x_tilde
  x_tilde: jax.Array  # [B,...] images of the generator
  score: Callable  # the critic as it stands: images [B,...] -> output, at the batch's labels
  model_states: tuple  # (generator's, critic's) after the forward passes


class Game(NamedTuple):
  """The players (linen modules) and the size of the noise between them."""
  generator: nn.Module
  critic: nn.Module
  z_dim: int

  def critic_turn(self, critic_params, state: GANState, batch, rng) -> Turn:
    """The critic looks at a real batch and at one from the generator as it stands (in training mode)."""
    return self._turn(state.generator.params, critic_params, state, batch, rng)

  def generator_turn(self, generator_params, state: GANState, batch, rng) -> Turn:
    """The generator makes a batch and the critic as it stands looks at it, and at the batch's real images."""
    return self._turn(generator_params, state.critic.params, state, batch, rng)

  def _turn(self, generator_params, critic_params, state, batch, rng) -> Turn:
    z_rng, g_rng, d_rng, real_rng, fake_rng = jax.random.split(rng, 5)
    image, label = batch['image'], batch['label']
    z = along_batch(jax.random.normal(z_rng, (image.shape[0], self.z_dim)))
    x_tilde, generator_state = forward(self.generator, generator_params, state.generator.model_state, z, label, g_rng)

    def look(x, model_state, rng):
      return forward(self.critic, critic_params, model_state, x, label, rng)

    real, critic_state = look(image, state.critic.model_state, real_rng)
    fake, critic_state = look(x_tilde, critic_state, fake_rng)
    return Turn(real, fake, x_tilde, lambda x: look(x, critic_state, d_rng)[0], (generator_state, critic_state))


def forward(module: nn.Module, params, model_state, x, label, rng):
  """Applies a player in training mode -> (output, the model state that this pass leaves)."""
  variables = {'params': params, **model_state}
  return module.apply(variables, x, label, train=True, mutable=list(model_state), rngs={'dropout': rng})
