"""The gradient of a large batch in the memory of a part of it: the mean of its slices' gradients, one at a time."""
from collections.abc import Callable
import functools

import jax
from jax.extend.random import define_prng_impl
import jax.numpy as jnp
from optax.microbatching import AccumulationType, microbatch


def mean_gradient(loss: Callable, num_slices: int) -> Callable:
  """Returns gradient(params, state, batch, rng) -> (gradients, aux) of loss(params, state, batch, rng) -> scalar, aux.

  Gradients, model states and metrics are the means of those of `num_slices` slices of the batch, taken one after the
  other from the same state. Slice i has the examples i, i + num_slices, ... so that a batch which is cut along devices
  stays where it is, and each example has the noise that it has in the whole batch. So a loss that is a mean over
  examples has the same gradient, up to rounding. What compares examples with each other, as batch norm's statistics and
  top_k do, does so within a slice, as within each GPU where they are not synchronised.
  """
  gradient = jax.grad(loss, has_aux=True)
  if num_slices == 1:
    return gradient

  def of_slice(params, state, batch, places, rng):
    return gradient(params, state, batch, slice_key(rng, places[0], num_slices))

  def of_batch(params, state, batch, rng):
    size = len(jax.tree.leaves(batch)[0])
    in_turn = microbatch(of_slice, (2, 3), size // num_slices, AccumulationType.MEAN)
    return in_turn(params, state, batch, jnp.arange(size), rng)

  return of_batch


def slice_key(rng, i, num_slices: int):
  """Returns a key that draws slice i of what `rng` [2] uint32 draws; the batch is the first axis of every draw.

  As this is a type of key, nothing that draws needs to know: a game's noise, a penalty's eps, a network's dropout.
  """
  return jax.random.wrap_key_data(jnp.append(rng, jnp.uint32(i)), impl=_slice_keys(num_slices))


@functools.cache
def _slice_keys(num_slices: int):
  """Makes the type of keys [key, i]: JAX's own, and the slice that it draws for."""
  def derive(key, keys):
    return jnp.concatenate([keys, jnp.broadcast_to(key[2:], (*keys.shape[:-1], 1))], axis=-1)

  def random_bits(key, bit_width: int, shape: tuple[int, ...]):
    dtype = f'uint{bit_width}'
    if not shape:
      return jax.random.bits(key[:2], shape, dtype)
    whole = jax.random.bits(key[:2], (num_slices * shape[0], *shape[1:]), dtype)
    return whole.reshape(shape[0], num_slices, *shape[1:])[:, key[2]]

  return define_prng_impl(
      key_shape=(3,), name=f'slice_of_{num_slices}', tag=f'slice{num_slices}', random_bits=random_bits,
      seed=lambda seed: jnp.append(jax.random.PRNGKey(seed), jnp.uint32(0)),
      split=lambda key, shape: derive(key, jax.random.split(key[:2], shape)),
      fold_in=lambda key, data: derive(key, jax.random.fold_in(key[:2], data)))
