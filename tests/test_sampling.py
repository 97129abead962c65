"""Sampling: any number of noise vectors, in their order."""
import numpy as np

from gans import sampling


def test_many_samples_keep_their_order_and_come_in_bounded_pieces():
  sizes = []

  def sample(variables, z, label):
    sizes.append(len(z))
    return variables * z + label[:, None]

  z, label = np.arange(2002.0).reshape(1001, 2), np.arange(1001)
  np.testing.assert_array_equal(sampling.sample_many(sample, 3, z, label), 3 * z + label[:, None])
  assert max(sizes) <= sampling.CHUNK and sum(sizes) == 1001
