"""Adaptive augmentation: Karras et al. 2020, Training Generative Adversarial Networks with Limited Data (ADA).

Each of many changes is made to an image with the probability p, which rises while the critic is too sure of the real
images and falls while it is not. As in DiffAugment (gans/core/augmentation.py) the critic sees all images through it.
Images are moved by bilinear interpolation, mirrored at their borders; the paper filters them beside that, and turns
them before and after they are stretched, here before.
"""
from collections.abc import Callable
import dataclasses
import functools
from typing import Annotated

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates

from gans.core.augmentation import left_to_right, on_colors
from gans.errors import UserError
from gans.ranges import AnnealedProbability, Count, Each, Fraction, OneOf, Whole

SHIFT = 1 / 8  # of a side, the most in whole pixels, and the standard deviation in parts of them
SCALE = 0.2  # standard deviation of the logarithm to base 2
BRIGHTNESS = 0.2  # standard deviation
CONTRAST = 0.5  # standard deviation of the logarithm to base 2
SATURATION = 1.0  # the same


# Moves: (rng, num images, sides) -> (matrices [B,n,n], shifts [B,n]), by which a place in the new image, counted in
# pixels from its centre, is where in the old one to look: old = matrix new + shift. The first two axes turn: those of
# an image, or those around the vertical of voxels.
def flip(rng, num: int, sides: tuple[int, ...]):
  """Mirrors with a probability of 1/2."""
  signs: list = [1] * len(sides)
  signs[left_to_right(len(sides))] = 1 - 2 * jax.random.bernoulli(rng, 0.5, (num,)).astype(jnp.float32)
  return along_axes(signs, num), jnp.zeros((num, len(sides)))


def rotate90(rng, num: int, sides: tuple[int, ...]):
  """Turns by 0, 90, 180 or 270 degrees."""
  quarters = jax.random.randint(rng, (num,), 0, 4)
  cosine, sine = (jnp.array(values, jnp.float32)[quarters] for values in ([1, 0, -1, 0], [0, 1, 0, -1]))
  return turn(cosine, sine, len(sides)), jnp.zeros((num, len(sides)))


def rotate(rng, num: int, sides: tuple[int, ...]):
  """Turns by any angle."""
  angle = jax.random.uniform(rng, (num,), minval=-jnp.pi, maxval=jnp.pi)
  return turn(jnp.cos(angle), jnp.sin(angle), len(sides)), jnp.zeros((num, len(sides)))


def shift(rng, num: int, sides: tuple[int, ...]):
  """Shifts by whole pixels, up to an eighth of each side."""
  part = jax.random.uniform(rng, (num, len(sides)), minval=-SHIFT, maxval=SHIFT)
  return along_axes([1] * len(sides), num), jnp.round(part * jnp.array(sides))


def shift_finely(rng, num: int, sides: tuple[int, ...]):
  """Shifts by any part of a pixel."""
  part = SHIFT * jax.random.normal(rng, (num, len(sides)))
  return along_axes([1] * len(sides), num), part * jnp.array(sides)


def scale(rng, num: int, sides: tuple[int, ...]):
  """Scales all axes alike."""
  factor = 2**(SCALE * jax.random.normal(rng, (num,)))
  return along_axes([factor] * len(sides), num), jnp.zeros((num, len(sides)))


def stretch(rng, num: int, sides: tuple[int, ...]):
  """Scales one of the first two axes, and the other by the inverse."""
  factor = 2**(SCALE * jax.random.normal(rng, (num,)))
  return along_axes([factor, 1 / factor, *[1] * (len(sides) - 2)], num), jnp.zeros((num, len(sides)))


def along_axes(factors: list, num: int):
  """Returns diagonal matrices [num,n,n] of n factors, numbers or [num]."""
  diagonal = jnp.stack([jnp.broadcast_to(jnp.float32(factor), num) for factor in factors], axis=-1)
  return diagonal[:, :, None] * jnp.eye(len(factors))


def turn(cosine, sine, rank: int):
  """Returns matrices [B,rank,rank] that turn the first two axes."""
  matrix = jnp.tile(jnp.eye(rank), (len(cosine), 1, 1))
  rows = jnp.stack([jnp.stack([cosine, -sine], axis=-1), jnp.stack([sine, cosine], axis=-1)], axis=-2)
  return matrix.at[:, :2, :2].set(rows)


