"""Convolutional networks after DCGAN (Radford et al. 2016), for images of any size that their strides reach.

A config spells the network: one entry a layer, or one value for all. So the 28, 32, 64 and 128 pixel networks of the
configs, and the ones of the papers, are settings of the same two modules.
"""
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp

from gans.errors import UserError
from gans.networks import conv, layers


class Generator(nn.Module):
  """z [B,Z] -> images [B,H,W,C] in [-1, 1]: transposed convolutions with norm and ReLU, tanh at the end.

  Dense layers of widths `dense`, if any, come first. With `start` s one more makes a map of s x s x hidden[0]; with 1
  the features themselves are the first map, 1x1. `upsample` 'nearest' or 'bilinear' enlarges the map by the stride and
  convolves, instead of 'transposed'. Raises UserError when the layers do not lead to `image_shape`.
  """
  image_shape: tuple[int, int, int]
  hidden: tuple[int, ...] = (64, 32)
  dense: tuple[int, ...] = ()
  start: int = 7
  kernels: int | tuple[int, ...] = 4
  strides: int | tuple[int, ...] = 2
  padding: str | tuple[str, ...] = 'SAME'
  upsample: str = 'transposed'
  norm: str = 'batch'
  label_dim: int = 0
  num_classes: int = 0
  init_stddev: float = 0.02
  remat: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, z, label, *, train):
    init = layers.kernel_init(self.init_stddev)
    x, features = layers.join_label(z, label, self.num_classes, self.label_dim), (*self.hidden, self.image_shape[-1])
    for width in self.dense:
      x = self._activate(nn.Dense(width, kernel_init=init, dtype=self.dtype)(x), train)
    if self.start > 1:
      x = nn.Dense(self.start ** 2 * features[0], kernel_init=init, dtype=self.dtype)(x)
      x = self._activate(x.reshape(-1, self.start, self.start, features[0]), train)
      features = features[1:]
    else:
      x = x[:, None, None, :]
    settings = zip(features, *(layers.per_layer(v, len(features)) for v in (self.kernels, self.strides, self.padding)))
    for i, setting in enumerate(settings):
      x = layers.layer(self, Generator._layer, x, *setting, i == len(features) - 1, train)
    if x.shape[1:] != tuple(self.image_shape):
      raise UserError(f'the generator makes images of {x.shape[1:]}, the data have {tuple(self.image_shape)}: change '
                      'dataset.image_size, or generator.start, kernels, strides and padding')
    return jnp.tanh(x.astype(jnp.float32))

  def _layer(self, x, width: int, kernel: int, stride: int, padding: str, last: bool, train: bool):
    x = self._enlarge(x, width, kernel, stride, padding)
    return x if last else self._activate(x, train)

  def _activate(self, x, train: bool):
    return nn.relu(layers.normalize(x, self.norm, train, self.dtype))

  def _enlarge(self, x, width: int, kernel: int, stride: int, padding: str):
    fields = {'kernel_init': layers.kernel_init(self.init_stddev), 'dtype': self.dtype}
    if self.upsample == 'transposed':
      return conv.ConvTranspose(width, (kernel, kernel), (stride, stride), padding, **fields)(x)
    if self.upsample not in ('nearest', 'bilinear'):
      raise UserError(f"generator.upsample={self.upsample!r}: expected 'transposed', 'nearest' or 'bilinear'")
    n, h, w, c = x.shape
    x = jax.image.resize(x, (n, h * stride, w * stride, c), self.upsample)
    return conv.Conv(width, (kernel, kernel), padding=padding, **fields)(x)


class Critic(nn.Module):
  """images [B,H,W,C] -> scores [B]: convolutions with norm and leaky ReLU 0.2.

  With `classify` (scores [B], class logits [B,K]); with `outputs` N > 0, N numbers [B,N] in place of a score.

  The first convolution has no norm, as in DCGAN, unless `norm_first` is set. `head` 'dense' scores all of the last map,
  after dense layers of widths `dense` with `dropout`, if any; 'conv' is one more convolution, to one channel, and must
  leave 1x1.
  """
  hidden: tuple[int, ...] = (16, 32, 64)
  kernels: int | tuple[int, ...] = 4
  strides: int | tuple[int, ...] = 2
  padding: str | tuple[str, ...] = 'SAME'
  norm: str = 'layer'
  norm_first: bool = False
  head: str = 'dense'
  dense: tuple[int, ...] = ()
  dropout: float = 0.
  label_dim: int = 0
  num_classes: int = 0
  classify: bool = False
  outputs: int = 0
  init_stddev: float = 0.02
  remat: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, image, label, *, train):
    layers.check_norm(self.norm)
    init = layers.kernel_init(self.init_stddev)
    x = layers.join_label(image, label, self.num_classes, self.label_dim)
    features = (*self.hidden, 1) if self.head == 'conv' else self.hidden
    settings = zip(features, *(layers.per_layer(v, len(features)) for v in (self.kernels, self.strides, self.padding)))
    for i, setting in enumerate(settings):
      norm = self.norm if i or self.norm_first else 'none'
      x = layers.layer(self, Critic._layer, x, *setting, norm, i == len(self.hidden), train)
    if self.head == 'conv':
      return self._squeeze(x)
    x = nn.Dropout(self.dropout, deterministic=not train)(x.reshape(x.shape[0], -1))
    for width in self.dense:
      x = nn.leaky_relu(nn.Dense(width, kernel_init=init, dtype=self.dtype)(x), 0.2)
      x = nn.Dropout(self.dropout, deterministic=not train)(x)
    return layers.judge(x, self.num_classes * self.classify, self.outputs, self.init_stddev, self.dtype)

  def _layer(self, x, width: int, kernel: int, stride: int, padding: str, norm: str, head: bool, train: bool):
    x = conv.Conv(width, (kernel, kernel), (stride, stride), padding, kernel_init=layers.kernel_init(self.init_stddev),
                 dtype=self.dtype)(x)
    return x if head else nn.leaky_relu(layers.normalize(x, norm, train, self.dtype), 0.2)

  def _squeeze(self, x):
    """[B,1,1,1] -> [B] float32."""
    if x.shape[1:] != (1, 1, 1) or self.classify or self.dense or self.outputs:
      raise UserError(f"the critic's last map is {x.shape[1:3]}; critic.head='conv' needs (1, 1), and no dense, "
                      "classify or outputs: change critic.kernels, strides and padding, or take head='dense'")
    return x[:, 0, 0, 0].astype(jnp.float32)
