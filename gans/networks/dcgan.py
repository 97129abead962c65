"""Convolutional networks after DCGAN (Radford et al. 2016), for images of any size that their strides reach.

A config spells the network: one entry a layer, or one value for all. So the 28, 32, 64 and 128 pixel networks of the
configs, and the ones of the papers, are settings of the same two modules.
"""
from typing import Any

from flax import linen as nn
import jax.numpy as jnp

from gans import ops
from gans.errors import UserError
from gans.networks import layers


class Generator(nn.Module):
  """z [B,Z] -> images [B,H,W,C] in [-1, 1]: transposed convolutions with norm and ReLU, tanh at the end.

  With `start` s a dense layer first makes a map of s x s x hidden[0]; with 1 the noise itself is the first map, of
  1x1xZ. Raises UserError when the layers do not lead to `image_shape`.
  """
  image_shape: tuple[int, int, int]
  start: int = 7
  hidden: tuple[int, ...] = (64, 32)
  kernels: int | tuple[int, ...] = 4
  strides: int | tuple[int, ...] = 2
  padding: str | tuple[str, ...] = 'SAME'
  norm: str = 'batch'
  init_stddev: float = 0.02
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, z, label, *, train):
    init = layers.kernel_init(self.init_stddev)
    x, features = z[:, None, None, :], (*self.hidden, self.image_shape[-1])
    if self.start > 1:
      x = nn.Dense(self.start ** 2 * features[0], kernel_init=init, dtype=self.dtype)(z)
      x = x.reshape(-1, self.start, self.start, features[0])
      x = nn.relu(layers.normalize(x, self.norm, train, self.dtype))
      features = features[1:]
    settings = zip(features, *(layers.per_layer(v, len(features)) for v in (self.kernels, self.strides, self.padding)))
    for i, (width, kernel, stride, padding) in enumerate(settings):
      x = ops.ConvTranspose(width, (kernel, kernel), (stride, stride), padding, kernel_init=init, dtype=self.dtype)(x)
      if i < len(features) - 1:
        x = nn.relu(layers.normalize(x, self.norm, train, self.dtype))
    if x.shape[1:] != tuple(self.image_shape):
      raise UserError(f'the generator makes images of {x.shape[1:]}, the data have {tuple(self.image_shape)}: change '
                      'dataset.image_size, or generator.start, kernels, strides and padding')
    return jnp.tanh(x.astype(jnp.float32))


class Critic(nn.Module):
  """images [B,H,W,C] -> scores [B]: convolutions with norm and leaky ReLU 0.2.

  `head` 'dense' scores all of the last map; 'conv' is one more convolution, to one channel, and must leave 1x1.
  """
  hidden: tuple[int, ...] = (16, 32, 64)
  kernels: int | tuple[int, ...] = 4
  strides: int | tuple[int, ...] = 2
  padding: str | tuple[str, ...] = 'SAME'
  norm: str | tuple[str, ...] = 'layer'
  head: str = 'dense'
  init_stddev: float = 0.02
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, image, label, *, train):
    init = layers.kernel_init(self.init_stddev)
    x, features = image, (*self.hidden, 1) if self.head == 'conv' else self.hidden
    norms = layers.per_layer(self.norm, len(self.hidden))
    settings = zip(features, *(layers.per_layer(v, len(features)) for v in (self.kernels, self.strides, self.padding)))
    for i, (width, kernel, stride, padding) in enumerate(settings):
      x = ops.Conv(width, (kernel, kernel), (stride, stride), padding, kernel_init=init, dtype=self.dtype)(x)
      if i < len(self.hidden):
        x = nn.leaky_relu(layers.normalize(x, norms[i], train, self.dtype), 0.2)
    if self.head == 'conv' and x.shape[1:3] != (1, 1):
      raise UserError(f"the critic's last map is {x.shape[1:3]}, which critic.head='conv' needs to be (1, 1): change "
                      "critic.kernels, strides and padding, or take head='dense'")
    x = x.reshape(x.shape[0], -1)
    return layers.scores(x if self.head == 'conv' else nn.Dense(1, kernel_init=init, dtype=self.dtype)(x))
