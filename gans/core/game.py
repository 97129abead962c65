"""The contract of every GAN: players by name, updates as data, losses over players that are bound to their parameters.

An algorithm (gans/algorithms) is an `Algorithm`: a tuple of `Update`s. Each has a loss (play, batch, rng) -> scalar,
metrics, in which `play.critic(x, label)` is the critic as a function of its inputs alone.
"""
import collections
from collections.abc import Callable, Mapping
import functools
from typing import Any, NamedTuple

from flax import linen as nn
from flax import traverse_util
import jax
from jax.extend.core import get_opaque_trace_state
import jax.numpy as jnp
import optax

from gans.errors import UserError

PyTree = Any
Variables = dict[str, Any]  # of one player: {'params': ..., 'batch_stats': ...}

PLAY_STREAM = 2**31  # folded into an update's key for the players' own keys; no loss splits its key into so many


# What a batch has, by the name in `Algorithm.data`; images are [B,...] float32. 'a' and 'b' are the two classes of a
# data set: of the same thing in 'pairs', and drawn apart from each other in 'domains'. Of a data set with attributes,
# 'attributes' [B,K] float32, 1 for what an example has and 0 for what it has not, replace the labels [B] int32.
DATA = {'examples': ('image', 'label'), 'pairs': ('a', 'b'), 'domains': ('a', 'b')}


class Player(NamedTuple):
  """One network in training; one without parameters is a memory, such as a pool of earlier images."""
  params: PyTree  # float32; {} of a memory
  model_state: PyTree  # linen's other collections, such as {'batch_stats': ...}; {} if there are none
  opt_state: PyTree  # () of a memory


class GANState(NamedTuple):
  """Everything that a step reads and writes. A run is a pure function of this and of the data."""
  step: jax.Array  # [] int32, steps taken so far
  rng: jax.Array  # [2] uint32, never changes: each step folds its number into it
  players: dict[str, Player]
  ema: dict[str, Variables]  # the averaged players' variables, averaged over the steps


class Weights(NamedTuple):
  """Variables that a run starts from, of some players and with some of their arrays; all others are drawn."""
  players: Mapping[str, Variables] = {}
  ema: Mapping[str, Variables] = {}


NO_WEIGHTS = Weights()

# The axis of (step, rng, players, ema) that counts seeds trained side by side, for `jax.vmap`; their step is the same.
SEED_AXES = GANState._make([None, 0, 0, 0])


def identity(params: PyTree) -> PyTree:
  """Returns the parameters as they are: the projection of an update that needs none."""
  return params


def always(metrics: Mapping[str, jax.Array]) -> bool:
  """Returns True: the gate of an update that is always taken."""
  del metrics
  return True


class Update(NamedTuple):
  """Gradient steps of one or more players on one loss."""
  players: tuple[str, ...]  # whose parameters learn
  loss: Callable  # (play, batch, rng) -> scalar, {metric: scalar}
  repeats: int = 1  # times a step, each with a key and a batch of its own: n_critic
  every: int = 1  # steps from one time to the next: lazy regularisation
  project: Callable = identity  # {player: params} -> the same, back to where they may be: WGAN's clip
  gate: Callable = always  # {metric: scalar} -> bool: whether this time counts; 3D-GAN's critic must not be too good


def generate(play, inputs: dict) -> jax.Array:
  """Draws samples of noise and labels: inputs {'z': [B,Z], 'label': [B]} -> [B,...]."""
  return play.generator(inputs['z'], inputs['label'])


