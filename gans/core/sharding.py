"""Where arrays live: the batch is cut along one mesh axis, everything else is on every device.

That is all a step needs to run on any number of devices, of one process or of several: `jax.jit` puts the sums over
the batch together (batch norm's and the losses' too), so that the same config gives the same run on one or on many.
"""
from collections.abc import Callable, Iterable

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
import numpy as np

from gans.errors import UserError


def make_mesh(batch_size: int, devices=None, data: int = -1, microbatches: int = 1) -> Mesh:
  """Makes the mesh ('data',) over the first `data` of `devices` (default all), -1 for all of them.

  Raises:
    UserError: there are not so many, a process would have none of them, or they do not divide every microbatch.
  """
  devices = np.asarray(jax.devices() if devices is None else devices)
  if data != -1 and not 1 <= data <= devices.size:
    raise UserError(f'mesh.data={data}: expected a number of devices from 1 to {devices.size}, or -1 for all there are')
  if jax.process_count() > 1 and data not in (-1, devices.size) and devices.size > jax.local_device_count():
    raise UserError(f'mesh.data={data}: expected {devices.size} or -1, as each process has to use its devices')
  devices = devices[:data] if data > 0 else devices
  shares = devices.size * microbatches
  if batch_size % shares:
    below = batch_size // shares * shares
    nearest = [size for size in (below, below + shares) if size]
    parts = f' times microbatches={microbatches}' if microbatches > 1 else ''
    raise UserError(f'batch_size={batch_size} does not divide by {devices.size} devices{parts}; nearest that do: '
                    f'{nearest}')
  return Mesh(devices, ('data',))


def replicated(mesh: Mesh) -> NamedSharding:
  """Returns the sharding of arrays that are whole on every device."""
  return NamedSharding(mesh, PartitionSpec())


def over_batch(mesh: Mesh, axis: int) -> NamedSharding:
  """Returns the sharding of arrays that are cut along `axis`, their batch axis."""
  return NamedSharding(mesh, PartitionSpec(*[None] * axis, 'data'))


def share(mesh: Mesh, batch_size: int, devices: Iterable) -> np.ndarray:
  """Returns, in order, the positions in a batch that `devices` hold, such as a process's own (mesh.local_devices)."""
  spans = over_batch(mesh, 0).devices_indices_map((batch_size,))
  held = {spans[device][0].indices(batch_size) for device in devices}
  return np.concatenate([np.arange(*span) for span in sorted(held)])


def place(tree, sharding: NamedSharding):
  """Places arrays that every process has whole as `sharding` says; each process places what its own devices hold."""
  return jax.tree.map(lambda x: jax.make_array_from_callback(x.shape, sharding, lambda index: x[index]), tree)


def local(tree):
  """Returns this process's own copy of arrays that are on every device, to read without the other processes."""
  return jax.tree.map(lambda x: x.addressable_data(0), tree)


def on_mesh(mesh: Mesh, step: Callable) -> Callable:
  """Returns `step`, in whose trace `along_batch` knows the mesh."""
  def step_on_mesh(*args):
    with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
      return step(*args)

  return step_on_mesh


def along_batch(x):
  """Cuts x [B,...], made inside a step, along its batch axis; its values, and anything on one device, stay as they are.

  Noise needs it: nothing else tells the compiler that a generator without labels need not make the whole batch on every
  device.
  """
  if jax.sharding.get_abstract_mesh().size <= 1:
    return x
  return jax.lax.with_sharding_constraint(x, PartitionSpec('data'))
