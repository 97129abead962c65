"""Optimizers by name: those of optax that take a learning rate, each with a schedule, clipping and weight decay."""
from collections.abc import Callable, Sequence
import inspect

import jax
import jax.numpy as jnp
import optax

from gans.core.annealing import anneal, is_annealed
from gans.errors import UserError, first_line
from gans.ranges import FRACTION, NONE, Anything, Either, MayBeAnnealed, Number, OneOf, Range, Text, range_of_type

# {name: (learning rate, number of updates) -> what optax takes}.
SCHEDULES: dict[str, Callable] = {
    'constant': lambda rate, num_updates: rate,
    'linear': lambda rate, num_updates: optax.linear_schedule(rate, 0.0, num_updates),
    'cosine': optax.cosine_decay_schedule,
    'late_linear': lambda rate, num_updates: optax.linear_schedule(rate, 0.0, num_updates / 2, num_updates / 2),
}
# The fields that a config gives to every optimizer, and those that it may give to any.
NEEDED: dict[str, Range] = {'name': Text(), 'learning_rate': MayBeAnnealed(Number(above=0)),
                            'schedule': OneOf(tuple(SCHEDULES))}
ADDED: dict[str, Range] = {'clip_norm': Number(least=0), 'weight_decay': Number(least=0)}
BETAS = ('b1', 'b2', 'b3', 'beta', 'decay', 'rho', 'decay_rate')
# optax's own fields. All other numbers are of at least 0, as every hyperparameter of optax is.
OWN: dict[str, Range] = dict.fromkeys(BETAS, FRACTION) | {
    'b2': MayBeAnnealed(FRACTION), 'momentum': Either((FRACTION, NONE)), 'eps': Number(above=0)}


def find_optimizer(field: str, name: str) -> Callable:
  """Returns the optimizer that config.PLAYER.optimizer.name names; `field` is PLAYER.optimizer.

  Raises:
    UserError: neither optax nor optax.contrib has one of that name which takes a learning rate.
  """
  for module in (optax, optax.contrib):
    found = None if str(name).startswith(('_', 'scale_by_')) else vars(module).get(name)
    if inspect.isfunction(found) and 'learning_rate' in inspect.signature(found).parameters:
      return found
  raise UserError(f'{field}.name={name!r}: optax has no optimizer of that name which takes a learning rate; common '
                  'ones are adam, adamw, rmsprop and sgd')


def optimizer_ranges(field: str, name: str) -> dict[str, Range]:
  """Returns {field: range} of the fields that an optimizer takes in a config."""
  ranges = {}
  for parameter in inspect.signature(find_optimizer(field, name)).parameters.values():
    own = OWN.get(parameter.name, _range_of_default(parameter.default))
    # lars adds an eps of 0 to what cannot be 0.
    ranges[parameter.name] = own if own.holds(parameter.default) else _range_of_default(parameter.default)
  return ranges | ADDED | NEEDED


def _range_of_default(default) -> Range:
  if isinstance(default, float):
    return Number(least=0)
  return range_of_type(type(default)) if isinstance(default, bool | int | str) else Anything()


