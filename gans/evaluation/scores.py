"""The scores as data: their names, the direction in which they get better, to which data they apply, their functions.

SciPy and scikit-learn are imported at the first evaluation, as their import would delay the start of a run by a second.
"""
import collections
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from gans.data.kinds import IMAGES, VOXELS, kind_of
from gans.data.sources import digits, points
from gans.evaluation import public_networks

COMPARED = 1000  # shapes whose nearest real shape is found


class Scores(NamedTuple):
  """Scores that are computed together."""
  best: dict[str, str]  # {score: 'min' or 'max', the direction in which it gets better}
  apply_to: Callable  # (settled config, experiment) -> bool: whether an evaluation has them
  compute: Callable  # (config, real, fake) -> (name, value) of each; real and fake are Measured


class Measured(NamedTuple):
  """Samples, real or fake, and what an extractor says about them."""
  features: np.ndarray  # [N,D]
  probabilities: np.ndarray | None  # [N,K] of classes or attributes, [N,3,K] of stacked digits
  examples: np.ndarray | None = None  # [N,...], as stored
  training: np.ndarray | None = None  # [T,...]: the examples among which copies are looked for
  condition: np.ndarray | None = None  # the classes [N] or the attributes [N,K] that they should have
  expected: np.ndarray | None = None  # [N,...]: what each should be, where that is known
  reconstructed: tuple[np.ndarray, np.ndarray] | None = None  # [M,...] twice: reconstructions, and what they are of
  kept: np.ndarray | None = None  # [M] bool: whether a reconstruction is taken for the class of its original
  taught: np.ndarray | None = None  # [M]: the class of each real sample, says a classifier that learnt from these


def compare_points(config, real: Measured, fake: Measured) -> Iterator[tuple[str, float]]:
  """Yields the sliced Wasserstein distance of 2-D samples."""
  from gans.evaluation.sliced import sliced_wasserstein
  del config
  yield 'sliced_wasserstein', sliced_wasserstein(real.features, fake.features)


def find_mixture_modes(config, real: Measured, fake: Measured) -> Iterator[tuple[str, float]]:
  """Yields PacGAN's three scores of samples of a mixture."""
  from gans.evaluation.mixtures import mixture_quality
  del real
  modes, sigma = points.MIXTURES[config.dataset.name]
  yield from mixture_quality(fake.features, modes, sigma)._asdict().items()


