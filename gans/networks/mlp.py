"""Fully connected networks, for images as flat vectors and for points in the plane."""
import math
from typing import Any

from flax import linen as nn
import jax.numpy as jnp

from gans.networks import layers


class Generator(nn.Module):
  """z [B,Z] -> images [B, *image_shape]: dense layers with ReLU, then tanh, or nothing where `output` is 'linear'."""
  image_shape: tuple[int, ...]
  hidden: tuple[int, ...] = (256,)
  norm: str = 'none'
  output: str = 'tanh'
  label_dim: int = 0
  num_classes: int = 0
  init_stddev: float = 0.
  remat: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, z, label, *, train):
    x = layers.join_label(z, label, self.num_classes, self.label_dim)
    for features in self.hidden:
      x = layers.layer(self, Generator._layer, x, features, train)
    x = nn.Dense(math.prod(self.image_shape), kernel_init=layers.kernel_init(self.init_stddev), dtype=self.dtype)(x)
    x = x.reshape(-1, *self.image_shape).astype(jnp.float32)
    return jnp.tanh(x) if self.output == 'tanh' else x

  def _layer(self, x, features: int, train: bool):
    x = nn.Dense(features, kernel_init=layers.kernel_init(self.init_stddev), dtype=self.dtype)(x)
    return nn.relu(layers.normalize(x, self.norm, train, self.dtype))


class Critic(nn.Module):
  """images [B,...] -> scores [B]: dense layers with leaky ReLU and dropout.

  With `classify` (scores [B], class logits [B,K]); with `outputs` N > 0, N numbers [B,N] in place of a score.
  """
  hidden: tuple[int, ...] = (128,)
  norm: str = 'none'
  leak: float = 0.2
  dropout: float = 0.
  label_dim: int = 0
  num_classes: int = 0
  classify: bool = False
  outputs: int = 0
  init_stddev: float = 0.
  remat: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, image, label, *, train):
    x = layers.join_label(image, label, self.num_classes, self.label_dim)
    x = x.reshape(x.shape[0], -1)
    for features in self.hidden:
      x = layers.layer(self, Critic._layer, x, features, train)
    return layers.judge(x, self.num_classes * self.classify, self.outputs, self.init_stddev, self.dtype)

  def _layer(self, x, features: int, train: bool):
    x = nn.Dense(features, kernel_init=layers.kernel_init(self.init_stddev), dtype=self.dtype)(x)
    x = nn.leaky_relu(layers.normalize(x, self.norm, train, self.dtype), self.leak)
    return nn.Dropout(self.dropout, deterministic=not train)(x)