class Algorithm(NamedTuple):
  """What makes one GAN different from another."""
  updates: tuple[Update, ...]  # in the order in which a step takes them
  inputs: Callable  # (rng, batch) -> {name: [B,...]}, what `draw` takes; see sampling.noise_and_label
  draw: Callable = generate  # (play, inputs) -> samples [B,...]
  data: str = 'examples'  # what the losses' batches have, a name in DATA; that of `inputs` has 'image' and 'label'
  classes: int = 0  # values of a sample's label, where they are not the classes of the data: InfoGAN's code
  reconstruct: Callable | None = None  # (play, batch of DATA) -> images [B,...], and what they should be: a cycle
  averaged: tuple[str, ...] = ('generator',)  # the players that samples come from: their variables are averaged
  memories: Mapping[str, nn.Module] = {}  # players without parameters, which no config describes

  @property
  def networks(self) -> tuple[str, ...]:
    """The names of the players that learn, those that samples come from first."""
    learning = [name for update in self.updates for name in update.players]
    return tuple(dict.fromkeys([*self.averaged, *learning]))

  @property
  def updates_per_step(self) -> int:
    """How many updates a step takes, repeats counted."""
    return sum(update.repeats for update in self.updates)

  @property
  def batches_per_step(self) -> int:
    """How many batches a step takes from the data: as many as its most repeated update."""
    return max(update.repeats for update in self.updates)


class Play:
  """The players as functions of their inputs alone: play.critic(x, label) -> scores. Made by `bind`.

  Each call has a key of its own, for dropout and the like. What a call leaves in a player's model state (batch norm's
  averages, a memory's contents) is in `model_states` afterwards, and the next call sees it. A call inside another
  transformation, such as the gradient of a penalty, reads that state and leaves nothing in it. `progress` [], from 0 to
  1, is how far what a config anneals has come (core/annealing.py).
  """

  def __init__(self, modules: Mapping[str, nn.Module], params: Mapping, model_states: Mapping, rng, train: bool = True,
               progress=0.0):
    self.model_states = dict(model_states)
    self.progress = progress
    self._modules = modules
    self._params = params
    self._rng = rng
    self._train = train
    self._num_calls = 0
    self._trace = get_opaque_trace_state()

  def __getattr__(self, name: str) -> Callable:
    if name.startswith('_'):
      raise AttributeError(name)
    if name not in self._modules:
      which = '' if self._train else ', the averaged players'
      raise UserError(f'no player {name!r} here: expected one of {list(self._modules)}{which}')
    return functools.partial(self._call, name)

  def _call(self, name: str, *inputs, **named):
    if named:
      raise UserError(f'play.{name} is called with {min(named)}=...: expected its inputs by position')
    return self._run(name, inputs)

  def _run(self, name: str, inputs: tuple):
    variables = {'params': self._params[name], **self.model_states[name]}
    output, model_state = self._apply(name, variables, inputs)
    in_another_transformation = get_opaque_trace_state() != self._trace
    if self._train and not in_another_transformation:
      self.model_states[name] = model_state
    return output

  def _apply(self, name: str, variables: Variables, inputs: tuple):
    collections = tuple(collection for collection in variables if collection != 'params')
    rngs = None
    if self._train:
      rngs = jax.random.fold_in(self._rng, self._num_calls)
      self._num_calls += 1
    mutable = collections if self._train else ()
    module = self._modules[name]
    apply = _apply_once if _is_hashable(module) else _apply
    return apply(module, variables, inputs, rngs, self._train, mutable)


def _apply(module: nn.Module, variables: Variables, inputs: tuple, rngs, train: bool, mutable: tuple[str, ...]):
  return module.apply(variables, *inputs, train=train, mutable=list(mutable), rngs=rngs)


# JAX traces and differentiates a network once for all calls with the same shapes: on real images, on generated ones, in
# a penalty, for samples. XLA inlines the calls.
_apply_once = jax.jit(_apply, static_argnames=('module', 'train', 'mutable'))


def _is_hashable(module: nn.Module) -> bool:
  """Tells whether a module can be a static argument; one with a list among its fields cannot."""
  try:
    hash(module)
  except TypeError:
    return False
  return True


def bind(modules: Mapping[str, nn.Module], params: Mapping, model_states: Mapping, rng, progress=0.0) -> Play:
  """Binds the players, in training mode, to their parameters and model states, each {player: tree}."""
  return Play(modules, params, model_states, jax.random.fold_in(rng, PLAY_STREAM), progress=progress)


