"""Convolution and transposed convolution, at full speed on every platform.

XLA's gradients of convolutions run at a few GFLOP/s on a CPU. Written as patches and one dot, the forward pass and
every derivative (a gradient penalty needs the second) consist of patches, their sums and dots again. On CUDA that is
faster too, two to four times in DCGAN's networks (docs/performance.md), as long as the patches are not much larger
than the maps. Elsewhere the same functions lower to XLA's own convolutions; the choice is made at lowering, when the
platform is known.

Of any rank: images [N,H,W,C] have kernels [kh,kw,C,F], voxels [N,D,H,W,C] have [kd,kh,kw,C,F], sequences [N,L,C] have
[k,C,F]. `padding` is what flax takes: 'SAME', 'VALID' or one (low, high) pair per axis. The modules keep the parameter
names, shapes and results of `flax.linen.Conv` and `flax.linen.ConvTranspose`.
"""
from collections.abc import Callable, Iterable, Iterator, Sequence
import functools
import itertools
import math
from typing import Any

from flax import linen as nn
import jax
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
import jax.numpy as jnp

Padding = str | Sequence[tuple[int, int]]
Strides = int | Sequence[int]  # one for all axes, or one per axis
LANES = 16  # float32 numbers of one instruction, AVX-512's
MOST_PATCHES = 4  # times the larger map, for dots on CUDA: those of 4x4 kernels with strides of 2, which were measured


def conv(x, kernel, strides: Strides = 1, padding: Padding = 'SAME', groups: int = 1):
  """Correlates x [N,*positions,C] with kernel [*k,C,F] -> [N,*positions',F] in x's dtype; sums are at least float32.

  As dots, what bfloat16 taps add to a sum may be rounded once for each tap; the sum itself is rounded once.

  With `groups` G > 1 the channels and the features are cut into as many groups, each of which is correlated for itself:
  the kernel is [*k,C/G,F] (Krizhevsky et al. 2012; Xie et al. 2017).
  """
  strides = _one_per_axis(strides, kernel)
  if isinstance(padding, str):
    padding = lax.padtype_to_pads(x.shape[1:-1], kernel.shape[:-2], strides, padding)
  as_dots = _conv_as_dot if groups == 1 else functools.partial(_conv_as_dots, groups=groups)
  as_dots = functools.partial(as_dots, strides=strides, padding=padding)
  by_xla = functools.partial(_conv_by_xla, strides=strides, padding=padding, groups=groups)
  outputs = map(_count_outputs, x.shape[1:-1], kernel.shape, strides, padding)
  return _dots_or_xla(x, kernel, as_dots, by_xla, math.prod(outputs), can_be_on_cuda=groups == 1)


def conv_transpose(x, kernel, strides: Strides = 1, padding: Padding = 'SAME'):
  """Transposes `conv` in x [N,*positions,C], with kernel [*k,C,F] -> [N,*positions',F], as `jax.lax.conv_transpose`."""
  strides = _one_per_axis(strides, kernel)
  if isinstance(padding, str):
    padding = [_transpose_pads(size, stride, padding) for size, stride in zip(kernel.shape, strides)]
  as_dot = functools.partial(_conv_transpose_as_dot, strides=strides, padding=padding)
  by_xla = functools.partial(_conv_transpose_by_xla, strides=strides, padding=padding)
  dilated = [(length - 1) * stride + 1 for length, stride in zip(x.shape[1:-1], strides)]
  outputs = map(_count_outputs, dilated, kernel.shape, _one_per_axis(1, kernel), padding)
  return _dots_or_xla(x, kernel, as_dot, by_xla, math.prod(outputs))


def _dots_or_xla(x, kernel, as_dots: Callable, by_xla: Callable, num_outputs: int, can_be_on_cuda: bool = True):
  """Returns as_dots(x, kernel) on a CPU, and on CUDA if its patches are small; else by_xla(x, kernel)."""
  maps = math.prod(x.shape[1:-1]), num_outputs
  patches = min(maps) * math.prod(kernel.shape[:-2])
  platforms = {'cpu': as_dots}
  if can_be_on_cuda and patches <= MOST_PATCHES * max(maps):
    platforms['cuda'] = as_dots
  return lax.platform_dependent(x, kernel, **platforms, default=by_xla)


