"""The metrics on features: each by hand or in closed form, against scipy and scikit-learn, and what each refuses."""
import functools

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
from sklearn.metrics import pairwise_distances
from sklearn.metrics.pairwise import polynomial_kernel

from gans.data.sources.points import grid_modes, ring_modes, sample_mixture
from gans.errors import UserError
from gans.evaluation import checks, manifold
from gans.evaluation.classes import inception_score, modes_and_kl
from gans.evaluation.frechet import frechet_distance
from gans.evaluation.kernel import cubic_kernel, kernel_distance, squared_mmd
from gans.evaluation.manifold import density_coverage, precision_recall
from gans.evaluation.mixtures import mixture_quality
from gans.evaluation.sliced import sliced_wasserstein

REAL_LINE = np.array([[0.0], [1.0], [2.0], [3.0]])
FAKE_LINE = np.array([[0.5], [3.5], [10.0], [20.0]])


def normal(seed, num, width, mean=0.0):
  """Independent standard normal features [num,width], shifted."""
  return mean + np.random.default_rng(seed).standard_normal((num, width))


# Frechet


def test_frechet_distance_agrees_with_the_root_of_scipy():
  x, y = normal(0, 100, 6), normal(1, 150, 6, mean=0.5) * np.arange(1, 7)
  covariance_x, covariance_y = np.cov(x.T), np.cov(y.T)
  root = scipy.linalg.sqrtm(covariance_x @ covariance_y).real
  expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(covariance_x + covariance_y - 2 * root)
  assert frechet_distance(x, y) == pytest.approx(expected)


# Kernel


def test_squared_mmd_by_hand():
  # One feature: k(0,1) = 1, k(2,3) = 7^3 = 343, across 1, 1, 27, 64 with the mean 23.25.
  assert squared_mmd(np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]])) == pytest.approx(1 + 343 - 2 * 23.25)
  # Two features, so products are halved: 2^3 = 8, 3^3 = 27, across 8, 27, 1, 27 with the mean 15.75.
  x, y = np.array([[1.0, 1.0], [0.0, 2.0]]), np.array([[2.0, 0.0], [2.0, 2.0]])
  assert squared_mmd(x, y) == pytest.approx(8 + 27 - 2 * 15.75)
  assert kernel_distance(x, y, num_subsets=3, subset_size=2) == pytest.approx((3.5, 0))


def test_cubic_kernel_agrees_with_scikit_learn():
  x, y = normal(0, 7, 5), normal(1, 4, 5)
  np.testing.assert_allclose(cubic_kernel(x, y), polynomial_kernel(x, y, degree=3, gamma=1 / 5, coef0=1))


@pytest.mark.parametrize('mean, expected', [(0, 0), (1, 22)])
def test_squared_mmd_is_unbiased(mean, expected):
  # With one feature the cubic kernel compares three moments: MMD^2 = 3 d1^2 + 3 d2^2 + d3^2. Those of N(0,1) are 0, 1,
  # 0, of N(1,1) 1, 2, 4, so MMD^2 = 3 + 3 + 16. Pairs of a sample with itself would add 4.8 to the first.
  estimates = [squared_mmd(normal(2 * i, 10, 1), normal(2 * i + 1, 10, 1, mean)) for i in range(3000)]
  error = np.std(estimates) / np.sqrt(len(estimates))
  assert error < 0.7 and np.mean(estimates) == pytest.approx(expected, abs=3 * error)


def test_kernel_distance_of_subsets():
  x, y = normal(0, 400, 8), normal(1, 300, 8, mean=1)
  mean, deviation = kernel_distance(x, y, num_subsets=50, subset_size=100)
  assert mean == pytest.approx(squared_mmd(x, y), abs=3 * deviation / np.sqrt(50))
  assert 0 < deviation < mean / 4


# Manifold


