"""A small classifier of labelled images: its last hidden layer gives features, its output says what a sample is."""
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

BATCH, CHUNK, LEARNING_RATE, SHIFT = 128, 500, 2e-3, 2
WIDTH = 128  # of the features
HELD_OUT = 10_000  # images at most that the accuracy is of


class Classifier(nn.Module):
  """images [B,H,W,C] in [-1, 1] -> (features [B,WIDTH], logits [B,num_classes])."""
  num_classes: int

  @nn.compact
  def __call__(self, x, train: bool):
    for features in (32, 64, 128):
      x = conv.Conv(features, (4, 4), (2, 2))(x)
      x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))
    x = nn.Dropout(0.4, deterministic=not train)(x.reshape(x.shape[0], -1))
    x = nn.relu(nn.Dense(WIDTH)(x))
    return x, nn.Dense(self.num_classes)(nn.Dropout(0.4, deterministic=not train)(x))


class Fitted(NamedTuple):
  """A trained classifier."""
  variables: dict
  accuracy: float  # on the images held out
  held_out: int  # their number


def fit_cached(dataset: Dataset, steps: int) -> Fitted:
  """Trains a classifier on five sixths of a labelled data set, once for all runs; HELD_OUT others tell its accuracy."""
  def make():
    shuffled = np.random.default_rng(0).permutation(len(dataset.images))
    kept, held_out = np.split(shuffled, [len(shuffled) * 5 // 6])
    held_out = held_out[:HELD_OUT]
    variables = fit(dataset, steps, picked=kept)
    accuracy = (classify(variables, dataset.images[held_out])[1].argmax(1) == dataset.labels[held_out]).mean()
    flat = traverse_util.flatten_dict(jax.device_get(variables), sep='/')
    return flat | {'accuracy': accuracy, 'held_out': np.array(len(held_out))}

  key = (cache.fingerprint(*identifying_arrays(dataset.images), dataset.labels), steps, BATCH, LEARNING_RATE, SHIFT)
  kept = cache.load_or_make('classifiers', key, make)
  accuracy, held_out = float(kept.pop('accuracy')), int(kept.pop('held_out'))
  return Fitted(traverse_util.unflatten_dict(kept, sep='/'), accuracy, held_out)


def fit(dataset: Dataset, steps: int, seed: int = 0, picked: np.ndarray | None = None) -> dict:
  """Trains a classifier on a labelled data set, or on the examples picked of it; returns its variables.

  The images are shifted by up to two pixels.
  """
  picked = np.arange(len(dataset.images)) if picked is None else picked
  classifier = Classifier(dataset.num_classes)
  optimizer = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, steps))
  rng = jax.random.key(seed)

  @jax.jit
  def step(variables, opt_state, image, label, rng):
    shift_rng, dropout_rng = jax.random.split(rng)
    image = jnp.roll(pixels_to_unit(image), jax.random.randint(shift_rng, (2,), -SHIFT, SHIFT + 1), (1, 2))

    def loss(params):
      (_, logits), updated = classifier.apply({**variables, 'params': params}, image, train=True,
                                              mutable=['batch_stats'], rngs={'dropout': dropout_rng})
      return optax.softmax_cross_entropy_with_integer_labels(logits, label).mean(), updated

    gradients, updated = jax.grad(loss, has_aux=True)(variables['params'])
    updates, opt_state = optimizer.update(gradients, opt_state)
    return {'params': optax.apply_updates(variables['params'], updates), **updated}, opt_state

  variables = classifier.init(rng, pixels_to_unit(dataset.images[:1]), train=False)
  opt_state = optimizer.init(variables['params'])
  batches = picked[order.batch_indices(seed, 0, steps, BATCH, len(picked))]
  for i, index in enumerate(tqdm.tqdm(batches, desc='training a classifier', leave=False, disable=None)):
    variables, opt_state = step(variables, opt_state, dataset.images[index], dataset.labels[index],
                                jax.random.fold_in(rng, i))
  return variables


def classify(variables: dict, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns features [N,128] and class probabilities [N,K] of uint8 images [N,H,W,C]."""
  chunks = [predict(variables, images[i:i + CHUNK]) for i in range(0, len(images), CHUNK)]
  return tuple(np.concatenate(parts) for parts in zip(*chunks))


@jax.jit
def predict(variables: dict, images):
  """Returns features [B,128] and class probabilities [B,K] of uint8 images [B,H,W,C]."""
  classifier = Classifier(num_classes=len(variables['params']['Dense_1']['bias']))
  features, logits = classifier.apply(variables, pixels_to_unit(images), train=False)
  return features, nn.softmax(logits)
