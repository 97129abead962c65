"""Layers that the families share."""
from collections.abc import Sequence

from flax import linen as nn
import jax.numpy as jnp

from gans.errors import UserError

NORMS = ('batch', 'layer', 'none')


def normalize(x, norm: str, train: bool, dtype):
  """Normalises features x [B,...,C], with a learnt scale and shift per channel; call it inside a compact module.

  'batch': over the batch and all positions, with running averages when not training (Ioffe & Szegedy 2015).
  'layer': over all of an example's positions and channels, so that examples stay independent, as a gradient
  penalty needs (Ba et al. 2016, as in Gulrajani et al. 2017). 'none': x as it is.
  """
  if norm == 'batch':
    return nn.BatchNorm(use_running_average=not train, momentum=0.9, epsilon=1e-5, dtype=dtype)(x)
  if norm == 'layer':
    return nn.LayerNorm(reduction_axes=range(1, x.ndim), feature_axes=-1, epsilon=1e-5, dtype=dtype)(x)
  if norm == 'none':
    return x
  raise UserError(f'norm={norm!r}: expected one of {NORMS}')


def kernel_init(stddev: float):
  """N(0, stddev^2) as DCGAN has it (0.02); 0 stands for LeCun's initialisation, which follows the fan-in."""
  return nn.initializers.normal(stddev) if stddev else nn.initializers.lecun_normal()


def per_layer(value, count: int) -> tuple:
  """Spells out a field that is given once for all layers, or once per layer."""
  values = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,) * count
  if len(values) != count:
    raise UserError(f'{value!r} has {len(values)} entries for {count} layers: give one value, or one a layer')
  return values


def scores(x):
  """Drops the last axis, of size one: [B, 1] -> [B], in float32 whatever the compute dtype."""
  return jnp.squeeze(x, -1).astype(jnp.float32)