def compare_images(config, real: Measured, fake: Measured) -> Iterator[tuple[str, float]]:
  """Yields the scores that compare features [N,D] of images: distances and neighbourhoods."""
  from gans.evaluation.frechet import frechet_distance
  from gans.evaluation.kernel import kernel_distance
  from gans.evaluation.manifold import density_coverage, precision_recall
  real_features, fake_features = real.features, fake.features
  yield 'frechet_distance', frechet_distance(real_features, fake_features)
  # The estimate is unbiased for any size of the subsets; but they have to differ.
  size = min(1000, len(real_features) // 2, len(fake_features) // 2)
  mean, std = kernel_distance(real_features, fake_features, config.eval.seed, subset_size=size)
  yield 'kernel_distance', mean
  yield 'kernel_distance_std', std
  precision, recall = precision_recall(real_features, fake_features)
  yield 'precision', precision
  yield 'recall', recall
  density, coverage = density_coverage(real_features, fake_features)
  yield 'density', density
  yield 'coverage', coverage


def judge_classes(config, real: Measured, fake: Measured) -> Iterator[tuple[str, float]]:
  """Yields the Inception score of class probabilities [N,K]."""
  from gans.evaluation.classes import inception_score
  del config, real
  mean, std = inception_score(fake.probabilities)
  yield 'classifier_score', mean
  yield 'classifier_score_std', std


def find_stacked_modes(config, real: Measured, fake: Measured) -> Iterator[tuple[str, float]]:
  """Yields the modes of stacked digits from probabilities [N,3,10]: the mode of a sample is its three digits."""
  from gans.evaluation.classes import modes_and_kl
  del config, real
  recognised = fake.probabilities.argmax(-1)
  num_found, kl = modes_and_kl(recognised @ np.array([100, 10, 1]), 1000)
  yield 'modes', num_found
  yield 'mode_kl', kl


def judge_conditions(config, real: Measured, fake: Measured) -> Iterator[tuple[str, float]]:
  """Yields how often a classifier agrees with the class that a sample should have: over all, and of each class."""
  del config, real
  is_right = fake.probabilities.argmax(-1) == fake.condition
  yield 'class_accuracy', is_right.mean()
  for label in np.unique(fake.condition):
    yield f'class_accuracy_{label}', is_right[fake.condition == label].mean()


def compare_each_class(config, real: Measured, fake: Measured) -> Iterator[tuple[str, float]]:
  """Yields the Frechet distance within each class, which low variety within a class raises, and the mean over them.

  Miyato & Koyama 2018, cGANs with Projection Discriminator, section 5: the intra FID. Nothing is said where a class has
  too few samples for a covariance of the features.
  """
  from gans.evaluation.checks import is_covariance_full
  from gans.evaluation.frechet import frechet_distance
  del config
  distances = {}
  for label in np.unique(fake.condition):
    pair = [each.features[each.condition == label] for each in (fake, real)]
    if not all(is_covariance_full(*features.shape) for features in pair):
      return
    distances[label] = frechet_distance(*pair)
  yield 'intra_class_distance', np.mean(list(distances.values()))
  for label, distance in distances.items():
    yield f'intra_class_distance_{label}', distance


def judge_by_learning(config, real: Measured, fake: Measured) -> Iterator[tuple[str, float]]:
  """Yields GAN-train: how often a classifier that learnt from samples alone is right about real examples.

  Shmelkov et al. 2018, How good is my GAN?, section 3.2. Their GAN-test is class_accuracy.
  """
  del config
  yield 'gan_train', (fake.taught == real.condition).mean()


def judge_attributes(config, real: Measured, fake: Measured) -> Iterator[tuple[str, float]]:
  """Yields how often a classifier agrees with each attribute that a sample should have or not, and the mean."""
  del real
  is_right = (fake.probabilities > 0.5) == (fake.condition > 0.5)
  yield 'attribute_accuracy', is_right.mean()
  for name, share in zip(config.dataset.attributes, is_right.mean(0)):
    yield f'attribute_accuracy_{name}', share


def judge_codes(config, real: Measured, fake: Measured) -> Iterator[tuple[str, float]]:
  """Yields the share of samples whose class is that of their code, each code standing for the class that suits best.

  Chen et al. 2016, section 7.2: InfoGAN's code as a classifier. No two codes stand for one class.
  """
  from scipy.optimize import linear_sum_assignment
  del config, real
  num_codes, num_classes = fake.condition.max() + 1, fake.probabilities.shape[-1]
  counts = np.zeros((num_codes, num_classes), int)
  np.add.at(counts, (fake.condition, fake.probabilities.argmax(-1)), 1)
  best = linear_sum_assignment(counts, maximize=True)
  yield 'code_agreement', counts[best].sum() / counts.sum()


def judge_translations(config, real: Measured, fake: Measured) -> Iterator[tuple[str, float]]:
  """Yields the mean absolute difference between translations and what they should be, of a range of 1."""
  del config, real
  yield 'pair_error', mean_difference(fake.examples, fake.expected)


def judge_reconstructions(config, real: Measured, fake: Measured) -> Iterator[tuple[str, float]]:
  """Yields the mean absolute difference between reconstructions and their originals: `mean_difference`."""
  del config, real
  yield 'reconstruction_error', mean_difference(*fake.reconstructed)


def judge_reconstructed_classes(config, real: Measured, fake: Measured) -> Iterator[tuple[str, float]]:
  """Yields the share of reconstructions that a classifier takes for the class of their originals."""
  del config, real
  yield 'reconstruction_class_kept', fake.kept.mean()


def compare_voxels(config, real: Measured, fake: Measured) -> Iterator[tuple[str, float]]:
  """Yields what can be counted of shapes, each beside the same of as many real ones."""
  from gans.evaluation import voxels
  del config
  num = min(COMPARED, len(real.training), len(fake.examples))
  own = np.linspace(0, len(real.training) - 1, num).astype(int)
  yield 'occupied', voxels.occupied(fake.examples)
  yield 'occupied_real', voxels.occupied(real.examples)
  yield 'components', voxels.components(fake.examples)
  yield 'components_real', voxels.components(real.examples)
  # Memorised shapes are much nearer to real ones than these are to each other.
  yield 'nearest_iou', np.median(voxels.nearest_iou(fake.examples[:num], real.training))
  yield 'nearest_iou_real', np.median(voxels.nearest_iou(real.training[own], real.training, own))


def mean_difference(examples: np.ndarray, others: np.ndarray) -> float:
  """Returns the mean absolute difference between examples [N,...] as they are stored.

  Of images and voxels, it is a share of a pixel's range; of points, it is in their unit.
  """
  largest = 255 if kind_of(examples.shape[1:]) is IMAGES else 1
  signed = np.promote_types(examples.dtype, np.int16)
  return float(np.mean(np.abs(examples.astype(signed) - others.astype(signed))) / largest)


def has_points(config, experiment) -> bool:
  """Tells whether samples are points."""
  return config.eval.features == 'points'


def has_images(config, experiment) -> bool:
  """Tells whether samples are compared by features of images or voxels."""
  return not has_points(config, experiment)


def has_mixture(config, experiment) -> bool:
  """Tells whether the data are points of a mixture of Gaussians."""
  return has_points(config, experiment) and config.dataset.name in points.MIXTURES


def has_stacked_digits(config, experiment) -> bool:
  """Tells whether a classifier of digits sees each channel of stacked ones."""
  return config.eval.features == 'classifier' and digits.is_stacked(config.dataset.name)


def has_one_class_each(config, experiment) -> bool:
  """Tells whether a sample has one class."""
  has_several = has_stacked_digits(config, experiment) or bool(experiment.spec.attributes)
  return has_images(config, experiment) and not has_several


def has_attributes(config, experiment) -> bool:
  """Tells whether a classifier says which attributes a sample has."""
  return config.eval.features == 'classifier' and bool(experiment.spec.attributes)


def has_classifier(config, experiment) -> bool:
  """Tells whether samples are seen by a classifier of the classes of the data."""
  return config.eval.features == 'classifier' and has_one_class_each(config, experiment)


def has_class_probabilities(config, experiment) -> bool:
  """Tells whether what gives the features also says with which probability a sample is of each class."""
  network = public_networks.BY_NAME.get(config.eval.features)
  return has_one_class_each(config, experiment) and (network is None or network.classifies)


def has_conditions(config, experiment) -> bool:
  """Tells whether samples should have certain classes of the data."""
  is_asked = bool(experiment.num_labels) and not experiment.algorithm.classes
  return has_one_class_each(config, experiment) and is_asked


def is_asked_for_classes(config, experiment) -> bool:
  """Tells whether samples should have certain classes of the data, which a classifier knows."""
  return has_classifier(config, experiment) and has_conditions(config, experiment)


def teaches(config, experiment) -> bool:
  """Tells whether a classifier is to learn from samples of certain classes."""
  return config.eval.gan_train and has_conditions(config, experiment)


def is_asked_for_attributes(config, experiment) -> bool:
  """Tells whether samples should have certain attributes, which a classifier knows."""
  return has_attributes(config, experiment) and bool(experiment.num_labels)


def is_asked_for_codes(config, experiment) -> bool:
  """Tells whether samples are made of codes of the algorithm's own, and a classifier knows the classes of the data."""
  return has_classifier(config, experiment) and bool(experiment.algorithm.classes)


def has_pairs(config, experiment) -> bool:
  """Tells whether it is known what a translation should be."""
  return experiment.translates and experiment.spec.paired


def reconstructs(config, experiment) -> bool:
  """Tells whether the algorithm reconstructs images."""
  return experiment.algorithm.reconstruct is not None


def reconstructs_from_codes(config, experiment) -> bool:
  """Tells whether it reconstructs images of the data's classes from something else than an image."""
  return reconstructs(config, experiment) and has_classifier(config, experiment) and not experiment.translates


def has_voxels(config, experiment) -> bool:
  """Tells whether samples are voxels."""
  return experiment.spec.kind is VOXELS


ALL = (
    Scores({'modes': 'max', 'high_quality': 'max', 'reverse_kl': 'min'}, has_mixture, find_mixture_modes),
    Scores({'sliced_wasserstein': 'min'}, has_points, compare_points),
    Scores({'frechet_distance': 'min', 'kernel_distance': 'min', 'precision': 'max', 'recall': 'max',
            'density': 'max', 'coverage': 'max'}, has_images, compare_images),
    Scores({'modes': 'max', 'mode_kl': 'min'}, has_stacked_digits, find_stacked_modes),
    Scores({'classifier_score': 'max'}, has_class_probabilities, judge_classes),
    Scores({'class_accuracy': 'max'}, is_asked_for_classes, judge_conditions),
    Scores({}, has_conditions, compare_each_class),
    Scores({'gan_train': 'max'}, teaches, judge_by_learning),
    Scores({'attribute_accuracy': 'max'}, is_asked_for_attributes, judge_attributes),
    Scores({'code_agreement': 'max'}, is_asked_for_codes, judge_codes),
    Scores({'pair_error': 'min'}, has_pairs, judge_translations),
    Scores({'reconstruction_error': 'min'}, reconstructs, judge_reconstructions),
    Scores({'reconstruction_class_kept': 'max'}, reconstructs_from_codes, judge_reconstructed_classes),
    Scores({}, has_voxels, compare_voxels),
)
DIRECTIONS = {name: direction for scores in ALL for name, direction in scores.best.items()}
OF_EACH = ('class_accuracy', 'intra_class_distance', 'attribute_accuracy')  # NAME is the mean of all NAME_K
MOST_SHOWN = 40  # of these; eval.jsonl and TensorBoard have all
DEFAULTS = ('pair_error', 'sliced_wasserstein', 'frechet_distance')  # the first that applies decides which step is best


def directions(config, experiment) -> dict[str, str]:
  """Returns {score: 'min' or 'max'} of the scores of a settled config by which checkpoints can be compared."""
  found = {}
  for scores in ALL:
    if scores.apply_to(config, experiment):
      found |= scores.best
  return found


def default_score(config, experiment) -> str:
  """Returns the score that decides which checkpoint is best if the config names none."""
  available = directions(config, experiment)
  return next(name for name in DEFAULTS if name in available)


def without_many(names: Iterable[str]) -> list[str]:
  """Leaves out scores of each class or attribute where there are more than MOST_SHOWN; their mean stays."""
  families = {name: next((each for each in OF_EACH if name.rpartition('/')[2].startswith(f'{each}_')), None)
              for name in names}
  sizes = collections.Counter(families.values())
  return [name for name, family in families.items() if family is None or sizes[family] <= MOST_SHOWN]


def compute_scores(config, experiment, real: Measured, fake: Measured) -> Iterator[tuple[str, float]]:
  """Yields (name, value) of every score of a settled config."""
  for scores in ALL:
    if scores.apply_to(config, experiment):
      yield from scores.compute(config, real, fake)
