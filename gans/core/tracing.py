"""What an algorithm's losses say before anything is computed: they are followed on the shapes of a batch.

So a player is initialised by what a loss first calls it with, and a mistake in an algorithm is found at the start.
"""
from collections.abc import Callable, Iterator, Mapping
import contextlib
import functools
import inspect
import re
import traceback
from typing import NamedTuple

from flax import linen as nn
from flax.errors import FlaxError, ScopeParamShapeError
import jax
from jax.extend.core import get_opaque_trace_state
from jax.interpreters.partial_eval import dce_jaxpr
import jax.numpy as jnp

from gans.core.game import Algorithm, Play, PyTree, Update, Variables, bind_trained, init_variables
from gans.errors import UserError

# What a mistake in an algorithm or a network raises.
MISTAKES = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, FlaxError)


class Traced(NamedTuple):
  """What the losses say."""
  first_inputs: dict[str, tuple]  # {player: the shapes of what a loss first calls it with}
  variables: dict[str, Variables]  # {player: the shapes of its variables}
  intervals: dict[str, int]  # {metric: the `every` of the update that reports it}
  differentiated: set[str]  # players called inside another transformation, such as a penalty's gradient


def trace_losses(algorithm: Algorithm, modules: Mapping[str, nn.Module], batch: PyTree) -> Traced:
  """Follows every loss on the shapes of a batch; no array is made and nothing is compiled.

  Raises:
    UserError: a loss that is no (scalar, {metric: scalar}) or does not call the players that learn from it, a metric
      that two updates report, a player that no loss calls or that is called with what it does not take, a memory that
      changes its shapes or has parameters, a part of a batch that is not there, a projection that returns something
      else than parameters, or a gate that is no bool.
  """
  traced = Traced({}, {}, {}, set())
  rng = jax.ShapeDtypeStruct((2,), jnp.uint32)
  for update in algorithm.updates:
    called: set[str] = set()

    def follow(batch, rng, update=update, called=called):
      with _placing_errors(update.loss, '; the fields of the players may not suit the algorithm, such as classify, '
                           'outputs and features, which say what a network returns'):
        returned = update.loss(_FirstCalls(modules, traced, called, rng), _Batch(batch), rng)
      _check_loss(update, returned)
      _check_gate(update, returned[1])
      return returned

    _, metrics = jax.eval_shape(follow, batch, rng)
    for name in update.players:
      if name not in called:
        raise UserError(f'the loss of {" and ".join(update.players)} does not call the player {name!r}, which would '
                        'learn nothing from it')
    if twice := traced.intervals.keys() & metrics.keys():
      raise UserError(f'two updates report the metric {min(twice)!r}: give each a name of its own')
    traced.intervals.update(dict.fromkeys(metrics, update.every))
  if idle := modules.keys() - traced.first_inputs.keys():
    raise UserError(f'no loss calls the player {min(idle)!r}')
  for name in algorithm.memories:
    if traced.variables[name].get('params'):
      raise UserError(f'the memory {name!r} has parameters, which no update would change: expected none, or a '
                      'player of an update')
  for update in algorithm.updates:
    _check_projection(update, traced)
  return traced


def trace_samples(algorithm: Algorithm, modules: Mapping[str, nn.Module], traced: Traced,
                  batch: PyTree) -> frozenset[str]:
  """Follows the algorithm's `inputs` and `draw` on the shapes of a batch that samples are made for.

  Returns the parts of the batch that samples depend on: 'label' of a conditional model, 'image' of a translation.

  Raises:
    UserError: `inputs` is no {name: [B,...]}, or samples are not [B,...] of the shape of the data.
  """
  expected = batch['image'].shape
  rng = jax.ShapeDtypeStruct((2,), jnp.uint32)

  def make_inputs(rng, batch):
    with _placing_errors(algorithm.inputs):
      return algorithm.inputs(rng, _Batch(batch))

  def draw(variables, inputs):
    with _placing_errors(algorithm.draw):
      return algorithm.draw(bind_trained(modules, variables), inputs)

  inputs = jax.eval_shape(make_inputs, rng, batch)
  shapes = {name: leaf.shape for name, leaf in inputs.items()} if isinstance(inputs, dict) else inputs
  if not isinstance(inputs, dict) or any(shape[:1] != expected[:1] for shape in shapes.values()):
    raise UserError(f'inputs of the algorithm returns {shapes}: expected a dict of arrays [{expected[0]},...], as many '
                    'as there are labels')
  variables = {name: traced.variables[name] for name in algorithm.averaged}
  samples = jax.eval_shape(draw, variables, inputs)
  if samples.shape != expected:
    raise UserError(f'draw of the algorithm makes samples of the shape {samples.shape[1:]}: expected {expected[1:]}, '
                    'that of the data')

  def sample(batch, rng, variables):
    return draw(variables, make_inputs(rng, batch))

  return _find_used(sample, batch, rng, variables)


