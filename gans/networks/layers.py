"""Layers that the networks share; call them inside a compact module."""
from collections.abc import Callable, Sequence
import math
from typing import NamedTuple

from flax import linen as nn
import jax.numpy as jnp

from gans.errors import UserError
from gans.networks import conv

NORMS = ('batch', 'layer', 'none')


def normalize(x, norm: str, train: bool, dtype):
  """Normalises features x [B,...,C], with a learnt scale and shift per channel.

  'batch': over the batch and all positions, with running averages when not training (Ioffe & Szegedy 2015).
  'layer': over all of an example's positions and channels, so that examples stay independent, as a gradient
  penalty needs (Ba et al. 2016, as in Gulrajani et al. 2017). 'none': returns x unchanged.
  """
  check_norm(norm)
  if norm == 'batch':
    return nn.BatchNorm(use_running_average=not train, momentum=0.9, epsilon=1e-5, dtype=dtype)(x)
  if norm == 'layer':
    return nn.LayerNorm(reduction_axes=range(1, x.ndim), feature_axes=-1, epsilon=1e-5, dtype=dtype)(x)
  return x


def check_norm(norm: str):
  """Raises UserError for a name that is no norm; a network calls it even if none of its layers has a norm."""
  if norm not in NORMS:
    raise UserError(f'norm={norm!r}: expected one of {NORMS}')


def join_label(x, label, num_classes: int, label_dim: int):
  """Joins an embedding of label [B] to noise [B,Z] or image [B,H,W,C], as label_dim more features or channels.

  Each pixel has an embedding of its own (Mirza & Osindero 2014, with a table in place of the dense layer on one-hot
  labels). With label_dim 0 the label is ignored.
  """
  if not label_dim:
    return x
  if not num_classes:
    raise UserError(f'label_dim={label_dim}: the data set has no labels; expected 0')
  positions = x.shape[1:-1]
  embedding = nn.Embed(num_classes, math.prod(positions) * label_dim)(label)
  embedding = embedding.reshape(-1, *positions, label_dim)
  return jnp.concatenate([x, embedding], axis=-1)


def apply_layer(network: nn.Module, layer: Callable, x):
  """Returns layer(network, x), with gradient checkpointing if network.remat is set.

  That keeps only x for the backward pass, which recomputes the layer (Chen et al. 2016, Training Deep Nets with
  Sublinear Memory Cost). Parameters have the same names and values either way.
  """
  if network.remat:
    layer = nn.remat(layer)
  return layer(network, x)


def apply_head(x, num_classes: int, outputs: int, stddev: float, dtype):
  """Applies a critic's last dense layer to features x [B,F]; all that it returns is float32.

  Returns scores [B]; (scores [B], class logits [B,K]) for num_classes K > 0; or, for `outputs` N > 0, N numbers [B,N].
  """
  if num_classes and outputs:
    raise UserError(f'outputs={outputs} and classify=True: a network returns one or the other, expected outputs=0')
  width = outputs or 1 + num_classes
  x = nn.Dense(width, kernel_init=kernel_init(stddev), dtype=dtype)(x)
  x = x.astype(jnp.float32)
  if outputs:
    return x
  scores, logits = x[:, 0], x[:, 1:]
  return (scores, logits) if num_classes else scores


def kernel_init(stddev: float):
  """Returns the initialiser N(0, stddev^2), as in DCGAN (0.02); for 0, LeCun's, which depends on the fan-in."""
  return nn.initializers.normal(stddev) if stddev else nn.initializers.lecun_normal()


class Convolution(NamedTuple):
  """The settings of one convolution; kernel and stride are the same along all axes."""
  width: int  # output channels
  kernel: int
  stride: int = 1
  padding: str = 'SAME'
  use_bias: bool = True


def convolve(network: nn.Module, x, convolution: Convolution):
  """Applies a convolution to x [B,*positions,C], with a network's initialisation and dtype: [B,*positions',width]."""
  return _make_convolution(conv.Conv, network, x, convolution)(x)


def convolve_transposed(network: nn.Module, x, convolution: Convolution):
  """Applies a transposed convolution, which enlarges the map x by its stride; else as `convolve`."""
  return _make_convolution(conv.ConvTranspose, network, x, convolution)(x)


def _make_convolution(module: Callable, network: nn.Module, x, convolution: Convolution) -> nn.Module:
  width, kernel, stride, padding, use_bias = convolution
  kernel_size = (kernel,) * count_axes(x.shape[1:])
  return module(width, kernel_size, stride, padding, use_bias, network.dtype, kernel_init(network.init_stddev))


def count_axes(shape: Sequence[int]) -> int:
  """Returns how many axes of positions an example of this shape has: 2 for images (H, W, C), 3 for voxels (D, H, W, C).

  Raises:
    UserError: it has none, such as a point (D,).
  """
  rank = len(shape) - 1
  if rank < 1:
    raise UserError(f'convolutions need examples such as images (H, W, C) or voxels (D, H, W, C), these have the shape '
                    f'{tuple(shape)}: take a network of mlp')
  return rank


def list_convolutions(network: nn.Module, widths: Sequence[int]) -> list[Convolution]:
  """Returns a network's convolutions of these widths, with its kernels, strides, padding and use_bias."""
  kernels = one_per_layer(network.kernels, len(widths))
  strides = one_per_layer(network.strides, len(widths))
  paddings = one_per_layer(network.padding, len(widths))
  settings = zip(widths, kernels, strides, paddings)
  return [Convolution(*setting, use_bias=network.use_bias) for setting in settings]


def one_per_layer(value, count: int) -> tuple:
  """Returns one value for each of `count` layers, of a field that has one for all of them or one for each."""
  is_per_layer = isinstance(value, Sequence) and not isinstance(value, str)
  values = tuple(value) if is_per_layer else (value,) * count
  if len(values) != count:
    raise UserError(f'{value!r} has {len(values)} entries for {count} layers: give one value, or one per layer')
  return values