def test_precision_recall_of_points_on_a_line():
  # Radii of real 1, 1, 1, 1; of fake 3, 3, 6.5, 10.
  assert precision_recall(REAL_LINE, FAKE_LINE, k=1) == (0.5, 1)
  assert precision_recall(FAKE_LINE, REAL_LINE, k=1) == (1, 0.5)


def test_density_coverage_of_points_on_a_line():
  # k = 1: 0.5 is in two balls, 3.5 in one; only the ball around 2 is empty.
  assert density_coverage(REAL_LINE, FAKE_LINE, k=1) == (3 / 4, 3 / 4)
  # k = 2: radii 2, 1, 1, 2.
  assert density_coverage(REAL_LINE, FAKE_LINE, k=2) == (3 / 8, 3 / 4)


def test_manifold_of_equal_and_of_disjoint_sets():
  x = np.arange(20.0).reshape(10, 2)
  assert precision_recall(x, x) == (1, 1) and density_coverage(x, x)[1] == 1
  assert precision_recall(x, x + 100) == (0, 0) and density_coverage(x, x + 100) == (0, 0)
  repeated = np.repeat(x, 6, 0)  # balls of radius 0
  assert precision_recall(repeated, x) == (1, 1) and density_coverage(repeated, x) == (6 / 5, 1)
  y = np.random.default_rng(0).normal(size=(50, 128))  # whose distances to copies are rounded
  repeated = np.repeat(y, 6, 0)
  assert precision_recall(repeated, y) == (1, 1) and density_coverage(repeated, y) == (6 / 5, 1)


@pytest.mark.parametrize('num_fake', [200, 600])
def test_density_coverage_of_two_draws_of_one_distribution(num_fake):
  k, num_real = 5, 200
  results = [density_coverage(normal(2 * i, num_real, 3), normal(2 * i + 1, num_fake, 3), k) for i in range(60)]
  # Naeem et al. 2020: all ranks of the nearest fake sample are equally likely, so coverage has a closed form.
  kept = np.arange(num_real - k, num_real)
  coverage = 1 - np.prod(kept / (num_fake + kept))
  assert np.mean(results, axis=0) == pytest.approx([1, coverage], abs=0.02)


@pytest.mark.parametrize('width', [2, 32])
def test_manifold_in_chunks_agrees_with_all_distances_at_once(monkeypatch, width):
  monkeypatch.setattr(manifold, 'CHUNK_MIB', 1)  # 218 rows
  real, fake, k = normal(0, 600, width), normal(1, 500, width, mean=0.5), 3
  radii_real, radii_fake = (np.sort(pairwise_distances(x), axis=1)[:, k] for x in (real, fake))
  across = pairwise_distances(real, fake)
  is_in_real, is_in_fake = across <= radii_real[:, None], across <= radii_fake
  assert precision_recall(real, fake, k) == pytest.approx((is_in_real.any(0).mean(), is_in_fake.any(1).mean()))
  assert density_coverage(real, fake, k) == pytest.approx((is_in_real.sum(0).mean() / k, is_in_real.any(1).mean()))


# Classes


def test_inception_score_of_certain_and_of_uncertain_classes():
  assert inception_score(np.full((20, 4), 0.25)) == pytest.approx((1, 0))
  assert inception_score(np.tile(np.eye(4), (10, 1))) == pytest.approx((4, 0))
  assert inception_score(np.eye(2)[[0, 0, 0, 1]], num_splits=2) == pytest.approx((1.5, 0.5))  # scores 1 and 2


def test_inception_score_by_hand():
  probabilities = np.array([[0.75, 0.25], [0.25, 0.75]], np.float32)
  kl = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)
  assert inception_score(probabilities, num_splits=1) == pytest.approx((np.exp(kl), 0))


def test_modes_and_kl():
  assert modes_and_kl(np.array([0, 0, 1, 3]), 4) == pytest.approx((3, 0.5 * np.log(2)))
  assert modes_and_kl(np.arange(1000), 1000) == pytest.approx((1000, 0))
  assert modes_and_kl(np.full(7, 999), 1000) == pytest.approx((1, np.log(1000)))


