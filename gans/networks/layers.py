"""Layers that the families share; call them inside a compact module."""
from collections.abc import Callable, Sequence
import math
from typing import NamedTuple

from flax import linen as nn
import jax.numpy as jnp

from gans.errors import UserError

NORMS = ('batch', 'layer', 'none')


def normalize(x, norm: str, train: bool, dtype):
  """Normalises features x [B,...,C], with a learnt scale and shift per channel.

  'batch': over the batch and all positions, with running averages when not training (Ioffe & Szegedy 2015).
  'layer': over all of an example's positions and channels, so that examples stay independent, as a gradient
  penalty needs (Ba et al. 2016, as in Gulrajani et al. 2017). 'none': x as it is.
  """
  check_norm(norm)
  if norm == 'batch':
    return nn.BatchNorm(use_running_average=not train, momentum=0.9, epsilon=1e-5, dtype=dtype)(x)
  if norm == 'layer':
    return nn.LayerNorm(reduction_axes=range(1, x.ndim), feature_axes=-1, epsilon=1e-5, dtype=dtype)(x)
  return x


def check_norm(norm: str):
  """Raises UserError for a name that is no norm, also where no layer comes to use it."""
  if norm not in NORMS:
    raise UserError(f'norm={norm!r}: expected one of {NORMS}')


def join_label(x, label, num_classes: int, label_dim: int):
  """Joins an embedding of label [B] to noise [B,Z] or image [B,H,W,C], as label_dim more features or channels.

  Each pixel has an embedding of its own (Mirza & Osindero 2014, with a learnt table for the dense layer on one-hot
  labels). label_dim 0 ignores the label.
  """
  if not label_dim:
    return x
  if not num_classes:
    raise UserError(f'label_dim={label_dim}: the data set has no labels; expected 0')
  places = x.shape[1:-1]
  embedding = nn.Embed(num_classes, math.prod(places) * label_dim)(label)
  embedding = embedding.reshape(-1, *places, label_dim)
  return jnp.concatenate([x, embedding], axis=-1)


def apply_layer(network: nn.Module, layer: Callable, x):
  """Returns layer(network, x); with network.remat only x is kept for its gradient, and the layer is computed again.

  Gradient checkpointing (Chen et al. 2016, Training Deep Nets with Sublinear Memory Cost). Parameters have the same
  names and values either way.
  """
  if network.remat:
    layer = nn.remat(layer)
  return layer(network, x)


def judge(x, num_classes: int, outputs: int, stddev: float, dtype):
  """Judges features x [B,F] by one more dense layer; float32.

  Returns scores [B]; (scores [B], class logits [B,K]) for num_classes K > 0; or, for `outputs` N > 0, N numbers [B,N].
  """
  if num_classes and outputs:
    raise UserError(f'outputs={outputs} and classify=True: a network returns either, expected outputs=0')
  x = nn.Dense(outputs or 1 + num_classes, kernel_init=kernel_init(stddev), dtype=dtype)(x).astype(jnp.float32)
  if outputs:
    return x
  return (x[:, 0], x[:, 1:]) if num_classes else x[:, 0]


def kernel_init(stddev: float):
  """N(0, stddev^2) as DCGAN has it (0.02); 0 stands for LeCun's initialisation, which follows the fan-in."""
  return nn.initializers.normal(stddev) if stddev else nn.initializers.lecun_normal()


class Convolution(NamedTuple):
  """The settings of one convolution."""
  width: int  # output channels
  kernel: int
  stride: int
  padding: str


def spell_convolutions(network: nn.Module, widths: Sequence[int]) -> list[Convolution]:
  """Spells out a network's kernels, strides and padding for convolutions of these widths."""
  kernels = per_layer(network.kernels, len(widths))
  strides = per_layer(network.strides, len(widths))
  padding = per_layer(network.padding, len(widths))
  return [Convolution(*setting) for setting in zip(widths, kernels, strides, padding)]


def per_layer(value, count: int) -> tuple:
  """Spells out a field that is given once for all layers, or once per layer."""
  is_spelt = isinstance(value, Sequence) and not isinstance(value, str)
  values = tuple(value) if is_spelt else (value,) * count
  if len(values) != count:
    raise UserError(f'{value!r} has {len(values)} entries for {count} layers: give one value, or one a layer')
  return values
