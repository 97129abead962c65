"""Where arrays live: the batch is cut along one mesh axis, everything else is on every device.

That is all a step needs to run on any number of devices: `jax.jit` puts the sums over the batch together (batch
norm's and the losses' too), so that the same config gives the same run on one device or on many.
"""
import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
import numpy as np

from gans.errors import UserError


def make_mesh(batch_size: int, devices=None, microbatches: int = 1) -> Mesh:
  """Makes the mesh ('data',) over `devices` (default all), each of which takes its share of every microbatch.

  Raises UserError where they do not divide the batch.
  """
  devices = np.asarray(jax.devices() if devices is None else devices)
  shares = devices.size * microbatches
  if batch_size % shares:
    below = batch_size // shares * shares
    nearest = [size for size in (below, below + shares) if size]
    parts = f' times optimizer.microbatches={microbatches}' if microbatches > 1 else ''
    raise UserError(f'batch_size={batch_size} does not divide by {devices.size} devices{parts}; nearest that do: '
                    f'{nearest}')
  return Mesh(devices, ('data',))


def replicated(mesh: Mesh) -> NamedSharding:
  """The whole array on every device."""
  return NamedSharding(mesh, PartitionSpec())


def over_batch(mesh: Mesh, axis: int) -> NamedSharding:
  """The array cut along `axis`, its batch axis."""
  return NamedSharding(mesh, PartitionSpec(*[None] * axis, 'data'))
