"""A small classifier of labelled images or voxels: its last hidden layer gives features, its output a sample's class.

Of a data set with attributes it says which of them a sample has.
"""
from collections.abc import Callable
import functools
import pathlib
from typing import NamedTuple

from flax import linen as nn
from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import optax

from gans.data import order
from gans.data.dataset import Dataset, Spec, identifying_arrays
from gans.evaluation.chunks import in_chunks
from gans.networks import conv
from gans.system import cache, progress

SHIPPED = pathlib.Path(__file__).parent / 'classifiers'  # of the built-in digits, see README.md there
BATCH = 128
CHUNK = 500  # images classified at a time
LEARNING_RATE = 2e-3
SHIFT = 2  # pixels
WIDTH = 128  # of the features
HELD_OUT = 10_000  # images at most that the accuracy is measured on


class Classifier(nn.Module):
  """images [B,H,W,C] or voxels [B,D,H,W,1] in [-1, 1] -> (features [B,WIDTH], logits [B,num_classes])."""
  num_classes: int

  @nn.compact
  def __call__(self, x, train: bool):
    rank = x.ndim - 2
    for width in (32, 64, 128):
      x = conv.Conv(width, (4,) * rank, (2,) * rank)(x)
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
  """Trains a classifier on five sixths of a labelled data set, or loads one that ships or that an earlier run trained.

  Its accuracy is measured on up to HELD_OUT of the other images.
  """
  arrays = cache.load_or_make('classifiers', key_of(dataset, steps), lambda: fit_arrays(dataset, steps),
                              shipped=SHIPPED)
  accuracy = float(arrays.pop('accuracy'))
  held_out = int(arrays.pop('held_out'))
  variables = {name: array.astype(np.float32) for name, array in arrays.items()}
  return Fitted(traverse_util.unflatten_dict(variables, sep='/'), accuracy, held_out)


def key_of(dataset: Dataset, steps: int) -> tuple:
  """Returns all that the classifier of a data set depends on."""
  data = cache.fingerprint(*identifying_arrays(dataset.images), dataset.conditions)
  return data, steps, BATCH, LEARNING_RATE, SHIFT


def fit_arrays(dataset: Dataset, steps: int, dtype=np.float32) -> dict[str, np.ndarray]:
  """Trains a classifier; returns its variables, rounded to dtype, with its accuracy, as named arrays."""
  shuffled = np.random.default_rng(0).permutation(len(dataset.images))
  kept, others = np.split(shuffled, [len(shuffled) * 5 // 6])
  held_out = others[:HELD_OUT]
  variables = jax.tree.map(lambda leaf: np.asarray(leaf).astype(dtype), fit(dataset, steps, selected=kept))
  accuracy = _accuracy(jax.tree.map(np.float32, variables), dataset, held_out)
  flat = traverse_util.flatten_dict(variables, sep='/')
  return flat | {'accuracy': accuracy, 'held_out': np.array(len(held_out))}


def _accuracy(variables: dict, dataset: Dataset, selected: np.ndarray) -> np.ndarray:
  _, probabilities = classify(variables, dataset.images[selected], dataset.spec)
  truth = dataset.conditions[selected]
  said = probabilities > 0.5 if dataset.spec.attributes else probabilities.argmax(1)
  return (said == truth).mean()


def fit(dataset: Dataset, steps: int, seed: int = 0, selected: np.ndarray | None = None) -> dict:
  """Trains a classifier on a labelled data set, or on its selected examples, and returns its variables."""
  if selected is None:
    selected = np.arange(len(dataset.images))
  spec = dataset.spec
  classifier = Classifier(spec.num_labels)
  optimizer = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, steps))
  step = _make_step(classifier, optimizer, spec)
  rng = jax.random.key(seed)
  variables = classifier.init(rng, spec.kind.decode(dataset.images[:1]), train=False)
  opt_state = optimizer.init(variables['params'])
  batches = selected[order.batch_indices(seed, 0, steps, BATCH, len(selected))]
  for i, index in enumerate(progress.bar(batches, desc='training a classifier', leave=False)):
    image, label = dataset.images[index], dataset.conditions[index]
    variables, opt_state = step(variables, opt_state, image, label, jax.random.fold_in(rng, i))
  return variables


def _make_step(classifier: Classifier, optimizer: optax.GradientTransformation, spec: Spec) -> Callable:
  """Returns step(variables, opt_state, image, label, rng) -> (variables, opt_state), on images shifted at random."""
  positions = range(1, len(spec.shape))

  def loss(params, batch_stats, image, label, rng):
    variables = {'params': params, 'batch_stats': batch_stats}
    (_, logits), updated = classifier.apply(
        variables, image, train=True, mutable=['batch_stats'], rngs={'dropout': rng})
    if spec.attributes:
      losses = optax.sigmoid_binary_cross_entropy(logits, label)
    else:
      losses = optax.softmax_cross_entropy_with_integer_labels(logits, label)
    return losses.mean(), updated['batch_stats']

  @jax.jit
  def step(variables, opt_state, image, label, rng):
    shift_rng, dropout_rng = jax.random.split(rng)
    shift = jax.random.randint(shift_rng, (len(positions),), -SHIFT, SHIFT + 1)
    image = jnp.roll(spec.kind.decode(image), shift, tuple(positions))
    params = variables['params']
    gradient = jax.grad(loss, has_aux=True)
    gradients, batch_stats = gradient(params, variables['batch_stats'], image, label, dropout_rng)
    updates, opt_state = optimizer.update(gradients, opt_state)
    params = optax.apply_updates(params, updates)
    return {'params': params, 'batch_stats': batch_stats}, opt_state

  return step


def classify(variables: dict, images: np.ndarray, spec: Spec) -> tuple[np.ndarray, np.ndarray]:
  """Returns features [N,128] and probabilities [N,K] of images or voxels as stored, [N,...], CHUNK at a time."""
  return in_chunks(functools.partial(predict, variables, spec=spec), images, CHUNK)


@functools.partial(jax.jit, static_argnames='spec')
def predict(variables: dict, images, spec: Spec):
  """Returns features [B,128] and probabilities [B,K], of classes or of attributes, of images or voxels as stored."""
  classifier = Classifier(spec.num_labels)
  with jax.default_matmul_precision('float32'):  # what a GPU says is compared with what was cached on a CPU
    features, logits = classifier.apply(variables, spec.kind.decode(images), train=False)
  return features, nn.sigmoid(logits) if spec.attributes else nn.softmax(logits)
