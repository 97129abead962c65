"""A classifier of MNIST that judges digits: how sure it is of them, and how far their features are from real ones."""
from typing import NamedTuple

from absl import flags
import numpy as np

from configs import base
from gans.data.dataset import Dataset, Spec
from gans.data.sources import load_dataset
from gans.evaluation import classifier
from gans.evaluation.frechet import frechet_distance

DATA_DIR = flags.DEFINE_string('data_dir', '', "Where TFDS has mnist; '': its own place.")
EPOCHS = flags.DEFINE_integer('epochs', 4, "The classifier's epochs.")
SURE = 0.9


class Judge(NamedTuple):
  """A classifier, and what it says of MNIST's test set."""
  variables: dict
  spec: Spec  # of MNIST
  accuracy: float
  sure: float  # share of the test set that it is over SURE sure of
  features: np.ndarray  # [10000,128]

  def distance(self, images: np.ndarray) -> float:
    """Frechet distance of images [N,28,28,1] uint8 to the test set, on the classifier's features."""
    features, _ = classifier.classify(self.variables, images, self.spec)
    return frechet_distance(features, self.features)


def load_mnist(split: str) -> Dataset:
  """Loads a split of the full MNIST from TFDS."""
  config = base.get_config('adversarial').dataset
  config.update({'name': 'mnist', 'data_dir': DATA_DIR.value, 'split': split})
  return load_dataset(config)


def make_judge(train_set: Dataset) -> Judge:
  """Trains the classifier, some minutes on two cores."""
  steps = EPOCHS.value * len(train_set.images) // classifier.BATCH
  variables, test_set = classifier.fit(train_set, steps), load_mnist('test')
  features, probabilities = classifier.classify(variables, test_set.images, test_set.spec)
  accuracy = (probabilities.argmax(1) == test_set.labels).mean()
  return Judge(variables, test_set.spec, accuracy, (probabilities.max(1) > SURE).mean(), features)
