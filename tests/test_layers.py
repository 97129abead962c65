"""Layers against closed forms: conditional batch norm, the projection, self-attention, a batch's standard deviation."""
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.errors import UserError
from gans.networks import dcgan, layers, mlp, r3gan, resnet


def start(module, *inputs, train=True):
  """Returns (the network as a function of its variables and inputs, its first variables)."""
  variables = jax.jit(functools.partial(module.init, train=train))(jax.random.key(0), *inputs)
  apply = jax.jit(lambda variables, *inputs: module.apply(
      variables, *inputs, train=train, mutable=[name for name in variables if name != 'params'])[0])
  return apply, variables


def changed(variables, layer: str, **params):
  """The variables with other parameters in a layer."""
  return {**variables, 'params': {**variables['params'], layer: params}}


@pytest.mark.parametrize('module, layer', [
    (dcgan.Generator((8, 8, 1), start=2, hidden=(4, 3), num_classes=3, norm='conditional_batch'), 'Dense_1'),
    (mlp.Generator((4,), (6, 5), num_classes=3, norm='conditional_batch'), 'Dense_1'),
    (resnet.Generator((8, 8, 1), (4, 3, 2), 2, num_classes=3, norm='conditional_batch'), 'Dense_1'),
])
def test_conditional_batch_norm_gives_each_class_a_scale_of_its_own(module, layer):
  z, label = jax.random.normal(jax.random.key(1), (4, 5)), jnp.array([0, 1, 0, 2])
  apply, variables = start(module, z, label)
  other = jnp.array([1, 1, 0, 2])
  np.testing.assert_array_equal(apply(variables, z, label), apply(variables, z, other))  # all classes start alike
  scales = variables['params'][layer]['kernel']
  assert scales.shape[0] == 3 and not scales.any()
  moved = changed(variables, layer, kernel=scales.at[1].add(0.5))
  assert jnp.abs(apply(moved, z, label) - apply(moved, z, other)).max() > 1e-3


def test_a_class_is_scaled_and_shifted_by_its_own_numbers():
  class Layer(layers.nn.Module):
    @layers.nn.compact
    def __call__(self, x, condition):
      return layers.normalize(x, 'conditional_batch', True, jnp.float32, condition)

  x = jax.random.normal(jax.random.key(1), (4, 2, 2, 3))
  label = jnp.array([0, 1, 0, 1])
  layer = Layer()
  variables = layer.init(jax.random.key(0), x, jax.nn.one_hot(label, 2))
  assert all(not leaf.any() for leaf in jax.tree.leaves(variables['params']))
  scales, shifts = (jax.random.normal(jax.random.key(i), (2, 3)) for i in (2, 3))
  params = {'Dense_0': {'kernel': scales}, 'Dense_1': {'kernel': shifts}}
  got, _ = layer.apply({**variables, 'params': params}, x, jax.nn.one_hot(label, 2), mutable=['batch_stats'])
  normal = (x - x.mean((0, 1, 2))) / jnp.sqrt(x.var((0, 1, 2)) + 1e-5)
  expected = (1 + scales[label])[:, None, None] * normal + shifts[label][:, None, None]
  np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def gradient_of_mean(layer, x, *inputs):
  """The gradient of the mean of what a layer makes of x, at its first parameters."""
  variables = layer.init(jax.random.key(0), x, *inputs)
  mean = lambda variables: jnp.mean(layer.apply(variables, x, *inputs).astype(jnp.float32))
  return jax.grad(mean)(variables)['params']


class Modulate(layers.nn.Module):
  @layers.nn.compact
  def __call__(self, x, condition):
    return layers.modulate(x, condition, x.dtype)


class Attend(layers.nn.Module):
  """What `layers.attend` reads of a network."""
  spectral: bool = False
  init_stddev: float = 0.0
  dtype: type = jnp.float32

  @layers.nn.compact
  def __call__(self, x):
    return layers.attend(self, x)


def test_sums_over_a_map_are_float32_in_bfloat16():
  """In bfloat16 a sum of equal numbers stops growing at 256 of them."""
  x = jnp.ones((1, 64, 64, 8), jnp.bfloat16)
  of_scale, of_shift = gradient_of_mean(Modulate(), x, jnp.ones((1, 1))).values()
  for gradient in (of_scale, of_shift):
    np.testing.assert_allclose(gradient['kernel'], 1 / 8, rtol=0.02)
  x += jax.random.normal(jax.random.key(1), x.shape, x.dtype)
  exact = gradient_of_mean(Attend(), x.astype(jnp.float32))['attention']
  assert abs(exact) > 0.05
  np.testing.assert_allclose(gradient_of_mean(Attend(dtype=jnp.bfloat16), x)['attention'], exact, rtol=0.05)