def _count_outputs(length: int, kernel: int, stride: int, pads: tuple[int, int]) -> int:
  """Returns how many positions a convolution's output has along an axis."""
  return (length + sum(pads) - kernel) // stride + 1


def _one_per_axis(strides: Strides, kernel) -> tuple[int, ...]:
  """Returns the strides along the axes of a kernel [*k,C,F]."""
  rank = kernel.ndim - 2
  return (strides,) * rank if isinstance(strides, int) else tuple(strides)


def _conv_by_xla(x, kernel, strides, padding, groups):
  return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=_layouts(x),
                                  feature_group_count=groups)


def _conv_transpose_by_xla(x, kernel, strides, padding):
  no_strides = _one_per_axis(1, kernel)
  return lax.conv_general_dilated(x, kernel, no_strides, padding, lhs_dilation=strides, dimension_numbers=_layouts(x))


def _layouts(x) -> tuple[str, str, str]:
  """Returns the layouts of a convolution's input x, kernel and output: NHWC, HWIO and NHWC for images."""
  axes = 'DHW'[-(x.ndim - 2):]
  return f'N{axes}C', f'{axes}IO', f'N{axes}C'


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
  pads = map(_pads_to_whole_blocks, x.shape[1:-1], kernel.shape, strides, padding)
  x = _space_to_depth(_pad_or_crop(x, pads), strides)
  blocks = _cut_into_taps(kernel, strides)
  taps = blocks.shape[:len(strides)]
  return _sum_taps(x, blocks.reshape(*taps, x.shape[-1], -1), outwards=False)


def _conv_as_dots(x, kernel, strides, padding, groups):
  conv_of_group = functools.partial(_conv_as_dot, strides=strides, padding=padding)
  y = jax.vmap(conv_of_group, -2, -2)(_cut_into_groups(x, groups), _cut_into_groups(kernel, groups))
  return y.reshape(*y.shape[:-2], -1)


def _cut_into_groups(x, groups: int):
  """[...,G*C] -> [...,G,C]."""
  return x.reshape(*x.shape[:-1], groups, -1)


def _conv_transpose_as_dot(x, kernel, strides, padding):
  lengths = x.shape[1:-1]
  rank = len(strides)
  blocks = _cut_into_taps(jnp.flip(kernel, range(rank)), strides)
  taps = blocks.shape[:rank]
  blocks = jnp.moveaxis(blocks, -2, rank).reshape(*taps, x.shape[-1], -1)
  y = _sum_taps(x, jnp.flip(blocks, range(rank)), outwards=True)  # its taps run the other way
  y = _depth_to_space(y, strides)
  crops = map(_crop_of_transpose, lengths, kernel.shape, strides, padding)
  return _pad_or_crop(y, crops)


def _sum_taps(x, weight, outwards: bool):
  """Correlates x [N,*positions,C] with weight [*taps,C,F], at positions where all taps lie within x, or `outwards` any.

  Before the dot, taps are gathered into patches; after it, their products are added up. Along each axis either can be
  done. Gathering moves C numbers for each tap and position, adding up F. What moves the fewest is fastest, as memory is
  what a convolution waits for; LANES numbers are moved as fast as fewer.
  """
  *taps, channels, features = weight.shape
  rank = len(taps)

  def count_moved(is_gathered):
    num_gathered = math.prod(itertools.compress(taps, is_gathered))
    num_added = math.prod(taps) // num_gathered
    return num_gathered * max(channels, LANES) + num_added * max(features, LANES)

  is_gathered = min(itertools.product([True, False], repeat=rank), key=count_moved)
  gathered = tuple(size if gathers else 1 for size, gathers in zip(taps, is_gathered))
  added = tuple(1 if gathers else size for size, gathers in zip(taps, is_gathered))
  if outwards:
    x = _pad_or_crop(x, [(size - 1, size - 1) for size in gathered])
  patches = _patches.bind(x, taps=gathered) if math.prod(gathered) > 1 else x
  *positions, patch_size = patches.shape
  y = _matmul.bind(patches.reshape(-1, patch_size), _arrange_taps(weight, gathered, added))
  y = y.reshape(*positions, -1)
  if math.prod(added) > 1:
    y = _overlap_add.bind(y, taps=added)
  return y if outwards else _pad_or_crop(y, [(1 - size, 1 - size) for size in added])


