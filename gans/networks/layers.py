"""Layers that the networks share; call them inside a compact module."""
from collections.abc import Callable, Sequence
import functools
import math
from typing import Annotated, NamedTuple

from flax import linen as nn
import jax
import jax.numpy as jnp

from gans.errors import UserError
from gans.networks import conv
from gans.ranges import OneOf, one_or_each

NORMS = ('batch', 'layer', 'instance', 'none')
PADDING = OneOf(('SAME', 'VALID'))
NormName = Annotated[str, OneOf(NORMS)]
PaddingPerLayer = Annotated[str | tuple[str, ...], one_or_each(PADDING)]


def normalize(x, norm: str, train: bool, dtype):
  """Normalises features x [B,...,C], with a learnt scale and shift per channel.

  'batch': over the batch and all positions, with running averages when not training (Ioffe & Szegedy 2015).
  'layer': over all of an example's positions and channels, so that examples stay independent, as a gradient
  penalty needs (Ba et al. 2016, as in Gulrajani et al. 2017). 'instance': over the positions of each channel of an
  example, which stays independent too (Ulyanov et al. 2016, Instance Normalization). 'none': returns x unchanged.

  Raises:
    UserError: there is no such norm, or it would make all of x zero: instance norm of one position a channel, or layer
      norm of one number.
  """
  check_norm(norm)
  if norm == 'batch':
    return nn.BatchNorm(use_running_average=not train, momentum=0.9, epsilon=1e-5, dtype=dtype)(x)
  if norm == 'layer':
    if math.prod(x.shape[1:]) == 1:
      raise UserError("norm='layer': it subtracts the mean of an example's features, and here there is one, which "
                      "becomes zero; expected 'none', or more features")
    return nn.LayerNorm(reduction_axes=range(1, x.ndim), feature_axes=-1, epsilon=1e-5, dtype=dtype)(x)
  if norm == 'instance':
    positions = x.shape[1:-1]
    if math.prod(positions) == 1:
      raise UserError(f"norm='instance': it subtracts a channel's mean over its positions, and features of the shape "
                      f"{x.shape[1:]} have one, so that all become zero; expected 'layer', 'batch' or 'none'")
    return nn.InstanceNorm(epsilon=1e-5, dtype=dtype)(x)
  return x


def check_norm(norm: str):
  """Raises UserError for a name that is no norm; a network calls it even if none of its layers has a norm."""
  if norm not in NORMS:
    raise UserError(f'norm={norm!r}: expected one of {NORMS}')


def as_weights(label, num_classes: int) -> jax.Array:
  """Returns labels as weights of the classes, [B,K] float32.

  Labels [B] int become one-hot; weights [B,K] float, such as attributes or a way between two classes, are returned.

  Raises:
    UserError: the data set has no classes, or the weights are not of as many.
  """
  if not num_classes:
    raise UserError('the network is to use a label, but the data set has neither labels nor attributes')
  if not is_weights(label):
    return jax.nn.one_hot(label, num_classes)
  if label.ndim != 2 or label.shape[1] != num_classes:
    raise UserError(f'labels as weights of the classes have the shape {label.shape}: expected {num_classes} numbers an '
                    f'example, [B,{num_classes}]')
  return label.astype(jnp.float32)


def is_weights(label) -> bool:
  """Tells whether labels are weights of the classes [B,K] float, and not the classes themselves [B] int."""
  return jnp.issubdtype(label.dtype, jnp.floating)


def join_label(x, label, num_classes: int, label_dim: int):
  """Joins an embedding of label to noise [B,Z] or image [B,*positions,C], as label_dim more features or channels.

  Each pixel has an embedding of its own (Mirza & Osindero 2014, with a table in place of the dense layer on one-hot
  labels). Labels are [B] int, or weights of the classes [B,K] float, which weigh the classes' embeddings. With
  label_dim 0 the label is ignored.
  """
  if not label_dim:
    return x
  if not num_classes:
    raise UserError(f'label_dim={label_dim}: the data set has no labels; expected 0')
  positions = x.shape[1:-1]
  table = nn.Embed(num_classes, math.prod(positions) * label_dim)
  embedding = as_weights(label, num_classes) @ table.embedding if is_weights(label) else table(label)
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


def apply_head(x, num_classes: int, outputs: int, stddev: float, dtype, features: bool = False):
  """Applies a critic's last dense layer to features x [B,F]; all that it returns is float32.

  Returns scores [B]; (scores [B], class logits [B,K]) for num_classes K > 0; for `outputs` N > 0, N numbers [B,N]; or,
  for `features`, (scores [B], x).
  """
  asked = {'outputs': outputs, 'classify': bool(num_classes), 'features': features}
  given = [f'{name}={value}' for name, value in asked.items() if value]
  if len(given) > 1:
    raise UserError(f'{" and ".join(given)}: a network returns one of these, expected no more than one of them')
  width = outputs or 1 + num_classes
  y = nn.Dense(width, kernel_init=kernel_init(stddev), dtype=dtype)(x)
  y = y.astype(jnp.float32)
  if outputs:
    return y
  scores, logits = y[:, 0], y[:, 1:]
  if features:
    return scores, x.astype(jnp.float32)
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
  transposed: bool = False  # it then enlarges the map by its stride


def convolve(network: nn.Module, x, convolution: Convolution):
  """Applies a convolution to x [B,*positions,C], with a network's initialisation and dtype: [B,*positions',width]."""
  width, kernel, stride, padding, use_bias, transposed = convolution
  kernel_size = (kernel,) * count_axes(x.shape[1:])
  module = conv.ConvTranspose if transposed else conv.Conv
  if not transposed and padding == 'VALID' and min(x.shape[1:-1]) < kernel:
    raise UserError(f"padding='VALID': a kernel of {kernel} does not fit into a map of {x.shape[1:-1]}; expected "
                    "'SAME', or smaller kernels or strides")
  return module(width, kernel_size, stride, padding, use_bias, network.dtype, kernel_init(network.init_stddev))(x)


def convolve_and_activate(network: nn.Module, x, convolution: Convolution, norm: str, activate: Callable, train: bool):
  """Applies a convolution, a norm and a nonlinearity: [B,*positions,C] -> [B,*positions',width]."""
  x = convolve(network, x, convolution)
  x = normalize(x, norm, train, network.dtype)
  return activate(x)


def leaky_relu(leak: float) -> Callable:
  """Returns leaky ReLU of this slope below zero."""
  return functools.partial(nn.leaky_relu, negative_slope=leak)


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


def list_convolutions(network: nn.Module, widths: Sequence[int], use_bias: bool = True) -> list[Convolution]:
  """Returns a network's convolutions of these widths, with its kernels, strides and padding."""
  kernels = one_per_layer(network, 'kernels', len(widths))
  strides = one_per_layer(network, 'strides', len(widths))
  paddings = one_per_layer(network, 'padding', len(widths))
  settings = zip(widths, kernels, strides, paddings)
  return [Convolution(*setting, use_bias=use_bias) for setting in settings]


def one_per_layer(network: nn.Module, field: str, count: int) -> tuple:
  """Returns one value for each of `count` layers, of a field that has one for all of them or one for each."""
  value = getattr(network, field)
  is_per_layer = isinstance(value, Sequence) and not isinstance(value, str)
  values = tuple(value) if is_per_layer else (value,) * count
  if len(values) != count:
    raise UserError(f'{field}={value!r} has {len(values)} entries for {count} layers: give one value, or one per layer')
  return values