# Changes of colour: (rng, images [B,*positions,C]) -> the same. An image's luma is the mean of its channels.
def brighten(rng, x):
  """Adds a number to each image."""
  return x + BRIGHTNESS * normal_of_each(rng, x)


def contrast(rng, x):
  """Scales each image's distance from mid-grey."""
  return x * 2**(CONTRAST * normal_of_each(rng, x))


def flip_luma(rng, x):
  """Makes dark what is light with a probability of 1/2; colours stay."""
  luma = jnp.mean(x, axis=-1, keepdims=True)
  return jnp.where(coin_of_each(rng, x, 0.5), x - 2 * luma, x)


def turn_hue(rng, x):
  """Turns the colours of each image around grey; there are none but in three channels."""
  if x.shape[-1] != 3:
    return x
  angle = jax.random.uniform(rng, (len(x),), minval=-jnp.pi, maxval=jnp.pi)
  axis = jnp.full(3, 3**-0.5)
  cross = jnp.cross(jnp.eye(3), axis)  # Rodrigues' formula: cos I + sin [axis] + (1 - cos) axis axis^T
  cosine, sine = jnp.cos(angle)[:, None, None], jnp.sin(angle)[:, None, None]
  matrix = cosine * jnp.eye(3) + sine * cross + (1 - cosine) * jnp.outer(axis, axis)
  return jnp.einsum('b...i,bij->b...j', x, matrix)


def saturate(rng, x):
  """Scales the distance of each pixel's channels from its luma."""
  luma = jnp.mean(x, axis=-1, keepdims=True)
  return luma + (x - luma) * 2**(SATURATION * normal_of_each(rng, x))


def normal_of_each(rng, x):
  """Draws from N(0, 1) for each example of x [B,...]: [B,1,...,1]."""
  return jax.random.normal(rng, (len(x), *(1,) * (x.ndim - 1)))


def coin_of_each(rng, x, p):
  """Draws True with the probability p for each example of x [B,...]: [B,1,...,1]."""
  return jax.random.bernoulli(rng, p, (len(x), *(1,) * (x.ndim - 1)))


# In the order in which they are made.
MOVES: dict[str, Callable] = {'flip': flip, 'rotate90': rotate90, 'shift': shift, 'scale': scale, 'rotate': rotate,
                              'stretch': stretch, 'shift_finely': shift_finely}
COLORS: dict[str, Callable] = {'brightness': brighten, 'contrast': contrast, 'luma_flip': flip_luma, 'hue': turn_hue,
                               'saturation': saturate}
OF_CHANNELS = ('hue', 'saturation')  # that do nothing to grey images
ALL = (*MOVES, *COLORS)


@dataclasses.dataclass(frozen=True)
class Ada:
  """The settings of adaptive augmentation, `config.ada`; with p and target 0 there is none."""
  p: AnnealedProbability = 0.0  # of each change, or where it starts; R3GAN anneals it from 0 to .55 on CIFAR-10
  target: Fraction = 0.0  # of the mean sign of real scores, to which p is steered; the paper's is .6; 0: p is as it is
  interval: Count = 4  # updates of the critic from one change of p to the next
  ramp_images: Annotated[int, Whole(1, 2**53)] = 500_000  # in which p may go from 0 to 1
  changes: Annotated[tuple[str, ...], Each(OneOf(ALL), 1)] = ALL  # voxels have no colours


class Probability(nn.Module):
  """Scores of real images [B], or None -> the present p [], which scores steer: the memory of ADA (section 3.1).

  At a score of 0 the critic is undecided. r is the mean of the scores' signs since the last change;
  p += sign(r - target) * images since then / ramp_images.
  """
  p: float
  target: float
  interval: int
  ramp_images: float

  @nn.compact
  def __call__(self, scores=None, *, train):
    p = self.variable('memory', 'p', jnp.full, (), self.p)
    signs = self.variable('memory', 'signs', jnp.zeros, ())
    count = self.variable('memory', 'count', jnp.zeros, (), jnp.int32)
    if scores is None or not train or self.is_initializing():
      return p.value
    total, number = signs.value + jnp.mean(jnp.sign(scores)), count.value + 1
    is_due = number == self.interval
    step = jnp.sign(total / self.interval - self.target) * len(scores) * self.interval / self.ramp_images
    p.value = jnp.where(is_due, jnp.clip(p.value + step, 0, 1), p.value)
    signs.value = jnp.where(is_due, 0.0, total)
    count.value = jnp.where(is_due, 0, number)
    return p.value