@pytest.mark.parametrize('critic, head, embedding', [
    (dcgan.Critic((4,), num_classes=3, projection=True, norm='none'), 'Dense_0', 'Dense_1'),
    (mlp.Critic((6,), num_classes=3, projection=True), 'Dense_1', 'Dense_2'),
    (resnet.Critic((4, 4), 2, num_classes=3, projection=True), 'Dense_0', 'Dense_1'),
])
def test_a_projection_adds_the_product_with_the_labels_embedding(critic, head, embedding):
  x, label = jax.random.normal(jax.random.key(1), (3, 8, 8, 1)), jnp.array([2, 0, 2])
  apply, variables = start(critic, x, label)
  plain, _ = start(critic.clone(projection=False), x, label)
  table = variables['params'][embedding]['kernel']
  without = changed(variables, embedding, kernel=jnp.zeros_like(table))
  np.testing.assert_allclose(apply(without, x, label), plain(variables, x, label), rtol=1e-5)
  features, _ = start(critic.clone(features=True, projection=False), x, label)
  _, phi = features(variables, x, label)
  expected = plain(variables, x, label) + jnp.sum(phi * table[label], axis=-1)
  np.testing.assert_allclose(apply(variables, x, label), expected, rtol=1e-4, atol=1e-5)
  gradient = jax.grad(lambda table: apply(changed(variables, embedding, kernel=table), x, label)[0])(table)
  np.testing.assert_allclose(gradient, jnp.zeros_like(table).at[2].set(phi[0]), rtol=1e-4, atol=1e-6)
  assert head in variables['params']


def attention(side: int = 4, channels: int = 16):
  class Layer(layers.nn.Module):
    spectral: bool = False
    init_stddev: float = 0.0
    attention_at: int = side
    dtype: type = jnp.float32

    @layers.nn.compact
    def __call__(self, x, train=True):
      return layers.attend(self, x)

  x = jax.random.normal(jax.random.key(1), (2, side, side, channels))
  layer = Layer()
  return jax.jit(layer.apply), x, jax.jit(layer.init)(jax.random.key(0), x)


def test_self_attention_starts_as_the_identity():
  attend, x, variables = attention()
  np.testing.assert_array_equal(attend(variables, x), x)


