"""A classifier that judges pictures of digits or clothes: how sure it is of them, and how far they are from real ones.

It learns from five sixths of the training set and judges by the test set, which no run has seen.
"""
from typing import NamedTuple

from absl import flags
import jax
import numpy as np

from benchmarks.runs import DATA_DIR
from configs import base
from gans.data.dataset import Dataset, Spec
from gans.data.sources import load_dataset
from gans.evaluation import classifier
from gans.evaluation.frechet import frechet_distance
from gans.runs.trained import load

EPOCHS = flags.DEFINE_integer('epochs', 4, "The classifier's epochs.")
SURE = 0.9
SAMPLES = 10_000


class Quality(NamedTuple):
  """What a judge says of pictures; shares are of 1."""
  distance: float  # Frechet distance to the test set, on the classifier's features
  sure: float  # share that the classifier is over SURE sure of
  rarest: float  # share of the class that the fewest fall into
  commonest: float  # and of the one that the most fall into
  agreement: float | None  # share that the classifier takes for what their labels say, where they have any


class Judge(NamedTuple):
  """A classifier, and what it says of the test set."""
  variables: dict
  spec: Spec
  accuracy: float
  sure: float  # share of the test set that it is over SURE sure of
  features: np.ndarray  # [10000,128], of the test set

  def distance(self, images: np.ndarray) -> float:
    """Frechet distance of images [N,H,W,C] uint8 to the test set, on the classifier's features."""
    features, _ = classifier.classify(self.variables, images, self.spec)
    return frechet_distance(features, self.features)

  def measure(self, images: np.ndarray, label: np.ndarray | None = None) -> Quality:
    """Judges images [N,H,W,C] uint8 of these labels [N], if any."""
    features, probabilities = classifier.classify(self.variables, images, self.spec)
    classes = probabilities.argmax(1)
    shares = np.bincount(classes, minlength=self.spec.num_labels) / len(classes)
    agreement = None if label is None else float((classes == label).mean())
    return Quality(frechet_distance(features, self.features), float((probabilities.max(1) > SURE).mean()),
                   float(shares.min()), float(shares.max()), agreement)


def load_split(name: str, split: str, image_size: int = 28) -> Dataset:
  """Loads a split of a labelled data set of TFDS, such as the full MNIST."""
  config = base.get_config('adversarial').dataset
  config.update({'name': name, 'data_dir': DATA_DIR.value, 'split': split, 'image_size': image_size})
  return load_dataset(config)


def make_judge(name: str = 'mnist', image_size: int = 28) -> Judge:
  """Trains the classifier of a data set of TFDS, some minutes on two cores, or reads that of an earlier call."""
  train_set, test_set = load_split(name, 'train', image_size), load_split(name, 'test', image_size)
  steps = EPOCHS.value * len(train_set.images) // classifier.BATCH
  variables = classifier.fit_cached(train_set, steps).variables
  features, probabilities = classifier.classify(variables, test_set.images, test_set.spec)
  accuracy = (probabilities.argmax(1) == test_set.labels).mean()
  return Judge(variables, test_set.spec, accuracy, (probabilities.max(1) > SURE).mean(), features)


def sample_run(path: str, training_seed: int | None = None) -> tuple[int, np.ndarray, np.ndarray | None]:
  """Returns (step, SAMPLES samples uint8, their labels if any) of a run's last checkpoint, by averaged weights.

  Labels that are no classes of the data, as InfoGAN's codes are, are not returned.
  """
  generate = load(path, 'latest', training_seed=training_seed)
  label = np.arange(SAMPLES, dtype=np.int32) % generate.num_classes if generate.num_classes else None
  images = generate.draw(generate.inputs(jax.random.key(1), SAMPLES, label))
  return generate.step, images, None if generate.algorithm.classes else label