class Changes(nn.Module):
  """(images [B,*positions,C], p []) -> the images, to each of which each change was made with the probability p."""
  changes: tuple[str, ...]

  @nn.compact
  def __call__(self, images, p, *, train):
    if not train or self.is_initializing():
      return images
    return change(images, self.make_rng('changes'), p, self.changes)


def change(x, rng, p, changes: tuple[str, ...]):
  """Makes each of these changes to each image of x [B,*positions,C] with the probability p; at 0 x is as it was.

  Raises:
    UserError: x [B,C] are points, or none of the changes changes such data.
  """
  if x.ndim == 2:
    raise UserError('ada changes images and voxels, and the data are points; expected ada.p=0.0 and ada.target=0.0')
  useful = [name for name in ALL if name in MOVES or x.ndim == 4 and (name not in OF_CHANNELS or x.shape[-1] > 1)]
  if not set(changes) & set(useful):
    raise UserError(f'ada.changes={changes}: none of them changes examples of the shape {x.shape[1:]}; expected some '
                    f'of {useful}')
  move_rng, color_rng = jax.random.split(rng)
  x = move(x, move_rng, p, [name for name in MOVES if name in changes])
  colors = [name for name in COLORS if name in changes and x.ndim == 4]
  for name, own_rng in zip(colors, jax.random.split(color_rng, max(1, len(colors)))):
    coin_rng, how_rng = jax.random.split(own_rng)
    changed = on_colors(functools.partial(COLORS[name], how_rng), x)
    x = jnp.where(coin_of_each(coin_rng, x, p), changed, x)
  return x


def move(x, rng, p, names: list[str]):
  """Makes these moves, all by one interpolation; an image that none of them met stays as it is, bit for bit."""
  sides = x.shape[1:-1]
  matrix, offset = along_axes([1] * len(sides), len(x)), jnp.zeros((len(x), len(sides)))
  is_moved = jnp.zeros((len(x), *(1,) * (x.ndim - 1)), bool)
  for name, own_rng in zip(names, jax.random.split(rng, max(1, len(names)))):
    coin_rng, how_rng = jax.random.split(own_rng)
    is_met = coin_of_each(coin_rng, x, p)
    next_matrix, next_offset = MOVES[name](how_rng, len(x), sides)
    # A place in the newest image is one in the image before, and so on to the first.
    composed = jnp.einsum('bij,bjk->bik', matrix, next_matrix), jnp.einsum('bij,bj->bi', matrix, next_offset) + offset
    rows = is_met.reshape(-1, 1)
    matrix, offset = jnp.where(rows[..., None], composed[0], matrix), jnp.where(rows, composed[1], offset)
    is_moved |= is_met
  return jnp.where(is_moved, look_up(x, matrix, offset), x)


def look_up(x, matrix, offset):
  """Returns the images whose place `new` shows the place matrix new + offset of x, both counted from the centre."""
  sides = x.shape[1:-1]
  centre = (jnp.array(sides) - 1) / 2
  places = jnp.stack(jnp.meshgrid(*map(jnp.arange, sides), indexing='ij'), axis=-1) - centre  # [*positions,n]
  old = jnp.einsum('...j,bij->b...i', places, matrix) + jnp.expand_dims(offset, range(1, 1 + len(sides))) + centre

  def interpolate(channel, place):
    return map_coordinates(channel, jnp.moveaxis(place, -1, 0), order=1, mode='mirror')

  of_channels = jax.vmap(interpolate, in_axes=(-1, None), out_axes=-1)
  return jax.vmap(of_channels)(x, old)


def is_on(config: Ada) -> bool:
  """Tells whether there is any augmentation."""
  return bool(config.p or config.target)


def memories(config: Ada, pack: int) -> dict[str, nn.Module]:
  """The players without parameters that it needs; `pack` images have one score.

  Raises:
    UserError: a p that is steered is annealed too.
  """
  if not is_on(config):
    return {}
  if not config.target:
    return {'changes': Changes(config.changes)}
  if not isinstance(config.p, int | float):
    raise UserError(f'ada.p={config.p}: it is steered to ada.target={config.target} and cannot be annealed too; '
                    'expected a number where it starts, such as 0.0')
  steered = Probability(float(config.p), config.target, config.interval, config.ramp_images / pack)
  return {'changes': Changes(config.changes), 'probability': steered}
