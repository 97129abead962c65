"""A critic of pairs of an image and its code: BiGAN (Donahue et al. 2017), ALI (Dumoulin et al. 2017)."""
from typing import Any

from flax import linen as nn
import jax.numpy as jnp

from gans.networks import dcgan, layers
from gans.ranges import Fraction, KernelPerLayer, SizeOrNone, Sizes, Stddev


class Critic(nn.Module):
  """(image [B,*positions,C], z [B,Z]) -> scores [B] float32.

  Convolutions make features of the image, as in dcgan.Critic, and dense layers of widths `z_dense` make those of z.
  Dense layers of widths `dense` score both together. All dense layers have `dropout`.
  """
  hidden: Sizes = (32, 64)
  kernels: KernelPerLayer = 4
  strides: KernelPerLayer = 2
  padding: layers.PaddingPerLayer = 'SAME'
  use_bias: bool = True
  norm: layers.NormName = 'layer'
  norm_first: bool = False
  spectral: bool = False
  attention_at: SizeOrNone = 0
  z_dense: Sizes = (128,)
  dense: Sizes = (128,)
  dropout: Fraction = 0.
  init_stddev: Stddev = 0.02
  remat: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, image, z, *, train):
    layers.check_norm(self.norm)
    convolutions = layers.list_convolutions(self, self.hidden, self.use_bias)
    x = dcgan.apply_convolutions(self, image, convolutions, train)
    layers.check_attention(self)
    x = x.reshape(x.shape[0], -1)
    z = dcgan.apply_dense_layers(self, z, self.z_dense, train)
    both = jnp.concatenate([x, z], axis=-1)
    both = dcgan.apply_dense_layers(self, both, self.dense, train)
    return layers.apply_dense(self, both, 1)[:, 0].astype(jnp.float32)