def trace_reconstructions(algorithm: Algorithm, modules: Mapping[str, nn.Module], traced: Traced, batch: PyTree):
  """Follows the algorithm's `reconstruct`, if it has one, on the shapes of a batch of its losses.

  Raises:
    UserError: it returns something else than two arrays of one shape.
  """
  if not algorithm.reconstruct:
    return

  def reconstruct(variables, batch):
    with _placing_errors(algorithm.reconstruct):
      return algorithm.reconstruct(bind_trained(modules, variables), _Batch(batch))

  found = jax.eval_shape(reconstruct, {name: traced.variables[name] for name in algorithm.averaged}, batch)
  shapes = _list_shapes(found)
  if not isinstance(found, tuple) or len(shapes) != 2 or shapes[0] != shapes[1]:
    raise UserError(f'reconstruct of the algorithm returns arrays of the shapes {shapes}: expected (images, what they '
                    'should be), of one shape')


def _find_used(function: Callable, batch: dict, *others) -> frozenset[str]:
  """Returns the names of the parts of a batch that function(batch, *others) depends on, not only their shapes."""
  jaxpr = jax.make_jaxpr(function)(batch, *others).jaxpr
  _, are_used = dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars))
  names = sorted(batch)  # as JAX orders the arguments of the jaxpr
  return frozenset(name for name, is_used in zip(names, are_used) if is_used)


@contextlib.contextmanager
def _placing_errors(function: Callable, hint: str = '') -> Iterator[None]:
  """Turns an error of a function of an algorithm, such as of what a player returns, into one that names its line."""
  try:
    yield
  except UserError:
    raise
  except MISTAKES as error:
    raise UserError(f'{_describe(error, function)}{hint}') from error


def _describe(error: Exception, source: Callable | type) -> str:
  """Returns what an error says, and its innermost line in the file of a function or class."""
  while isinstance(source, functools.partial):
    source = source.func
  try:
    file = inspect.getsourcefile(source)
  except TypeError:  # a class of an interactive session has none
    file = None
  lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
  place = f'{file}:{lines[-1]}' if lines else file or source.__name__
  return f'{place}: {type(error).__name__}: {error}'


def _check_loss(update: Update, returned):
  who = f'the loss of {" and ".join(update.players)}'
  if not (isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[1], dict)):
    raise UserError(f'{who} returns {type(returned).__name__}: expected (scalar, {{metric: scalar}})')
  loss, metrics = returned
  for name, value in {who: loss, **{f'the metric {name!r}': value for name, value in metrics.items()}}.items():
    if jnp.shape(value):
      raise UserError(f'{name} has the shape {jnp.shape(value)}: expected a scalar, such as a mean over examples')
  if not jnp.issubdtype(jnp.result_type(loss), jnp.floating):
    raise UserError(f'{who} is of type {jnp.result_type(loss)}: expected a float, which has a gradient')


def _check_gate(update: Update, metrics: Mapping):
  who = f'gate of the update of {" and ".join(update.players)}'
  try:
    holds = update.gate(metrics)
  except KeyError as error:
    raise UserError(f'{who} reads the metric {error}, but the loss reports {sorted(metrics)}') from error
  if jnp.shape(holds) or jnp.result_type(holds) != jnp.bool_:
    raise UserError(f"{who} returns {holds}: expected a bool, such as metrics['critic_accuracy'] <= 0.8")


