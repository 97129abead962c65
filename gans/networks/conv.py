"""Convolution and transposed convolution, at full speed on every platform.

XLA's gradients of convolutions run at a few GFLOP/s on a CPU. Written as patches and one dot, the forward pass and
every derivative (a gradient penalty needs the second) consist of patches, their sums and dots again. On other platforms
the same functions lower to XLA's own convolutions; the choice is made at lowering, when the platform is known.

Images are NHWC, kernels HWIO, and `padding` is what flax takes: 'SAME', 'VALID' or one (low, high) pair per axis. The
modules keep the parameter names, shapes and results of `flax.linen.Conv` and `flax.linen.ConvTranspose`.
"""
from collections.abc import Callable, Sequence
import functools
import math
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
  """Correlates x [N,H,W,C] with kernel [kh,kw,C,F] -> [N,H',W',F] in x's dtype; sums are at least float32."""
  if isinstance(padding, str):
    padding = lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding)
  return lax.platform_dependent(
      x, kernel,
      cpu=functools.partial(_conv_as_dot, strides=strides, padding=padding),
      default=functools.partial(_conv_by_xla, strides=strides, padding=padding))


def conv_transpose(x, kernel, strides: tuple[int, int] = (1, 1), padding: Padding = 'SAME'):
  """Transposes `conv` in x, as `jax.lax.conv_transpose` does: x [N,H,W,C], kernel [kh,kw,C,F] -> [N,H',W',F]."""
  if isinstance(padding, str):
    rows = _transpose_pads(kernel.shape[0], strides[0], padding)
    columns = _transpose_pads(kernel.shape[1], strides[1], padding)
    padding = (rows, columns)
  return lax.platform_dependent(
      x, kernel,
      cpu=functools.partial(_conv_transpose_as_dot, strides=strides, padding=padding),
      default=functools.partial(_conv_transpose_by_xla, strides=strides, padding=padding))


def _conv_by_xla(x, kernel, strides, padding):
  return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=NHWC)


def _conv_transpose_by_xla(x, kernel, strides, padding):
  return lax.conv_general_dilated(x, kernel, (1, 1), padding, lhs_dilation=strides, dimension_numbers=NHWC)


def _transpose_pads(kernel: int, stride: int, padding: str) -> tuple[int, int]:
  """Returns the pads of the dilated input: output stride times the input ('SAME'), or nothing cropped ('VALID')."""
  if padding == 'SAME':
    total = kernel + stride - 2
    low = kernel - 1 if stride > kernel - 1 else math.ceil(total / 2)
  elif padding == 'VALID':
    total = kernel + stride - 2 + max(kernel - stride, 0)
    low = kernel - 1
  else:
    raise ValueError(f"padding is {padding!r}; expected 'SAME', 'VALID' or one (low, high) pair per axis")
  return low, total - low


def _conv_as_dot(x, kernel, strides, padding):
  x = lax.optimization_barrier(x)  # or XLA computes x again for each of the patches that share it
  blocks = _cut_into_blocks(kernel, strides)
  rows = _pads_to_whole_blocks(x.shape[1], kernel.shape[0], strides[0], padding[0])
  columns = _pads_to_whole_blocks(x.shape[2], kernel.shape[1], strides[1], padding[1])
  x = _pad_or_crop(x, rows, columns)
  x = _space_to_depth(x, strides)
  patches = _patches.bind(x, taps=blocks.shape[:2])
  n, h, w, patch_size = patches.shape
  features = blocks.shape[-1]
  y = _matmul.bind(patches.reshape(n * h * w, patch_size), blocks.reshape(patch_size, features))
  return y.reshape(n, h, w, features)


def _conv_transpose_as_dot(x, kernel, strides, padding):
  n, h, w, channels = x.shape
  blocks = _cut_into_blocks(jnp.flip(kernel, (0, 1)), strides)
  pixels = x.reshape(-1, channels)
  weight = jnp.moveaxis(blocks, 4, 0).reshape(channels, -1)
  y = _matmul.bind(pixels, weight).reshape(n, h, w, -1)
  y = _overlap_add.bind(y, taps=blocks.shape[:2])
  y = _depth_to_space(y, strides)
  rows = _crop_of_transpose(h, kernel.shape[0], strides[0], padding[0])
  columns = _crop_of_transpose(w, kernel.shape[1], strides[1], padding[1])
  return _pad_or_crop(y, rows, columns)


