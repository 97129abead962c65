"""Losses against values worked out by hand."""
import math

import jax
import jax.numpy as jnp
import pytest

from gans.core import losses

REAL, FAKE = jnp.array([2.0, 4.0]), jnp.array([-1.0, 2.0])


# -log sigmoid(x) = log(1 + e^-x), and log(1 - sigmoid(x)) = -log(1 + e^x).
SOFTPLUS = {x: math.log1p(math.exp(x)) for x in (-2.0, -4.0, -1.0, 1.0, 2.0)}
CROSS_ENTROPY = (SOFTPLUS[-2.0] + SOFTPLUS[-4.0]) / 2 + (SOFTPLUS[-1.0] + SOFTPLUS[2.0]) / 2
BY_HAND = {  # (critic's, generator's)
    'wasserstein': (0.5 - 3, -0.5),
    'hinge': (0 + (0 + 3) / 2, -0.5),
    'least_squares': ((1 + 9) / 2 / 2 + (1 + 4) / 2 / 2, (4 + 1) / 2 / 2),
    'non_saturating': (CROSS_ENTROPY, (SOFTPLUS[1.0] + SOFTPLUS[-2.0]) / 2),
    'saturating': (CROSS_ENTROPY, -(SOFTPLUS[-1.0] + SOFTPLUS[2.0]) / 2),
}


@pytest.mark.parametrize('name', losses.BY_NAME)
def test_by_hand(name):
  loss = losses.BY_NAME[name]
  assert (float(loss.critic(REAL, FAKE)), float(loss.generator(FAKE))) == pytest.approx(BY_HAND[name])


@pytest.mark.parametrize('name', losses.BY_NAME)
def test_generator_wants_higher_scores_for_its_images(name):
  gradient = jax.grad(losses.BY_NAME[name].generator)(jnp.array([-1.0, 0.5]))
  assert (gradient < 0).all()


@pytest.mark.parametrize('name', losses.BY_NAME)
def test_finite_for_sure_critics(name):
  loss = losses.BY_NAME[name]
  gradients = jax.grad(lambda fake: loss.critic(fake, -fake) + loss.generator(fake))(jnp.array([-1e4, 1e4]))
  assert jnp.isfinite(gradients).all()
