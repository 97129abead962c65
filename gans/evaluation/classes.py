"""Scores of what a classifier says about samples: the Inception score, and the modes of stacked MNIST."""
import numpy as np
from scipy.special import rel_entr
from scipy.stats import entropy

from gans.errors import UserError
from gans.evaluation.checks import check_features, check_number, check_samples

TOLERANCE = 1e-3  # for the sum of probabilities, which are float32


def inception_score(probabilities: np.ndarray, num_splits: int = 10) -> tuple[float, float]:
  """Returns the mean and standard deviation, over splits, of exp(mean KL(p_i || mean p)) of class probabilities [N,K].

  It is from 1 (all samples alike, or no class sure) to K. Salimans et al. 2016, "Improved techniques for training
  GANs", section 4, arXiv:1606.03498. A split has neighbouring samples, so samples sorted by class must be shuffled
  first. Raises UserError for rows that are not probabilities, and for fewer samples than splits.
  """
  probabilities, = check_features(probabilities=probabilities)
  check_number('num_splits', num_splits, at_least=1)
  check_samples(num_splits, f'num_splits={num_splits}', probabilities=probabilities)
  sums_to_one = np.abs(probabilities.sum(1) - 1) <= TOLERANCE
  wrong = np.flatnonzero(~sums_to_one | (probabilities < 0).any(1))
  if len(wrong):
    row = wrong[0]
    raise UserError(f'probabilities[{row}]={probabilities[row]}: expected numbers of at least 0 whose sum is 1')
  scores = []
  for split in np.array_split(probabilities, num_splits):
    divergences = rel_entr(split, split.mean(0)).sum(1)
    scores.append(np.exp(divergences.mean()))
  return float(np.mean(scores)), float(np.std(scores))


def modes_and_kl(modes: np.ndarray, num_modes: int) -> tuple[int, float]:
  """Returns how many of num_modes occur in the samples' modes [N], and KL(the samples' modes || uniform) in nats.

  The KL is from 0 to log(num_modes); for N samples drawn uniformly it is about (num_modes - 1) / (2 N). For stacked
  MNIST, num_modes is 1000, a mode is the three digits that a classifier recognises, and N is usually 25,600 or 26,000:
  Metz et al. 2017, "Unrolled GANs", arXiv:1611.02163; Lin et al. 2018, "PacGAN", arXiv:1712.04086.
  Raises UserError for modes that are not whole numbers from 0 to num_modes - 1.
  """
  modes = np.asarray(modes)
  if modes.ndim != 1 or not len(modes) or not np.issubdtype(modes.dtype, np.integer):
    raise UserError(f'modes: {modes.dtype} of shape {modes.shape}, expected whole numbers [N], one per sample')
  low, high = modes.min(), modes.max()
  if low < 0 or high >= num_modes:
    raise UserError(f'modes range from {low} to {high}: expected 0 to {num_modes - 1}, for num_modes={num_modes}')
  counts = np.bincount(modes, minlength=num_modes)
  num_found = np.count_nonzero(counts)
  kl = entropy(counts, np.ones(num_modes))
  return int(num_found), float(kl)
