"""The order of the data is a function of (seed, step), and visits every example once an epoch."""
import functools

import numpy as np
import pytest

from gans.core import sharding
from gans.data import order
from gans.data.dataset import Dataset
from gans.data.feed import open_feed
from gans.data.schedule import split_into_calls, step_indices

EARLIER = [[2, 1, 6, 3], [5, 1, 6, 5], [3, 2, 4, 0]]


def test_every_epoch_is_a_fresh_permutation():
  epochs = order.batch_indices(seed=3, start=0, count=10, batch_size=4, num_examples=20).reshape(2, 20)
  for epoch in epochs:
    np.testing.assert_array_equal(np.sort(epoch), np.arange(20))
  assert (epochs[0] != epochs[1]).any()


def test_any_cut_gives_the_same_batches():
  whole = order.batch_indices(0, 0, 12, 5, 7)  # batches that straddle epochs
  cut = np.concatenate([order.batch_indices(0, 0, 5, 5, 7), order.batch_indices(0, 5, 7, 5, 7)])
  np.testing.assert_array_equal(whole, cut)


def test_seeds_differ():
  assert (order.batch_indices(0, 0, 1, 50, 50) != order.batch_indices(1, 0, 1, 50, 50)).any()


def test_the_order_is_that_of_earlier_versions():
  """A run of an earlier version resumes on the same data."""
  assert order.batch_indices(3, 4, 3, 4, 7).tolist() == EARLIER
  assert order.batch_indices(3, 4, 3, 4, 7, stream=1).tolist() != EARLIER


@pytest.fixture
def permuted(monkeypatch) -> list[int]:
  """The number of examples of every permutation that is drawn."""
  drawn = []
  permute = order.permute

  def count(seed, epoch, stream, num_examples):
    drawn.append((seed, epoch))
    return permute(seed, epoch, stream, num_examples)

  monkeypatch.setattr(order, 'permute', count)
  order._find_sequence.cache_clear()
  return drawn


def test_a_call_costs_what_its_steps_cost(config, permuted):
  """Of a call of two steps that may have had 5,000, only the epochs of the two are drawn, and each epoch once."""
  config.update({'batch_size': 8, 'steps_per_call': 5000, 'sample_every': 2, 'num_steps': 40, 'num_seeds': 30})
  dataset = Dataset(np.zeros((16, 8, 8, 1), np.uint8), np.zeros(16, np.int32))
  pick = functools.partial(step_indices, config, 1, num_examples=16)
  with open_feed(config, dataset, sharding.make_mesh(8), 0, pick) as take:
    assert permuted == []
    for step, stop in split_into_calls(0, config):
      _, indices = take(step)
      assert indices.shape == (5000, 30, 1, 8) and not indices[stop - step:].any()
  assert len(permuted) == len(set(permuted)) == 30 * 20  # seeds and epochs


def test_many_epochs_at_once_cost_one_pass(permuted, monkeypatch):
  """5,000 steps over 100 examples were a pass over all positions for each of 3,200 epochs."""
  found = order.batch_indices(0, 0, 5000, 64, 100)
  assert len(permuted) == 3200
  np.testing.assert_array_equal(np.sort(found.reshape(3200, 100), axis=1), np.tile(np.arange(100), (3200, 1)))
