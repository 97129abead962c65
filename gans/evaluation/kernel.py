"""The kernel distance between two sets of features: KID, where they are Inception's (Binkowski et al. 2018)."""
import numpy as np

from gans.evaluation.checks import check_features, check_number, check_samples


def kernel_distance(x: np.ndarray, y: np.ndarray, seed: int = 0, num_subsets: int = 100,
                    subset_size: int = 1000) -> tuple[float, float]:
  """Returns the mean and the standard deviation, over random subsets, of `squared_mmd` of x [N,D] and y [M,D].

  Binkowski et al. 2018, "Demystifying MMD GANs", section 4, arXiv:1801.01401. Each subset is drawn without
  replacement. The mean is unbiased for any number of samples, so it can be below 0; many papers print it times 1000.
  Raises UserError where x or y has fewer samples than a subset.
  """
  x, y = check_features(x=x, y=y)
  check_number('num_subsets', num_subsets, at_least=1)
  check_number('subset_size', subset_size, at_least=2)
  check_samples(subset_size, f'subsets of subset_size={subset_size}', x=x, y=y)
  rng = np.random.default_rng(seed)
  draw = lambda features: rng.choice(features, subset_size, replace=False)
  distances = [squared_mmd(draw(x), draw(y)) for _ in range(num_subsets)]
  return float(np.mean(distances)), float(np.std(distances))


def squared_mmd(x: np.ndarray, y: np.ndarray) -> float:
  """Returns the unbiased estimate of MMD^2 of x [N,D] and y [M,D], N, M >= 2 (Gretton et al. 2012, lemma 6)."""
  return float(_mean_of_pairs(cubic_kernel(x, x)) + _mean_of_pairs(cubic_kernel(y, y)) - 2 * cubic_kernel(x, y).mean())


def cubic_kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
  """Returns (x_i . y_j / D + 1)^3 of x [N,D] and y [M,D]: [N,M]."""
  base = x @ y.T / x.shape[1] + 1
  return base * base * base  # the power of an array costs many times as much


def _mean_of_pairs(kernel: np.ndarray) -> float:
  """The mean of a kernel [N,N] over pairs of two different samples, which is what makes the estimate unbiased."""
  num = len(kernel)
  return (kernel.sum() - np.trace(kernel)) / (num * (num - 1))
