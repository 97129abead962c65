"""The kernel distance between two sets of features, which is KID if they are Inception's (Binkowski et al. 2018)."""
import numpy as np

from gans.evaluation.checks import check_features, check_number, check_samples


def kernel_distance(x: np.ndarray, y: np.ndarray, seed: int = 0, num_subsets: int = 100,
                    subset_size: int = 1000) -> tuple[float, float]:
  """Returns the mean and the standard deviation, over random subsets, of `squared_mmd` of x [N,D] and y [M,D].

  Binkowski et al. 2018, "Demystifying MMD GANs", section 4, arXiv:1801.01401. Each subset is drawn without
  replacement. The mean is unbiased for any number of samples, so it can be below 0; many papers report it times 1000.
  Raises UserError if x or y has fewer samples than a subset.
  """
  x, y = check_features(x=x, y=y)
  check_number('num_subsets', num_subsets, at_least=1)
  check_number('subset_size', subset_size, at_least=2)
  check_samples(subset_size, f'subsets of subset_size={subset_size}', x=x, y=y)
  rng = np.random.default_rng(seed)
  distances = []
  for _ in range(num_subsets):
    subset_x = rng.choice(x, subset_size, replace=False)
    subset_y = rng.choice(y, subset_size, replace=False)
    distances.append(squared_mmd(subset_x, subset_y))
  return float(np.mean(distances)), float(np.std(distances))


def squared_mmd(x: np.ndarray, y: np.ndarray) -> float:
  """Returns the unbiased estimate of MMD^2 of x [N,D] and y [M,D], N, M >= 2 (Gretton et al. 2012, lemma 6)."""
  within_x = _mean_of_pairs(cubic_kernel(x, x))
  within_y = _mean_of_pairs(cubic_kernel(y, y))
  between = cubic_kernel(x, y).mean()
  return float(within_x + within_y - 2 * between)


def cubic_kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
  """Returns (x_i . y_j / D + 1)^3 of x [N,D] and y [M,D]: [N,M]."""
  base = x @ y.T / x.shape[1] + 1
  return base * base * base  # an array's power takes many times as long


def _mean_of_pairs(kernel: np.ndarray) -> float:
  """Returns the mean of a kernel [N,N] over pairs of different samples, which makes the estimate unbiased."""
  num = len(kernel)
  return (kernel.sum() - np.trace(kernel)) / (num * (num - 1))
