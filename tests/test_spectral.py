"""Spectral norm against closed forms: its value, its gradient, what it remembers, and where it is."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.core.game import bind, bind_trained
from gans.networks import dcgan, joint, mlp, resnet, translation

POINTS = jnp.eye(4)


def linear(width: int = 0):
  """A spectral critic of points [B,4] that is one dense layer without a nonlinearity."""
  return mlp.Critic(hidden=(), spectral=True, outputs=width)


def with_kernel(module, kernel, x=POINTS):
  """Returns a module's first variables, with this kernel in its one dense layer and no bias."""
  variables = module.init(jax.random.key(0), x, None, train=True)
  params = {'Dense_0': {'kernel': kernel, 'bias': jnp.zeros(kernel.shape[-1])}}
  return {**variables, 'params': params}


def call(module, variables, x=POINTS):
  """One call in training: (output, variables afterwards)."""
  output, changed = module.apply(variables, x, None, train=True, mutable=['spectral'])
  return output, {**variables, **changed}


def u_of(variables):
  return variables['spectral']['SpectralNorm_0']['Dense_0/kernel/u']


def test_it_finds_the_largest_of_a_diagonal_as_fast_as_theory_says():
  """The error of a power iteration falls by (s2 / s1)^2 a step."""
  kernel = jnp.diag(jnp.array([1.0, -2.0, 0.5, 1.5]))
  module = linear(4)
  variables = with_kernel(module, kernel)
  start = u_of(variables)[0]
  bound = float(jnp.sum(start**2) / start[1]**2)
  for step in range(1, 12):
    output, variables = call(module, variables)
    sigma = kernel[1, 1] / output[1, 1]
    assert 0 <= 2 - float(sigma) <= 2 * bound * (1.5 / 2)**(2 * step) + 1e-6
  np.testing.assert_allclose(np.diag(output), np.diag(kernel) / 2, rtol=1e-2)


@pytest.mark.parametrize('module, layer', [
    (dcgan.Critic((5,), strides=1, norm='none', spectral=True), 'Conv_0'),
    (dcgan.Generator((8, 8, 3), start=4, hidden=(6,), norm='none', spectral=True), 'ConvTranspose_0'),
    (dcgan.Critic((5,), strides=1, norm='none', spectral=True, num_classes=9, projection=True), 'Dense_1'),
    (resnet.Generator((8, 8, 3), (6, 5), start=4, spectral=True), 'UpsampledConv_0'),
    (resnet.Critic((5,), 2, spectral=True), 'PooledConv_0'),
])
def test_it_is_the_largest_singular_value_of_the_kernel_as_a_matrix(module, layer):
  x = jnp.ones((2, 6)) if isinstance(module, dcgan.Generator | resnet.Generator) else jnp.ones((2, 8, 8, 3))
  label = jnp.array([0, 8])
  variables = jax.jit(lambda: module.init(jax.random.key(0), x, label, train=True))()
  collections = [name for name in variables if name != 'params']
  move = jax.jit(lambda variables: module.apply(variables, x, label, train=True, mutable=collections)[1])
  for _ in range(100):
    variables |= move(variables)
  kernel = variables['params'][layer]['kernel']
  found = [norm[f'{layer}/kernel/sigma'] for norm in variables['spectral'].values() if f'{layer}/kernel/sigma' in norm]
  largest = np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), compute_uv=False)[0]
  np.testing.assert_allclose(found, [largest], rtol=1e-5)


def test_a_kernel_of_another_scale_gives_the_same_output():
  kernel = jax.random.normal(jax.random.key(1), (4, 3))
  outputs = [call(linear(3), with_kernel(linear(3), scale * kernel))[0] for scale in (1, 7.5)]
  np.testing.assert_allclose(*outputs, rtol=1e-5)


def test_its_gradient_is_that_of_a_quotient():
  """d/dW <G, W / sigma> = (G - <G, W_sn> v u') / sigma, u and v being constants; here W is [in, out]."""
  kernel, weight = (jax.random.normal(jax.random.key(i), (4, 3)) for i in (1, 2))
  module = linear(3)
  variables = with_kernel(module, kernel)
  gradient = jax.grad(lambda kernel: jnp.sum(weight * call(module, with_kernel(module, kernel))[0]))(kernel)
  u = u_of(variables)[0]
  v = kernel @ u / jnp.linalg.norm(kernel @ u)
  u = v @ kernel / jnp.linalg.norm(v @ kernel)
  sigma = v @ kernel @ u
  expected = (weight - jnp.sum(weight * kernel / sigma) * jnp.outer(v, u)) / sigma
  np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5)


