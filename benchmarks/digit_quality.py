"""How sure a classifier of MNIST is of a run's digits.

    python -m benchmarks.digit_quality --workdir=/tmp/run --data_dir=~/tensorflow_datasets

Trains a small classifier on MNIST's training set (TFDS, prepared; some minutes on two cores), then prints its accuracy
on the test set, the share of the test set that it is over 0.9 sure of, and of 10,000 samples of the run's last
checkpoint the same share and how they fall into the classes.
"""
from absl import app, flags, logging
from etils import epath
from flax import linen as nn
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax

from gans import checkpoint, data, ops, sampling, sharding, train, workdir
from gans.data import order
from gans.data.dataset import to_unit

WORKDIR = flags.DEFINE_string('workdir', None, 'The run to measure.', required=True)
DATA_DIR = flags.DEFINE_string('data_dir', '', "Where TFDS has mnist; '': its own place.")
EPOCHS = flags.DEFINE_integer('epochs', 4, "The classifier's epochs.")
BATCH, CHUNK, SURE = 128, 500, 0.9


class Classifier(nn.Module):
  """images [B,28,28,1] in [-1, 1] -> logits [B,10]."""

  @nn.compact
  def __call__(self, x, train: bool):
    for features in (32, 64, 128):
      x = ops.Conv(features, (4, 4), (2, 2))(x)
      x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))
    x = nn.Dropout(0.4, deterministic=not train)(x.reshape(x.shape[0], -1))
    x = nn.Dropout(0.4, deterministic=not train)(nn.relu(nn.Dense(128)(x)))
    return nn.Dense(10)(x)


def fit(digits: data.Dataset, epochs: int):
  """Trains the classifier, digits shifted by up to two pixels; returns its variables."""
  steps = epochs * len(digits.images) // BATCH
  optimizer = optax.adam(optax.cosine_decay_schedule(2e-3, steps))
  variables = Classifier().init(jax.random.key(0), to_unit(digits.images[:1]), train=False)

  @jax.jit
  def step(variables, opt_state, image, label, rng):
    shift_rng, dropout_rng = jax.random.split(rng)
    image = jnp.roll(to_unit(image), jax.random.randint(shift_rng, (2,), -2, 3), (1, 2))

    def loss(params):
      logits, updated = Classifier().apply({**variables, 'params': params}, image, train=True, mutable=['batch_stats'],
                                           rngs={'dropout': dropout_rng})
      return optax.softmax_cross_entropy_with_integer_labels(logits, label).mean(), updated

    gradients, updated = jax.grad(loss, has_aux=True)(variables['params'])
    updates, opt_state = optimizer.update(gradients, opt_state)
    return {'params': optax.apply_updates(variables['params'], updates), **updated}, opt_state

  opt_state = optimizer.init(variables['params'])
  for i, index in enumerate(order.batch_indices(0, 0, steps, BATCH, len(digits.images))):
    variables, opt_state = step(
        variables, opt_state, digits.images[index], digits.labels[index], jax.random.fold_in(jax.random.key(1), i))
  return variables


def classify(variables, images: np.ndarray) -> np.ndarray:
  """Probabilities [N,10] of uint8 images [N,28,28,1]."""
  predict = jax.jit(lambda x: nn.softmax(Classifier().apply(variables, to_unit(x), train=False)))
  return np.concatenate([predict(images[i:i + CHUNK]) for i in range(0, len(images), CHUNK)])


def sample_last(path: str, num: int) -> tuple[int, np.ndarray]:
  """Returns (step, num samples) of a workdir's last checkpoint, through the averaged generator."""
  config = workdir.read_config(path)
  dataset = data.load(config.dataset)
  experiment = train.build(config, dataset)
  state = train.create_state(config, experiment, dataset, sharding.make_mesh(config.batch_size))
  with checkpoint.open_manager(epath.Path(path)) as manager:
    state = checkpoint.restore_latest(manager, state)
  sample = sampling.make_sampler(experiment.generator)
  z = sampling.fixed_noise(1, num, config.z_dim)
  label = jnp.arange(num) % max(dataset.num_classes, 1)
  return int(state.step), np.concatenate([sample(state.ema, z[i:i + CHUNK], label[i:i + CHUNK])
                                          for i in range(0, num, CHUNK)])


def main(argv):
  del argv
  logging.set_verbosity(logging.ERROR)
  mnist = {'name': 'mnist', 'data_dir': DATA_DIR.value, 'image_size': 28, 'crop': ''}
  train_set, test_set = (data.load(ml_collections.ConfigDict({**mnist, 'split': s})) for s in ('train', 'test'))
  variables = fit(train_set, EPOCHS.value)
  real = classify(variables, test_set.images)
  print(f'classifier: {(real.argmax(1) == test_set.labels).mean():.2%} right on {len(real)} digits of the test set, '
        f'over {SURE} sure of {(real.max(1) > SURE).mean():.1%}')
  step, samples = sample_last(WORKDIR.value, 10_000)
  fake = classify(variables, samples)
  shares = np.bincount(fake.argmax(1), minlength=10) / len(fake)
  print(f'{WORKDIR.value} at step {step}: over {SURE} sure of {(fake.max(1) > SURE).mean():.1%} of {len(fake)} '
        f'samples; {shares.min():.1%} to {shares.max():.1%} a class')


if __name__ == '__main__':
  app.run(main)