def _check_projection(update: Update, traced: Traced):
  params = {name: traced.variables[name]['params'] for name in update.players}
  projected = jax.eval_shape(update.project, params)
  if _paths(projected) != _paths(params):
    raise UserError(f'project of the update of {" and ".join(update.players)} does not return the parameters that it '
                    'takes, {player: params}')


def _list_shapes(tree: PyTree) -> list[tuple[int, ...]]:
  return [leaf.shape for leaf in jax.tree.leaves(tree)]


def _paths(tree: PyTree) -> list[str]:
  return [jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(tree)]


class _Batch(dict):
  """A batch that says what it has if it is asked for something else."""

  def __missing__(self, name: str):
    raise UserError(f'the algorithm reads {name!r} of a batch, which has {sorted(self)}: those of a data set with '
                    "dataset.attributes have 'attributes' in place of 'label', those of two domains 'a' and 'b', see "
                    'Algorithm.data')


class _FirstCalls(Play):
  """Players that have no parameters yet: notes the shapes that each is first called with, and of its variables.

  Shapes alone are kept, so that a first call may lie inside a nested jit, scan or cond, from which no array may leak.
  """

  def __init__(self, modules: Mapping[str, nn.Module], traced: Traced, called: set[str], rng):
    super().__init__(modules, {}, {}, rng)
    self._traced = traced
    self._called = called

  def _run(self, name: str, inputs: tuple):
    module = self._modules[name]
    _check_call(name, module, inputs)
    self._called.add(name)
    if get_opaque_trace_state() != self._trace:
      self._traced.differentiated.add(name)
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(jnp.shape(x), jnp.result_type(x)), inputs)
    try:
      if name not in self._traced.variables:
        initialise = functools.partial(init_variables, module)
        self._traced.first_inputs[name] = shapes
        self._traced.variables[name] = jax.eval_shape(initialise, jax.random.PRNGKey(0), shapes)
      variables = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), self._traced.variables[name])
      output, model_state = self._apply(name, variables, inputs)
    except UserError as error:
      raise _name_player(name, error) from error
    except ScopeParamShapeError as error:
      first = _list_shapes(self._traced.first_inputs[name])
      raise UserError(f'the player {name!r} is first called with inputs of the shapes {first}, and then with '
                      f'{_list_shapes(shapes)}, which need other parameters') from error
    except MISTAKES as error:
      raise UserError(f'the player {name!r}, called with inputs of the shapes {_list_shapes(shapes)}: '
                      f'{_describe(error, type(module))}') from error
    _check_kept(name, variables, model_state)
    return output


def _name_player(name: str, error: UserError) -> UserError:
  """Returns a network's error, which may start with FIELD=VALUE, as one of the player's: PLAYER.FIELD=VALUE."""
  starts_with_field = re.match(r'\w+=', str(error))
  return UserError(f'{name}.{error}' if starts_with_field else f'{name}: {error}')


def _check_kept(name: str, variables: Variables, model_state: Mapping):
  """Raises UserError where a call leaves another shape or type in a player's state, which a compiled step cannot."""
  before, after = ({jax.tree_util.keystr(path, simple=True, separator='/'): f'{leaf.dtype}{list(leaf.shape)}'
                    for path, leaf in jax.tree.leaves_with_path(tree)} for tree in (variables, model_state))
  for path, kept in after.items():
    if before.get(path) != kept:
      raise UserError(f'the player {name!r} starts with {path} as {before.get(path)}, and a call leaves {kept} there; '
                      'expected the same shape and type')


def _check_call(name: str, module: nn.Module, inputs: tuple):
  signature = inspect.signature(module.__call__)
  try:
    signature.bind(*inputs, train=True)
  except TypeError as error:
    raise UserError(f'the player {name!r} is called with {len(inputs)} inputs and train=True, but the __call__ of '
                    f'{type(module).__name__} takes {signature}: {error}') from error
