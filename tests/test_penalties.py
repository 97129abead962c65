"""The gradient penalty against closed forms."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.core import penalties

RNG = jax.random.key(0)


def linear(w):
  return lambda x: jnp.sum(x * w, axis=tuple(range(1, x.ndim)))


def test_linear_critic_is_penalised_by_its_norm_alone():
  w = jnp.arange(12.0).reshape(2, 3, 2) / 5  # the norm runs over all three axes
  real, fake = jax.random.normal(RNG, (2, 4, 2, 3, 2))
  want = (np.linalg.norm(np.ravel(w)) - 1) ** 2
  assert float(penalties.gradient_penalty(linear(w), real, fake, RNG)) == pytest.approx(want, rel=1e-6)


def test_quadratic_critic_is_penalised_at_the_interpolates():
  real, fake = jax.random.normal(RNG, (2, 4, 3))
  x_hat = np.asarray(penalties.interpolate(real, fake, RNG))
  want = np.mean((np.linalg.norm(2 * x_hat, axis=1) - 1) ** 2)
  penalty = penalties.gradient_penalty(lambda x: jnp.sum(x ** 2, 1), real, fake, RNG)
  assert float(penalty) == pytest.approx(want, rel=1e-6)


def test_one_eps_per_example_between_real_and_fake():
  x_hat = np.asarray(penalties.interpolate(jnp.ones((64, 2, 3, 1)), jnp.zeros((64, 2, 3, 1)), RNG))
  eps = x_hat[:, 0, 0, 0]
  np.testing.assert_array_equal(x_hat, np.broadcast_to(eps[:, None, None, None], x_hat.shape))
  assert len(np.unique(eps)) == 64 and 0 <= eps.min() < 0.1 and 0.9 < eps.max() <= 1


def test_gradient_is_finite_where_the_critic_is_flat():
  penalty = lambda w: penalties.gradient_penalty(linear(w), jnp.ones((4, 3)), jnp.zeros((4, 3)), RNG)
  value, gradient = jax.value_and_grad(penalty)(jnp.zeros(3))
  assert float(value) == pytest.approx(1) and np.all(np.isfinite(gradient))


def test_norm_is_float32_under_bfloat16():
  score = lambda x: linear(jnp.ones(5))(x.astype(jnp.bfloat16)).astype(jnp.float32)
  norms = penalties.gradient_norms(score, jnp.ones((2, 5)))
  assert norms.dtype == jnp.float32
  np.testing.assert_allclose(norms, 5 ** 0.5, rtol=1e-6)
