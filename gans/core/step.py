"""The train step: every update of an algorithm in its order, then the running average of the players that samples
come from.

    train_step = make_train_step(algorithm, modules, optimizers, ema_decay=0.999)
    state, metrics = train_step(state, batch)  # batch leaves [algorithm.batches_per_step, B, ...]

Nothing here knows which GAN it trains: that is the `Algorithm`'s business.
"""
from collections.abc import Callable, Mapping

import jax
from jax import lax
import jax.numpy as jnp
import optax

from gans.core.annealing import anneal
from gans.core.game import SEED_AXES, Algorithm, GANState, Player, PyTree, Update, always, bind, variables_of
from gans.core.microbatches import mean_gradient


def make_train_step(algorithm: Algorithm, modules: Mapping, optimizers: Mapping, ema_decay: float,
                    microbatches: int = 1, ema_half_life=0.0, anneal_steps: float = 1) -> Callable:
  """Returns a pure train_step(state, batch) -> (state, metrics): batch leaves [N,B,...], metrics {name: scalar}.

  N is algorithm.batches_per_step. Each repeat of an update sees its own batch and its own key; an update that is
  repeated fewer than N times sees the last batches. Randomness is a function of (state.rng, state.step) alone. A
  gradient is the mean over `microbatches` parts of its batch, see microbatches.mean_gradient. The metrics of an update
  are means over its repeats, and zeros in a step that skips it. `ema_half_life`, in steps and in place of ema_decay
  where it is not 0, may be annealed, as what the losses anneal, over the first `anneal_steps` steps.
  """
  takes = [make_update(update, modules, optimizers, microbatches, anneal_steps) for update in algorithm.updates]

  def train_step(state: GANState, batch):
    rngs = jax.random.split(jax.random.fold_in(state.rng, state.step), algorithm.updates_per_step)
    metrics: dict[str, jax.Array] = {}
    for update, take in zip(algorithm.updates, takes):
      own_rngs, rngs = rngs[:update.repeats], rngs[update.repeats:]
      own_batches = jax.tree.map(lambda x, repeats=update.repeats: x[-repeats:], batch)
      state, own_metrics = take(state, own_batches, own_rngs)
      metrics |= own_metrics
    decay = decay_of(ema_half_life, state.step / anneal_steps) if ema_half_life else warm_up(ema_decay, state.step)
    state = state._replace(ema=update_ema(state, decay), step=state.step + 1)
    return state, metrics

  return train_step


def make_update(update: Update, modules: Mapping, optimizers: Mapping, microbatches: int = 1,
                anneal_steps: float = 1) -> Callable:
  """Returns take(state, batches [repeats,B,...], rngs [repeats]) -> (state, metrics) of one update."""
  gradient = mean_gradient(bind_loss(update, modules, anneal_steps), microbatches)

  def take_once(state: GANState, batch_and_rng):
    batch, rng = batch_and_rng
    gradients, (model_states, metrics) = gradient(learning_params(update, state.players), state, batch, rng)
    players = state.players.copy()
    for name, player in state.players.items():
      players[name] = player._replace(model_state=model_states[name])
    moved = {name: _descend(players[name], optimizers[name], gradients[name]) for name in update.players}
    projected = update.project(learning_params(update, moved))
    for name in update.players:
      moved[name] = moved[name]._replace(params=projected[name])
    if update.gate is not always:
      # The optimizer's state stays too: with a loss of zero, Adam would move on.
      moved = keep_if(update.gate(metrics), moved, {name: players[name] for name in moved})
    players.update(moved)
    return state._replace(players=players), metrics

  def take_repeatedly(state: GANState, batches, rngs):
    state, metrics = lax.scan(take_once, state, (batches, rngs))
    return state, jax.tree.map(jnp.mean, metrics)

  def take_or_skip(state: GANState, batches, rngs):
    _, shapes = jax.eval_shape(take_repeatedly, state, batches, rngs)

    def skip(state, batches, rngs):
      del batches, rngs
      return state, jax.tree.map(lambda metric: jnp.zeros(metric.shape, metric.dtype), shapes)

    return lax.cond(state.step % update.every == 0, take_repeatedly, skip, state, batches, rngs)

  return take_repeatedly if update.every == 1 else take_or_skip


