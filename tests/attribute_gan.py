"""An algorithm of one's own: images from noise and attributes, an input that it calls by the batch's name for them."""
import dataclasses

import jax.numpy as jnp

from gans.core.game import Algorithm, Update
from gans.core.sampling import noise
from gans.ranges import Size


@dataclasses.dataclass(frozen=True)
class Fields:
  """What the algorithm reads of the config."""
  z_dim: Size = 4


def make_algorithm(config: Fields) -> Algorithm:
  """Makes a game in which the critic and the generator want the opposite."""
  def draw(play, inputs):
    return play.generator(inputs['z'], inputs['attributes'])

  def inputs(rng, batch):
    return {'z': noise(rng, len(batch['attributes']), config.z_dim), 'attributes': batch['attributes']}

  def score_samples(play, batch, rng):
    return jnp.mean(play.critic(draw(play, inputs(rng, batch)), batch['attributes']))

  def critic_loss(play, batch, rng):
    value = score_samples(play, batch, rng) - jnp.mean(play.critic(batch['image'], batch['attributes']))
    return value, {'critic_loss': value}

  def generator_loss(play, batch, rng):
    value = -score_samples(play, batch, rng)
    return value, {'generator_loss': value}

  return Algorithm((Update(('critic',), critic_loss), Update(('generator',), generator_loss)), inputs=inputs, draw=draw)
