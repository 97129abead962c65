"""Losses against values worked out by hand."""
import jax.numpy as jnp
import pytest

from gans import losses

REAL, FAKE = jnp.array([2.0, 4.0]), jnp.array([-1.0, 2.0])


def test_wasserstein():
  assert float(losses.wasserstein.critic(REAL, FAKE)) == pytest.approx(0.5 - 3)
  assert float(losses.wasserstein.generator(REAL, FAKE)) == pytest.approx(-0.5)
