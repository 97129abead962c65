"""This project's side of a benchmark: an experiment at its first step, and one that goes on from there."""
import jax
import jax.numpy as jnp
import numpy as np

from gans import data, sharding, train
from gans.data.dataset import to_unit


def start(config, images: np.ndarray):
  """Returns (data set of images without labels, mesh, experiment, state of step 0)."""
  dataset = data.Dataset(images, np.zeros(len(images), np.int32), 0)
  mesh = sharding.make_mesh(config.batch_size)
  experiment = train.build(config, dataset.spec)
  return dataset, mesh, experiment, train.create_state(config, experiment, dataset.spec, mesh)


class Run:
  """An experiment that takes steps on images [N,...], through the product's own compiled train_steps."""

  def __init__(self, config, images: np.ndarray):
    self.config = config
    dataset, self.mesh, self.experiment, self.state = start(config, images)
    self.train_steps = train.build_train_steps(config, self.experiment, self.mesh)
    self.arrays = jax.device_put((dataset.images, dataset.labels), sharding.replicated(self.mesh))

  def advance(self, n: int):
    """Takes n steps and waits for them."""
    while n > 0:
      count = min(n, self.config.log_every)
      indices = train.step_indices(self.config, int(self.state.step), len(self.arrays[0]))
      indices = jax.device_put(indices, sharding.over_batch(self.mesh, 2))
      self.state, metrics = self.train_steps(self.state, self.arrays, indices, count)
      jax.block_until_ready(metrics)
      n -= count


def whole_batch(dataset: data.Dataset) -> dict:
  """All of a data set as the batch that an algorithm's losses take."""
  return {'image': to_unit(jnp.asarray(dataset.images)), 'label': jnp.asarray(dataset.labels)}