def _num_taps(kernel: int, stride: int) -> int:
  """Returns how many blocks of one stride a kernel covers along an axis."""
  return math.ceil(kernel / stride)


def _cut_into_blocks(kernel, strides):
  """Cuts a kernel [kh,kw,C,F], with zeros at its end if need be, into taps of one stride each: [qh,qw,sh,sw,C,F]."""
  kh, kw, channels, features = kernel.shape
  sh, sw = strides
  qh, qw = _num_taps(kh, sh), _num_taps(kw, sw)
  kernel = jnp.pad(kernel, ((0, qh * sh - kh), (0, qw * sw - kw), (0, 0), (0, 0)))
  kernel = kernel.reshape(qh, sh, qw, sw, channels, features)
  return kernel.transpose(0, 2, 1, 3, 4, 5)


def _pads_to_whole_blocks(length: int, kernel: int, stride: int, pads: tuple[int, int]) -> tuple[int, int]:
  """Returns the pads of an axis of a convolution's input that the blocks of its outputs then cover exactly."""
  low, high = pads
  outputs = (length + low + high - kernel) // stride + 1
  covered = (outputs + _num_taps(kernel, stride) - 1) * stride
  return low, covered - low - length


def _crop_of_transpose(length: int, kernel: int, stride: int, pads: tuple[int, int]) -> tuple[int, int]:
  """Returns how a transposed convolution's blocks, added up along an axis, are padded; negative pads crop.

  Tap i of input m lands on output m * stride + i; the pads of the dilated input say what to crop of that.
  """
  low, high = pads
  covered = (length + _num_taps(kernel, stride) - 1) * stride
  return low - (kernel - 1), (length - 1) * stride + high + 1 - covered


def _pad_or_crop(x, rows: tuple[int, int], columns: tuple[int, int]):
  """Pads x [N,H,W,C] with zeros along H and W; negative pads crop."""
  return lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), (*rows, 0), (*columns, 0), (0, 0, 0)))


