"""This project's side of a benchmark: an experiment at its first step."""
import jax.numpy as jnp
import numpy as np

from gans import data, sharding, train
from gans.data.dataset import to_unit


def start(config, images: np.ndarray):
  """Returns (data set of images without labels, mesh, experiment, state of step 0)."""
  dataset = data.Dataset(images, np.zeros(len(images), np.int32), 0)
  mesh = sharding.make_mesh(config.batch_size)
  experiment = train.build(config, dataset)
  return dataset, mesh, experiment, train.create_state(config, experiment, dataset, mesh)


def whole_batch(dataset: data.Dataset) -> dict:
  """All of a data set as the batch that an algorithm's losses take."""
  return {'image': to_unit(jnp.asarray(dataset.images)), 'label': jnp.asarray(dataset.labels)}
