"""R3GAN's networks: published sizes, the start of training, resampling, and what cannot fit."""
import functools

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.errors import UserError
from gans.networks import r3gan

Z = jax.ShapeDtypeStruct((2, 64), jnp.float32)
LABEL = jax.ShapeDtypeStruct((2,), jnp.int32)
PUBLISHED = (768, 768, 768, 768)


def count_parameters(module, *inputs) -> int:
  variables = jax.eval_shape(functools.partial(module.init, train=True), jax.random.key(0), *inputs)
  return sum(leaf.size for leaf in jax.tree.leaves(variables))


def test_the_published_networks_have_the_published_sizes():
  images = jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.float32)
  generator = r3gan.Generator((32, 32, 3), PUBLISHED, start=4, label_dim=64, num_classes=10)
  critic = r3gan.Critic(PUBLISHED, label_dim=768, num_classes=10)
  assert count_parameters(generator, Z, LABEL) == 20_781_952
  assert count_parameters(critic, images, LABEL) == 21_280_512
  # Without labels: no embeddings, the first layer takes z alone, and the last has one output.
  assert count_parameters(r3gan.Generator((32, 32, 3), PUBLISHED, start=4), Z, LABEL) == 20_781_952 - 64 * 10 - 64 * 768
  assert count_parameters(r3gan.Critic(PUBLISHED), images, LABEL) == 21_280_512 - 10 * 768 - 768 * 767


def start(module, *inputs):
  """Returns the network as a function of its inputs, and its parameters, at the start of training."""
  variables = jax.jit(functools.partial(module.init, train=True))(jax.random.key(0), *inputs)
  return jax.jit(lambda *inputs: module.apply(variables, *inputs, train=True)), variables['params']


@pytest.mark.parametrize('shape', [(8, 8, 3), (4, 4, 4, 1)])
def test_blocks_start_as_the_identity_so_that_both_networks_start_linear(shape):
  hidden = (8, 8, 8) if shape[0] == 8 else (8, 8)
  generator = r3gan.Generator(shape, hidden, num_blocks=1, start=2)
  critic = r3gan.Critic(hidden, num_blocks=1)
  z = jax.random.normal(jax.random.key(1), (2, 5))
  for module, x in ((generator, z), (critic, jax.random.normal(jax.random.key(2), (2, *shape)))):
    network, _ = start(module, x, None)
    np.testing.assert_allclose(network(x[:1] + x[1:], None), network(x, None).sum(0, keepdims=True), atol=1e-5)
  assert start(generator, z, None)[0](z, None).shape == (2, *shape)


def test_the_gain_falls_with_the_number_of_blocks():
  images = jnp.zeros((1, 8, 8, 1))
  _, params = start(r3gan.Critic((64, 64), num_blocks=(3, 5)), images, None)
  first, grouped, last = (params[f'Conv_{i}'] for i in (1, 2, 3))  # of the first block, after the image's layer
  gain = np.sqrt(2 / 1.04) * 8**-0.25
  assert float(first['kernel'].std()) == pytest.approx(gain / 8, rel=0.05)
  assert float(grouped['kernel'].std()) == pytest.approx(gain / np.sqrt(9 * 16), rel=0.05)
  assert not last['kernel'].any() and 'bias' not in last and not first['bias'].any()


def test_a_projection_is_the_product_with_the_labels_embedding():
  critic = r3gan.Critic((8,), num_blocks=1, label_dim=6, num_classes=3)
  images = jax.random.normal(jax.random.key(0), (3, 4, 4, 1))
  label = jnp.array([2, 0, 1])
  score, params = start(critic, images, label)
  features = jnp.einsum('nhwc,hwc->nc', images @ params['Conv_0']['kernel'][0, 0], params['basis'])
  expected = jnp.sum((features @ params['Dense_0']['kernel']) * params['Dense_1']['kernel'][label], axis=-1)
  np.testing.assert_allclose(score(images, label), expected, rtol=1e-5)
  np.testing.assert_allclose(score(images, jax.nn.one_hot(label, 3)), expected, rtol=1e-5)


def test_resampling_has_the_weights_1_3_3_1_and_is_its_own_adjoint():
  small, large = (jax.random.normal(jax.random.key(i), (2, 3 * i, 4 * i, 1)) for i in (1, 2))
  kernel = jnp.outer(jnp.array([1, 3, 3, 1]), jnp.array([1, 3, 3, 1]))[..., None, None]
  layouts = {'dimension_numbers': ('NHWC', 'HWIO', 'NHWC')}
  doubled = lax.conv_general_dilated(small, kernel / 16, (1, 1), ((2, 2), (2, 2)), (2, 2), **layouts)
  halved = lax.conv_general_dilated(large, kernel / 64, (2, 2), ((1, 1), (1, 1)), **layouts)
  np.testing.assert_allclose(r3gan.double_sides(small), doubled, atol=1e-6)
  np.testing.assert_allclose(r3gan.halve_sides(large), halved, atol=1e-6)
  voxels = jnp.ones((1, 4, 4, 4, 1))
  np.testing.assert_allclose(r3gan.double_sides(voxels)[0, 1:-1, 1:-1, 1:-1], 1, rtol=1e-6)  # zeros lie beyond


@pytest.mark.parametrize('module, message', [
    (r3gan.Generator((28, 28, 1), (8, 8)), 'start=7: 2 stages end at sides of (14, 14), the data have (28'),
    (r3gan.Generator((28, 28, 1), (12, 8, 8)), 'group_width=16: a stage of width 12 has 24 channels in a block'),
    (r3gan.Generator((28, 28, 1), (8, 8, 8), num_blocks=(1, 1)), 'num_blocks=(1, 1) has 2 entries for 3 layers'),
    (r3gan.Critic((8,) * 4), 'hidden=(8, 8, 8, 8): 4 stages divide the sides by 8, and (28, 28) are no'),
    (r3gan.Critic((8,), label_dim=4), 'the network is to use a label, but the data set has neither'),
])
def test_what_does_not_fit_is_named(module, message):
  x = jnp.zeros((1, 28, 28, 1)) if isinstance(module, r3gan.Critic) else jnp.zeros((1, 4))
  with pytest.raises(UserError) as error:
    jax.eval_shape(functools.partial(module.init, train=True), jax.random.key(0), x, jnp.zeros(1, jnp.int32))
  assert str(error.value).startswith(message)
