"""Convolutional networks after DCGAN (Radford et al. 2016), for images and voxels of any size that their strides reach.

A config gives one value for all layers, or one entry for each. So the networks for 28, 32, 64 and 128 pixels in the
configs, and those of the papers, are settings of the same two modules. Examples [*positions,C] decide the rank of the
convolutions: it is 2 for images [H,W,C], and 3 for voxels [D,H,W,C], as in 3D-GAN (Wu et al. 2016).
"""
from collections.abc import Sequence
import functools
import math
from typing import Annotated, Any

from flax import linen as nn
import jax
import jax.numpy as jnp

from gans.errors import UserError
from gans.networks import conv, layers
from gans.networks.layers import Convolution
from gans.ranges import Fraction, KernelPerLayer, OneOf, SidePerAxis, SizeOrNone, Sizes, SomeSizes, Stddev

LEAKY_RELU = layers.leaky_relu(0.2)


class Generator(nn.Module):
  """z [B,Z] -> images [B,*positions,C] in [-1, 1]: transposed convolutions with norm and ReLU, tanh at the end.

  Dense layers of widths `dense`, if any, come first. With `start` s above 1, one more makes a map of s x s x hidden[0]
  for images, s x s x s x hidden[0] for voxels, and h x w x hidden[0] with (h, w); with 1, the features themselves are
  the first map, of one position. With `upsample` 'nearest' or 'bilinear', a layer resizes the map by the stride and
  convolves it, instead of 'transposed'. `use_bias` is that of the convolutions. The norm 'conditional_batch' is
  conditioned on the label. Raises UserError if the result is not of `image_shape`.
  """
  image_shape: tuple[int, ...]
  hidden: SomeSizes = (64, 32)
  dense: Sizes = ()
  start: SidePerAxis = 7
  kernels: KernelPerLayer = 4
  strides: KernelPerLayer = 2
  padding: layers.PaddingPerLayer = 'SAME'
  use_bias: bool = True
  upsample: Annotated[str, OneOf(('transposed', 'nearest', 'bilinear'))] = 'transposed'
  norm: layers.GeneratorNormName = 'batch'
  spectral: bool = False
  attention_at: SizeOrNone = 0
  label_dim: SizeOrNone = 0
  num_classes: int = 0
  init_stddev: Stddev = 0.02
  remat: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, z, label, *, train):
    x = layers.join_label(z, label, self.num_classes, self.label_dim)
    condition = layers.label_condition(self, label)
    activate = functools.partial(layers.normalize_and_activate, self, train=train, condition=condition)
    for width in self.dense:
      x = activate(layers.apply_dense(self, x, width))
    rank = layers.count_axes(self.image_shape)
    widths = (*self.hidden, self.image_shape[-1])
    if self.start != 1:
      first, *widths = widths
      sides = layers.start_sides(self)
      x = layers.apply_dense(self, x, math.prod(sides) * first)
      x = activate(x.reshape(-1, *sides, first))
    else:
      x = jnp.expand_dims(x, range(1, rank + 1))
    *inner, last = layers.list_convolutions(self, widths, self.use_bias)
    for convolution in inner:
      before = x
      layer = functools.partial(enlarge_and_activate, convolution=convolution, condition=condition, train=train)
      x = layers.attend_at(self, before, layers.apply_layer(self, layer, x))
    layers.check_attention(self)
    x = layers.apply_layer(self, functools.partial(enlarge, convolution=last), x)
    if x.shape[1:] != tuple(self.image_shape):
      raise UserError(f'start={self.start}: it makes examples of the shape {x.shape[1:]}, the data have '
                      f'{tuple(self.image_shape)}: change dataset.image_size, or start, hidden, kernels, strides and '
                      'padding')
    return jnp.tanh(x.astype(jnp.float32))


def enlarge_and_activate(network: Generator, x, convolution: Convolution, condition, train: bool):
  """Applies an inner layer of a generator: [B,*positions,c] -> [B,*positions',width]."""
  return layers.normalize_and_activate(network, enlarge(network, x, convolution), train, condition)


