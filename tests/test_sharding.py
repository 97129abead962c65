"""One device equals many. JAX fixes the number of devices at its start, so this file runs itself in a new process."""
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from configs import base, dcgan, wgan_gp
from gans.build import build, build_state, build_train_step, build_train_steps
from gans.core import sharding
from gans.data.dataset import Spec
from gans.data.schedule import step_indices
from gans.data.sources import load_dataset
from gans.errors import UserError
from tests.conftest import set_optimizers
from tests.shrink import shrink

BATCH = 16
MLP = {'generator': base.mlp_generator(hidden=(8,), norm='batch'),
       'critic': base.mlp_critic(hidden=(8,), norm='layer')}
# Rounding grows with every step of a game and with its rate, of convolutions under the penalty tenfold a step: these
# take 5 small steps, others 20.
CASES = {  # name: (config, its changes, learning rate, steps, numbers of devices)
    'penalty_of_convolutions': (wgan_gp, {}, 0.001, 5, (1, 8)),
    'penalty': (wgan_gp, MLP, 0.005, 20, (1, 2, 8)),
    'batch_norm_in_both_players': (dcgan, {}, 0.001, 20, (1, 2, 8)),
    'two_seeds': (wgan_gp, MLP | {'num_seeds': 2}, 0.005, 20, (1, 8)),
}


def small_config(module, changes: dict, rate: float, steps: int):
  """A small config under SGD, as Adam magnifies rounding where a gradient is 0."""
  config = shrink(module.get_config())
  config.batch_size, config.steps_per_call = BATCH, steps
  for field, value in changes.items():
    config[field] = value
  set_optimizers(config, 'sgd', rate)
  return config


def run_steps(config) -> dict[str, np.ndarray]:
  """Takes config.steps_per_call steps on config.mesh.data devices; returns the state, metrics and indices, by name."""
  dataset = load_dataset(config.dataset)
  mesh = sharding.make_mesh(config.batch_size, data=config.mesh.data)
  experiment = build(config, dataset.spec)
  state = build_state(config, experiment, mesh)
  train_steps = build_train_steps(config, experiment, dataset.spec, mesh)
  arrays = sharding.place((dataset.images, dataset.labels), sharding.replicated(mesh))
  indices = step_indices(config, experiment.algorithm.batches_per_step, 0, 5000)
  indices = sharding.place(indices, sharding.over_batch(mesh, indices.ndim - 1))
  assert {shard.data.shape[-1] for shard in indices.addressable_shards} == {BATCH // mesh.size}
  state, metrics = train_steps(state, arrays, indices, len(indices))
  assert all(leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(state))
  assert len(state.step.sharding.device_set) == mesh.size
  parts = {'state': (state.players, state.ema), 'metrics': metrics, 'indices': indices}
  return {f'{part}{jax.tree_util.keystr(path)}': np.asarray(leaf) for part, tree in parts.items()
          for path, leaf in jax.tree.leaves_with_path(tree)}


def flops(devices: int) -> float:
  """Returns the floating-point operations of one device in a step that is all but the generator's."""
  config = small_config(wgan_gp, {
      'n_critic': 1, 'generator': base.mlp_generator(hidden=(64, 64), norm='batch'),
      'critic': base.mlp_critic(hidden=(2,), norm='none')}, 0.02, 1)
  spec, mesh = Spec((2,)), sharding.make_mesh(BATCH, data=devices)
  experiment = build(config, spec)
  state = build_state(config, experiment, mesh)
  batch = sharding.place({'image': np.zeros((1, BATCH, 2), np.float32), 'label': np.zeros((1, BATCH), np.int32)},
                         sharding.over_batch(mesh, 1))
  step = sharding.on_mesh(mesh, build_train_step(config, experiment))
  return jax.jit(step).lower(state, batch).compile().cost_analysis()['flops']


def save_all(path: str):
  """Writes what the tests compare as path/CASE-DEVICES.npz, and path/flops.npz."""
  for name, (*case, counts) in CASES.items():
    for devices in counts:
      config = small_config(*case)
      config.mesh.data = devices
      np.savez(f'{path}/{name}-{devices}.npz', **run_steps(config))
  np.savez(f'{path}/flops.npz', one=flops(1), eight=flops(8))


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
  """Returns what save_all wrote, {name: array} by its file's name, on eight host devices."""
  path = tmp_path_factory.mktemp('saved')
  flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
  subprocess.run([sys.executable, __file__, path], check=True, timeout=300,
                 env={**os.environ, 'XLA_FLAGS': flags, 'PYTHONPATH': os.getcwd(), 'JAX_PLATFORMS': 'cpu'})
  return lambda name: dict(np.load(path / f'{name}.npz'))


@pytest.mark.parametrize('case, devices', [(case, devices) for case, (*_, counts) in CASES.items()
                                           for devices in counts[1:]])
def test_one_device_equals_many(saved, case, devices):
  one, many = saved(f'{case}-1'), saved(f'{case}-{devices}')
  assert one.keys() == many.keys() and len(one["metrics['critic_loss']"]) == CASES[case][3]
  np.testing.assert_array_equal(one.pop('indices'), many['indices'])
  for name, values in one.items():
    np.testing.assert_allclose(many[name], values, rtol=1e-4 if 'metrics' in name else 0, atol=1e-5, err_msg=name)


def test_each_of_eight_devices_makes_its_eighth(saved):
  """The generator's own update too, though there nothing but the noise has a batch."""
  found = saved('flops')
  assert found['eight'] < found['one'] / 5


def test_a_batch_that_the_devices_do_not_divide_is_refused():
  with pytest.raises(UserError, match=r'batch_size=20 does not divide by 8 devices; nearest that do: \[16, 24\]'):
    sharding.make_mesh(20, devices=range(8))
  with pytest.raises(UserError, match=r'batch_size=20 does not divide by 3 devices; nearest that do: \[18, 21\]'):
    sharding.make_mesh(20, devices=range(8), data=3)


@pytest.mark.parametrize('data', [0, 9, -2])
def test_devices_that_there_are_not_are_refused(data):
  with pytest.raises(UserError, match=f'mesh.data={data}: expected a number of devices from 1 to 8, or -1'):
    sharding.make_mesh(16, devices=range(8), data=data)


if __name__ == '__main__':
  save_all(sys.argv[1])
