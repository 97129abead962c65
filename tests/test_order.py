"""The order of the data is a function of (seed, step), and visits every example once an epoch."""
import numpy as np

from gans.data import order


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
