"""This project's side of a benchmark: an experiment at its first step, and one that takes steps from there."""
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import cases
from gans.build import build, build_state, build_train_steps
from gans.core import sharding
from gans.core.step import bind_loss, learning_params
from gans.data.dataset import Dataset
from gans.data.schedule import step_indices


def start(config, images: np.ndarray):
  """Returns (data set of the images with random labels, mesh, experiment, state of step 0)."""
  dataset = Dataset(images, cases.make_labels(len(images)), cases.NUM_CLASSES)
  mesh = sharding.make_mesh(config.batch_size, microbatches=config.microbatches)
  experiment = build(config, dataset.spec)
  return dataset, mesh, experiment, build_state(config, experiment, mesh)


class Run:
  """An experiment that takes steps on images [N,...], through the product's own compiled train_steps."""

  def __init__(self, config, images: np.ndarray):
    self.config = config
    dataset, self.mesh, self.experiment, self.state = start(config, images)
    self.spec = dataset.spec
    self.train_steps = build_train_steps(config, self.experiment, self.spec, self.mesh)
    self.arrays = jax.device_put((dataset.images, dataset.labels), sharding.replicated(self.mesh))

  def advance(self, n: int):
    """Takes n steps and waits for them."""
    while n > 0:
      count = min(n, self.config.steps_per_call)
      self.state, metrics = self.train_steps(self.state, self.arrays, self._indices(), count)
      jax.block_until_ready(metrics)
      n -= count

  def compile(self):
    """Compiles train_steps ahead of the first step, and returns the compiled program to look at."""
    self.train_steps = self.train_steps.lower(self.state, self.arrays, self._indices(), 1).compile()
    return self.train_steps

  def _indices(self):
    batches_per_step = self.experiment.algorithm.batches_per_step
    indices = step_indices(self.config, batches_per_step, int(self.state.step), len(self.arrays[0]))
    return jax.device_put(indices, sharding.over_batch(self.mesh, indices.ndim - 1))


def count_flops(config) -> float:
  """Floating-point operations of a step's losses and gradients, counted in this project's unoptimized program."""
  dataset, _, experiment, state = start(config, cases.make_images(config, config.batch_size))
  batch, rng = whole_batch(dataset), jax.random.key(0)
  flops = 0.0
  for update in experiment.algorithm.updates:
    gradient = jax.jit(jax.grad(bind_loss(update, experiment.modules), has_aux=True))
    analysis = gradient.lower(learning_params(update, state.players), state, batch, rng).cost_analysis()
    flops += analysis['flops'] * update.repeats / update.every
  return flops


def whole_batch(dataset: Dataset) -> dict:
  """All of a data set as the batch that an algorithm's losses take."""
  image = dataset.spec.kind.decode(jnp.asarray(dataset.images))
  return {'image': image, 'label': jnp.asarray(dataset.labels)}
