"""Convolution and transposed convolution, at full speed on every platform.

XLA's gradients of convolutions run at a few GFLOP/s on a CPU. Written as pads, strided slices and one dot, the
forward and every derivative (a gradient penalty needs the second) are again pads, slices and dots. Elsewhere the
same functions lower to XLA's own convolutions; the choice falls when the platform is known, at lowering.

Images are NHWC, kernels HWIO, and `padding` is what flax takes: 'SAME', 'VALID' or one (low, high) per axis. The
modules keep the parameter names, shapes and results of `flax.linen.Conv` and `flax.linen.ConvTranspose`.
"""
from collections.abc import Callable, Sequence
from typing import Any

from flax import linen as nn
from jax import lax
import jax.numpy as jnp

Padding = str | Sequence[tuple[int, int]]
NHWC = ('NHWC', 'HWIO', 'NHWC')


def conv(x, kernel, strides: tuple[int, int] = (1, 1), padding: Padding = 'SAME'):
  """Correlates x [N,H,W,C] with kernel [kh,kw,C,F] -> [N,H',W',F] in x's dtype; sums in at least float32."""
  if isinstance(padding, str):
    padding = lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding)
  return lax.platform_dependent(
      x, kernel,
      cpu=lambda x, kernel: _conv_as_dot(x, kernel, strides, padding),
      default=lambda x, kernel: lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=NHWC))


def conv_transpose(x, kernel, strides: tuple[int, int] = (1, 1), padding: Padding = 'SAME'):
  """Transposes `conv` in x, as `jax.lax.conv_transpose`: x [N,H,W,C], kernel [kh,kw,C,F] -> [N,H',W',F]."""
  if isinstance(padding, str):
    padding = [_transpose_pads(k, s, padding) for k, s in zip(kernel.shape, strides)]
  return lax.platform_dependent(
      x, kernel,
      cpu=lambda x, kernel: _conv_transpose_as_dot(x, kernel, strides, padding),
      default=lambda x, kernel: lax.conv_general_dilated(
          x, kernel, (1, 1), padding, lhs_dilation=strides, dimension_numbers=NHWC))


def _transpose_pads(kernel: int, stride: int, padding: str) -> tuple[int, int]:
  """Returns the pads of the dilated input: output stride times the input ('SAME'), or nothing cropped ('VALID')."""
  if padding == 'SAME':
    total = kernel + stride - 2
    low = kernel - 1 if stride > kernel - 1 else -(-total // 2)
  elif padding == 'VALID':
    total, low = kernel + stride - 2 + max(kernel - stride, 0), kernel - 1
  else:
    raise ValueError(f"padding is {padding!r}; expected 'SAME', 'VALID' or one (low, high) pair per axis")
  return low, total - low


def _dot(x, matrix):
  """Multiplies x [..., K] by matrix [K, M]; float32 sums for bfloat16 operands, rounded once at the end."""
  sums = jnp.promote_types(x.dtype, jnp.float32)
  return jnp.dot(x, matrix, preferred_element_type=sums).astype(x.dtype)


def _conv_as_dot(x, kernel, strides, padding):
  kh, kw, c, features = kernel.shape
  x = lax.optimization_barrier(x)  # or XLA computes what made x again for each of the patches that share it
  x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *((lo, hi, 0) for lo, hi in padding), (0, 0, 0)])
  (n, h, w, _), (sh, sw) = x.shape, strides
  h, w = (h - kh) // sh + 1, (w - kw) // sw + 1
  patches = [lax.slice(x, (0, i, j, 0), (n, i + sh * (h - 1) + 1, j + sw * (w - 1) + 1, c), (1, sh, sw, 1))
             for i in range(kh) for j in range(kw)]
  return _dot(jnp.concatenate(patches, axis=-1), kernel.reshape(kh * kw * c, features))


def _conv_transpose_as_dot(x, kernel, strides, padding):
  kh, kw, c, features = kernel.shape
  n, h, w, _ = x.shape
  (sh, sw), (qh, qw) = strides, (-(-kh // strides[0]), -(-kw // strides[1]))  # q: kernel taps per output phase
  kernel = jnp.flip(kernel, (0, 1)).transpose(2, 0, 1, 3)
  kernel = jnp.pad(kernel, ((0, 0), (0, qh * sh - kh), (0, qw * sw - kw), (0, 0)))
  y = _dot(x, kernel.reshape(c, -1)).reshape(n, h, w, qh, sh, qw, sw, features)
  y = _overlap_add(y, axis=1, taps=3)  # [n, h + qh - 1, w, sh, qw, sw, features]
  y = _overlap_add(y, axis=2, taps=4)  # [n, h + qh - 1, w + qw - 1, sh, sw, features]
  y = y.transpose(0, 1, 3, 2, 4, 5).reshape(n, (h + qh - 1) * sh, (w + qw - 1) * sw, features)
  # Tap i of input m lands on output m * stride + i; the pads of the dilated input say what to crop of that.
  crops = [(lo - (k - 1), (size - 1) * s + hi + 1 - out, 0)
           for (lo, hi), k, s, size, out in zip(padding, (kh, kw), strides, (h, w), y.shape[1:3])]
  return lax.pad(y, jnp.zeros((), y.dtype), [(0, 0, 0), *crops, (0, 0, 0)])


def _overlap_add(y, axis: int, taps: int):
  """Sums over axis `taps`, tap q shifted by q along `axis`, which grows by the number of taps less one."""
  count = y.shape[taps]
  shifted = []
  for q in range(count):
    pads = [(0, 0)] * (y.ndim - 1)
    pads[axis] = (q, count - 1 - q)
    shifted.append(jnp.pad(lax.index_in_dim(y, q, taps, keepdims=False), pads))
  return sum(shifted)


class _Convolution(nn.Module):
  """The parameters that both convolutions share; fields as in `flax.linen.Conv`."""
  features: int
  kernel_size: tuple[int, int]
  strides: tuple[int, int] = (1, 1)
  padding: Padding = 'SAME'
  use_bias: bool = True
  dtype: Any = None
  kernel_init: Callable = nn.initializers.lecun_normal()
  bias_init: Callable = nn.initializers.zeros_init()

  def _apply(self, function, x):
    kernel = self.param('kernel', self.kernel_init, (*self.kernel_size, x.shape[-1], self.features), jnp.float32)
    bias = self.param('bias', self.bias_init, (self.features,), jnp.float32) if self.use_bias else None
    x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
    y = function(x, kernel, self.strides, self.padding)
    return y if bias is None else y + bias


class Conv(_Convolution):
  """`flax.linen.Conv` on [N,H,W,C] through `conv`."""

  @nn.compact
  def __call__(self, x):
    return self._apply(conv, x)


class ConvTranspose(_Convolution):
  """`flax.linen.ConvTranspose` on [N,H,W,C] through `conv_transpose`."""

  @nn.compact
  def __call__(self, x):
    return self._apply(conv_transpose, x)
