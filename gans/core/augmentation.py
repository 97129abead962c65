"""Differentiable augmentation: Zhao et al. 2020, Differentiable Augmentation for Data-Efficient GAN Training.

A critic with it sees all images, real and generated, through the same random changes, in its own update as in the
generator's, which learns through them; so it cannot memorise a small data set, and the generator does not
learn the changes themselves. A penalty takes the gradient at the images as they were before.
"""
from collections.abc import Callable
import functools
from typing import Annotated

from flax import linen as nn
import jax
import jax.numpy as jnp

from gans.errors import UserError
from gans.ranges import Each, OneOf

MOST_SHIFT = 1 / 8  # of a side
CUT = 1 / 2  # of a side


def of_each(rng, x, low: float, high: float):
  """Draws a number from U(low, high) for each example of x [B,...]: [B,1,...,1]."""
  return jax.random.uniform(rng, (len(x), *(1,) * (x.ndim - 1)), x.dtype, low, high)


def brighten(rng, x):
  """Adds U(-1/2, 1/2) to each image of x [B,*positions,C]."""
  return x + of_each(rng, x, -0.5, 0.5)


def saturate(rng, x):
  """Scales each pixel's distance from the mean of its channels by U(0, 2) of the image; grey images stay."""
  mean = jnp.mean(x, axis=-1, keepdims=True)
  return (x - mean) * of_each(rng, x, 0, 2) + mean


def contrast(rng, x):
  """Scales the distance from the image's mean by U(1/2, 3/2) of the image."""
  mean = jnp.mean(x, axis=range(1, x.ndim), keepdims=True)
  return (x - mean) * of_each(rng, x, 0.5, 1.5) + mean


def translate(rng, x):
  """Shifts each image by up to an eighth of its sides, in whole pixels; what comes in is 0."""
  for axis, axis_rng in enumerate(jax.random.split(rng, x.ndim - 2), start=1):
    side = x.shape[axis]
    most = round_half_up(side * MOST_SHIFT)
    shift = jax.random.randint(axis_rng, (len(x), 1, 1), -most, most + 1)
    to, of = jnp.arange(side)[:, None], jnp.arange(side)
    places = (to - shift == of).astype(x.dtype)  # [B,side,side]: a product, which is as fast backwards
    x = jnp.moveaxis(jnp.einsum('bij,b...j->b...i', places, jnp.moveaxis(x, axis, -1)), -1, axis)
  return x


def cut_out(rng, x):
  """Sets a square of half the sides, whose centre may be anywhere in the image, to 0."""
  inside = jnp.ones((len(x), *(1,) * (x.ndim - 1)), bool)
  for axis, axis_rng in enumerate(jax.random.split(rng, x.ndim - 2), start=1):
    side = x.shape[axis]
    cut = round_half_up(side * CUT)
    first = jax.random.randint(axis_rng, (len(x),), 0, side + (1 - cut % 2)) - cut // 2
    places = jnp.arange(side) - first[:, None]  # [B,side], from the first pixel of the square
    shape = [len(x), *(1,) * (x.ndim - 1)]
    shape[axis] = side
    inside &= ((places >= 0) & (places < cut)).reshape(shape)
  return jnp.where(inside, 0, x)


def mirror(rng, x):
  """Swaps left and right of each image or voxel model with a probability of 1/2."""
  return jnp.where(of_each(rng, x, 0, 1) < 0.5, jnp.flip(x, 1 + left_to_right(x.ndim - 2)), x)


def left_to_right(rank: int) -> int:
  """Returns which position of an image [H,W] or of voxels [X,Y,Z], counted from 0, runs from left to right."""
  return 1 if rank == 2 else 0


def on_colors(change: Callable, x):
  """Returns change(x) of images [B,*positions,C]; of four channels the last is alpha, and stays."""
  if x.shape[-1] != 4:
    return change(x)
  return jnp.concatenate([change(x[..., :3]), x[..., 3:]], axis=-1)


def round_half_up(number: float) -> int:
  """Rounds a number of pixels, as the authors do."""
  return int(number + 0.5)


POLICIES: dict[str, tuple[Callable, ...]] = {
    'color': (brighten, saturate, contrast), 'translation': (translate,), 'cutout': (cut_out,), 'flip': (mirror,)}
PolicyNames = Annotated[tuple[str, ...], Each(OneOf(tuple(POLICIES)))]


def augment(x, rng, policy: tuple[str, ...]):
  """Changes each image of x [B,*positions,C] at random, in the order of the policy's names.

  Raises:
    UserError: x [B,C] are points.
  """
  if policy and x.ndim == 2:
    raise UserError(f'augment or regularizers.changes={policy}: it changes images and voxels, and the data are points; '
                    'expected augment=(), and no weight of regularizers.real_consistency or fake_consistency')
  changes = [(change, name == 'color') for name in policy for change in POLICIES[name]]
  for (change, is_of_color), change_rng in zip(changes, jax.random.split(rng, max(1, len(changes)))):
    changed = functools.partial(change, change_rng)
    x = on_colors(changed, x) if is_of_color else changed(x)
  return x


class Augmented(nn.Module):
  """A critic that sees augmented images in training; its variables are those of the critic.

  Of several images, as pix2pix has, those of one example are changed alike. What is no image, such as a label or a
  code, passes.
  """
  critic: nn.Module
  policy: tuple[str, ...]

  def setup(self):
    nn.share_scope(self, self.critic)

  def __call__(self, *inputs, train):
    if train and not self.is_initializing():
      inputs = augment_together(inputs, self.make_rng('augment'), self.policy)
    return self.critic(*inputs, train=train)


def augment_together(inputs: tuple, rng, policy: tuple[str, ...]) -> tuple:
  """Augments the images among a critic's inputs, all of an example's alike.

  Raises:
    UserError: none of the inputs is an image.
  """
  def is_image(x) -> bool:
    return x is not None and x.ndim > 2

  if not any(map(is_image, inputs)):
    raise UserError(f'augment={policy}: it changes images and voxels, and the data are points; expected ()')
  return tuple(augment(x, rng, policy) if is_image(x) else x for x in inputs)  # alike, by the same key
