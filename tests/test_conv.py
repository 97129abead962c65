"""The convolutions as dots equal XLA's, in value and in the derivatives that a gradient penalty takes."""
import functools

from flax import linen as nn
import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.networks import conv

NHWC = ('NHWC', 'HWIO', 'NHWC')
CASES = [  # kernel, strides, padding, size of the input along the same axes
    ((4, 4), (2, 2), 'SAME', (7, 7)),
    ((4, 4), (2, 2), 'VALID', (13, 13)),
    ((3, 3), (2, 2), 'VALID', (6, 5)),
    ((4, 4), (1, 1), 'VALID', (4, 4)),
    ((5, 3), (3, 2), 'SAME', (8, 9)),
    ((3, 3), (1, 2), ((1, 2), (0, 1)), (5, 5)),
    ((2, 2), (3, 3), 'SAME', (7, 8)),
    ((1, 1), (1, 1), 'SAME', (3, 3)),
    ((4,), (2,), 'SAME', (7,)),
    ((5,), (3,), 'VALID', (12,)),
    ((3,), (1,), ((2, 1),), (6,)),
    ((4, 4, 4), (2, 2, 2), 'SAME', (4, 4, 4)),
    ((4, 4, 4), (1, 1, 1), 'VALID', (4, 4, 4)),
    ((3, 3, 3), (1, 1, 1), 'SAME', (3, 2, 4)),
    ((3, 2, 5), (2, 1, 3), 'SAME', (5, 3, 4)),
    ((2, 3, 1), (1, 2, 1), ((0, 1), (2, 1), (0, 0)), (3, 4, 2)),
]
PAIRS = {'conv': (conv.Conv, nn.Conv), 'conv_transpose': (conv.ConvTranspose, nn.ConvTranspose)}


@pytest.fixture(autouse=True)
def float64():
  with jax.enable_x64(True):
    yield


def random_like(array):
  return jnp.asarray(np.random.default_rng(0).standard_normal(array.shape))


def penalised(module, params, x):
  """A loss with a gradient penalty in it: its gradient needs the convolution's second derivative."""
  score = lambda x: jnp.sum(jnp.sin(module.apply({'params': params}, x)))
  return score(x) + jnp.sum(jax.grad(score)(x) ** 2)


@pytest.mark.parametrize('name', PAIRS)
@pytest.mark.parametrize('kernel, strides, padding, size', CASES)
def test_equals_flax_through_second_derivatives(name, kernel, strides, padding, size):
  ours, flaxs = (module(4, kernel, strides, padding, dtype=jnp.float64) for module in PAIRS[name])
  assert_equals_flax(ours, flaxs, size)


def assert_equals_flax(ours, flaxs, size, channels=3):
  x = jax.random.normal(jax.random.key(0), (2, *size, channels), jnp.float64)
  params = ours.init(jax.random.key(1), x)['params']
  params = jax.tree.map(lambda p: random_like(p) / np.sqrt(p[..., 0].size), params)  # the results are of order 1

  def results(module):
    value = module.apply({'params': params}, x)
    return value, jax.value_and_grad(lambda p, x: penalised(module, p, x), argnums=(0, 1))(params, x)

  ours, flaxs = jax.jit(lambda: results(ours))(), jax.jit(lambda: results(flaxs))()
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12), ours, flaxs)


@pytest.mark.parametrize('kernel, strides, padding, size, groups', [
    ((3, 3), 1, 'SAME', (5, 4), 3), ((1, 1), 1, 'SAME', (3, 3), 6), ((4, 3), (2, 1), 'VALID', (6, 5), 2),
    ((3,), 1, 'SAME', (6,), 2), ((3, 2, 3), 1, ((1, 1), (0, 1), (1, 0)), (3, 4, 2), 3),
])
def test_groups_equal_flax_through_second_derivatives(kernel, strides, padding, size, groups):
  settings = {'strides': strides, 'padding': padding, 'dtype': jnp.float64, 'feature_group_count': groups}
  assert_equals_flax(conv.Conv(12, kernel, **settings), nn.Conv(12, kernel, **settings), size, channels=6)


def double(x):
  for axis in range(1, x.ndim - 1):
    x = jnp.repeat(x, 2, axis)
  return x


