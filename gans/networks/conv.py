"""Convolution and transposed convolution, at full speed on every platform.

XLA's gradients of convolutions run at a few GFLOP/s on a CPU. Written as patches and one dot, the forward and every
derivative (a gradient penalty needs the second) are again patches, their sums and dots. Elsewhere the same functions
lower to XLA's own convolutions; the choice falls when the platform is known, at lowering.

Images are NHWC, kernels HWIO, and `padding` is what flax takes: 'SAME', 'VALID' or one (low, high) per axis. The
modules keep the parameter names, shapes and results of `flax.linen.Conv` and `flax.linen.ConvTranspose`.
"""
from collections.abc import Callable, Sequence
import functools
from typing import Any

from flax import linen as nn
import jax
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
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


def _conv_as_dot(x, kernel, strides, padding):
  x = lax.optimization_barrier(x)  # or XLA computes what made x again for each of the patches that share it
  blocks = _blocks(kernel, strides)
  (qh, qw), features, (n, *size, _) = blocks.shape[:2], kernel.shape[-1], x.shape
  h, w = ((length + lo + hi - k) // s + 1
            for length, (lo, hi), k, s in zip(size, padding, kernel.shape, strides))
  edges = [(lo, q * s - lo - length, 0)  # as many rows and columns as whole blocks need
           for (lo, _), q, s, length in zip(padding, (h + qh - 1, w + qw - 1), strides, size)]
  x = _space_to_depth(lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *edges, (0, 0, 0)]), strides)
  patches = _patches.bind(x, taps=(qh, qw)).reshape(n * h * w, -1)
  return _matmul.bind(patches, blocks.reshape(-1, features)).reshape(n, h, w, features)


def _conv_transpose_as_dot(x, kernel, strides, padding):
  blocks = _blocks(jnp.flip(kernel, (0, 1)), strides)
  (qh, qw), (n, h, w, c) = blocks.shape[:2], x.shape
  y = _matmul.bind(x.reshape(-1, c), jnp.moveaxis(blocks, 4, 0).reshape(c, -1))
  y = _overlap_add.bind(y.reshape(n, h, w, -1), taps=(qh, qw))
  y = _depth_to_space(y, strides)  # [n, (h + qh - 1) * sh, (w + qw - 1) * sw, features]
  # Tap i of input m lands on output m * stride + i; the pads of the dilated input say what to crop of that.
  crops = [(lo - (k - 1), (size - 1) * s + hi + 1 - out, 0)
           for (lo, hi), k, s, size, out in zip(padding, kernel.shape, strides, (h, w), y.shape[1:3])]
  return lax.pad(y, jnp.zeros((), y.dtype), [(0, 0, 0), *crops, (0, 0, 0)])


def _blocks(kernel, strides):
  """Cuts a kernel [kh,kw,C,F] into q taps of one stride each: [qh,qw,sh,sw,C,F], zeros at the end where it must."""
  (kh, kw, c, features), (sh, sw) = kernel.shape, strides
  kernel = jnp.pad(kernel, ((0, -kh % sh), (0, -kw % sw), (0, 0), (0, 0)))
  return kernel.reshape(-(-kh // sh), sh, -(-kw // sw), sw, c, features).transpose(0, 2, 1, 3, 4, 5)


def _space_to_depth(x, strides):
  """[N,H,W,C] -> [N,H/sh,W/sw,sh*sw*C]: a convolution with strides becomes one without."""
  (n, h, w, c), (sh, sw) = x.shape, strides
  x = x.reshape(n, h // sh, sh, w // sw, sw, c).transpose(0, 1, 3, 2, 4, 5)
  return x.reshape(n, h // sh, w // sw, sh * sw * c)


def _depth_to_space(x, strides):
  """[N,H,W,sh*sw*C] -> [N,H*sh,W*sw,C]."""
  (n, h, w, _), (sh, sw) = x.shape, strides
  return x.reshape(n, h, w, sh, sw, -1).transpose(0, 1, 3, 2, 4, 5).reshape(n, h * sh, w * sw, -1)


# The four operations below are closed under differentiation: each is linear in each of its operands, and what pulls a
# cotangent back through one is another. XLA's own transposes of their parts are up to twice as slow on a CPU.


def _operation(name: str, function: Callable) -> Primitive:
  """Makes one operation of a function of arrays, keeping its shapes' rules, batching and lowering."""
  def abstract(*arrays, **settings):
    out = jax.eval_shape(functools.partial(function, **settings), *arrays)
    return jax.core.ShapedArray(out.shape, out.dtype)

  def batch(arrays, axes, **settings):
    return jax.vmap(functools.partial(function, **settings), axes)(*arrays), 0

  operation = Primitive(name)
  operation.def_impl(function)
  operation.def_abstract_eval(abstract)
  batching.primitive_batchers[operation] = batch
  mlir.register_lowering(operation, mlir.lower_fun(function, multiple_results=False))
  return operation


def _gather_patches(x, taps):
  (qh, qw), (_, h, w, _) = taps, x.shape
  return jnp.concatenate([x[:, a:h - qh + 1 + a, b:w - qw + 1 + b] for a in range(qh) for b in range(qw)], axis=-1)


def _add_patches(y, taps):
  (qh, qw), (n, h, w, _) = taps, y.shape
  y = y.reshape(n, h, w, qh, qw, -1)
  return sum(jnp.pad(y[:, :, :, a, b], ((0, 0), (a, qh - 1 - a), (b, qw - 1 - b), (0, 0)))
             for a in range(qh) for b in range(qw))


def _sum_products(x, y, axes):
  sums = jnp.promote_types(x.dtype, jnp.float32)  # float32 sums for bfloat16 operands, rounded once at the end
  return lax.dot_general(x, y, (axes, ((), ())), preferred_element_type=sums).astype(x.dtype)


def _multiply(x, weight):
  return _sum_products(x, weight, ((1,), (0,)))


def _correlate(x, y):
  # The narrower one first, as that is what gets transposed; the barrier keeps XLA from turning it round again.
  product = lambda x, y: lax.optimization_barrier(_sum_products(x, y, ((0,), (0,))))
  return product(x, y) if x.shape[1] < y.shape[1] else product(y, x).T


_patches = _operation('patches', _gather_patches)  # [N,H,W,C] -> [N,H-qh+1,W-qw+1,qh*qw*C]
_overlap_add = _operation('overlap_add', _add_patches)  # [N,H,W,qh*qw*C] -> [N,H+qh-1,W+qw-1,C]
_matmul = _operation('matmul', _multiply)  # [M,K], [K,N] -> [M,N]
_weight_gradient = _operation('weight_gradient', _correlate)  # [M,K], [M,N] -> [K,N]
ad.deflinear2(_patches, lambda ct, x, taps: [_overlap_add.bind(ct, taps=taps)])
ad.deflinear2(_overlap_add, lambda ct, y, taps: [_patches.bind(ct, taps=taps)])
ad.defbilinear(_matmul, lambda ct, x, weight: _matmul.bind(ct, weight.T),
               lambda ct, x, weight: _weight_gradient.bind(x, ct))
ad.defbilinear(_weight_gradient, lambda ct, x, y: _matmul.bind(y, ct.T), lambda ct, x, y: _matmul.bind(x, ct))


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
    x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=self.dtype)
    y = function(x, kernel, self.strides, self.padding)
    # The bias stays float32: its gradient is a sum over all positions, which in bfloat16 stops growing early.
    return y if bias is None else (y + bias).astype(y.dtype)


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
