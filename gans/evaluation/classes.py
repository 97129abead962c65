"""What a classifier makes of samples: the Inception score, and the modes found of stacked MNIST."""
import numpy as np
from scipy.special import rel_entr
from scipy.stats import entropy

from gans.errors import UserError
from gans.evaluation.checks import check_features, check_number, check_samples

TOLERANCE = 1e-3  # of the sum of probabilities, which come in float32


def inception_score(probabilities: np.ndarray, num_splits: int = 10) -> tuple[float, float]:
  """Returns the mean and standard deviation, over splits, of exp(mean KL(p_i || mean p)) of class probabilities [N,K].

  From 1 (all samples alike, or no class sure) to K. Salimans et al. 2016, "Improved techniques for training GANs",
  section 4, arXiv:1606.03498. Splits are of neighbouring samples: samples sorted by class have to be shuffled first.
  Raises UserError for rows that are no probabilities, and for fewer samples than splits.
  """
  probabilities, = check_features(probabilities=probabilities)
  check_number('num_splits', num_splits, at_least=1)
  check_samples(num_splits, f'num_splits={num_splits}', probabilities=probabilities)
  wrong = np.flatnonzero((np.abs(probabilities.sum(1) - 1) > TOLERANCE) | (probabilities < 0).any(1))
  if len(wrong):
    row = wrong[0]
    raise UserError(f'probabilities[{row}]={probabilities[row]}: expected numbers of at least 0 whose sum is 1')
  scores = [np.exp(rel_entr(split, split.mean(0)).sum(1).mean()) for split in np.array_split(probabilities, num_splits)]
  return float(np.mean(scores)), float(np.std(scores))


def modes_and_kl(modes: np.ndarray, num_modes: int) -> tuple[int, float]:
  """Returns how many of num_modes the samples' modes [N] show, and KL(the samples' modes || uniform) in nats.

  The KL goes from 0 to log(num_modes); of N samples drawn uniformly it is about (num_modes - 1) / (2 N). For stacked
  MNIST, num_modes is 1000, a mode the three digits a classifier sees, and N 25,600 or 26,000 by custom: Metz et al.
  2017, "Unrolled GANs", arXiv:1611.02163; Lin et al. 2018, "PacGAN", arXiv:1712.04086.
  Raises UserError for modes that are no whole numbers from 0 to num_modes - 1.
  """
  modes = np.asarray(modes)
  if modes.ndim != 1 or not len(modes) or not np.issubdtype(modes.dtype, np.integer):
    raise UserError(f'modes: {modes.dtype} of shape {modes.shape}, expected whole numbers [N], one for each sample')
  low, high = modes.min(), modes.max()
  if low < 0 or high >= num_modes:
    raise UserError(f'modes go from {low} to {high}: expected 0 to {num_modes - 1}, for num_modes={num_modes}')
  counts = np.bincount(modes, minlength=num_modes)
  return int((counts > 0).sum()), float(entropy(counts, np.ones(num_modes)))
