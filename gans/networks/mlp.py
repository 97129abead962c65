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
  init_stddev: float = 0.
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, z, label, *, train):
    x = z
    for features in self.hidden:
      x = nn.Dense(features, kernel_init=layers.kernel_init(self.init_stddev), dtype=self.dtype)(x)
      x = nn.relu(layers.normalize(x, self.norm, train, self.dtype))
    x = nn.Dense(math.prod(self.image_shape), kernel_init=layers.kernel_init(self.init_stddev), dtype=self.dtype)(x)
    x = x.reshape(-1, *self.image_shape).astype(jnp.float32)
    return jnp.tanh(x) if self.output == 'tanh' else x


class Critic(nn.Module):
  """images [B,...] -> scores [B]: dense layers with leaky ReLU."""
  hidden: tuple[int, ...] = (128,)
  norm: str = 'none'
  leak: float = 0.2
  init_stddev: float = 0.
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, image, label, *, train):
    x = image.reshape(image.shape[0], -1)
    for features in self.hidden:
      x = nn.Dense(features, kernel_init=layers.kernel_init(self.init_stddev), dtype=self.dtype)(x)
      x = nn.leaky_relu(layers.normalize(x, self.norm, train, self.dtype), self.leak)
    return layers.scores(nn.Dense(1, kernel_init=layers.kernel_init(self.init_stddev), dtype=self.dtype)(x))
