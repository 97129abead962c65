"""The networks of R3GAN (Huang et al. 2024, The GAN is dead; long live the GAN!): residual blocks without a norm.

A block is x + W3 f(W2 f(W1 x)), where f adds a bias and is a leaky ReLU: W1 widens by `expansion`, W2 is a 3x3
convolution in groups of `group_width` channels, W3 narrows and starts at zero (as in Zhang et al. 2019, Fixup). Maps
are resampled with the weights [1, 3, 3, 1] along each axis (Zhang 2019, Making Convolutional Networks Shift-Invariant
Again). The published network for CIFAR-10 has hidden=(768, 768, 768, 768) and starts at 4.

They want an accelerator: on a CPU a step takes several times that of networks whose first convolutions have strides.
"""
from collections.abc import Sequence
import functools
import math
from typing import Annotated, Any

from flax import linen as nn
from jax import lax
import jax.numpy as jnp

from gans.errors import UserError
from gans.networks import conv, layers
from gans.ranges import SidePerAxis, Size, SizeOrNone, SomeSizes, Whole, one_or_each

LEAK = 0.2
BlocksPerStage = Annotated[int | tuple[int, ...], one_or_each(Whole(1, 2**8))]


class Generator(nn.Module):
  """z [B,Z] -> images [B,*positions,C] float32, whose range is not bounded.

  A stage of `num_blocks` blocks for each width of `hidden`, at sides of `start`, 2 start, 4 start and so on. The first
  map is a learnt one, of which z says how much of each channel. With `label_dim` an embedding of the label of that size
  is joined to z. Raises UserError if the result is not of `image_shape`.
  """
  image_shape: tuple[int, ...]
  hidden: SomeSizes = (64, 64, 32)
  num_blocks: BlocksPerStage = 2
  start: SidePerAxis = 7
  expansion: Size = 2
  group_width: Size = 16
  label_dim: SizeOrNone = 0
  num_classes: int = 0
  remat: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, z, label, *, train):
    del train  # nothing here depends on it
    num_blocks = layers.one_per_layer(self, 'num_blocks', len(self.hidden))
    num_stages = len(self.hidden)
    layers.check_sides(self, num_stages - 1, f'{num_stages} stages')
    if self.label_dim:
      weights = layers.as_weights(label, self.num_classes)
      z = jnp.concatenate([z, make_dense(self, self.label_dim)(weights)], axis=-1)
    rank = layers.count_axes(self.image_shape)
    width = self.hidden[0]
    basis = self.param('basis', nn.initializers.normal(1), (*layers.start_sides(self), width), jnp.float32)
    amounts = make_dense(self, width)(z)
    x = jnp.expand_dims(amounts, range(1, 1 + rank)) * basis.astype(self.dtype)
    for stage, (width, count) in enumerate(zip(self.hidden, num_blocks)):
      if stage:
        x = double_sides(change_width(self, x, width))
      x = apply_blocks(self, x, count, sum(num_blocks))
    return convolve(self, x, self.image_shape[-1]).astype(jnp.float32)


class Critic(nn.Module):
  """images [B,*positions,C] -> scores [B] float32: the generator's mirror image.

  A stage of `num_blocks` blocks for each width of `hidden`, between which the sides are halved. A learnt map says what
  counts in each channel of the last one. With `label_dim` the score is the product of its features and an embedding of
  the label, both of that size (Miyato & Koyama 2018, cGANs with Projection Discriminator).
  """
  hidden: SomeSizes = (32, 64, 64)
  num_blocks: BlocksPerStage = 2
  expansion: Size = 2
  group_width: Size = 16
  label_dim: SizeOrNone = 0
  num_classes: int = 0
  remat: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, image, label, *, train):
    layers.check_label(label, self.num_classes)
    del train
    num_blocks = layers.one_per_layer(self, 'num_blocks', len(self.hidden))
    self.check_size(image.shape[1:-1])
    x = convolve(self, image, self.hidden[0])
    for stage, (width, count) in enumerate(zip(self.hidden, num_blocks)):
      if stage:
        x = change_width(self, halve_sides(x), width)
      x = apply_blocks(self, x, count, sum(num_blocks))
    positions = x.shape[1:-1]
    basis = self.param('basis', nn.initializers.normal(1 / math.sqrt(math.prod(positions))), x.shape[1:], jnp.float32)
    features = jnp.sum(x.astype(jnp.float32) * basis, axis=range(1, x.ndim - 1))
    scores = make_dense(self, self.label_dim or 1)(features)
    if self.label_dim:
      weights = layers.as_weights(label, self.num_classes)
      scores = scores * make_dense(self, self.label_dim, gain=1 / math.sqrt(self.label_dim))(weights)
    return jnp.sum(scores.astype(jnp.float32), axis=-1)

  def check_size(self, positions: tuple[int, ...]):
    """Raises UserError for images whose sides cannot be halved as often as they are to be."""
    factor = 2**(len(self.hidden) - 1)
    if any(count % factor for count in positions):
      raise UserError(f'hidden={self.hidden}: {len(self.hidden)} stages divide the sides by {factor}, and {positions} '
                      'are no multiples of it: change hidden or dataset.image_size')


