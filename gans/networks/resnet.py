"""Residual networks of WGAN-GP, SNGAN, SAGAN and BigGAN, for images and voxels of any size that their blocks reach.

A generator's block is x -> conv(f(norm(conv(up(f(norm(x))))))) + conv1(up(x)), f being ReLU, conv 3x3 and conv1 1x1; a
critic's is x -> pool(conv(f(conv(f(x))))) + pool(conv1(x)) (Gulrajani et al. 2017, appendix F; Miyato et al. 2018,
figures 11 to 14). Doubling and halving of the sides are one with the convolution beside them, see conv.UpsampledConv.
The published networks for CIFAR-10 have hidden=(256, 256, 256, 256) from a start of 4, and (128, 128, 128, 128).
"""
import functools
import math
from typing import Annotated, Any

from flax import linen as nn
import jax.numpy as jnp

from gans.errors import UserError
from gans.networks import conv, layers
from gans.networks.layers import Convolution
from gans.ranges import OneOf, SidePerAxis, SizeOrNone, SomeSizes, one_or_each

RESIDUAL_GAIN = 2**.5  # of the weights of what is added, where they are Glorot's (Miyato's code)
Initializer = Annotated[str, OneOf(('glorot', 'orthogonal'))]


class Generator(nn.Module):
  """z [B,Z] -> images [B,*positions,C] in [-1, 1] float32.

  A dense layer makes a map of the side `start` and the width hidden[0]; a block for each further width doubles the
  sides; norm, ReLU, a convolution and tanh. With the norm 'conditional_batch', all norms but the last are conditioned:
  on the class, or with `label_dim` on an embedding of it that all blocks share, and with `skip_z` also on a part of z,
  which is cut into one for the first layer and one for each block (Brock et al. 2019, BigGAN, appendix B). With another
  norm, an embedding of the label of size `label_dim` is joined to z. Raises UserError if the result is not of
  `image_shape`.
  """
  image_shape: tuple[int, ...]
  hidden: SomeSizes = (64, 64, 64)
  start: SidePerAxis = 7
  norm: layers.GeneratorNormName = 'batch'
  spectral: bool = False
  attention_at: SizeOrNone = 0
  skip_z: bool = False
  label_dim: SizeOrNone = 0
  num_classes: int = 0
  initializer: Initializer = 'glorot'
  remat: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, z, label, *, train):
    first, *widths = self.hidden
    layers.check_sides(self, len(widths), f'{len(widths)} blocks')
    z, conditions = self.condition(z, label)
    sides = layers.start_sides(self)
    x = layers.apply_dense(self, z, math.prod(sides) * first).reshape(-1, *sides, first)
    for width, condition in zip(widths, conditions):
      block = functools.partial(apply_generator_block, width=width, condition=condition, train=train)
      x = layers.attend_at(self, x, layers.apply_layer(self, block, x))
    layers.check_attention(self)
    last_norm = 'batch' if self.norm == 'conditional_batch' else self.norm
    x = nn.relu(layers.normalize(x, last_norm, train, self.dtype))
    x = layers.convolve(self, x, Convolution(self.image_shape[-1], kernel=3))
    return jnp.tanh(x.astype(jnp.float32))

  def condition(self, z, label) -> tuple:
    """Returns the input of the first layer, and of each block the condition [B,F] of its norms, or None."""
    num_blocks = len(self.hidden) - 1
    if self.norm != 'conditional_batch':
      if self.skip_z:
        raise UserError(f"skip_z=True: norm={self.norm!r} takes no condition; expected norm='conditional_batch', or "
                        'False')
      return layers.join_label(z, label, self.num_classes, self.label_dim), [None] * num_blocks
    parts = []  # of the condition, for each block
    if self.skip_z:
      z, *rest = jnp.array_split(z, num_blocks + 1, axis=-1)
      parts.append(rest)
    if self.num_classes or self.label_dim or not self.skip_z:
      of_class = layers.label_condition(self, label)
      if self.label_dim:
        of_class = layers.apply_dense(self, of_class, self.label_dim, use_bias=False)
      parts.append([of_class] * num_blocks)
    return z, [jnp.concatenate(of_block, axis=-1) for of_block in zip(*parts)]


