"""This project's side of a benchmark: an experiment at its first step, and one that goes on from there."""
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import cases
from gans import data
from gans.core import sharding
from gans.data.dataset import to_unit
from gans.training import loop


def start(config, images: np.ndarray):
  """Returns (data set of images without labels, mesh, experiment, state of step 0)."""
  dataset = data.Dataset(images, np.zeros(len(images), np.int32), 0)
  mesh = sharding.make_mesh(config.batch_size)
  experiment = loop.build(config, dataset.spec)
  return dataset, mesh, experiment, loop.create_state(config, experiment, dataset.spec, mesh)


class Run:
  """An experiment that takes steps on images [N,...], through the product's own compiled train_steps."""

  def __init__(self, config, images: np.ndarray):
    self.config = config
    dataset, self.mesh, self.experiment, self.state = start(config, images)
    self.train_steps = loop.build_train_steps(config, self.experiment, self.mesh)
    self.arrays = jax.device_put((dataset.images, dataset.labels), sharding.replicated(self.mesh))

  def advance(self, n: int):
    """Takes n steps and waits for them."""
    while n > 0:
      count = min(n, self.config.log_every)
      self.state, metrics = self.train_steps(self.state, self.arrays, self._indices(), count)
      jax.block_until_ready(metrics)
      n -= count

  def compile(self):
    """Compiles train_steps ahead of the first step, and returns the compiled program to look at."""
    self.train_steps = self.train_steps.lower(self.state, self.arrays, self._indices(), 1).compile()
    return self.train_steps

  def _indices(self):
    indices = loop.step_indices(self.config, int(self.state.step), len(self.arrays[0]))
    return jax.device_put(indices, sharding.over_batch(self.mesh, 2))


def count_flops(config) -> float:
  """Floating-point operations of a step's losses and gradients, counted in this project's unoptimized program."""
  dataset, _, experiment, state = start(config, cases.make_images(config, config.batch_size))
  batch, rng = whole_batch(dataset), jax.random.key(0)

  def count(loss, params):
    return jax.jit(jax.grad(loss, has_aux=True)).lower(params, state, batch, rng).cost_analysis()['flops']

  algorithm = experiment.algorithm
  return (config.n_critic * count(algorithm.critic_loss, state.critic.params)
          + count(algorithm.generator_loss, state.generator.params))


def whole_batch(dataset: data.Dataset) -> dict:
  """All of a data set as the batch that an algorithm's losses take."""
  return {'image': to_unit(jnp.asarray(dataset.images)), 'label': jnp.asarray(dataset.labels)}
