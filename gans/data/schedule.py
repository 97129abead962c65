"""When things are due in a run, and which examples its steps take: pure functions of the config and the step."""
from collections.abc import Callable, Iterator

import numpy as np

from gans.data.order import batch_indices


def split_into_calls(step: int, config) -> Iterator[tuple[int, int]]:
  """Splits the steps from `step` to the end into calls of train_steps: yields (first step, stop) of each.

  A call ends at a multiple of steps_per_call, or before it if a sample grid, a checkpoint or an evaluation is due.
  """
  intervals = [config.steps_per_call, config.sample_every, config.checkpoint_every, config.eval_every]
  while step < config.num_steps:
    ends = [step - step % interval + interval for interval in intervals if interval]
    stop = min(config.num_steps, *ends)
    yield step, stop
    step = stop


def is_due(step: int, interval: int, config) -> bool:
  """Tells whether what is due every `interval` steps and at the end is due after `step` steps; 0 means never."""
  return interval > 0 and (step % interval == 0 or step == config.num_steps)


def stays(at: int, step: int, interval: int, most: int) -> bool:
  """Tells whether what was made at step `at`, of what is made every `interval` steps, still stays at `step`.

  At most `most` stay, evenly spaced, and the last one: whenever there would be more, every second one goes. As that
  depends on nothing else, a run that was interrupted keeps the same.
  """
  spacing = interval
  while (step - 1) // spacing >= most:
    spacing *= 2
  return at % spacing == 0 or at >= step


def training_seeds(config) -> range:
  """Returns the seeds that a config trains side by side."""
  return range(config.seed, config.seed + config.num_seeds)


def step_indices(config, batches_per_step: int, step: int, num_examples: int, order: Callable = batch_indices,
                 count: int | None = None) -> np.ndarray:
  """Returns the examples of the T = steps_per_call steps from `step` on: [T,N,B] int32, N = batches_per_step.

  B is batch_size, or twice that for an `order` of pairs, see order.find_order. With several seeds, each of which has an
  order of its own, the shape is [T,S,N,B]. If only the first `count` steps will be taken, the others are zeros.
  """
  count = config.steps_per_call if count is None else count
  by_seed = []
  for seed in training_seeds(config):
    batches = order(seed, step * batches_per_step, count * batches_per_step, config.batch_size, num_examples)
    in_a_batch = batches.shape[-1]
    padded = np.zeros((config.steps_per_call, batches_per_step, in_a_batch), np.int32)
    padded[:count] = batches.reshape(count, batches_per_step, in_a_batch)
    by_seed.append(padded)
  return np.stack(by_seed, axis=1) if len(by_seed) > 1 else by_seed[0]