def halve(x):
  return nn.avg_pool(x, (2,) * (x.ndim - 2), (2,) * (x.ndim - 2))


@pytest.mark.parametrize('kernel', [1, 3, 5])
@pytest.mark.parametrize('size', [(6,), (4, 6), (2, 4, 2)])
@pytest.mark.parametrize('module, before, after', [
    (conv.UpsampledConv, double, lambda x: x), (conv.PooledConv, lambda x: x, halve)])
def test_resampling_in_a_convolution_equals_resampling_beside_it(module, before, after, kernel, size):
  class Apart(nn.Module):
    @nn.compact
    def __call__(self, x):
      return after(nn.Conv(4, (kernel,) * len(size), dtype=jnp.float64, name='conv')(before(x)))

  ours = module(4, (kernel,) * len(size), dtype=jnp.float64)
  x = jax.random.normal(jax.random.key(0), (2, *size, 3), jnp.float64)
  params = jax.tree.map(random_like, ours.init(jax.random.key(1), x)['params'])
  ours, apart = (jax.jit(lambda params, x, module=module: (
      module.apply({'params': params}, x), jax.grad(penalised, (1, 2))(module, params, x)))
      for module in (ours, Apart()))
  y, (gradient, gradient_of_x) = ours(params, x)
  y_apart, (gradient_apart, gradient_of_x_apart) = apart({'conv': params}, x)
  got, want = (y, gradient, gradient_of_x), (y_apart, gradient_apart['conv'], gradient_of_x_apart)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12 * jnp.abs(b).max()), got, want)


@pytest.mark.parametrize('channels, features, kernel, padding', [
    (40, 2, (3, 3), 'SAME'),  # every tap is added up after the dot
    (2, 40, (3, 3), ((0, 2), (1, 0))),  # every tap is gathered before it
    (3, 4, (7, 5), 'VALID'),  # those along the second axis are gathered, the others added up
    (40, 1, (2, 3, 2), 'SAME'),
])
def test_at_stride_1_taps_are_gathered_or_added_up(channels, features, kernel, padding):
  x = jax.random.normal(jax.random.key(0), (2, *range(7, 7 + len(kernel)), channels), jnp.float64)
  weight = jax.random.normal(jax.random.key(1), (*kernel, channels, features), jnp.float64) / channels
  theirs = functools.partial(lax.conv_general_dilated, window_strides=(1,) * len(kernel), padding=padding,
                             dimension_numbers=conv._layouts(x))
  ours = functools.partial(conv.conv, padding=padding)

  def gradients(convolve):
    return jax.jit(jax.grad(lambda x, weight: jnp.sum(jnp.sin(convolve(x, weight))), (0, 1)))(x, weight)

  np.testing.assert_allclose(jax.jit(ours)(x, weight), theirs(x, weight), rtol=1e-12, atol=1e-12)
  expected = gradients(theirs)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12), gradients(ours), expected)


def test_equal_under_vmap_and_scan():
  x = jax.random.normal(jax.random.key(0), (3, 2, 6, 6, 3), jnp.float64)
  kernel = jax.random.normal(jax.random.key(1), (4, 4, 3, 5), jnp.float64)
  def convolve(x, kernel, strides, padding):
    return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=NHWC)

  for ours, theirs in ((conv.conv, convolve), (conv.conv_transpose, lax.conv_transpose)):
    want = np.stack([theirs(x, kernel, (2, 2), 'SAME') for x in x])
    apply = lambda x, op=ours: op(x, kernel, (2, 2), 'SAME')
    np.testing.assert_allclose(jax.jit(jax.vmap(apply))(x), want, atol=1e-12)
    np.testing.assert_allclose(lax.scan(lambda _, x: (None, apply(x)), None, x)[1], want, atol=1e-12)


