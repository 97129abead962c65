"""CycleGAN: Zhu et al. 2017, Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks.

Two generators translate between the two classes of a data set, a and b, of which there are no pairs. A critic of each
class judges what comes out, and the way back must lead home: generator_ba(generator_ab(a)) should be a. Sections 3, 4.
"""
import dataclasses

from flax import linen as nn
import jax
from jax import lax
import jax.numpy as jnp

from gans.core.game import Algorithm, Update
from gans.core.losses import least_squares_critic
from gans.core.penalties import Penalty, lazy_penalty, penalty_term
from gans.networks.layers import as_weights
from gans.ranges import SizeOrNone, Weight


@dataclasses.dataclass(frozen=True)
class Fields:
  """What the algorithm reads of the config."""
  penalty: Penalty = Penalty()  # on each critic's gradient; a name in gans/core/penalties.py, or 'none'
  cycle_weight: Weight = 10.0  # weight of the way there and back, the paper's lambda
  identity_weight: Weight = 5.0  # weight of leaving an image of the target as it is, section 5.2; 0: it need not
  pool_size: SizeOrNone = 50  # earlier translations of each kind that the critics learn from; 0: only the present ones


class ImagePool(nn.Module):
  """images [B,...] -> as many, of which some are earlier ones (Shrivastava et al. 2017, section 2.3).

  Once `size` images are kept, an image is exchanged for a kept one, at random, every second time, and passes otherwise.
  """
  size: int

  @nn.compact
  def __call__(self, images, *, train):
    kept = self.variable('memory', 'images', jnp.zeros, (self.size, *images.shape[1:]))
    count = self.variable('memory', 'count', jnp.zeros, (), jnp.int32)
    if not train or self.is_initializing():
      return images
    rngs = jax.random.split(self.make_rng('pool'), len(images))
    (kept.value, count.value), images = lax.scan(exchange, (kept.value, count.value), (images, rngs))
    return images


def exchange(pool: tuple, image_and_rng: tuple):
  """Offers one image to a pool ([P,...] images, number of those that are kept); returns the pool and an image."""
  kept, count = pool
  image, rng = image_and_rng
  place_rng, coin_rng = jax.random.split(rng)
  size = len(kept)
  is_full = count == size
  place = jnp.where(is_full, jax.random.randint(place_rng, (), 0, size), count)
  earlier = kept[place]
  is_exchanged = is_full & jax.random.bernoulli(coin_rng)
  is_kept = is_exchanged | ~is_full
  kept = kept.at[place].set(jnp.where(is_kept, image, earlier))
  return (kept, jnp.minimum(count + 1, size)), jnp.where(is_exchanged, earlier, image)


def make_algorithm(config: Fields) -> Algorithm:
  """Makes the game of two critics against two generators; the target of a sample is the class 0, a, or 1, b."""
  def generator_loss(play, batch, rng):
    del rng
    a, b = batch['a'], batch['b']
    b_tilde, a_tilde = play.generator_ab(a), play.generator_ba(b)
    adversarial = least_squares(play.critic_b(b_tilde)) + least_squares(play.critic_a(a_tilde))
    cycle = distance(a, play.generator_ba(b_tilde)) + distance(b, play.generator_ab(a_tilde))
    value = adversarial + config.cycle_weight * cycle
    metrics = {'adversarial_loss': adversarial, 'cycle_loss': cycle}
    if config.identity_weight:
      metrics['identity_loss'] = distance(a, play.generator_ba(a)) + distance(b, play.generator_ab(b))
      value += config.identity_weight * metrics['identity_loss']
    return value, metrics | {'generator_loss': value}

  def critic_loss(play, batch, rng):
    a_rng, b_rng = jax.random.split(rng)
    a, b = batch['a'], batch['b']
    b_tilde, a_tilde = play.generator_ab(a), play.generator_ba(b)
    if config.pool_size:
      b_tilde, a_tilde = play.pool_b(b_tilde), play.pool_a(a_tilde)
    loss_a = least_squares_critic(play.critic_a(a), play.critic_a(a_tilde))
    loss_b = least_squares_critic(play.critic_b(b), play.critic_b(b_tilde))
    term_a, metrics_a = penalty_term(config.penalty, play, play.critic_a, a, a_tilde, a_rng, 'critic_a')
    term_b, metrics_b = penalty_term(config.penalty, play, play.critic_b, b, b_tilde, b_rng, 'critic_b')
    metrics = metrics_a | metrics_b | {'critic_a_loss': loss_a, 'critic_b_loss': loss_b}
    return loss_a + loss_b + term_a + term_b, metrics

  def examples_a(play, batch, rng):  # of a penalty that is not taken in each step
    del rng
    return play.critic_a, batch['a'], lambda: play.generator_ba(batch['b'])

  def examples_b(play, batch, rng):
    del rng
    return play.critic_b, batch['b'], lambda: play.generator_ab(batch['a'])

  def inputs(rng, batch):
    del rng
    return {'image': batch['image'], 'label': batch['label']}

  def draw(play, inputs):
    image = inputs['image']
    weights = as_weights(inputs['label'], 2)
    to_a, to_b = jnp.expand_dims(weights.T, range(2, 1 + image.ndim))
    return to_a * play.generator_ba(image) + to_b * play.generator_ab(image)

  def reconstruct(play, batch):
    a, b = batch['a'], batch['b']
    cycles = play.generator_ba(play.generator_ab(a)), play.generator_ab(play.generator_ba(b))
    return jnp.concatenate(cycles), jnp.concatenate([a, b])

  pools = {}
  if config.pool_size:
    pools = {'pool_a': ImagePool(config.pool_size), 'pool_b': ImagePool(config.pool_size)}
  return Algorithm(
      updates=(
          Update(('generator_ab', 'generator_ba'), generator_loss),
          Update(('critic_a', 'critic_b'), critic_loss),
          *lazy_penalty(config.penalty, examples_a, critic='critic_a'),
          *lazy_penalty(config.penalty, examples_b, critic='critic_b'),
      ),
      inputs=inputs,
      draw=draw,
      data='domains',
      averaged=('generator_ab', 'generator_ba'),
      memories=pools,
      reconstruct=reconstruct)


def least_squares(fake):
  """E[(D(fake) - 1)^2], the generators' side of the game (section 4); the critics' alone is halved (section 7.1)."""
  return jnp.mean((fake - 1)**2)


def distance(x, y):
  """E[|x - y|], the mean absolute difference of images."""
  return jnp.mean(jnp.abs(x - y))
