"""The input of train_steps: the whole data set and indices into it, or, if it is too large, the batches themselves.

A data set that is too large is streamed: Grain's threads read and decode the examples of the coming steps, in the same
order, and the batches of steps_per_call steps, a block, go to the device while the steps before them are taken. The
order is a function of the step, so that a resumed run needs no other state.
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
from gans.data.schedule import split_into_calls

BLOCK = 128 * 2**20  # the most bytes that a block has, unless a single step takes more


def is_streamed(config, dataset: Dataset) -> bool:
  """Tells whether the data set is streamed: it is on disk, or it is in memory and too large for the device."""
  images = dataset.images
  return isinstance(images, OnDisk) or is_too_large(config.dataset, images.shape, images.dtype.itemsize)


def shorten_calls(config, batches_per_step: int, dataset: Dataset):
  """Returns the config with a steps_per_call whose batches fit into a block, if the data set is streamed."""
  if not is_streamed(config, dataset):
    return config
  config = config.copy_and_resolve_references()
  example_bytes = math.prod(dataset.images.shape[1:]) * dataset.images.dtype.itemsize
  step_bytes = example_bytes * config.batch_size * batches_per_step * config.num_seeds
  steps_in_block = max(1, BLOCK // step_bytes)
  config.steps_per_call = min(config.steps_per_call, steps_in_block)
  return config


@contextlib.contextmanager
def open_feed(config, dataset: Dataset, mesh, start: int, pick: Callable) -> Iterator[Callable]:
  """Yields take(step) -> (data, indices), the arguments of the train_steps call that begins at `step`.

  pick(step) returns the examples of the next T = config.steps_per_call steps, [T,N,B], or [T,S,N,B] for S seeds, and
  pick(step, count=...) those of fewer, padded to T. The first call begins at step `start`; calls are those of
  schedule.split_into_calls, none of which goes beyond a multiple of T.

  Raises (take):
    UserError: an example cannot be read.
  """
  if not is_streamed(config, dataset):
    def pick_call(step: int):
      _, stop = next(split_into_calls(step, config))
      return pick(step, count=stop - step)

    yield _take_from_device(dataset, mesh, pick_call)
    return
  length = config.steps_per_call
  first_block = start // length
  num_blocks = math.ceil(config.num_steps / length) - first_block
  leading = pick(start, count=0).shape[:-2]  # (T,) or (T, S)

  def pick_block(i: int):
    return pick((first_block + i) * length)

  with open_blocks(dataset, mesh, pick_block, num_blocks, config.dataset.workers) as blocks:
    yield _take_from_blocks(blocks, leading)


def _take_from_device(dataset: Dataset, mesh, pick: Callable) -> Callable:
  """Returns the `take` of `open_feed` for a data set that is on every device."""
  data = sharding.place((dataset.images, dataset.conditions), sharding.replicated(mesh))

  def take(step: int):
    indices = pick(step)
    over_batch = sharding.over_batch(mesh, indices.ndim - 1)
    return data, sharding.place(indices, over_batch)

  return take


def _take_from_blocks(blocks: Iterator, leading: tuple[int, ...]) -> Callable:
  """Returns the `take` of `open_feed` for blocks of T steps, whose batches have the leading axes (T,) or (T, S)."""
  length = leading[0]
  batches = np.arange(math.prod(leading), dtype=np.int32).reshape(leading)
  current, data = None, None

  def take(step: int):
    nonlocal current, data
    block = step // length
    if block != current:
      data = next(blocks)
      current = block
    first_batch = batches[step % length].min()
    return data, batches + first_batch

  return take


@contextlib.contextmanager
def open_blocks(dataset: Dataset, mesh, pick: Callable, count: int, workers: int = 0) -> Iterator[Iterator]:
  """Yields an iterator over `count` blocks on the devices: (images [T,N,B,...], labels [T,N,B]).

  Block i has the examples pick(i), [...,N,B]; T is the product of the leading axes, N the batches of a step. Each
  process reads only its devices' share of every batch. `workers` threads read, one per core if 0; the next block is
  made while one is used.
  """
  import grain  # here, as the import takes a second that other data sets need not wait for
  *leading, batches_per_step, batch_size = pick(0).shape
  batches_per_block = math.prod(leading) * batches_per_step
  share = sharding.share(mesh, batch_size, mesh.local_devices)
  lock = threading.Lock()  # or at an epoch's start each worker would draw a permutation of its own

  @functools.lru_cache(maxsize=4)
  def pick_share(block: int):
    indices = pick(block).reshape(batches_per_block, batch_size)
    return indices[:, share]

  def read_batch(i: int):
    block, batch = divmod(i, batches_per_block)
    with lock:
      index = pick_share(block)[batch]
    return dataset.images[index], dataset.conditions[index]

  def place_block(block: tuple):
    images, labels = block
    return (_place_batches(mesh, images, batches_per_step, batch_size),
            _place_batches(mesh, labels, batches_per_step, batch_size))

  workers = workers or os.cpu_count()
  options = grain.ReadOptions(num_threads=workers, prefetch_buffer_size=2 * workers)
  batches = grain.MapDataset.range(count * batches_per_block).map(read_batch).to_iter_dataset(options)
  blocks = batches.batch(batches_per_block).map(place_block)
  stream = iter(grain.experimental.ThreadPrefetchIterDataset(blocks, prefetch_buffer_size=1))
  try:
    stream.start_prefetch()  # while the steps are compiled
    yield stream
  finally:
    stream.close()


def _place_batches(mesh, batches: np.ndarray, batches_per_step: int, batch_size: int) -> jax.Array:
  """Puts a process's shares of the batches of T steps, [T*N,b,...], on its devices: [T,N,B,...] of all processes."""
  num_batches, _, *example = batches.shape
  steps = num_batches // batches_per_step
  own = batches.reshape(steps, batches_per_step, *batches.shape[1:])
  shape = (steps, batches_per_step, batch_size, *example)
  return jax.make_array_from_process_local_data(sharding.over_batch(mesh, 2), own, shape)
