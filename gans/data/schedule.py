"""When things are due in a run, and which examples its steps take: pure functions of the config and the step."""
from collections.abc import Iterator

import numpy as np

from gans.data.order import batch_indices


def calls(step: int, config) -> Iterator[tuple[int, int]]:
  """Yields (first step, stop) of each call of train_steps.

  A call ends at a multiple of steps_per_call, or before it where a sample grid, a checkpoint or an evaluation is due.
  """
  intervals = [config.steps_per_call, config.sample_every, config.checkpoint_every, config.eval_every]
  while step < config.num_steps:
    ends = [step - step % interval + interval for interval in intervals if interval]
    stop = min(config.num_steps, *ends)
    yield step, stop
    step = stop


def is_due(step: int, interval: int, config) -> bool:
  """Tells whether what happens every `interval` steps and at the end, if at all, happens after `step` steps."""
  return interval > 0 and (step % interval == 0 or step == config.num_steps)


def training_seeds(config) -> range:
  """The seeds that a config trains side by side."""
  return range(config.seed, config.seed + config.num_seeds)


def step_indices(config, batches_per_step: int, step: int, num_examples: int) -> np.ndarray:
  """The examples of the steps_per_call steps from `step` on: [T,N,B] int32, N = batches_per_step, B = batch_size.

  With several seeds, each of which has an order of its own: [T,S,N,B].
  """
  first, count = step * batches_per_step, config.steps_per_call * batches_per_step
  shape = (config.steps_per_call, batches_per_step, config.batch_size)
  seeds = training_seeds(config)
  indices = [batch_indices(seed, first, count, config.batch_size, num_examples).reshape(shape) for seed in seeds]
  return np.stack(indices, axis=1) if len(seeds) > 1 else indices[0]
