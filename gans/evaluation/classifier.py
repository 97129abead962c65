"""A small classifier of labelled images: its last hidden layer gives features, its output says what a sample is."""
from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from gans import ops
from gans.data import order
from gans.data.dataset import Dataset, to_unit

BATCH, CHUNK, LEARNING_RATE, SHIFT = 128, 500, 2e-3, 2


class Classifier(nn.Module):
  """images [B,H,W,C] in [-1, 1] -> (features [B,128], logits [B,num_classes])."""
  num_classes: int

  @nn.compact
  def __call__(self, x, train: bool):
    for features in (32, 64, 128):
      x = ops.Conv(features, (4, 4), (2, 2))(x)
      x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))
    x = nn.Dropout(0.4, deterministic=not train)(x.reshape(x.shape[0], -1))
    x = nn.relu(nn.Dense(128)(x))
    return x, nn.Dense(self.num_classes)(nn.Dropout(0.4, deterministic=not train)(x))


def fit(dataset: Dataset, epochs: int, seed: int = 0) -> dict:
  """Trains a classifier on a labelled data set, its images shifted by up to two pixels; returns its variables."""
  classifier, steps = Classifier(dataset.num_classes), epochs * len(dataset.images) // BATCH
  optimizer = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, steps))
  rng = jax.random.key(seed)

  @jax.jit
  def step(variables, opt_state, image, label, rng):
    shift_rng, dropout_rng = jax.random.split(rng)
    image = jnp.roll(to_unit(image), jax.random.randint(shift_rng, (2,), -SHIFT, SHIFT + 1), (1, 2))

    def loss(params):
      (_, logits), updated = classifier.apply({**variables, 'params': params}, image, train=True,
                                              mutable=['batch_stats'], rngs={'dropout': dropout_rng})
      return optax.softmax_cross_entropy_with_integer_labels(logits, label).mean(), updated

    gradients, updated = jax.grad(loss, has_aux=True)(variables['params'])
    updates, opt_state = optimizer.update(gradients, opt_state)
    return {'params': optax.apply_updates(variables['params'], updates), **updated}, opt_state

  variables = classifier.init(rng, to_unit(dataset.images[:1]), train=False)
  opt_state = optimizer.init(variables['params'])
  for i, index in enumerate(order.batch_indices(seed, 0, steps, BATCH, len(dataset.images))):
    variables, opt_state = step(variables, opt_state, dataset.images[index], dataset.labels[index],
                                jax.random.fold_in(rng, i))
  return variables


def classify(variables: dict, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns features [N,128] and class probabilities [N,K] of uint8 images [N,H,W,C]."""
  classifier = Classifier(num_classes=len(variables['params']['Dense_1']['bias']))

  @jax.jit
  def predict(images):
    features, logits = classifier.apply(variables, to_unit(images), train=False)
    return features, nn.softmax(logits)

  chunks = [predict(images[i:i + CHUNK]) for i in range(0, len(images), CHUNK)]
  return tuple(np.concatenate(parts) for parts in zip(*chunks))
