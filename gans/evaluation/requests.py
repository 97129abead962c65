"""What an evaluation asks of a generator, and which real samples it compares the answer with."""
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from gans.data import batches
from gans.data.dataset import Dataset


class Request(NamedTuple):
  """What is to be drawn, and compared with what."""
  real: np.ndarray  # [M], the positions of the real samples
  condition: np.ndarray  # of the samples to draw: classes [N] or attributes [N,K]
  sources: np.ndarray | None  # [N], the positions of the images that are translated
  inputs: Callable  # slice -> the inputs of those samples, {name: [n,...]}


def make_request(config, dataset: Dataset, experiment) -> Request:
  """Chooses the real samples, and what is asked of the generator: what is as frequent as in the data, or translations.

  Images are translated to any domain, at random; those of one of two domains to the other; those of pairs are of the
  first class, and compared with real ones of the second.
  """
  rng = np.random.default_rng(config.eval.seed)
  num = config.eval.num_samples
  algorithm = experiment.algorithm
  key = jax.random.key(config.eval.seed)
  real = rng.permutation(len(dataset.images))
  if experiment.translates:
    sources = real
    if algorithm.data == 'pairs':
      sources, real = real[dataset.labels[real] == 0], real[dataset.labels[real] == 1]
    sources = np.resize(sources[:num], num)
    condition = _choose_targets(dataset, experiment, sources, rng)
    return Request(real[:num], condition, sources, _translation_inputs(dataset, algorithm, key, sources, condition))
  real = real[:num]
  condition = dataset.as_networks_take(np.resize(real, num))
  if algorithm.classes:
    condition = rng.permutation(np.arange(num) % algorithm.classes).astype(np.int32)
  drawn = algorithm.inputs(key, {batches.condition(dataset.spec): condition})

  def inputs(part: slice) -> dict:
    return {name: values[part] for name, values in drawn.items()}

  return Request(real, condition, None, inputs)


def find_expected(dataset: Dataset, request: Request) -> np.ndarray:
  """Returns the positions [N] in a data set of pairs of what translations should be: sources or partners."""
  is_own_class = request.condition == dataset.labels[request.sources]
  return np.where(is_own_class, request.sources, dataset.partners[request.sources])


def _choose_targets(dataset: Dataset, experiment, sources: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """Returns the target of each source: [N] int32, or [N,K] float32 of attributes."""
  if experiment.algorithm.data != 'examples':
    return 1 - dataset.labels[sources]
  if dataset.spec.attributes:
    return dataset.as_networks_take(rng.permutation(sources))
  return rng.integers(max(experiment.num_labels, 1), size=len(sources)).astype(np.int32)


def _translation_inputs(dataset: Dataset, algorithm, key, sources: np.ndarray, condition: np.ndarray) -> Callable:
  """Returns the `inputs` of a Request for translations, which reads and decodes one part of the images at a time."""
  def inputs(part: slice) -> dict:
    image = dataset.spec.kind.decode(dataset.images[sources[part]])
    batch = {'image': image, batches.condition(dataset.spec): condition[part]}
    return algorithm.inputs(jax.random.fold_in(key, part.start), batch)

  return inputs
