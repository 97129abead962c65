"""Where arrays live: the batch is cut along one mesh axis, everything else is on every device.

That is all a step needs to run on any number of devices: `jax.jit` puts the sums over the batch together (batch
norm's and the losses' too), so that the same config gives the same run on one device or on many.
"""
from collections.abc import Iterable

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
import numpy as np

from gans.errors import UserError


def make_mesh(batch_size: int, devices=None) -> Mesh:
  """Makes the mesh ('data',) over `devices` (default all). Raises UserError where they do not divide the batch."""
  devices = np.asarray(jax.devices() if devices is None else devices)
  if batch_size % devices.size:
    below = batch_size // devices.size * devices.size
    nearest = [size for size in (below, below + devices.size) if size]
    raise UserError(f'batch_size={batch_size} does not divide by {devices.size} devices; nearest that do: {nearest}')
  return Mesh(devices, ('data',))


def replicated(mesh: Mesh) -> NamedSharding:
  """The whole array on every device."""
  return NamedSharding(mesh, PartitionSpec())


def over_batch(mesh: Mesh, axis: int) -> NamedSharding:
  """The array cut along `axis`, its batch axis."""
  return NamedSharding(mesh, PartitionSpec(*[None] * axis, 'data'))


def share(mesh: Mesh, batch_size: int, devices: Iterable) -> np.ndarray:
  """The positions in a batch that `devices` hold, such as those of one process (mesh.local_devices), in their order."""
  spans = over_batch(mesh, 0).devices_indices_map((batch_size,))
  held = {spans[device][0].indices(batch_size) for device in devices}
  return np.concatenate([np.arange(*span) for span in sorted(held)])
