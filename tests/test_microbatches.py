"""Microbatches: a step in slices is the step at once, in less memory. It runs itself anew for several devices."""
import functools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import wgan_gp as configs_wgan_gp
from gans.algorithms import wgan_gp
from gans.build import build, build_state, build_train_steps
from gans.core import microbatches, sharding
from gans.core.game import create_state
from gans.core.step import make_train_step
from gans.core.tracing import trace_losses
from gans.data.schedule import step_indices
from gans.data.sources import load_dataset
from gans.errors import UserError
from gans.networks import mlp
from tests.conftest import set_optimizers
from tests.shrink import shrink

BATCH, N_CRITIC = 24, 2
OPTIMIZERS = {'generator': optax.sgd(0.05), 'critic': optax.sgd(0.05)}


@functools.cache
def make_step(num_slices: int, size: int = BATCH, width: int = 8, dropout: float = 0.3):
  """Returns a jitted step of WGAN-GP in the plane, with its state and batch."""
  generator, critic = mlp.Generator((2,), (width,), output='linear'), mlp.Critic((width,), dropout=dropout)
  modules = {'generator': generator, 'critic': critic}
  algorithm = wgan_gp.make_algorithm(wgan_gp.Fields(gp_weight=10.0, n_critic=N_CRITIC, z_dim=4))
  image, label = jax.random.normal(jax.random.key(1), (N_CRITIC, size, 2)), jnp.zeros((N_CRITIC, size), jnp.int32)
  first_inputs = trace_losses(algorithm, modules, {'image': image[0], 'label': label[0]}).first_inputs
  state = create_state(jax.random.PRNGKey(0), algorithm, modules, OPTIMIZERS, first_inputs)
  step = make_train_step(algorithm, modules, OPTIMIZERS, 0.9, num_slices)
  return jax.jit(step), state, {'image': image, 'label': label}


@pytest.mark.parametrize('num_slices', [2, 24])
def test_a_step_in_slices_is_the_step_at_once(num_slices):
  """Noise, eps and dropout of each example are those of the whole batch; what is left is rounding."""
  (whole, state, batch), (sliced, _, _) = make_step(1), make_step(num_slices)
  want, got = whole(state, batch), sliced(state, batch)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), want, got)
  moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), want[0].players['critic'].params,
                       state.players['critic'].params)
  assert max(jax.tree.leaves(moved)) > 1e-3  # a thousand times the tolerance


def test_what_joins_examples_is_of_each_slice_alone():
  def loss(weight, state, batch, rng):
    variance = jnp.var(batch['image'])  # as batch norm's
    return weight * variance, (state + variance, {'variance': variance})

  batch = {'image': jnp.array([0.0, 10.0, 2.0, 14.0])}  # slices (0, 2) and (10, 14): variances 1 and 4
  gradient, (state, metrics) = microbatches.mean_gradient(loss, 2)(1.0, 5.0, batch, jax.random.PRNGKey(0))
  assert (gradient, state, metrics['variance']) == (2.5, 7.5, 2.5)


@pytest.mark.parametrize('draw', [
    lambda rng, size: jax.random.normal(rng, (size, 3)),
    lambda rng, size: jax.random.uniform(jax.random.split(rng, 4)[2], (size, 1, 1)),
    lambda rng, size: jax.random.bernoulli(jax.random.fold_in(rng, 7), 0.4, (size, 5)),
])
def test_a_slices_key_draws_its_rows_of_the_whole(draw):
  rngs = jax.random.split(jax.random.PRNGKey(3), 2)  # of two seeds side by side
  for i in range(4):
    part = jax.vmap(lambda rng, i=i: draw(microbatches.slice_key(rng, i, 4), 6))(rngs)
    whole = jax.vmap(lambda rng: draw(rng, 24))(rngs)
    np.testing.assert_array_equal(part, whole[:, i::4])


def test_slices_need_less_memory():
  def temporary(num_slices: int) -> int:
    step, state, batch = make_step(num_slices, size=4800, width=64, dropout=0.0)
    return step.lower(state, batch).compile().memory_analysis().temp_size_in_bytes

  assert temporary(12) < 0.3 * temporary(1)


def test_a_batch_that_does_not_divide_is_refused_with_what_would():
  message = r'batch_size=20 does not divide by 2 devices times microbatches=4; nearest that do: \[16, 24\]'
  with pytest.raises(UserError, match=message):
    sharding.make_mesh(20, range(2), microbatches=4)


def steps_on(num_devices: int):
  """Takes three steps in slices, with batch norm, on that many devices; returns the state's parameters and metrics."""
  config = shrink(configs_wgan_gp.get_config())
  config.batch_size, config.steps_per_call, config.microbatches = 16, 3, 2
  set_optimizers(config, 'sgd', learning_rate=0.02)
  digits = load_dataset(config.dataset)
  mesh = sharding.make_mesh(config.batch_size, devices=jax.devices()[:num_devices], microbatches=2)
  experiment = build(config, digits.spec)
  state = build_state(config, experiment, mesh)
  arrays = jax.device_put((digits.images, digits.labels), sharding.replicated(mesh))
  indices = step_indices(config, experiment.algorithm.batches_per_step, 0, len(digits.images))
  indices = jax.device_put(indices, sharding.over_batch(mesh, 2))
  state, metrics = build_train_steps(config, experiment, digits.spec, mesh)(state, arrays, indices, 3)
  return state.players, state.ema, metrics


def compare_devices():
  """Run where there are eight devices."""
  assert len(jax.devices()) == 8
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), steps_on(1), steps_on(8))


def test_slices_on_eight_devices_are_those_on_one():
  flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
  subprocess.run([sys.executable, __file__], check=True, timeout=300,
                 env={**os.environ, 'XLA_FLAGS': flags, 'PYTHONPATH': os.getcwd(), 'JAX_PLATFORMS': 'cpu'})


if __name__ == '__main__':
  compare_devices()
