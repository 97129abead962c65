"""InfoGAN: Chen et al. 2016, Interpretable Representation Learning by Information Maximizing GANs, equation 6.

A recogniser guesses the code of an image from the critic's features, which it shares (section 6): the critic returns
(scores [B], features [B,F]), `critic.features` in the config. As in the paper's code, the critic's update also trains
the recogniser. With a recogniser that saw the image itself, the code would hide in details which no one sees.
"""
import dataclasses
import functools

import jax
import jax.numpy as jnp
import optax

from gans.core import losses
from gans.core.game import Algorithm, Update
from gans.core.penalties import STREAM, Penalty, lazy_penalty, penalty_term
from gans.core.sampling import noise, noise_and_label
from gans.errors import UserError
from gans.networks.layers import as_weights
from gans.ranges import Several, Size, SizeOrNone, Weight


@dataclasses.dataclass(frozen=True)
class Fields:
  """What the algorithm reads of the config."""
  loss: losses.LossName = 'non_saturating'  # a name in gans/core/losses.py
  penalty: Penalty = Penalty()  # on the critic's gradient; a name in gans/core/penalties.py, or 'none'
  num_codes: Several = 10  # values of the categorical code c
  num_continuous: SizeOrNone = 2  # continuous codes: the first entries of z, which the recogniser guesses too
  info_weight: Weight = 1.0  # weight of the mutual information, the paper's lambda
  continuous_weight: Weight = 0.1  # the same of the continuous codes
  z_dim: Size = 62  # size of the noise z


def make_algorithm(config: Fields) -> Algorithm:
  """Makes the game of a critic against a generator and a recogniser; the label of a sample is its code."""
  loss = losses.BY_NAME[config.loss]
  if config.num_continuous > config.z_dim:
    raise UserError(f'num_continuous={config.num_continuous}: expected at most z_dim={config.z_dim}')

  def draw(play, inputs):
    code = as_weights(inputs['label'], config.num_codes)
    latents = jnp.concatenate([inputs['z'], code], axis=-1)
    return play.generator(latents, None)

  def draw_inputs(rng, num: int) -> dict:
    _, code_rng = jax.random.split(rng)  # noise takes the first half
    code = jax.random.randint(code_rng, (num,), 0, config.num_codes)
    return {'z': noise(rng, num, config.z_dim), 'label': code}

  def judge(play, x_tilde, inputs):
    """Returns the scores of samples, and the losses of what is guessed of their codes: -L_I but for constants."""
    code, continuous = inputs['label'], inputs['z'][:, :config.num_continuous]
    fake, features = play.critic(x_tilde, None)
    guess = play.recogniser(features, None)  # nobody is told the code that is to be guessed
    if guess.shape[-1] != config.num_codes + config.num_continuous:
      raise UserError(f'recogniser.outputs={guess.shape[-1]}: expected num_codes={config.num_codes} and '
                      f'num_continuous={config.num_continuous} together')
    logits, means = jnp.split(guess, [config.num_codes], axis=-1)
    code_loss = jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, code))
    continuous_loss = jnp.mean(jnp.sum((means - continuous)**2, axis=-1)) / 2  # of a Gaussian of variance 1
    return fake, code_loss, continuous_loss

  def weigh(code_loss, continuous_loss):
    return config.info_weight * code_loss + config.continuous_weight * continuous_loss

  def critic_loss(play, batch, rng):
    x = batch['image']
    real, _ = play.critic(x, None)
    inputs = draw_inputs(rng, len(x))
    x_tilde = draw(play, inputs)
    fake, code_loss, continuous_loss = judge(play, x_tilde, inputs)
    term, metrics = penalty_term(config.penalty, play, functools.partial(score, play), x, x_tilde,
                                 jax.random.fold_in(rng, STREAM))
    value = loss.critic(real, fake) + weigh(code_loss, continuous_loss) + term
    return value, metrics | {'critic_loss': value}

  def examples(play, batch, rng):  # of a penalty that is not taken in each step
    x = batch['image']
    return functools.partial(score, play), x, lambda: draw(play, draw_inputs(rng, len(x)))

  def generator_loss(play, batch, rng):
    inputs = draw_inputs(rng, len(batch['image']))
    fake, code_loss, continuous_loss = judge(play, draw(play, inputs), inputs)
    adversarial_loss = loss.of_generator(fake, lambda: score(play, batch['image']))
    value = adversarial_loss + weigh(code_loss, continuous_loss)
    information = jnp.log(config.num_codes) - code_loss  # the paper's lower bound L_I, at most log(num_codes)
    return value, {'generator_loss': value, 'mutual_information': information, 'continuous_error': continuous_loss}

  return Algorithm(
      updates=(
          Update(('critic', 'recogniser'), critic_loss),
          *lazy_penalty(config.penalty, examples),
          Update(('generator',), generator_loss),
      ),
      inputs=noise_and_label(config.z_dim),
      draw=draw,
      classes=config.num_codes)


def score(play, x) -> jax.Array:
  """The critic's scores [B] of images x [B,...], without its features."""
  scores, _ = play.critic(x, None)
  return scores
