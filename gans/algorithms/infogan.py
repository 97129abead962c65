"""InfoGAN: Chen et al. 2016, Interpretable Representation Learning by Information Maximizing GANs, equation 6."""
import dataclasses

import jax
import jax.numpy as jnp
import optax

from gans.core import losses
from gans.core.game import Algorithm, Update
from gans.core.sampling import noise, noise_and_label
from gans.networks.layers import as_weights


@dataclasses.dataclass(frozen=True)
class Fields:
  """What the algorithm reads of the config."""
  loss: str = 'non_saturating'  # a name in gans/core/losses.py
  num_codes: int = 10  # values of the categorical code c
  info_weight: float = 1.0  # weight of the mutual information, the paper's lambda
  z_dim: int = 62  # size of the noise z


def make_algorithm(config: Fields) -> Algorithm:
  """Makes the game of a critic against a generator and a recogniser; the label of a sample is its code."""
  loss = losses.BY_NAME[config.loss]

  def draw(play, inputs):
    code = as_weights(inputs['label'], config.num_codes)
    latents = jnp.concatenate([inputs['z'], code], axis=-1)
    return play.generator(latents, inputs['label'])

  def draw_inputs(rng, num: int) -> dict:
    _, code_rng = jax.random.split(rng)  # noise takes the first half
    code = jax.random.randint(code_rng, (num,), 0, config.num_codes)
    return {'z': noise(rng, num, config.z_dim), 'label': code}

  def critic_loss(play, batch, rng):
    x, label = batch['image'], batch['label']
    x_tilde = draw(play, draw_inputs(rng, len(x)))
    value = loss.critic(play.critic(x, label), play.critic(x_tilde, label))
    return value, {'critic_loss': value}

  def generator_loss(play, batch, rng):
    label = batch['label']
    inputs = draw_inputs(rng, len(label))
    x_tilde = draw(play, inputs)
    logits = play.recogniser(x_tilde, label)
    code_loss = jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, inputs['label']))
    value = loss.generator(play.critic(x_tilde, label)) + config.info_weight * code_loss
    information = jnp.log(config.num_codes) - code_loss  # the paper's lower bound L_I, at most log(num_codes)
    return value, {'generator_loss': value, 'mutual_information': information}

  return Algorithm(
      updates=(
          Update(('critic',), critic_loss),
          Update(('generator', 'recogniser'), generator_loss),
      ),
      inputs=noise_and_label(config.z_dim),
      draw=draw,
      classes=config.num_codes)