def enlarge(network: Generator, x, convolution: Convolution):
  """Applies the convolution of a generator's layer, which enlarges the map by its stride."""
  if network.upsample == 'transposed':
    return layers.convolve(network, x, convolution._replace(module=conv.ConvTranspose))
  if network.upsample not in ('nearest', 'bilinear'):
    raise UserError(f"upsample={network.upsample!r}: expected 'transposed', 'nearest' or 'bilinear'")
  n, *positions, channels = x.shape
  enlarged = [count * convolution.stride for count in positions]
  x = jax.image.resize(x, (n, *enlarged, channels), network.upsample)
  return layers.convolve(network, x, convolution._replace(stride=1))


class Critic(nn.Module):
  """images [B,*positions,C] -> scores [B]: convolutions with norm and leaky ReLU 0.2.

  With `classify`, (scores [B], class logits [B,K]); with `outputs` N > 0, N numbers [B,N] in place of a score; with
  `features`, (scores [B], the last layer's inputs [B,F]), which another player may build on; with `projection`, a score
  that depends on the label. The first convolution has no norm, as in DCGAN, unless `norm_first` is set; `use_bias` is
  that of the convolutions. `head` 'dense' scores all of the last map, after dense layers of widths `dense` with
  `dropout`, if any; 'conv' is one more convolution, to one channel, whose map must have one position.
  """
  hidden: Sizes = (16, 32, 64)
  kernels: KernelPerLayer = 4
  strides: KernelPerLayer = 2
  padding: layers.PaddingPerLayer = 'SAME'
  use_bias: bool = True
  norm: layers.NormName = 'layer'
  norm_first: bool = False
  spectral: bool = False
  attention_at: SizeOrNone = 0
  minibatch_stddev: SizeOrNone = 0
  head: Annotated[str, OneOf(('dense', 'conv'))] = 'dense'
  dense: Sizes = ()
  dropout: Fraction = 0.
  label_dim: SizeOrNone = 0
  num_classes: int = 0
  projection: bool = False
  classify: bool = False
  outputs: SizeOrNone = 0
  features: bool = False
  init_stddev: Stddev = 0.02
  remat: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, image, label, *, train):
    layers.check_norm(self.norm)
    x = layers.join_label(image, label, self.num_classes, self.label_dim)
    ends_in_convolution = self.head == 'conv'
    widths = (*self.hidden, 1) if ends_in_convolution else self.hidden
    convolutions = layers.list_convolutions(self, widths, self.use_bias)
    x = apply_convolutions(self, x, convolutions[:len(self.hidden)], train)
    layers.check_attention(self)
    x = layers.join_stddev(x, self.minibatch_stddev)
    if ends_in_convolution:
      x = layers.apply_layer(self, functools.partial(layers.convolve, convolution=convolutions[-1]), x)
      return self.squeeze(x)
    x = x.reshape(x.shape[0], -1)
    x = drop(self, x, train)
    x = apply_dense_layers(self, x, self.dense, train)
    return layers.apply_head(self, x, label)

  def squeeze(self, x):
    """[B,1,...,1] -> [B] float32."""
    one_position = (1,) * layers.count_axes(x.shape[1:])
    of_dense_layers = (
        self.dense or self.dropout or self.classify or self.outputs or self.features or self.projection)
    if x.shape[1:] != (*one_position, 1) or of_dense_layers:
      raise UserError(f"head='conv': it needs a last map of {one_position}, here {x.shape[1:-1]}, and no dense, "
                      "dropout, classify, outputs, features or projection: change kernels, strides and padding, or "
                      "take head='dense'")
    return x.reshape(len(x)).astype(jnp.float32)


def apply_convolutions(network: nn.Module, x, convolutions: Sequence[Convolution], train: bool):
  """Applies the inner layers of a critic, with its norm after all but the first, or after all if norm_first is set."""
  for i, convolution in enumerate(convolutions):
    norm = network.norm if i or network.norm_first else 'none'
    layer = functools.partial(
        layers.convolve_and_activate, convolution=convolution, norm=norm, activate=LEAKY_RELU, train=train)
    before = x
    x = layers.attend_at(network, before, layers.apply_layer(network, layer, x))
  return x


def apply_dense_layers(network: nn.Module, x, widths: Sequence[int], train: bool):
  """Applies dense layers of a critic, each with leaky ReLU and dropout: [B,F] -> [B,widths[-1]]."""
  for width in widths:
    x = LEAKY_RELU(layers.apply_dense(network, x, width))
    x = drop(network, x, train)
  return x


def drop(network: nn.Module, x, train: bool):
  """Applies a critic's dropout."""
  return nn.Dropout(network.dropout, deterministic=not train)(x)
