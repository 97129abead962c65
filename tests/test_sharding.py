"""One device equals eight. JAX fixes the number of devices at its start, so this file runs itself in new processes."""
import os
import subprocess
import sys

import numpy as np
import pytest


def run_steps(path: str):
  """Takes five steps of a small WGAN-GP with batch norm under SGD on all devices; saves the parameters to `path`."""
  import jax

  from configs import wgan_gp
  from gans import data, sharding, train

  config = wgan_gp.get_config('test')
  config.batch_size, config.log_every = 16, 5
  config.optimizer = {'name': 'sgd', 'schedule': 'constant', 'generator_learning_rate': 0.02,
                      'critic_learning_rate': 0.02}
  dataset = data.load(config.dataset)
  mesh = sharding.make_mesh(config.batch_size)
  experiment = train.build(config, dataset.spec)
  state = train.create_state(config, experiment, dataset.spec, mesh)
  train_steps = train.build_train_steps(config, experiment, mesh)
  arrays = jax.device_put((dataset.images, dataset.labels), sharding.replicated(mesh))
  indices = jax.device_put(train.step_indices(config, 0, 5000), sharding.over_batch(mesh, 2))
  state, metrics = train_steps(state, arrays, indices, 5)
  assert all(leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(state))
  np.savez(path, *jax.tree.leaves((state.generator, state.critic, state.ema, metrics)), devices=len(jax.devices()))


def test_one_device_equals_eight(tmp_path):
  results = []
  for count in (1, 8):
    path = tmp_path / f'{count}.npz'
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={count}"
    subprocess.run([sys.executable, __file__, path], check=True, timeout=300,
                   env={**os.environ, 'XLA_FLAGS': flags, 'PYTHONPATH': os.getcwd(), 'JAX_PLATFORMS': 'cpu'})
    results.append(np.load(path))
  one, eight = results
  assert (one['devices'], eight['devices']) == (1, 8)
  for name in set(one.files) - {'devices'}:
    np.testing.assert_allclose(one[name], eight[name], rtol=1e-4, atol=1e-5, err_msg=name)


def test_a_batch_that_the_devices_do_not_divide_is_refused():
  from gans.errors import UserError
  from gans.sharding import make_mesh
  with pytest.raises(UserError, match=r'batch_size=20 does not divide by 8 devices; nearest that do: \[16, 24\]'):
    make_mesh(20, devices=range(8))


if __name__ == '__main__':
  run_steps(sys.argv[1])
