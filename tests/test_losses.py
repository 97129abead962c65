"""Losses against values worked out by hand."""
import math

import jax
import jax.numpy as jnp
import pytest

from gans.core import losses

REAL, FAKE = jnp.array([2.0, 4.0]), jnp.array([-1.0, 2.0])


# -log sigmoid(x) = log(1 + e^-x), and log(1 - sigmoid(x)) = -log(1 + e^x).
SOFTPLUS = {x: math.log1p(math.exp(x)) for x in (-4.0, -3.5, -3.0, -2.0, -1.5, -1.0, 1.0, 1.5, 2.0, 3.0, 3.5, 4.0)}
CROSS_ENTROPY = (SOFTPLUS[-2.0] + SOFTPLUS[-4.0]) / 2 + (SOFTPLUS[-1.0] + SOFTPLUS[2.0]) / 2
BY_HAND = {  # (critic's, generator's)
    'wasserstein': (0.5 - 3, -0.5),
    'hinge': (0 + (0 + 3) / 2, -0.5),
    'least_squares': ((1 + 9) / 2 / 2 + (1 + 4) / 2 / 2, (4 + 1) / 2 / 2),
    'non_saturating': (CROSS_ENTROPY, (SOFTPLUS[1.0] + SOFTPLUS[-2.0]) / 2),
    # Real scores are 3 and 2 above the fake ones of their pairs, and 1.5 and 3.5 above the mean of these, 0.5; the fake
    # ones are 4 and 1 below the mean of the real ones, 3.
    'relativistic': ((SOFTPLUS[-3.0] + SOFTPLUS[-2.0]) / 2, (SOFTPLUS[3.0] + SOFTPLUS[2.0]) / 2),
    'relativistic_average': (
        (SOFTPLUS[-1.5] + SOFTPLUS[-3.5]) / 2 + (SOFTPLUS[-4.0] + SOFTPLUS[-1.0]) / 2,
        (SOFTPLUS[4.0] + SOFTPLUS[1.0]) / 2 + (SOFTPLUS[1.5] + SOFTPLUS[3.5]) / 2),
    'saturating': (CROSS_ENTROPY, -(SOFTPLUS[-1.0] + SOFTPLUS[2.0]) / 2),
}


def generator_side(name: str, fake, real=REAL):
  return losses.BY_NAME[name].of_generator(fake, lambda: real)


@pytest.mark.parametrize('name', losses.BY_NAME)
def test_by_hand(name):
  loss = losses.BY_NAME[name]
  assert (float(loss.critic(REAL, FAKE)), float(generator_side(name, FAKE))) == pytest.approx(BY_HAND[name])


@pytest.mark.parametrize('name', losses.BY_NAME)
def test_generator_wants_higher_scores_for_its_images(name):
  gradient = jax.grad(lambda fake: generator_side(name, fake))(jnp.array([-1.0, 0.5]))
  assert (gradient < 0).all()


@pytest.mark.parametrize('name', losses.BY_NAME)
def test_finite_for_sure_critics(name):
  loss = losses.BY_NAME[name]
  gradients = jax.grad(lambda fake: loss.critic(fake, -fake) + generator_side(name, fake))(jnp.array([-1e4, 1e4]))
  assert jnp.isfinite(gradients).all()


@pytest.mark.parametrize('name', losses.BY_NAME)
def test_only_a_relative_loss_asks_the_generator_for_real_scores(name):
  asked = []

  def score_real():
    asked.append(True)
    return REAL

  losses.BY_NAME[name].of_generator(FAKE, score_real)
  assert bool(asked) == name.startswith('relativistic')


@pytest.mark.parametrize('name', ['relativistic', 'relativistic_average'])
def test_the_players_of_a_relative_loss_swap_places_and_see_no_shift(name):
  loss = losses.BY_NAME[name]
  assert float(loss.critic(REAL, FAKE)) == float(loss.generator(REAL, FAKE))
  assert float(loss.critic(REAL + 5, FAKE + 5)) == pytest.approx(float(loss.critic(REAL, FAKE)), rel=1e-6)


def test_a_pair_of_equal_scores_tells_nothing():
  assert float(losses.relativistic(REAL, REAL)) == pytest.approx(math.log(2))
  gradient = jax.grad(losses.relativistic)(REAL, FAKE)
  assert gradient.tolist() == pytest.approx([-1 / (1 + math.exp(3)) / 2, -1 / (1 + math.exp(2)) / 2])