def test_self_attention_is_a_mean_of_what_the_positions_have_weighted_by_how_well_they_match():
  attend, x, variables = attention()
  params = {**variables['params'], 'attention': jnp.float32(0.7)}
  theta, phi, g, o = (params[f'Conv_{i}']['kernel'][0, 0] for i in range(4))
  assert theta.shape == phi.shape == (16, 2) and g.shape == (16, 8) and o.shape == (8, 16)

  def pooled(y):
    return y.reshape(2, 2, 2, 2, 2, -1).max((2, 4)).reshape(2, 4, -1)

  logits = (x @ theta).reshape(2, 16, 2) @ jnp.swapaxes(pooled(x @ phi), 1, 2)
  weights = jnp.exp(logits) / jnp.exp(logits).sum(-1, keepdims=True)
  expected = x + 0.7 * ((weights @ pooled(x @ g)) @ o).reshape(x.shape)
  np.testing.assert_allclose(attend({'params': params}, x), expected, rtol=1e-4, atol=1e-5)
  constant = jnp.ones_like(x)
  np.testing.assert_allclose(
      attend({'params': params}, constant), constant + 0.7 * constant @ g @ o, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('module, x, width', [
    (dcgan.Generator((16, 16, 1), start=4, hidden=(8, 4), attention_at=8), jnp.ones((2, 5)), 4),
    (dcgan.Critic((8, 8), attention_at=4), jnp.ones((2, 16, 16, 1)), 8),
    (dcgan.Critic((8, 4), attention_at=2), jnp.ones((2, 8, 8, 8, 1)), 4),
    (resnet.Generator((16, 16, 1), (8, 8, 4), 4, attention_at=16), jnp.ones((2, 5)), 4),
    (resnet.Critic((8, 4, 8), (2, 1, 2), attention_at=8), jnp.ones((2, 16, 16, 1)), 8),
])
def test_attention_comes_once_at_the_side_that_is_asked_for(module, x, width):
  def count(module):
    params = jax.eval_shape(lambda: module.init(jax.random.key(0), x, None, train=True))['params']
    return sum(leaf.size for leaf in jax.tree.leaves(params))

  theta_and_phi, g_and_o = 2 * width, 2 * width * (width // 2)
  assert count(module) - count(module.clone(attention_at=0)) == theta_and_phi + g_and_o + 1
  with pytest.raises(UserError, match='attention_at=7: no layer of the network arrives at a map of this side'):
    jax.eval_shape(lambda: module.clone(attention_at=7).init(jax.random.key(0), x, None, train=True))


def test_the_standard_deviation_of_a_group_becomes_a_channel():
  same = jnp.broadcast_to(jax.random.normal(jax.random.key(0), (2, 2, 3)), (4, 2, 2, 3))
  joined = layers.join_stddev(same, 4)
  np.testing.assert_array_equal(joined[..., :3], same)
  np.testing.assert_allclose(joined[..., 3], 1e-4 * np.ones((4, 2, 2)), rtol=1e-3)  # the root of 1e-8
  pairs = jnp.stack([same[0], same[0] + 2, same[1], same[1] + 6])  # deviations of 1 and of 3
  np.testing.assert_allclose(layers.join_stddev(pairs, 2)[:, 0, 0, 3], [1, 1, 3, 3], rtol=1e-5)
  assert layers.join_stddev(same, 0) is same
  with pytest.raises(UserError, match='minibatch_stddev=3: a batch of 4 does not divide into groups'):
    layers.join_stddev(same, 3)


@pytest.mark.parametrize('module, x', [
    (dcgan.Critic((4,), minibatch_stddev=2), 8 * 8 // 4),
    (resnet.Critic((4,), 2, minibatch_stddev=2), 1),
])
def test_critics_see_the_standard_deviation(module, x):
  image = jax.random.normal(jax.random.key(1), (4, 8, 8, 1))
  apply, variables = start(module, image, None)
  _, without = start(module.clone(minibatch_stddev=0), image, None)
  assert variables['params']['Dense_0']['kernel'].size - without['params']['Dense_0']['kernel'].size == x
  moved = apply(variables, image.at[1].multiply(3.0), None) != apply(variables, image, None)
  np.testing.assert_array_equal(moved, [True, True, False, False])  # its own group, and no other


@pytest.mark.parametrize('module, message', [
    (dcgan.Critic((4,), projection=True), 'the data set has neither labels, .* nor dataset.attributes'),
    (dcgan.Critic((4,), projection=True, outputs=2, num_classes=3), 'projection=True: outputs=2 are no score'),
    (dcgan.Critic((4,), head='conv', projection=True, num_classes=3), "head='conv'"),
    (dcgan.Critic((4,), head='conv', kernels=(8, 1), strides=1, padding='VALID', dropout=0.5), "head='conv'"),
    (dcgan.Critic((4,), classify=True), 'classify=True: the data set has no labels; expected False'),
    (dcgan.Critic((4, 4, 4), attention_at=1), 'attention_at=1: a map of'),
])
def test_what_cannot_be_is_refused(module, message):
  with pytest.raises(UserError, match=message):
    module.init(jax.random.key(0), jnp.ones((2, 8, 8, 1)), jnp.zeros(2, jnp.int32), train=True)


@pytest.mark.parametrize('given', [jnp.ones((2, 5)), jnp.ones((2, 8, 8, 1))], ids=['code', 'image'])
@pytest.mark.parametrize('module', [dcgan.Critic((4,), num_classes=3), mlp.Critic((4,), num_classes=3),
                                    resnet.Critic((4,), 2, num_classes=3),
                                    r3gan.Critic(hidden=(16, 16), num_blocks=1, num_classes=3)])
def test_what_is_given_in_place_of_a_label_is_not_ignored(module, given):
  with pytest.raises(UserError, match='in place of a label of 3 classes, .* a network that does'):
    module.init(jax.random.key(0), jnp.ones((2, 8, 8, 1)), given, train=True)


def test_a_norm_of_classes_needs_a_label():
  generator = dcgan.Generator((8, 8, 1), start=2, hidden=(4, 3), num_classes=3, norm='conditional_batch')
  with pytest.raises(UserError, match="what it sees has none, .* another norm than 'conditional_batch'"):
    generator.init(jax.random.key(0), jnp.ones((2, 5)), None, train=True)
