"""The penalties against closed forms."""
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


W = jnp.arange(12.0).reshape(2, 3, 2) / 5


@pytest.mark.parametrize(('name', 'want'), [
    ('gradient_penalty', (np.linalg.norm(np.ravel(W)) - 1)**2),
    ('dragan', (np.linalg.norm(np.ravel(W)) - 1)**2),
    ('r1', np.sum(np.square(W)) / 2),
    ('r2', np.sum(np.square(W)) / 2),
    ('r1_r2', np.sum(np.square(W))),
])
def test_of_a_linear_critic(name, want):
  real, fake = jax.random.normal(RNG, (2, 4, 2, 3, 2))
  assert float(penalties.BY_NAME[name](linear(W), real, fake, RNG)) == pytest.approx(want, rel=1e-6)


def test_zero_centred_penalties_of_a_quadratic_critic():
  """The gradient of x A x / 2 is A x."""
  real, fake = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 1.0], [2.0, 0.0]])
  a = jnp.array([[2.0, 1.0], [1.0, 3.0]])
  score = lambda x: jnp.sum(x @ a * x, axis=1) / 2
  at_real = ((4 + 1) + (1 + 9)) / 2 / 2
  at_fake = ((9 + 16) + (16 + 4)) / 2 / 2
  want = {'r1': at_real, 'r2': at_fake, 'r1_r2': at_real + at_fake}
  assert {name: float(penalties.BY_NAME[name](score, real, fake, RNG)) for name in want} == pytest.approx(want)


def test_dragan_looks_around_the_real_images_and_within_their_range():
  real = jax.random.uniform(RNG, (64, 5, 5, 1), minval=-1).at[0, :2, 0, 0].set(jnp.array([-1.0, 1.0]))
  perturbed = penalties.perturb(real, jax.random.key(1))
  assert (float(perturbed.min()), float(perturbed.max())) == (-1, 1)
  assert 0.9 < float(jnp.abs(perturbed - real).max()) / (float(jnp.std(real)) / 2) <= 1


@pytest.mark.parametrize('name', penalties.BY_NAME)
def test_gradient_is_finite_where_the_critic_is_flat(name):
  penalty = lambda w: penalties.BY_NAME[name](linear(w), jnp.ones((4, 3)), jnp.zeros((4, 3)), RNG)
  value, gradient = jax.value_and_grad(penalty)(jnp.zeros(3))
  assert float(value) == (0 if name.startswith('r') else 1) and np.all(np.isfinite(gradient))


def test_norm_is_float32_under_bfloat16():
  score = lambda x: linear(jnp.ones(5))(x.astype(jnp.bfloat16)).astype(jnp.float32)
  norms = penalties.gradient_norms(score, jnp.ones((2, 5)))
  assert norms.dtype == jnp.float32
  np.testing.assert_allclose(norms, 5 ** 0.5, rtol=1e-6)