def apply_blocks(network: nn.Module, x, count: int, num_all: int):
  """Applies `count` of the network's `num_all` residual blocks."""
  for _ in range(count):
    x = layers.apply_layer(network, functools.partial(apply_block, num_all=num_all), x)
  return x


def apply_block(network: nn.Module, x, num_all: int):
  """Applies one residual block: [B,*positions,C] -> [B,*positions,C].

  W1 and W2 start with the gain of leaky ReLU times L^(-1/4), L being the number of all blocks, so that the first update
  of the network is as large whatever its depth (Fixup's rule for two such layers a block).
  """
  width = x.shape[-1]
  inner = network.expansion * width
  if inner % network.group_width:
    raise UserError(f'group_width={network.group_width}: a stage of width {width} has {inner} channels in a block, '
                    'which do not divide into groups of so many')
  gain = math.sqrt(2 / (1 + LEAK**2)) * num_all**-0.25
  activate = layers.leaky_relu(LEAK)
  y = activate(convolve(network, x, inner, gain=gain, use_bias=True))
  y = activate(convolve(network, y, inner, kernel=3, gain=gain, use_bias=True, groups=inner // network.group_width))
  return x + convolve(network, y, width, gain=0)


def change_width(network: nn.Module, x, width: int):
  """[B,*positions,C] -> [B,*positions,width], by weights if the width changes."""
  return x if x.shape[-1] == width else convolve(network, x, width)


def convolve(network: nn.Module, x, width: int, kernel: int = 1, gain: float = 1, use_bias: bool = False,
             groups: int = 1):
  """Applies a convolution of stride 1: [B,*positions,C] -> [B,*positions,width]."""
  kernel_size = (kernel,) * layers.count_axes(x.shape[1:])
  return conv.Conv(width, kernel_size, use_bias=use_bias, feature_group_count=groups, dtype=network.dtype,
                   kernel_init=by_fan_in(gain))(x)


def make_dense(network: nn.Module, width: int, gain: float = 1) -> nn.Dense:
  """Makes a dense layer without bias."""
  return nn.Dense(width, use_bias=False, dtype=network.dtype, kernel_init=by_fan_in(gain))


def by_fan_in(gain: float):
  """Returns the initialiser N(0, gain^2 / fan_in), of zeros for a gain of 0."""
  return nn.initializers.variance_scaling(gain**2, 'fan_in', 'normal') if gain else nn.initializers.zeros_init()


def double_sides(x):
  """[B,H,W,C] -> [B,2H,2W,C], interpolated linearly; beyond the border lie zeros."""
  for axis in range(1, x.ndim - 1):
    before, after = _neighbours(x, axis)
    pairs = jnp.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis + 1)
    x = pairs.reshape(*x.shape[:axis], -1, *x.shape[axis + 1:])
  return x


def halve_sides(x):
  """[B,2H,2W,C] -> [B,H,W,C]: the adjoint of `double_sides`, which keeps the mean."""
  for axis in range(1, x.ndim - 1):
    pairs = x.reshape(*x.shape[:axis], -1, 2, *x.shape[axis + 1:])
    first, second = (lax.index_in_dim(pairs, i, axis + 1, keepdims=False) for i in (0, 1))
    before, _ = _neighbours(second, axis)
    _, after = _neighbours(first, axis)
    x = 0.375 * (first + second) + 0.125 * (before + after)
  return x


def _neighbours(x, axis: int) -> Sequence:
  """Returns what lies before and after each position along an axis, zeros beyond the border."""
  count = x.shape[axis]
  pads = [(0, 0)] * x.ndim
  pads[axis] = (1, 1)
  padded = jnp.pad(x, pads)
  return [lax.slice_in_dim(padded, start, start + count, axis=axis) for start in (0, 2)]
