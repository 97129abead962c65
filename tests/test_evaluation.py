"""Evaluation: distances in closed form, and a classifier that learns real digits."""
import ml_collections
import numpy as np
import pytest

from gans.data.dataset import Dataset
from gans.data.sources.digits import load_digits
from gans.evaluation import classifier
from gans.evaluation.frechet import frechet_distance


def with_moments(mean, covariance, num=50):
  """Points whose sample mean and covariance are exactly those given."""
  noise = np.random.default_rng(0).standard_normal((num, len(mean)))
  noise -= noise.mean(0)
  white = noise @ np.linalg.inv(np.linalg.cholesky(np.cov(noise, rowvar=False))).T
  return white @ np.linalg.cholesky(covariance).T + mean


def test_frechet_distance_of_two_gaussians():
  x = with_moments(np.array([0.0, 0.0]), np.diag([1.0, 4.0]))
  y = with_moments(np.array([3.0, 4.0]), np.diag([9.0, 1.0]))
  # |m|^2 = 25; commuting covariances: (1 - 3)^2 + (2 - 1)^2 = 5
  assert frechet_distance(x, y) == pytest.approx(30)
  assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_where_covariances_do_not_commute():
  a, b = np.array([[2.0, 1.0], [1.0, 2.0]]), np.diag([1.0, 3.0])
  # of 2x2 matrices tr(M^(1/2)) = (tr M + 2 det(M)^(1/2))^(1/2), M = AB: tr 8, det 9
  expected = np.trace(a + b) - 2 * np.sqrt(8 + 2 * 3)
  assert frechet_distance(with_moments(np.zeros(2), a), with_moments(np.zeros(2), b)) == pytest.approx(expected)


def test_frechet_distance_is_finite_where_a_covariance_is_singular():
  line = np.outer(np.arange(5.0), [1, 1, 0])
  assert frechet_distance(line, line + [0, 0, 2]) == pytest.approx(4)


def test_frechet_distance_of_single_features():
  x = np.array([[0.0], [2.0]])  # mean 1, variance 2
  assert frechet_distance(x, 2 * x + 3) == pytest.approx(16 + 2)  # |5 - 1|^2 + (8^(1/2) - 2^(1/2))^2


def test_classifier_learns_digits():
  config = ml_collections.ConfigDict({'name': 'mnist_5k', 'image_size': 14})
  digits = load_digits(config)
  order = np.random.default_rng(0).permutation(len(digits.images))
  kept, held_out = (Dataset(digits.images[i], digits.labels[i], 10) for i in (order[:4000], order[4000:]))
  features, probabilities = classifier.classify(classifier.fit(kept, steps=156), held_out.images, digits.spec)
  assert features.shape == (1000, 128) and features.min() >= 0
  np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
  assert (probabilities.argmax(1) == held_out.labels).mean() > 0.8  # after some seconds
