"""What train_steps is fed: the whole data set and indices into it, or, where it is too large, the batches themselves.

Then threads of Grain's read and decode what the coming steps take, in the order in which they would have been picked,
and a block of steps_per_call steps' batches goes to the device while the steps before are taken. The order is a
function of the step, so that a resumed run needs no other state.
"""
from collections.abc import Callable, Iterator
import contextlib
import functools
import math
import os
import threading

import jax
import numpy as np

from gans.core import sharding
from gans.data.dataset import Dataset, OnDisk, is_too_large

BLOCK = 128 * 2**20  # bytes of a block, at most, unless a single step takes more


def is_streamed(config, dataset: Dataset) -> bool:
  """Tells whether the data set is too large for the device; one may be in memory all the same."""
  images = dataset.images
  return isinstance(images, OnDisk) or is_too_large(config.dataset, images.shape, images.dtype.itemsize)


def shorten_calls(config, batches_per_step: int, dataset: Dataset):
  """Returns the config with a steps_per_call whose steps' examples fit into a block, where the data set is streamed."""
  if not is_streamed(config, dataset):
    return config
  config = config.copy_and_resolve_references()
  example = math.prod(dataset.images.shape[1:]) * dataset.images.dtype.itemsize
  step = example * config.batch_size * batches_per_step * config.num_seeds
  config.steps_per_call = min(config.steps_per_call, max(1, BLOCK // step))
  return config


@contextlib.contextmanager
def open_feed(config, dataset: Dataset, mesh, start: int, pick: Callable) -> Iterator[Callable]:
  """Yields take(step) -> (data, indices), what train_steps takes in a call that begins at `step`.

  pick(step) names the examples of the next config.steps_per_call = T steps, [T,N,B] or [T,S,N,B] of S seeds. The first
  call begins at step `start`; no call goes beyond a multiple of T.

  Raises (take):
    UserError: an example cannot be read.
  """
  if not is_streamed(config, dataset):
    data = sharding.place((dataset.images, dataset.labels), sharding.replicated(mesh))
    batches = sharding.over_batch(mesh, pick(start).ndim - 1)
    yield lambda step: (data, sharding.place(pick(step), batches))
    return
  length = config.steps_per_call
  first, last = start // length, -(-config.num_steps // length)
  leading = pick(start).shape[:-2]  # (T,) or (T, S)
  number, data = first - 1, None
  with blocks(dataset, mesh, lambda i: pick((first + i) * length), last - first, config.dataset.workers) as stream:
    def take(step: int):
      nonlocal number, data
      if step // length != number:
        number, data = step // length, next(stream)
      indices = np.arange(math.prod(leading), dtype=np.int32).reshape(leading)
      return data, indices + indices[step % length].min()

    yield take


@contextlib.contextmanager
def blocks(dataset: Dataset, mesh, pick: Callable, count: int, workers: int = 0) -> Iterator[Iterator]:
  """Yields an iterator over `count` blocks on the devices: (images [T,N,B,...], labels [T,N,B]).

  Block i has the examples pick(i), [...,N,B]; T is the product of the axes before, N the batches of a step. Each
  process reads only its devices' share of every batch. `workers` threads read, one a core if 0; the next block is made
  meanwhile.
  """
  import grain  # here, as it takes a second that other data sets need not
  *leading, batches_per_step, batch_size = pick(0).shape
  rows = math.prod(leading) * batches_per_step
  share = sharding.share(mesh, batch_size, mesh.local_devices)
  picked = functools.lru_cache(4)(lambda block: pick(block).reshape(rows, batch_size)[:, share])
  lock = threading.Lock()  # or at an epoch's start each worker would draw a permutation of its own

  def read(i: int):
    with lock:
      index = picked(i // rows)[i % rows]
    return dataset.images[index], dataset.labels[index]

  def put(block):
    return tuple(jax.make_array_from_process_local_data(
        sharding.over_batch(mesh, 2), part.reshape(-1, batches_per_step, *part.shape[1:]),
        (rows // batches_per_step, batches_per_step, batch_size, *part.shape[2:])) for part in block)

  workers = workers or os.cpu_count()
  options = grain.ReadOptions(num_threads=workers, prefetch_buffer_size=2 * workers)
  batches = grain.MapDataset.range(count * rows).map(read).to_iter_dataset(options)
  stream = iter(grain.experimental.ThreadPrefetchIterDataset(batches.batch(rows).map(put), prefetch_buffer_size=1))
  try:
    stream.start_prefetch()  # while the steps are compiled
    yield stream
  finally:
    stream.close()