def _arrange_taps(weight, gathered: tuple[int, ...], added: tuple[int, ...]):
  """[*taps,C,F] -> [gathered taps * C, added taps * F], each axis of taps being of one sort or the other."""
  rank = len(gathered)
  *_, channels, features = weight.shape
  weight = jnp.flip(weight, [axis for axis in range(rank) if added[axis] > 1])  # the first tap comes from the furthest
  by_sort = [size for pair in zip(gathered, added) for size in pair]
  weight = weight.reshape(*by_sort, channels, features)
  weight = jnp.moveaxis(weight, range(1, 2 * rank, 2), range(rank + 1, 2 * rank + 1))
  return weight.reshape(math.prod(gathered) * channels, math.prod(added) * features)


def _num_taps(kernel: int, stride: int) -> int:
  """Returns how many blocks of one stride a kernel covers along an axis."""
  return math.ceil(kernel / stride)


def _cut_into_taps(kernel, strides):
  """Cuts a kernel [*k,C,F], with zeros at its end if need be, into taps of one stride each: [*taps,*strides,C,F]."""
  sizes = kernel.shape[:-2]
  pads = [(0, _num_taps(size, stride) * stride - size) for size, stride in zip(sizes, strides)]
  kernel = jnp.pad(kernel, (*pads, (0, 0), (0, 0)))
  return _cut_into_blocks(kernel, strides, first=0)


def _pads_to_whole_blocks(length: int, kernel: int, stride: int, pads: tuple[int, int]) -> tuple[int, int]:
  """Returns the pads of an axis of a convolution's input that the blocks of its outputs then cover exactly."""
  low, _ = pads
  covered = (_count_outputs(length, kernel, stride, pads) + _num_taps(kernel, stride) - 1) * stride
  return low, covered - low - length


def _crop_of_transpose(length: int, kernel: int, stride: int, pads: tuple[int, int]) -> tuple[int, int]:
  """Returns how a transposed convolution's blocks, added up along an axis, are padded; negative pads crop.

  Tap i of input m lands on output m * stride + i; the pads of the dilated input say what to crop of that.
  """
  low, high = pads
  covered = (length + _num_taps(kernel, stride) - 1) * stride
  return low - (kernel - 1), (length - 1) * stride + high + 1 - covered


def _pad_or_crop(x, pads: Iterable[tuple[int, int]]):
  """Pads x [N,*positions,C] with zeros along each axis of positions; negative pads crop."""
  unchanged = (0, 0, 0)
  inner = [(*pair, 0) for pair in pads]
  return lax.pad(x, jnp.zeros((), x.dtype), (unchanged, *inner, unchanged))


def _space_to_depth(x, strides):
  """[N,H,W,C] -> [N,H/sh,W/sw,sh*sw*C]: a convolution with strides becomes one without."""
  rank = len(strides)
  x = _cut_into_blocks(x, strides, first=1)
  return x.reshape(*x.shape[:rank + 1], -1)


def _depth_to_space(x, strides):
  """[N,H,W,sh*sw*C] -> [N,H*sh,W*sw,C]."""
  rank = len(strides)
  n, *counts, _ = x.shape
  x = x.reshape(n, *counts, *strides, -1)
  x = jnp.moveaxis(x, range(rank + 1, 2 * rank + 1), range(2, 2 * rank + 1, 2))
  lengths = [count * stride for count, stride in zip(counts, strides)]
  return x.reshape(n, *lengths, -1)


