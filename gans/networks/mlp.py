"""Fully connected networks, for images as flat vectors and for points in the plane."""
import functools
import math
from typing import Annotated, Any

from flax import linen as nn
import jax.numpy as jnp

from gans.networks import layers
from gans.ranges import Fraction, OneOf, SizeOrNone, Sizes, Slope, Stddev


class Generator(nn.Module):
  """z [B,Z] -> images [B, *image_shape]: dense layers with ReLU, then tanh unless `output` is 'linear'.

  The norm 'conditional_batch' is conditioned on the label.
  """
  image_shape: tuple[int, ...]
  hidden: Sizes = (256,)
  norm: layers.GeneratorNormName = 'none'
  spectral: bool = False
  output: Annotated[str, OneOf(('tanh', 'linear'))] = 'tanh'
  label_dim: SizeOrNone = 0
  num_classes: int = 0
  init_stddev: Stddev = 0.
  remat: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, z, label, *, train):
    x = layers.join_label(z, label, self.num_classes, self.label_dim)
    condition = layers.label_condition(self, label)
    for width in self.hidden:
      layer = functools.partial(apply_generator_layer, width=width, condition=condition, train=train)
      x = layers.apply_layer(self, layer, x)
    x = layers.apply_dense(self, x, math.prod(self.image_shape))
    x = x.reshape(-1, *self.image_shape)
    x = x.astype(jnp.float32)
    return jnp.tanh(x) if self.output == 'tanh' else x


def apply_generator_layer(network: Generator, x, width: int, condition, train: bool):
  """Applies dense, norm and ReLU: [B,...] -> [B,width]."""
  return layers.normalize_and_activate(network, layers.apply_dense(network, x, width), train, condition)


class Critic(nn.Module):
  """images [B,...] -> scores [B]: dense layers with leaky ReLU and dropout.

  With `maxout` k > 0, a unit is the largest of k numbers (Goodfellow et al. 2013) in place of one's leaky ReLU.
  With `classify`, (scores [B], class logits [B,K]); with `outputs` N > 0, N numbers [B,N] in place of a score;
  with `features`, (scores [B], the last layer's inputs [B,F]); with `projection`, a score that depends on the label.
  """
  hidden: Sizes = (128,)
  norm: layers.NormName = 'none'
  spectral: bool = False
  leak: Slope = 0.2
  maxout: SizeOrNone = 0
  dropout: Fraction = 0.
  label_dim: SizeOrNone = 0
  num_classes: int = 0
  projection: bool = False
  classify: bool = False
  outputs: SizeOrNone = 0
  features: bool = False
  init_stddev: Stddev = 0.
  remat: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, image, label, *, train):
    x = layers.join_label(image, label, self.num_classes, self.label_dim)
    x = x.reshape(x.shape[0], -1)
    for width in self.hidden:
      layer = functools.partial(apply_critic_layer, width=width, train=train)
      x = layers.apply_layer(self, layer, x)
    return layers.apply_head(self, x, label)


def apply_critic_layer(network: Critic, x, width: int, train: bool):
  """Applies dense, norm, leaky ReLU or maxout, and dropout: [B,...] -> [B,width]."""
  x = layers.apply_dense(network, x, width * (network.maxout or 1))
  x = layers.normalize(x, network.norm, train, network.dtype)
  x = x.reshape(-1, width, network.maxout).max(axis=-1) if network.maxout else nn.leaky_relu(x, network.leak)
  return nn.Dropout(network.dropout, deterministic=not train)(x)