def test_derivatives_under_vmap_and_forwards():
  x = jax.random.normal(jax.random.key(0), (3, 1, 6, 6, 2), jnp.float64)
  kernels = [jax.random.normal(jax.random.key(1), (3, 3, *shape), jnp.float64) for shape in ((2, 3), (3, 2))]
  tangent = jax.random.normal(jax.random.key(2), x.shape, jnp.float64)

  def results(convolve, transpose):
    score = lambda kernels, x: jnp.sum(jnp.sin(transpose(jnp.tanh(convolve(x, kernels[0])), kernels[1])))
    of_each = jax.vmap(jax.grad(score), (None, 0))(kernels, x)
    hessian = jax.vmap(lambda x, t: jax.jvp(jax.grad(score, argnums=1), (kernels, x), ([0 * k for k in kernels], t))[1])
    return of_each, hessian(x, tangent)

  ours = jax.jit(lambda: results(lambda x, k: conv.conv(x, k, (2, 2)), lambda x, k: conv.conv_transpose(x, k, (2, 2))))
  theirs = jax.jit(lambda: results(
      lambda x, k: lax.conv_general_dilated(x, k, (2, 2), 'SAME', dimension_numbers=NHWC),
      lambda x, k: lax.conv_transpose(x, k, (2, 2), 'SAME')))
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-11), ours(), theirs())


def test_bfloat16_sums_in_float32():
  x, kernel = jnp.ones((1, 1, 1, 4096), jnp.bfloat16), jnp.full((1, 1, 4096, 1), 1 + 1 / 128, jnp.bfloat16)
  value = conv.conv(x, kernel)  # bfloat16 sums would stop growing at 256
  assert value.dtype == jnp.bfloat16 and float(value[0, 0, 0, 0]) == 4128


@pytest.mark.parametrize('place', [0, -1])  # one of which is added first
def test_what_bfloat16_taps_give_is_summed_in_float32(place):
  x = jnp.ones((1, 5, 5, 256), jnp.bfloat16)
  kernel = jnp.zeros((5, 5, 256, 1), jnp.bfloat16).at[:, :, 0].set(1).at[place, place].set(1)
  value = conv.conv(x, kernel, padding='VALID')  # 256 and 24 times 1, none of which bfloat16 adds to 256
  assert value.dtype == jnp.bfloat16 and float(value[0, 0, 0, 0]) == 280


@pytest.mark.parametrize('rank', [1, 2, 3])
def test_one_stride_is_that_of_all_axes(rank):
  for module in (conv.Conv, conv.ConvTranspose):
    one, each = (module(2, (4,) * rank, strides) for strides in (2, (2,) * rank))
    x = jax.random.normal(jax.random.key(0), (1, *(6, 4, 2)[:rank], 3))
    variables = one.init(jax.random.key(1), x)
    np.testing.assert_array_equal(one.apply(variables, x), each.apply(variables, x))


@pytest.mark.parametrize('rank, side, stride, groups, transposed, dots_on_cuda', [
    (1, 4, 2, 1, False, True), (2, 4, 2, 1, False, True), (2, 4, 2, 1, True, True),
    (3, 4, 2, 1, False, False), (2, 3, 1, 1, False, False), (2, 4, 2, 3, False, False)])
def test_lowers_to_dots_on_a_cpu_and_where_patches_are_small_on_cuda(rank, side, stride, groups, transposed,
                                                                     dots_on_cuda):
  def text(platform):
    x, kernel = jnp.ones((1, *(8,) * rank, 3)), jnp.ones((*(side,) * rank, 3 // groups, 3))
    of_groups = {} if transposed else {'groups': groups}
    convolve = functools.partial(conv.conv_transpose if transposed else conv.conv, strides=stride, **of_groups)
    return jax.jit(convolve).trace(x, kernel).lower(lowering_platforms=(platform,)).as_text()

  assert 'stablehlo.convolution' not in text('cpu')
  assert 'stablehlo.convolution' in text('tpu')
  assert ('stablehlo.convolution' not in text('cuda')) == dots_on_cuda


def test_a_map_of_one_position_has_small_patches():
  """The first layer of a generator from a 1x1 latent, and the last of a critic of patches of the image's size."""
  for convolve, side in ((conv.conv_transpose, 1), (conv.conv, 4)):
    x, kernel = jnp.ones((1, side, side, 3)), jnp.ones((4, 4, 3, 2))
    traced = jax.jit(functools.partial(convolve, padding='VALID')).trace(x, kernel)
    assert 'stablehlo.convolution' not in traced.lower(lowering_platforms=('cuda',)).as_text()


def test_unknown_padding_is_named():
  with pytest.raises(ValueError, match='CIRCULAR'):
    conv.conv_transpose(jnp.ones((1, 2, 2, 1)), jnp.ones((3, 3, 1, 1)), padding='CIRCULAR')
