"""A small classifier of labelled images: its last hidden layer gives features, its output the class of a sample."""
from collections.abc import Callable
from typing import NamedTuple

from flax import linen as nn
from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import optax
import tqdm

from gans.data import order
from gans.data.dataset import Dataset, identifying_arrays
from gans.data.kinds import pixels_to_unit
from gans.networks import conv
from gans.system import cache

BATCH = 128
CHUNK = 500  # images classified at a time
LEARNING_RATE = 2e-3
SHIFT = 2  # pixels
WIDTH = 128  # of the features
HELD_OUT = 10_000  # images at most that the accuracy is measured on


class Classifier(nn.Module):
  """images [B,H,W,C] in [-1, 1] -> (features [B,WIDTH], logits [B,num_classes])."""
  num_classes: int

  @nn.compact
  def __call__(self, x, train: bool):
    for width in (32, 64, 128):
      x = conv.Conv(width, (4, 4), (2, 2))(x)
      x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
      x = nn.relu(x)
    x = x.reshape(x.shape[0], -1)
    x = nn.Dropout(0.4, deterministic=not train)(x)
    x = nn.Dense(WIDTH)(x)
    features = nn.relu(x)
    x = nn.Dropout(0.4, deterministic=not train)(features)
    logits = nn.Dense(self.num_classes)(x)
    return features, logits


class Fitted(NamedTuple):
  """A trained classifier."""
  variables: dict
  accuracy: float  # on the held-out images
  held_out: int  # their number


def fit_cached(dataset: Dataset, steps: int) -> Fitted:
  """Trains a classifier on five sixths of a labelled data set, or loads the one that an earlier run trained.

  Its accuracy is measured on up to HELD_OUT of the other images.
  """
  def make() -> dict[str, np.ndarray]:
    shuffled = np.random.default_rng(0).permutation(len(dataset.images))
    kept, others = np.split(shuffled, [len(shuffled) * 5 // 6])
    held_out = others[:HELD_OUT]
    variables = fit(dataset, steps, selected=kept)
    accuracy = _accuracy(variables, dataset.images[held_out], dataset.labels[held_out])
    flat = traverse_util.flatten_dict(jax.device_get(variables), sep='/')
    return flat | {'accuracy': accuracy, 'held_out': np.array(len(held_out))}

  data = cache.fingerprint(*identifying_arrays(dataset.images), dataset.labels)
  arrays = cache.load_or_make('classifiers', (data, steps, BATCH, LEARNING_RATE, SHIFT), make)
  accuracy = float(arrays.pop('accuracy'))
  held_out = int(arrays.pop('held_out'))
  return Fitted(traverse_util.unflatten_dict(arrays, sep='/'), accuracy, held_out)


def _accuracy(variables: dict, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
  _, probabilities = classify(variables, images)
  is_right = probabilities.argmax(1) == labels
  return is_right.mean()


def fit(dataset: Dataset, steps: int, seed: int = 0, selected: np.ndarray | None = None) -> dict:
  """Trains a classifier on a labelled data set, or on its selected examples, and returns its variables."""
  if selected is None:
    selected = np.arange(len(dataset.images))
  classifier = Classifier(dataset.num_classes)
  optimizer = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, steps))
  step = _make_step(classifier, optimizer)
  rng = jax.random.key(seed)
  variables = classifier.init(rng, pixels_to_unit(dataset.images[:1]), train=False)
  opt_state = optimizer.init(variables['params'])
  batches = selected[order.batch_indices(seed, 0, steps, BATCH, len(selected))]
  for i, index in enumerate(tqdm.tqdm(batches, desc='training a classifier', leave=False, disable=None)):
    image, label = dataset.images[index], dataset.labels[index]
    variables, opt_state = step(variables, opt_state, image, label, jax.random.fold_in(rng, i))
  return variables


def _make_step(classifier: Classifier, optimizer: optax.GradientTransformation) -> Callable:
  """Returns step(variables, opt_state, image, label, rng) -> (variables, opt_state), on images shifted at random."""
  def loss(params, batch_stats, image, label, rng):
    variables = {'params': params, 'batch_stats': batch_stats}
    (_, logits), updated = classifier.apply(
        variables, image, train=True, mutable=['batch_stats'], rngs={'dropout': rng})
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, label)
    return losses.mean(), updated['batch_stats']

  @jax.jit
  def step(variables, opt_state, image, label, rng):
    shift_rng, dropout_rng = jax.random.split(rng)
    shift = jax.random.randint(shift_rng, (2,), -SHIFT, SHIFT + 1)
    image = jnp.roll(pixels_to_unit(image), shift, (1, 2))
    params = variables['params']
    gradient = jax.grad(loss, has_aux=True)
    gradients, batch_stats = gradient(params, variables['batch_stats'], image, label, dropout_rng)
    updates, opt_state = optimizer.update(gradients, opt_state)
    params = optax.apply_updates(params, updates)
    return {'params': params, 'batch_stats': batch_stats}, opt_state

  return step


def classify(variables: dict, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns features [N,128] and class probabilities [N,K] of uint8 images [N,H,W,C], CHUNK at a time."""
  all_features, all_probabilities = [], []
  for start in range(0, len(images), CHUNK):
    features, probabilities = predict(variables, images[start:start + CHUNK])
    all_features.append(features)
    all_probabilities.append(probabilities)
  return np.concatenate(all_features), np.concatenate(all_probabilities)


@jax.jit
def predict(variables: dict, images):
  """Returns features [B,128] and class probabilities [B,K] of uint8 images [B,H,W,C]."""
  num_classes = len(variables['params']['Dense_1']['bias'])
  classifier = Classifier(num_classes)
  features, logits = classifier.apply(variables, pixels_to_unit(images), train=False)
  return features, nn.softmax(logits)
