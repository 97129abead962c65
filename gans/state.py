"""The state of training: two players, the averaged generator, and all that a run needs to go on where it stopped."""
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

PyTree = Any


class Player(NamedTuple):
  """One network in training; leaves as linen and optax make them."""
  params: PyTree  # float32
  model_state: PyTree  # linen's other collections, such as {'batch_stats': ...}; {} where there are none
  opt_state: PyTree


class GANState(NamedTuple):
  """Everything that a step reads and writes. A run is a pure function of this and of the data."""
  step: jax.Array  # [] int32, generator updates so far
  rng: jax.Array  # [2] uint32, never changes: each step folds its number into it
  generator: Player
  critic: Player
  ema: PyTree  # the generator's variables {'params': ..., 'batch_stats': ...}, averaged over the steps


# Which axis counts the seeds that train side by side, for `jax.vmap`: they are always at the same step.
SEEDS = GANState(step=None, rng=0, generator=0, critic=0, ema=0)


def each_seed(tree: PyTree, num_seeds: int) -> list[PyTree]:
  """Splits a part of the state, such as the average, into one tree for each seed."""
  return [tree] if num_seeds == 1 else [jax.tree.map(lambda leaf, i=i: leaf[i], tree) for i in range(num_seeds)]


def create_player(module, optimizer: optax.GradientTransformation, rng, x, label) -> Player:
  """Initialises a network on one example x [B,...], label [B], and its optimizer."""
  params_rng, dropout_rng = jax.random.split(rng)
  variables = dict(module.init({'params': params_rng, 'dropout': dropout_rng}, x, label, train=True))
  params = variables.pop('params')
  return Player(params, variables, optimizer.init(params))


def create_state(rng, generator, critic, optimizers, z_dim: int, example) -> GANState:
  """Starts a run: call it under `jax.jit`, which gives the average buffers of its own (a donated step needs that).

  Args:
    rng: [2] uint32 key, from the seed.
    generator, critic: linen modules, called (z or image, label, *, train).
    optimizers: (generator's, critic's) optax transformations.
    z_dim: size of the noise.
    example: {'image': [B,...] float32, 'label': [B] int32}; only shapes matter.
  """
  generator_rng, critic_rng, run_rng = jax.random.split(rng, 3)
  z = jnp.zeros((example['image'].shape[0], z_dim))
  generator = create_player(generator, optimizers[0], generator_rng, z, example['label'])
  critic = create_player(critic, optimizers[1], critic_rng, example['image'], example['label'])
  ema = {'params': generator.params, **generator.model_state}
  return GANState(jnp.zeros((), jnp.int32), run_rng, generator, critic, ema)