def bind_trained(modules: Mapping[str, nn.Module], variables: Mapping[str, Variables]) -> Play:
  """Binds trained players, {player: variables}, for samples: batch norm uses its running averages, nothing changes."""
  params, model_states = {}, {}
  for name, player_variables in variables.items():
    model_states[name] = dict(player_variables)
    params[name] = model_states[name].pop('params', {})
  trained = {name: modules[name] for name in variables}
  return Play(trained, params, model_states, rng=None, train=False)


def init_variables(module: nn.Module, rng, inputs: tuple) -> Variables:
  """Initialises a network on inputs, of which only the shapes matter."""
  params_rng, dropout_rng = jax.random.split(rng)
  return dict(module.init({'params': params_rng, 'dropout': dropout_rng}, *inputs, train=True))


def replace_some(variables: Variables, given: Variables | None) -> Variables:
  """Returns variables in which the arrays that are given, by the same names, take the place of others."""
  if not given:
    return variables
  replaced = traverse_util.flatten_dict(variables, keep_empty_nodes=True)
  for path, array in traverse_util.flatten_dict(given).items():
    # A copy, as jit returns an input as it is, and the buffers of a state are donated: each has to be its own.
    replaced[path] = jnp.array(array, replaced[path].dtype, copy=True)
  return traverse_util.unflatten_dict(replaced)


def create_player(module: nn.Module, optimizer: optax.GradientTransformation | None, rng, shapes: tuple,
                  given: Variables | None = None) -> Player:
  """Initialises a network on inputs of these shapes, and its optimizer; a memory has none.

  What is `given` of the variables takes the place of what is drawn.
  """
  zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
  variables = replace_some(init_variables(module, rng, zeros), given)
  params = variables.pop('params', {})
  opt_state = optimizer.init(params) if optimizer else ()
  # One that starts as a Python number has a weak type until a step has changed it, which is then compiled once more.
  model_state = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.result_type(leaf)), variables)
  return Player(params, model_state, opt_state)


def create_state(rng, algorithm: Algorithm, modules: Mapping[str, nn.Module], optimizers: Mapping,
                 first_inputs: Mapping[str, tuple], weights: Weights = NO_WEIGHTS) -> GANState:
  """Starts a run. Call it under `jax.jit`, which gives the average buffers of its own: a donated step needs that.

  Args:
    rng: [2] uint32 key, from the seed.
    modules: {player: linen module}, called (*inputs, train=...).
    optimizers: {player: optax transformation} of those that learn.
    first_inputs: {player: shapes}, of tracing.trace_losses.
    weights: what takes the place of the random weights, and of the averages, which are the players' own otherwise.
  """
  *rngs, run_rng = jax.random.split(rng, len(modules) + 1)
  # JAX sorts the names of a dict, and keeps those of an OrderedDict: a compiled step then goes through the players in
  # the order in which they are declared, which was up to 5 % faster.
  players: collections.OrderedDict[str, Player] = collections.OrderedDict()
  for name, player_rng in zip(modules, rngs):
    players[name] = create_player(modules[name], optimizers.get(name), player_rng, first_inputs[name],
                                  weights.players.get(name))
  ema = {name: replace_some(variables_of(players[name]), weights.ema.get(name)) for name in algorithm.averaged}
  return GANState(jnp.zeros((), jnp.int32), run_rng, players, ema)


def variables_of(player: Player) -> Variables:
  """Returns a player's variables as linen takes them, {'params': ..., 'batch_stats': ...}."""
  return {'params': player.params, **player.model_state}


def each_seed(tree: PyTree, num_seeds: int) -> list[PyTree]:
  """Splits a part of the state, such as the average, into one tree for each seed."""
  if num_seeds == 1:
    return [tree]
  return [jax.tree.map(lambda leaf, i=i: leaf[i], tree) for i in range(num_seeds)]