def apply_generator_block(network: Generator, x, width: int, condition, train: bool):
  """Applies one block of a generator: [B,*positions,C] -> [B,*2 positions,width]."""
  activate = functools.partial(layers.normalize_and_activate, network, train=train, condition=condition)
  residual = Convolution(width, kernel=3, gain=RESIDUAL_GAIN)
  y = layers.convolve(network, activate(x), residual._replace(module=conv.UpsampledConv))
  y = layers.convolve(network, activate(y), residual)
  # A 1x1 convolution before the sides are doubled is the same as one after it.
  return y + repeat(layers.convolve(network, x, Convolution(width, kernel=1)))


class Critic(nn.Module):
  """images [B,*positions,C] -> scores [B] float32.

  A block for each width of `hidden`, which halves the sides where its entry of `strides` is 2; ReLU; the sum or, with
  `pool` 'mean', the mean over all positions; a dense layer. `classify`, `outputs`, `features`, `projection` and
  `minibatch_stddev` are as in dcgan.Critic. A `norm`, if any, comes before each ReLU.
  """
  hidden: SomeSizes = (64, 64, 64)
  strides: Annotated[int | tuple[int, ...], one_or_each(OneOf((1, 2)))] = (2, 2, 1)
  norm: layers.NormName = 'none'
  spectral: bool = False
  attention_at: SizeOrNone = 0
  minibatch_stddev: SizeOrNone = 0
  pool: Annotated[str, OneOf(('sum', 'mean'))] = 'sum'
  label_dim: SizeOrNone = 0
  num_classes: int = 0
  projection: bool = False
  classify: bool = False
  outputs: SizeOrNone = 0
  features: bool = False
  initializer: Initializer = 'glorot'
  remat: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, image, label, *, train):
    x = layers.join_label(image, label, self.num_classes, self.label_dim)
    strides = layers.one_per_layer(self, 'strides', len(self.hidden))
    for i, (width, stride) in enumerate(zip(self.hidden, strides)):
      block = functools.partial(apply_critic_block, width=width, stride=stride, is_first=not i, train=train)
      x = layers.attend_at(self, x, layers.apply_layer(self, block, x))
    layers.check_attention(self)
    x = layers.join_stddev(x, self.minibatch_stddev)
    x = layers.normalize_and_activate(self, x, train)
    pool = jnp.sum if self.pool == 'sum' else jnp.mean
    return layers.apply_head(self, pool(x, axis=range(1, x.ndim - 1)), label)


def apply_critic_block(network: Critic, x, width: int, stride: int, is_first: bool, train: bool):
  """Applies one block of a critic: [B,*positions,C] -> [B,*positions / stride,width]."""
  if any(count % stride for count in x.shape[1:-1]):
    raise UserError(f'strides={network.strides!r}: a map of {x.shape[1:-1]} has no half: change strides or '
                    'dataset.image_size')
  residual = Convolution(width, kernel=3, gain=RESIDUAL_GAIN)
  y = x if is_first else layers.normalize_and_activate(network, x, train)  # the image itself has no ReLU
  y = layers.convolve(network, y, residual)
  y = layers.normalize_and_activate(network, y, train)
  y = layers.convolve(network, y, residual._replace(module=conv.PooledConv if stride == 2 else conv.Conv))
  if stride == 1 and x.shape[-1] == width:
    return y + x
  # A mean before a 1x1 convolution is the same as one after it.
  return y + layers.convolve(network, halve(x) if stride == 2 else x, Convolution(width, kernel=1))


def repeat(x):
  """[B,*positions,C] -> [B,*2 positions,C]: each position twice along each axis."""
  for axis in range(1, x.ndim - 1):
    x = jnp.repeat(x, 2, axis)
  return x


def halve(x):
  """[B,*2 positions,C] -> [B,*positions,C]: means of two positions along each axis."""
  n, *positions, channels = x.shape
  pairs = [size for count in positions for size in (count // 2, 2)]
  return jnp.mean(x.reshape(n, *pairs, channels), axis=range(2, 2 + 2 * len(positions), 2))