def bind_loss(update: Update, modules: Mapping, anneal_steps: float = 1) -> Callable:
  """Returns loss(params, state, batch, rng) -> loss, (model_states, metrics) of an update, to be differentiated.

  `params` {player: params} are those of the players that learn; all others are the state's, and constants.
  """
  def loss(params, state: GANState, batch, rng):
    all_params = {name: player.params for name, player in state.players.items()} | params
    model_states = {name: player.model_state for name, player in state.players.items()}
    play = bind(modules, all_params, model_states, rng, progress=jnp.clip(state.step / anneal_steps, 0, 1))
    value, metrics = update.loss(play, batch, rng)
    return value, (play.model_states, metrics)

  return loss


def keep_if(holds, moved: PyTree, before: PyTree) -> PyTree:
  """Returns `moved` if `holds`, a scalar bool, and otherwise what was `before`, bit for bit."""
  return jax.tree.map(lambda new, old: jnp.where(holds, new, old), moved, before)


def learning_params(update: Update, players: Mapping[str, Player]) -> dict:
  """Returns the parameters that learn in an update, {player: params}."""
  return {name: players[name].params for name in update.players}


def _descend(player: Player, optimizer: optax.GradientTransformation, gradients) -> Player:
  updates, opt_state = optimizer.update(gradients, player.opt_state, player.params)
  return player._replace(params=optax.apply_updates(player.params, updates), opt_state=opt_state)


def warm_up(decay: float, step):
  """Returns min(decay, (1 + t) / (10 + t)), which lets an average forget the start."""
  return jnp.minimum(decay, (1 + step) / (10 + step))


def decay_of(half_life, progress):
  """Returns the decay that halves what an average remembers in `half_life` steps, which may be annealed; 0 at 0."""
  return 0.5**(1 / jnp.maximum(anneal(half_life, progress), 1e-8))


def update_ema(state: GANState, decay) -> dict:
  """Moves the averages towards the players' variables: decay * average + (1 - decay) * variables."""
  averages = {}
  for name, average in state.ema.items():
    averages[name] = optax.incremental_update(variables_of(state.players[name]), average, 1 - decay)
  return averages


def make_train_steps(train_step: Callable, prepare: Callable, out_shardings=None, seeds: bool = False) -> Callable:
  """Returns train_steps(state, data, indices, num_steps) -> (state, metrics [T]): many steps in one jitted call.

  `indices` [T,N,B] int32 name the examples of every step, and prepare(data, index, rng) makes a step's batch of them
  on the device; of data that are streamed they are [T], positions in a block. Only the first num_steps <= T steps are
  taken, and only their metrics mean anything. As the number is no part of the compiled program, a run is bit for bit
  the same however it is cut into calls, and compiles once. The state is donated; `out_shardings` are those of (state,
  metrics).

  With `seeds` S runs are taken together, see `take_seeds`: the state has an axis as game.SEED_AXES says, indices are
  [T,S,N,B] and metrics [T,S].
  """
  @jax.jit  # so that it is traced once, for the metrics' shapes and for the loop
  def next_step(state, data, index):
    rng = jax.random.fold_in(state.rng, ~state.step)  # the complement: no train_step folds that in
    return train_step(state, prepare(data, index, rng))

  def train_steps(state, data, indices, num_steps):
    def body(i, carry):
      state, history = carry
      state, metrics = next_step(state, data, indices[i])
      return state, jax.tree.map(lambda h, m: h.at[i].set(m), history, metrics)

    _, metrics = jax.eval_shape(next_step, state, data, indices[0])
    history = jax.tree.map(lambda m: jnp.zeros((len(indices), *m.shape), m.dtype), metrics)
    return lax.fori_loop(0, num_steps, body, (state, history))

  take = take_seeds(train_steps) if seeds else train_steps
  return jax.jit(take, donate_argnums=0, out_shardings=out_shardings)


def take_seeds(train_steps: Callable) -> Callable:
  """Returns the train_steps of several seeds at once: side by side, and on a CPU in turn.

  One seed keeps the cores of a CPU busy; the batched products of several take up to a quarter longer than all of
  them one after the other.
  """
  def train_seeds(state: GANState, data, indices, num_steps):
    def train_seed(each):
      state, indices = each
      return train_steps(state, data, indices, num_steps)

    def in_turn(state, indices):
      steps = jnp.broadcast_to(state.step, len(state.rng))  # of the one step that they share
      states, metrics = lax.map(train_seed, (state._replace(step=steps), jnp.moveaxis(indices, 1, 0)))
      return states._replace(step=states.step[0]), jax.tree.map(jnp.transpose, metrics)

    def side_by_side(state, indices):
      together = jax.vmap(train_seed, in_axes=((SEED_AXES, 1),), out_axes=(SEED_AXES, 1))
      return together((state, indices))

    return lax.platform_dependent(state, indices, cpu=in_turn, default=side_by_side)

  return train_seeds
