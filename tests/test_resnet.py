"""Residual networks: published sizes, blocks by hand, BigGAN's conditions, and what cannot fit."""
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.errors import UserError
from gans.networks import resnet

Z = jax.ShapeDtypeStruct((2, 128), jnp.float32)
LABEL = jax.ShapeDtypeStruct((2,), jnp.int32)
IMAGES = jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.float32)
GENERATOR = resnet.Generator((32, 32, 3), (256, 256, 256, 256), start=4, num_classes=10)
CRITIC = resnet.Critic((128, 128, 128, 128), (2, 2, 1, 1), num_classes=10)


def count_parameters(module, *inputs) -> int:
  variables = jax.eval_shape(functools.partial(module.init, train=True), jax.random.key(0), *inputs)
  return sum(leaf.size for leaf in jax.tree.leaves(variables['params']))


def test_the_published_networks_have_the_published_sizes():
  assert count_parameters(GENERATOR, Z, LABEL) == 4_276_739
  assert count_parameters(GENERATOR.clone(norm='conditional_batch'), Z, LABEL) == 4_304_387
  assert count_parameters(CRITIC, IMAGES, LABEL) == 1_053_825
  assert count_parameters(CRITIC.clone(projection=True), IMAGES, LABEL) == 1_055_105


def start(module, *inputs):
  """Returns (the network as a function of its inputs, its parameters)."""
  variables = jax.jit(functools.partial(module.init, train=True))(jax.random.key(0), *inputs)
  apply = jax.jit(lambda *inputs: module.apply(
      variables, *inputs, train=True, mutable=[name for name in variables if name != 'params'])[0])
  return apply, variables['params']


def convolve(x, layer):
  y = jax.lax.conv_general_dilated(x, layer['kernel'], (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC'))
  return y + layer['bias']


def halve(x):
  return (x[:, ::2] + x[:, 1::2])[:, :, ::2] / 4 + (x[:, ::2] + x[:, 1::2])[:, :, 1::2] / 4


@pytest.mark.parametrize('pool', ['sum', 'mean'])
def test_a_critic_by_hand(pool):
  images = jax.random.normal(jax.random.key(1), (2, 4, 4, 3))
  score, params = start(resnet.Critic((5, 6, 6), (2, 1, 1), pool=pool), images, None)
  relu = lambda x: jnp.maximum(0, x)
  x = halve(convolve(relu(convolve(images, params['Conv_0'])), params['PooledConv_0'])) + convolve(
      halve(images), params['Conv_1'])
  x = convolve(relu(convolve(relu(x), params['Conv_2'])), params['Conv_3']) + convolve(x, params['Conv_4'])
  x = convolve(relu(convolve(relu(x), params['Conv_5'])), params['Conv_6']) + x
  features = getattr(jnp, pool)(relu(x), axis=(1, 2))
  expected = features @ params['Dense_0']['kernel'][:, 0] + params['Dense_0']['bias']
  np.testing.assert_allclose(score(images, None), expected, rtol=1e-4, atol=1e-5)


def test_a_generator_by_hand():
  z = jax.random.normal(jax.random.key(1), (2, 5))
  generate, params = start(resnet.Generator((4, 4, 1), (4, 3), start=2, norm='none'), z, None)
  relu = lambda x: jnp.maximum(0, x)
  x = (z @ params['Dense_0']['kernel'] + params['Dense_0']['bias']).reshape(2, 2, 2, 4)
  double = lambda x: x.repeat(2, axis=1).repeat(2, axis=2)
  y = convolve(relu(convolve(double(relu(x)), params['UpsampledConv_0'])), params['Conv_0'])
  x = y + convolve(double(x), params['Conv_1'])
  expected = jnp.tanh(convolve(relu(x), params['Conv_2']))
  np.testing.assert_allclose(generate(z, None), expected, rtol=1e-4, atol=1e-5)


def test_a_part_of_z_and_a_shared_embedding_go_into_every_block():
  """BigGAN: z in one part for the first layer and one for each block, beside an embedding that all blocks share."""
  module = resnet.Generator((8, 8, 1), (4, 4, 4), start=2, norm='conditional_batch', skip_z=True, label_dim=6,
                            num_classes=3)
  z, label = jax.random.normal(jax.random.key(1), (4, 9)), jnp.array([0, 1, 2, 0])
  variables = jax.jit(functools.partial(module.init, train=True))(jax.random.key(0), z, label)
  shapes = [layer['kernel'].shape for name, layer in variables['params'].items() if name.startswith('Dense')]
  assert sorted(shapes) == sorted([(3, 6), (3, 2 * 2 * 4)] + 8 * [(3 + 6, 4)])

  def changes(at, label=label):
    """Tells whether the images change with numbers of z, once the conditions' weights are no longer zero."""
    params = jax.tree.map(lambda leaf: leaf + 0.1, variables['params'])
    apply = jax.jit(lambda z: module.apply({**variables, 'params': params}, z, label, train=False))
    return bool(jnp.abs(apply(z.at[:, at].add(1.0)) - apply(z)).max() > 1e-4)

  assert all(changes(at) for at in (0, 3, 6))
  unconditional = module.clone(num_classes=0, label_dim=0)
  assert count_parameters(unconditional, z, label) < count_parameters(module, z, label)
  assert start(unconditional, z, label)[0](z, label).shape == (4, 8, 8, 1)


def test_orthogonal_weights():
  _, params = start(resnet.Generator((8, 8, 1), (16, 8), start=4, initializer='orthogonal'), jnp.ones((2, 5)), None)
  kernel = params['Conv_0']['kernel'].reshape(-1, 8)
  np.testing.assert_allclose(kernel.T @ kernel, np.eye(8), atol=1e-5)


@pytest.mark.parametrize('module', [
    resnet.Generator((4, 4, 4, 1), (3, 2), start=2),
    resnet.Generator((8, 1), (3, 3, 2), start=2, spectral=True),
    resnet.Critic((3, 3), 2),
    resnet.Critic((3, 3), (1, 2), norm='layer', spectral=True),
])
def test_any_rank(module):
  is_generator = isinstance(module, resnet.Generator)
  x = jnp.ones((2, 5)) if is_generator else jnp.ones((2, 4, 4, 4, 1))
  output = start(module, x, None)[0](x, None)
  assert output.shape == ((2, *module.image_shape) if is_generator else (2,)) and jnp.isfinite(output).all()


@pytest.mark.parametrize('module, x, message', [
    (resnet.Generator((8, 8, 1), (4, 4), start=3), jnp.ones((2, 4)), r'start=3: 1 blocks end at sides of \(6, 6\)'),
    (resnet.Generator((8, 8, 1), (4, 4), start=4, skip_z=True), jnp.ones((2, 4)), 'skip_z=True: norm='),
    (resnet.Generator((8, 8, 1), (4, 4), start=4, norm='conditional_batch'), jnp.ones((2, 5)),
     'neither labels, .* nor dataset.attributes'),
    (resnet.Critic((4, 4), 2), jnp.ones((2, 6, 6, 1)), 'a map of .3, 3. has no half'),
])
def test_what_cannot_fit_is_refused(module, x, message):
  with pytest.raises(UserError, match=message):
    module.init(jax.random.key(0), x, None, train=True)
