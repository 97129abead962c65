"""StarGAN: Choi et al. 2018, StarGAN: Unified GANs for Multi-Domain Image-to-Image Translation, equations 1 to 8.

One generator translates an image into any domain: generator(x, c). A domain is a class of the data set or, where it has
attributes, what an image has of them. The critic scores patches and classifies: critic(x) -> (scores [B,h,w], logits).
"""
import dataclasses

import jax
import jax.numpy as jnp
import optax

from gans.core.game import Algorithm, Update
from gans.core.penalties import gradient_penalty
from gans.ranges import Count, Weight


@dataclasses.dataclass(frozen=True)
class Fields:
  """What the algorithm reads of the config."""
  class_weight: Weight = 1.0  # weight of the domain classification, the paper's lambda_cls
  cycle_weight: Weight = 10.0  # weight of the reconstruction, the paper's lambda_rec
  gp_weight: Weight = 10.0  # weight of the gradient penalty, the paper's lambda_gp
  n_critic: Count = 5  # critic updates before each generator update


def make_algorithm(config: Fields) -> Algorithm:
  """Makes the game of a critic and a generator."""
  def critic_loss(play, batch, rng):  # equations 2, 5 and 8
    target_rng, eps_rng = jax.random.split(rng)
    x, domain = batch['image'], domain_of(batch)
    x_tilde = play.generator(x, shuffle(target_rng, domain))
    real, logits = play.critic(x)
    fake, _ = play.critic(x_tilde)
    estimate = jnp.mean(real) - jnp.mean(fake)
    gp = gradient_penalty(lambda x: score(play, x), x, x_tilde, eps_rng)
    class_loss = classification(logits, domain)
    value = -estimate + config.class_weight * class_loss + config.gp_weight * gp
    return value, {'critic_loss': value, 'wasserstein_estimate': estimate, 'gradient_penalty': gp,
                   'critic_class_loss': class_loss}

  def generator_loss(play, batch, rng):  # equations 3, 4 and 6
    x, domain = batch['image'], domain_of(batch)
    target = shuffle(jax.random.split(rng)[0], domain)
    x_tilde = play.generator(x, target)
    fake, logits = play.critic(x_tilde)
    class_loss = classification(logits, target)
    cycle_loss = jnp.mean(jnp.abs(x - play.generator(x_tilde, domain)))
    value = -jnp.mean(fake) + config.class_weight * class_loss + config.cycle_weight * cycle_loss
    return value, {'generator_loss': value, 'generator_class_loss': class_loss, 'cycle_loss': cycle_loss}

  def inputs(rng, batch):
    del rng
    return {'image': batch['image'], 'label': domain_of(batch)}

  def draw(play, inputs):
    return play.generator(inputs['image'], inputs['label'])

  def reconstruct(play, batch):  # by way of a neighbour's domain
    x, domain = batch['image'], domain_of(batch)
    x_tilde = play.generator(x, jnp.roll(domain, 1, axis=0))
    return play.generator(x_tilde, domain), x

  return Algorithm(
      updates=(
          Update(('critic',), critic_loss, repeats=config.n_critic),
          Update(('generator',), generator_loss),
      ),
      inputs=inputs,
      draw=draw,
      reconstruct=reconstruct)


def domain_of(batch) -> jax.Array:
  """The domains of a batch: labels [B] int32, or attributes [B,K] float32."""
  return batch['attributes'] if 'attributes' in batch else batch['label']


def shuffle(rng, domain):
  """The targets of a batch, the domains of its images in another order, so that they are as frequent as in the data."""
  return jax.random.permutation(rng, domain, axis=0)


def score(play, x) -> jax.Array:
  """The critic's scores [B,h,w] of the patches of images x [B,H,W,C]."""
  scores, _ = play.critic(x)
  return scores


def classification(logits, domain):
  """-E[log P(domain | x)] of logits [B,K]: of labels [B] by softmax; of attributes [B,K] by sigmoids, summed over K."""
  if domain.ndim == 1:
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, domain))
  return jnp.mean(jnp.sum(optax.sigmoid_binary_cross_entropy(logits, domain), axis=-1))
