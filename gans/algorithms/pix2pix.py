"""pix2pix: Isola et al. 2017, Image-to-Image Translation with Conditional Adversarial Networks, equations 1, 3 and 4.

The generator translates images of the first class, a, into those of the second, b, which it learns from pairs. The
critic scores the patches of a pair: critic(a, b) -> [B,h,w].
"""
from collections.abc import Callable
import dataclasses

import jax.numpy as jnp

from gans.algorithms.adversarial import for_each_batch
from gans.core import losses
from gans.core.game import Algorithm, Update
from gans.core.penalties import Penalty, lazy_penalty, penalty_term
from gans.ranges import Weight


@dataclasses.dataclass(frozen=True)
class Fields:
  """What the algorithm reads of the config."""
  loss: losses.LossName = 'non_saturating'  # a name in gans/core/losses.py
  penalty: Penalty = Penalty()  # on the critic's gradient at b; a name in gans/core/penalties.py, or 'none'
  l1_weight: Weight = 100.0  # weight of the difference from the pair's own b, the paper's lambda


def make_algorithm(config: Fields) -> Algorithm:
  """Makes the game of a critic and a generator, whose noise is its dropout alone."""
  loss = losses.BY_NAME[config.loss]

  def critic_loss(play, batch, rng):
    a, b = batch['a'], batch['b']
    b_tilde = play.generator(a)
    real, fake = play.critic(a, b), play.critic(a, b_tilde)
    term, metrics = penalty_term(config.penalty, play, score_of(play, a), b, b_tilde, rng)
    value = loss.critic(real, fake) / 2 + term  # which slows the critic down, section 3.3
    return value, metrics | {'critic_loss': value, 'real_score': jnp.mean(real), 'fake_score': jnp.mean(fake)}

  def examples(play, batch, rng):  # of a penalty that is not taken in each step
    del rng
    a, b = batch['a'], batch['b']
    return score_of(play, a), b, lambda: play.generator(a)

  def generator_loss(play, batch, rng):
    del rng
    a, b = batch['a'], batch['b']
    b_tilde = play.generator(a)
    l1 = jnp.mean(jnp.abs(b - b_tilde))
    adversarial_loss = loss.of_generator(play.critic(a, b_tilde), lambda: play.critic(a, b))
    value = adversarial_loss + config.l1_weight * l1
    return value, {'generator_loss': value, 'l1': l1}

  def inputs(rng, batch):
    del rng
    return {'image': batch['image']}

  def draw(play, inputs):
    return play.generator(inputs['image'])

  return Algorithm(
      updates=(
          Update(('critic',), critic_loss),
          *lazy_penalty(config.penalty, examples),
          Update(('generator',), generator_loss),
      ),
      inputs=inputs,
      draw=draw,
      data='pairs')


def score_of(play, a) -> Callable:
  """Returns the critic's scores [M*B,h,w] as a function of one batch or several of images b, beside a [B,H,W,C]."""
  return lambda b: play.critic(for_each_batch(a, b), b)