def _space_to_depth(x, strides):
  """[N,H,W,C] -> [N,H/sh,W/sw,sh*sw*C]: a convolution with strides becomes one without."""
  n, h, w, channels = x.shape
  sh, sw = strides
  x = x.reshape(n, h // sh, sh, w // sw, sw, channels)
  x = x.transpose(0, 1, 3, 2, 4, 5)
  return x.reshape(n, h // sh, w // sw, sh * sw * channels)


def _depth_to_space(x, strides):
  """[N,H,W,sh*sw*C] -> [N,H*sh,W*sw,C]."""
  n, h, w, _ = x.shape
  sh, sw = strides
  x = x.reshape(n, h, w, sh, sw, -1)
  x = x.transpose(0, 1, 3, 2, 4, 5)
  return x.reshape(n, h * sh, w * sw, -1)


# The four operations below are closed under differentiation: each is linear in each of its operands, and what pulls a
# cotangent back through one is another. XLA's own transposes of their parts are up to twice as slow on a CPU.


def _make_operation(name: str, function: Callable) -> Primitive:
  """Makes one operation of a function of arrays, with that function's shapes, batching and lowering."""
  def abstract(*arrays, **settings):
    out = jax.eval_shape(functools.partial(function, **settings), *arrays)
    return jax.core.ShapedArray(out.shape, out.dtype)

  def batch(arrays, axes, **settings):
    batched = jax.vmap(functools.partial(function, **settings), axes)
    return batched(*arrays), 0

  operation = Primitive(name)
  operation.def_impl(function)
  operation.def_abstract_eval(abstract)
  batching.primitive_batchers[operation] = batch
  mlir.register_lowering(operation, mlir.lower_fun(function, multiple_results=False))
  return operation


def _gather_patches(x, taps):
  qh, qw = taps
  _, height, width, _ = x.shape
  h, w = height - qh + 1, width - qw + 1
  shifted = [x[:, row:row + h, column:column + w] for row in range(qh) for column in range(qw)]
  return jnp.concatenate(shifted, axis=-1)


def _add_patches(y, taps):
  qh, qw = taps
  n, h, w, _ = y.shape
  y = y.reshape(n, h, w, qh, qw, -1)
  shifted = []
  for row in range(qh):
    for column in range(qw):
      pads = ((0, 0), (row, qh - 1 - row), (column, qw - 1 - column), (0, 0))
      shifted.append(jnp.pad(y[:, :, :, row, column], pads))
  return sum(shifted)


def _sum_products(x, y, axes):
  sums_dtype = jnp.promote_types(x.dtype, jnp.float32)  # float32 sums for bfloat16 operands, rounded once at the end
  sums = lax.dot_general(x, y, (axes, ((), ())), preferred_element_type=sums_dtype)
  return sums.astype(x.dtype)


def _multiply(x, weight):
  return _sum_products(x, weight, ((1,), (0,)))


def _correlate(x, y):
  # The narrower operand comes first, as that is the one that gets transposed.
  if x.shape[1] < y.shape[1]:
    return _correlate_in_order(x, y)
  return _correlate_in_order(y, x).T


def _correlate_in_order(x, y):
  products = _sum_products(x, y, ((0,), (0,)))
  return lax.optimization_barrier(products)  # keeps XLA from swapping the operands


_patches = _make_operation('patches', _gather_patches)  # [N,H,W,C] -> [N,H-qh+1,W-qw+1,qh*qw*C]
_overlap_add = _make_operation('overlap_add', _add_patches)  # [N,H,W,qh*qw*C] -> [N,H+qh-1,W+qw-1,C]
_matmul = _make_operation('matmul', _multiply)  # [M,K], [K,N] -> [M,N]
_weight_gradient = _make_operation('weight_gradient', _correlate)  # [M,K], [M,N] -> [K,N]


# How cotangents are pulled back through them.


def _pull_patches_back(ct, x, taps):
  del x
  return [_overlap_add.bind(ct, taps=taps)]


def _pull_overlap_add_back(ct, y, taps):
  del y
  return [_patches.bind(ct, taps=taps)]


def _pull_matmul_back_to_x(ct, x, weight):
  del x
  return _matmul.bind(ct, weight.T)


def _pull_matmul_back_to_weight(ct, x, weight):
  del weight
  return _weight_gradient.bind(x, ct)


def _pull_weight_gradient_back_to_x(ct, x, y):
  del x
  return _matmul.bind(y, ct.T)


def _pull_weight_gradient_back_to_y(ct, x, y):
  del y
  return _matmul.bind(x, ct)


ad.deflinear2(_patches, _pull_patches_back)
ad.deflinear2(_overlap_add, _pull_overlap_add_back)
ad.defbilinear(_matmul, _pull_matmul_back_to_x, _pull_matmul_back_to_weight)
ad.defbilinear(_weight_gradient, _pull_weight_gradient_back_to_x, _pull_weight_gradient_back_to_y)


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

  def _convolve(self, function, x):
    kernel_shape = (*self.kernel_size, x.shape[-1], self.features)
    kernel = self.param('kernel', self.kernel_init, kernel_shape, jnp.float32)
    x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=self.dtype)
    y = function(x, kernel, self.strides, self.padding)
    if not self.use_bias:
      return y
    # The bias stays float32: its gradient is a sum over all positions, which in bfloat16 stops growing early.
    bias = self.param('bias', self.bias_init, (self.features,), jnp.float32)
    return (y + bias).astype(y.dtype)


class Conv(_Convolution):
  """`flax.linen.Conv` on [N,H,W,C], computed by `conv`."""

  @nn.compact
  def __call__(self, x):
    return self._convolve(conv, x)


class ConvTranspose(_Convolution):
  """`flax.linen.ConvTranspose` on [N,H,W,C], computed by `conv_transpose`."""

  @nn.compact
  def __call__(self, x):
    return self._convolve(conv_transpose, x)