# Mixtures


def test_mixture_quality_by_hand():
  modes = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
  points = np.array([[0, 0], [1.5, 0], [0, 1.625], [10, 1]])  # the second at three sigmas, the third beyond
  kl = 0.75 * np.log(0.75 / 0.25) + 0.25 * np.log(0.25 / 0.25)  # of the modes of all four points
  assert mixture_quality(points, modes, sigma=0.5) == pytest.approx((2, 3 / 4, kl))


def test_mixture_quality_of_points_between_the_modes():
  modes = ring_modes(1.0)
  assert mixture_quality(0.5 * modes, modes, sigma=0.01) == pytest.approx((0, 0, 0))


def test_mixture_quality_of_the_real_mixture():
  modes, sigma = grid_modes(2.0), 0.05
  quality = mixture_quality(sample_mixture(np.random.default_rng(0), modes, sigma).images, modes, sigma)
  assert quality.modes == 25
  assert quality.high_quality == pytest.approx(1 - np.exp(-9 / 2), abs=1e-3)  # 3 standard errors
  assert quality.reverse_kl == pytest.approx(24 / 2 / 100_000, rel=1)  # half a chi-squared of 24 over N


# Sliced


def test_sliced_wasserstein_of_single_features_is_the_wasserstein_distance():
  assert sliced_wasserstein(np.array([[3.0], [0.0], [1.0]]), np.array([[8.0], [5.0], [6.0]])) == pytest.approx(5)
  assert sliced_wasserstein(np.array([[0.0]]), np.array([[1.0], [2.0], [6.0]])) == pytest.approx(3)
  x, y = normal(0, 50, 1), normal(1, 70, 1)
  assert sliced_wasserstein(x, y) == pytest.approx(scipy.stats.wasserstein_distance(x[:, 0], y[:, 0]))


def test_sliced_wasserstein_of_a_shift_and_of_a_scale():
  x = normal(0, 40, 2)
  # |cos| has the mean 2 / pi on a circle, and the deviation 0.31: four standard errors of the mean
  assert sliced_wasserstein(x, x + [3, 4], num_projections=2000) == pytest.approx(5 * 2 / np.pi, abs=4 * 5 * 0.31 / 45)
  quantiles = scipy.stats.norm.ppf((np.arange(2000) + 0.5) / 2000)[:, None]
  assert sliced_wasserstein(quantiles, 3 * quantiles, num_projections=1) == pytest.approx(
      2 * np.sqrt(2 / np.pi), rel=1e-3)  # between N(0,1) and N(0,9)


# All


@pytest.mark.parametrize('metric', [functools.partial(kernel_distance, num_subsets=5, subset_size=10),
                                    functools.partial(sliced_wasserstein, num_projections=5)])
def test_random_metrics_are_functions_of_the_seed(metric):
  x, y = normal(0, 40, 3), normal(1, 50, 3)
  assert metric(x, y, seed=1) == metric(x, y, seed=1) != metric(x, y, seed=2)


PAIRS = {
    'frechet': (frechet_distance, 'x', 'y'),
    'kernel': (functools.partial(kernel_distance, subset_size=5), 'x', 'y'),
    'precision': (precision_recall, 'real', 'fake'),
    'density': (density_coverage, 'real', 'fake'),
    'mixture': (functools.partial(mixture_quality, sigma=1.0), 'points', 'modes'),
    'sliced': (functools.partial(sliced_wasserstein, num_projections=5), 'x', 'y'),
}


@pytest.mark.parametrize('metric, first, second', PAIRS.values(), ids=PAIRS.keys())
def test_features_that_are_refused(metric, first, second):
  good = normal(0, 10, 3).astype(np.float32)
  bad = good.copy()
  bad[4, 1:] = np.nan, np.inf
  assert np.isfinite(metric(good, good + 1)).all()
  with pytest.raises(UserError, match=rf'{second}\[4,1\]=nan, and 2 of 30 numbers'):
    metric(good, bad)
  with pytest.raises(UserError, match=rf'{first}\[4,1\]=nan'):
    metric(bad, good)
  with pytest.raises(UserError, match=rf'{first} has the shape \(10,\): expected \[N,D\]'):
    metric(good[:, 0], good)
  with pytest.raises(UserError, match=rf'{second} has the shape \(0, 3\)'):
    metric(good, good[:0])
  with pytest.raises(UserError, match=f"widths of the features {{'{first}': 3, '{second}': 2}}"):
    metric(good, good[:, :2])


