"""The alternating update: n_critic steps of the critic, one of the generator, one of the average.

    train_step = make_train_step(algorithm, optimizers, ema_decay=0.999)
    state, metrics = train_step(state, batch)  # batch leaves [n_critic, B, ...]

Nothing here knows which GAN it trains: that is the `Algorithm`'s business.
"""
from collections.abc import Callable
from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
import optax

from gans.microbatches import mean_gradient
from gans.state import SEEDS, GANState, Player


def keep(params):
  """The identity: a critic that is not projected."""
  return params


class Algorithm(NamedTuple):
  """What makes one GAN different from another.

  Both losses map (params, state, batch, rng) -> loss, (model_states, metrics): `params` are those to differentiate,
  `batch` is {'image': [B,...], 'label': [B]}, `model_states` (generator's, critic's) after the forward passes, and
  metrics a dict of scalars. `project_critic` maps the critic's parameters back to where they are allowed to be.
  """
  critic_loss: Callable
  generator_loss: Callable
  project_critic: Callable = keep


def make_train_step(algorithm: Algorithm, optimizers, ema_decay: float, microbatches: int = 1) -> Callable:
  """Returns a pure train_step(state, batch) -> (state, metrics); batch leaves [n_critic, B, ...], metrics scalars.

  Every critic update sees its own slice of the batch and its own key. The generator then meets the last slice's
  labels. Randomness is a function of (state.rng, state.step) only. An update's gradient is the mean of those of
  `microbatches` parts of its batch, see microbatches.mean_gradient.
  """
  generator_optimizer, critic_optimizer = optimizers
  critic_gradient, generator_gradient = (
      mean_gradient(loss, microbatches) for loss in (algorithm.critic_loss, algorithm.generator_loss))

  def critic_update(state: GANState, batch_and_rng):
    gradients, (model_states, metrics) = critic_gradient(state.critic.params, state, *batch_and_rng)
    critic = _descend(state.critic, critic_optimizer, gradients)
    critic = critic._replace(params=algorithm.project_critic(critic.params))
    return _keep_model_states(state._replace(critic=critic), model_states), metrics

  def generator_update(state: GANState, batch, rng):
    gradients, (model_states, metrics) = generator_gradient(state.generator.params, state, batch, rng)
    generator = _descend(state.generator, generator_optimizer, gradients)
    return _keep_model_states(state._replace(generator=generator), model_states), metrics

  def train_step(state: GANState, batch):
    n_critic = jax.tree.leaves(batch)[0].shape[0]
    rngs = jax.random.split(jax.random.fold_in(state.rng, state.step), n_critic + 1)
    state, critic_metrics = lax.scan(critic_update, state, (batch, rngs[:-1]))
    last = jax.tree.map(lambda x: x[-1], batch)
    state, generator_metrics = generator_update(state, last, rngs[-1])
    state = state._replace(ema=update_ema(state, ema_decay), step=state.step + 1)
    return state, jax.tree.map(jnp.mean, critic_metrics) | generator_metrics

  return train_step


def make_train_steps(train_step: Callable, prepare: Callable, out_shardings=None, seeds: bool = False) -> Callable:
  """Returns train_steps(state, data, indices, num_steps) -> (state, metrics [T]): many steps in one jitted call.

  `indices` [T, n_critic, B] int32 name the examples of every step, and prepare(data, index, rng) makes a step's
  batch of them on the device. Only the first num_steps <= T steps are taken, and only their metrics mean anything.
  As the number is no part of the compiled program, a run is bit for bit the same however it is cut into calls, and
  compiles once. The state is donated; `out_shardings` are those of (state, metrics).

  With `seeds` S runs go side by side: the state has an axis as state.SEEDS says, indices are [T, S, n_critic, B] and
  metrics [T, S].
  """
  def next_step(state, data, index):
    rng = jax.random.fold_in(state.rng, ~state.step)  # the complement: no train_step folds that in
    return train_step(state, prepare(data, index, rng))

  if seeds:
    next_step = jax.vmap(next_step, in_axes=(SEEDS, None, 0), out_axes=(SEEDS, 0))
  next_step = jax.jit(next_step)  # so that it is traced once, for the metrics' shapes and for the loop

  def train_steps(state, data, indices, num_steps):
    def body(i, carry):
      state, history = carry
      state, metrics = next_step(state, data, indices[i])
      return state, jax.tree.map(lambda h, m: h.at[i].set(m), history, metrics)

    _, metrics = jax.eval_shape(next_step, state, data, indices[0])
    history = jax.tree.map(lambda m: jnp.zeros((len(indices), *m.shape), m.dtype), metrics)
    return lax.fori_loop(0, num_steps, body, (state, history))

  return jax.jit(train_steps, donate_argnums=0, out_shardings=out_shardings)


def update_ema(state: GANState, decay: float):
  """Moves the average towards the generator's variables; min(decay, (1 + t) / (10 + t)) lets it forget the start."""
  decay = jnp.minimum(decay, (1 + state.step) / (10 + state.step))
  variables = {'params': state.generator.params, **state.generator.model_state}
  return optax.incremental_update(variables, state.ema, 1 - decay)


def _descend(player: Player, optimizer, gradients) -> Player:
  updates, opt_state = optimizer.update(gradients, player.opt_state, player.params)
  return player._replace(params=optax.apply_updates(player.params, updates), opt_state=opt_state)


def _keep_model_states(state: GANState, model_states) -> GANState:
  generator, critic = model_states
  return state._replace(generator=state.generator._replace(model_state=generator),
                        critic=state.critic._replace(model_state=critic))