def test_a_penalty_differentiates_through_it_as_through_the_quotient():
  """Second derivatives through the convolutions as dots, against XLA's with u and v as constants, in float64."""
  with jax.enable_x64(True):
    module = dcgan.Critic((4,), norm='none', spectral=True, dtype=jnp.float64)
    image = jax.random.normal(jax.random.key(1), (2, 6, 6, 2), jnp.float64)
    variables = jax.jit(lambda: module.init(jax.random.key(0), image, None, train=True))()
    variables = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), variables)
    kernel = variables['params']['Conv_0']['kernel']
    matrix = kernel.reshape(-1, 4)
    v = matrix @ variables['spectral']['SpectralNorm_0']['Conv_0/kernel/u'][0]
    v /= jnp.linalg.norm(v)
    u = v @ matrix / jnp.linalg.norm(v @ matrix)
    head = variables['params']['Dense_0']['kernel'][:, 0]
    head /= jnp.linalg.norm(head)

    def score(kernel, image):
      params = {**variables['params'], 'Conv_0': {'kernel': kernel, 'bias': jnp.zeros(4)}}
      return jnp.sum(module.apply({**variables, 'params': params}, image, None, train=True, mutable=['spectral'])[0])

    def by_hand(kernel, image):
      sigma = v @ kernel.reshape(-1, 4) @ u
      layouts = ('NHWC', 'HWIO', 'NHWC')
      y = jax.lax.conv_general_dilated(image, kernel / sigma, (2, 2), 'SAME', dimension_numbers=layouts)
      return jnp.sum(jnp.where(y > 0, y, 0.2 * y).reshape(2, -1) @ head)

    def penalty(score):
      return jax.grad(lambda kernel: jnp.sum(jax.grad(score, 1)(kernel, image)**2))(kernel)

    np.testing.assert_allclose(penalty(score), penalty(by_hand), rtol=1e-11, atol=1e-12)


def test_training_moves_u_and_nothing_else_does():
  critic = linear()
  variables = with_kernel(critic, jax.random.normal(jax.random.key(1), (4, 1)))
  state = {'critic': {'spectral': variables['spectral']}}
  params = {'critic': variables['params']}
  play = bind({'critic': critic}, params, state, jax.random.PRNGKey(0))
  before = u_of(variables)
  jax.grad(lambda x: jnp.sum(play.critic(x, None)))(POINTS)  # as in a penalty
  np.testing.assert_array_equal(u_of(play.model_states['critic']), before)
  play.critic(POINTS, None)
  assert float(jnp.linalg.norm(u_of(play.model_states['critic']))) == pytest.approx(1, abs=1e-6)
  assert not np.array_equal(u_of(play.model_states['critic']), before)
  trained = bind_trained({'critic': critic}, {'critic': variables})
  np.testing.assert_array_equal(trained.critic(POINTS, None), trained.critic(POINTS, None))


@pytest.mark.parametrize('module, inputs, count', [
    (mlp.Generator((4, 4, 1), (8, 8), spectral=True), (jnp.ones((2, 3)), None), 3),
    (joint.Critic((4, 4), spectral=True), (jnp.ones((2, 8, 8, 1)), jnp.ones((2, 3))), 5),
    (translation.ResidualGenerator((8, 8, 1), 4, 1, 1, spectral=True), (jnp.ones((2, 8, 8, 1)),), 6),
    (translation.UNet((8, 8, 1), (4, 4), spectral=True), (jnp.ones((2, 8, 8, 1)),), 4),
    (translation.PatchCritic((4, 4), spectral=True, classify=True, num_classes=3), (jnp.ones((2, 8, 8, 1)),), 4),
    (dcgan.Critic((8, 8), spectral=True, attention_at=4, dense=(5,), remat=True), (jnp.ones((2, 8, 8, 1)), None), 8),
    (dcgan.Critic((8, 8), spectral=True, dtype=jnp.bfloat16), (jnp.ones((2, 8, 8, 1)), None), 3),
])
def test_every_kernel_of_a_spectral_network_is_normalised(module, inputs, count):
  rngs = {'params': jax.random.key(0), 'dropout': jax.random.key(1)}
  variables = jax.jit(lambda: module.init(rngs, *inputs, train=True))()
  kernels = [path for path, _ in jax.tree.leaves_with_path(variables['params']) if path[-1].key == 'kernel']
  assert len(variables['spectral']) == len(kernels) == count
  output = jax.jit(lambda: module.apply(variables, *inputs, train=False))()
  assert all(jnp.isfinite(leaf).all() and leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(output))