def make_optimizer(field: str, settings: dict, num_updates: float,
                   anneal_updates: float = 1) -> optax.GradientTransformation:
  """Makes the optimizer of a group config.PLAYER.optimizer, as a dict; its schedule ends after `num_updates`.

  A learning rate or b2 that is a pair is annealed over the first `anneal_updates` updates. Adam corrects its bias by
  the b2 of the moment, as PyTorch's does whose b2 is changed.

  `clip_norm` above 0 is the most that the norm of a player's whole gradient may be. `weight_decay` is the optimizer's
  own where it has one, as adamw; otherwise that multiple of the parameters is added to the gradient. Where both are 0,
  and b2 is one number, the state is that of optax's optimizer alone.

  Raises:
    UserError: there is no such optimizer, it does not take these fields, or its learning rate has two schedules.
  """
  settings = dict(settings)
  name, rate, schedule = (settings.pop(key) for key in NEEDED)
  make = find_optimizer(field, name)

  def annealed(value) -> Callable:
    return lambda count: anneal(value, count / anneal_updates)

  if is_annealed(rate):
    if schedule != 'constant':
      raise UserError(f"{field}.schedule={schedule!r}: learning_rate={rate} has a schedule of its own; expected "
                      "'constant', or one learning rate")
    learning_rate = annealed(rate)
  else:
    learning_rate = SCHEDULES[schedule](rate, num_updates)
  if is_annealed(settings.get('b2')):
    settings['b2'] = annealed(settings['b2'])
    make = optax.inject_hyperparams(make, static_args=inspect.signature(make).parameters.keys() - {'b2'})
  clip_norm = settings.pop('clip_norm', 0)
  has_decay = 'weight_decay' in inspect.signature(make).parameters
  weight_decay = 0 if has_decay else settings.pop('weight_decay', 0)
  try:
    optimizer = make(learning_rate, **settings)
  except (TypeError, ValueError) as error:
    raise UserError(f'{field}: optax.{name} with {settings}: {error}') from error
  before = []
  if clip_norm:
    before.append(optax.clip_by_global_norm(clip_norm))
  if weight_decay:
    before.append(optax.add_decayed_weights(weight_decay))
  return optax.chain(*before, optimizer) if before else optimizer


def freeze(optimizer: optax.GradientTransformation, names: Sequence[str]) -> optax.GradientTransformation:
  """Returns an optimizer that leaves the parameters of these names as they are (FreezeD, Mo et al. 2020).

  A name, such as 'Conv_0' or 'Block_0/Conv_0', is that of all parameters below it. Their gradients do not count for
  clip_norm, their weights do not decay, and the optimizer's state has nothing of them.
  """
  def label(params):
    return jax.tree.map_with_path(lambda path, _: 'frozen' if is_below(names, name_of(path)) else 'moving', params)

  return optax.partition({'moving': optimizer, 'frozen': optax.set_to_zero()}, label)


def check_frozen(field: str, names: Sequence[str], params):
  """Raises UserError for a name in config.PLAYER.freeze, `field`, that none of the player's parameters has."""
  there = [name_of(path) for path, _ in jax.tree.leaves_with_path(params)]
  for name in names:
    if not any(is_below([name], parameter) for parameter in there):
      parts = dict.fromkeys(parameter.rpartition('/')[0] for parameter in there)
      raise UserError(f'{field}={tuple(names)}: the player has no parameters {name!r}; it has those of {list(parts)}')


def is_below(names: Sequence[str], parameter: str) -> bool:
  """Tells whether a parameter, such as 'Conv_0/kernel', has one of these names or is a part of what has it."""
  return any(f'{parameter}/'.startswith(f'{name}/') for name in names)


def name_of(path: tuple) -> str:
  """Returns the name of the parameter at a path of JAX's, such as 'Conv_0/kernel'."""
  return jax.tree_util.keystr(path, simple=True, separator='/')


def check_optimizer(field: str, settings: dict, optimizer: optax.GradientTransformation, params):
  """Follows an update on the shapes of a player's parameters; nothing is computed.

  Raises:
    UserError: the optimizer fails on them, or needs more than a gradient, such as the value of the loss.
  """
  def update(params):
    before = optimizer.init(params)
    updates, after = optimizer.update(params, before, params)
    return before, after, optax.apply_updates(params, updates)

  who = f'{field}: optax.{settings["name"]} with {settings}'
  try:
    before, after, updated = jax.eval_shape(update, params)
  except Exception as error:  # whatever a field of any type may do in a library
    raise UserError(f'{who}: {type(error).__name__}: {first_line(error)}') from error
  if _types((before, params)) != _types((after, updated)):
    raise UserError(f'{who}: its state or the parameters have other shapes or types after an update')


def _types(tree) -> list:
  leaves = jax.tree.leaves_with_path(tree)
  return [(jax.tree_util.keystr(path), jnp.shape(leaf), jnp.result_type(leaf)) for path, leaf in leaves]