X = normal(0, 5, 2)


@pytest.mark.parametrize('call, message', [
    (lambda: frechet_distance(X, X[:1]), 'y has 1 samples: expected at least 2, for a covariance'),
    (lambda: kernel_distance(X, X), 'x has 5 samples: expected at least 1000, for subsets of subset_size=1000'),
    (lambda: kernel_distance(X, X[:3], subset_size=4), 'y has 3 samples: expected at least 4'),
    (lambda: kernel_distance(X, X, subset_size=1), 'subset_size=1: expected a whole number of at least 2'),
    (lambda: kernel_distance(X, X, num_subsets=0, subset_size=4), 'num_subsets=0: expected'),
    (lambda: precision_recall(X, X[:3]), 'fake has 3 samples: expected at least 4, for k=3 neighbours'),
    (lambda: precision_recall(X, X, k=0), 'k=0: expected a whole number of at least 1'),
    (lambda: density_coverage(X, X), 'real has 5 samples: expected at least 6, for k=5 neighbours'),
    (lambda: density_coverage(X, X, k=0), 'k=0: expected'),
    (lambda: inception_score(np.eye(3)), 'probabilities has 3 samples: expected at least 10, for num_splits=10'),
    (lambda: inception_score(np.eye(3), num_splits=0), 'num_splits=0: expected'),
    (lambda: inception_score(np.array([[1, 0], [0.5, 0.6]]), 1), r'probabilities\[1\]=\[0.5 0.6\]: expected'),
    (lambda: inception_score(np.array([[1.5, -0.5]]), 1), r'probabilities\[0\]=\[ 1.5 -0.5\]: expected'),
    (lambda: inception_score(np.full((2, 2), np.nan), 1), r'probabilities\[0,0\]=nan'),
    (lambda: modes_and_kl(np.array([0, 4]), 4), 'modes range from 0 to 4: expected 0 to 3, for num_modes=4'),
    (lambda: modes_and_kl(np.array([-1, 2]), 4), 'modes range from -1 to 2: expected 0 to 3'),
    (lambda: modes_and_kl(np.array([0.0]), 4), r'modes: float64 of shape \(1,\), expected whole numbers'),
    (lambda: modes_and_kl(np.zeros((2, 2), int), 4), r'modes: int64 of shape \(2, 2\), expected whole numbers \[N\]'),
    (lambda: modes_and_kl(np.zeros(0, int), 4), r'modes: int64 of shape \(0,\)'),
    (lambda: mixture_quality(X, X, sigma=0), 'sigma=0: expected a number above 0'),
    (lambda: sliced_wasserstein(X, X, num_projections=0), 'num_projections=0: expected'),
    (lambda: checks.check_covariance_is_full(128, 128), 'num_samples=128: .* 128 features .* expected at least 129'),
    (lambda: checks.check_covariance_is_full(9, 10, 'eval.num'), 'eval.num=9: '),
])
def test_settings_that_are_refused(call, message):
  with pytest.raises(UserError, match=message):
    call()


def test_enough_samples_for_a_full_covariance():
  checks.check_covariance_is_full(129, 128)
  assert np.linalg.matrix_rank(np.cov(normal(0, 129, 128).T)) == 128
  assert np.linalg.matrix_rank(np.cov(normal(0, 128, 128).T)) == 127


def test_density_coverage_needs_a_single_fake_sample_only():
  assert density_coverage(REAL_LINE, np.array([[1.0]]), k=1) == (3, 3 / 4)