def _cut_into_blocks(x, sizes, first: int):
  """Cuts axes of x, from axis `first` on, into blocks of these sizes: [...,H,W,...] -> [...,H/sh,W/sw,sh,sw,...]."""
  rank = len(sizes)
  before, lengths, after = x.shape[:first], x.shape[first:first + rank], x.shape[first + rank:]
  cut = [part for length, size in zip(lengths, sizes) for part in (length // size, size)]
  x = x.reshape(*before, *cut, *after)
  within_blocks = range(first + 1, first + 2 * rank, 2)
  return jnp.moveaxis(x, within_blocks, range(first + rank, first + 2 * rank))


# The four operations below are closed under differentiation: each is linear in each of its operands, and what pulls a
# cotangent back through one is another. XLA's own transposes of their parts are up to twice as slow on a CPU.


def _make_operation(name: str, function: Callable) -> Primitive:
  """Makes one operation of a function of arrays, with that function's shapes, batching and lowering."""
  @functools.cache  # a network traces the same shapes again for each of its derivatives
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
  counts = [length - num_taps + 1 for length, num_taps in zip(x.shape[1:-1], taps)]
  shifted = []
  for tap in _list_taps(taps):
    window = [slice(start, start + count) for start, count in zip(tap, counts)]
    shifted.append(x[:, *window])
  return jnp.concatenate(shifted, axis=-1)


def _add_patches(y, taps):
  y = y.reshape(*y.shape[:-1], *taps, -1)
  sums_dtype = jnp.promote_types(y.dtype, jnp.float32)  # as in a dot
  shifted = []
  for tap in _list_taps(taps):
    pads = [(start, num_taps - 1 - start) for start, num_taps in zip(tap, taps)]
    shifted.append(jnp.pad(y[..., *tap, :], ((0, 0), *pads, (0, 0))).astype(sums_dtype))
  return sum(shifted).astype(y.dtype)


def _list_taps(taps: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
  """Returns the positions of the taps, the last axis fastest: (2, 2) -> (0, 0), (0, 1), (1, 0), (1, 1)."""
  return itertools.product(*map(range, taps))


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


_patches = _make_operation('patches', _gather_patches)  # [N,H,W,C] -> [N,H-th+1,W-tw+1,th*tw*C]
_overlap_add = _make_operation('overlap_add', _add_patches)  # [N,H,W,th*tw*C] -> [N,H+th-1,W+tw-1,C]
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
  kernel_size: tuple[int, ...]
  strides: Strides = 1
  padding: Padding = 'SAME'
  use_bias: bool = True
  dtype: Any = None
  kernel_init: Callable = nn.initializers.lecun_normal()
  bias_init: Callable = nn.initializers.zeros_init()

  def _convolve(self, function, x, groups: int = 1):
    kernel_shape = (*self.kernel_size, x.shape[-1] // groups, self.features)
    kernel = self.param('kernel', self.kernel_init, kernel_shape, jnp.float32)
    x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=self.dtype)
    y = function(x, kernel, self.strides, self.padding)
    if not self.use_bias:
      return y
    # The bias stays float32: its gradient is a sum over all positions, which in bfloat16 stops growing early.
    bias = self.param('bias', self.bias_init, (self.features,), jnp.float32)
    return (y + bias).astype(y.dtype)


class Conv(_Convolution):
  """`flax.linen.Conv` on [N,*positions,C], computed by `conv`."""
  feature_group_count: int = 1

  @nn.compact
  def __call__(self, x):
    convolve = functools.partial(conv, groups=self.feature_group_count)
    return self._convolve(convolve, x, self.feature_group_count)


class ConvTranspose(_Convolution):
  """`flax.linen.ConvTranspose` on [N,*positions,C], computed by `conv_transpose`."""

  @nn.compact
  def __call__(self, x):
    return self._convolve(conv_transpose, x)


class UpsampledConv(_Convolution):
  """A convolution of x with its sides doubled by repetition, for odd kernels: [N,*positions,C] -> [N,*2 positions,F].

  Computed on x itself, as a transposed convolution of stride 2 whose kernel is larger by one: less than half the work.
  """

  @nn.compact
  def __call__(self, x):
    def convolve(x, kernel, strides, padding):
      del strides, padding
      return conv_transpose(x, _spread(kernel), 2)

    return self._convolve(convolve, x)


class PooledConv(_Convolution):
  """A convolution and the mean of each 2x2 outputs, for odd kernels and even sides: [N,*positions,C] -> [N,*half,F].

  Computed as a convolution of stride 2 whose kernel is larger by one: less than half the work.
  """

  @nn.compact
  def __call__(self, x):
    def convolve(x, kernel, strides, padding):
      del strides, padding
      return conv(x, _spread(kernel) / 2**(x.ndim - 2), 2)

    return self._convolve(convolve, x)


def _spread(kernel):
  """[*k,C,F] -> [*k+1,C,F]: the sum of the kernel at each of the 2x2 places in a larger one."""
  for axis in range(kernel.ndim - 2):
    before, after = ([(0, 0)] * kernel.ndim for _ in range(2))
    before[axis], after[axis] = (1, 0), (0, 1)
    kernel = jnp.pad(kernel, before) + jnp.pad(kernel, after)
  return kernel
