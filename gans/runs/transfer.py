"""Transfer: the weights of another run, or of a packed or built-in model, that a new run starts from."""
from collections.abc import Iterator, Mapping
import contextlib
from typing import NamedTuple

from etils import epath
from flax import traverse_util
import jax

from gans.build import Experiment
from gans.core.game import Variables, Weights, each_seed, variables_of
from gans.data.schedule import training_seeds
from gans.errors import UserError, shorten
from gans.optimizers import is_below
from gans.runs import opening, packed
from gans.runs.trained import find_model

CHECKPOINT = 'best'  # of a run, as gans.load takes it
SHOWN = 4  # names in a line


class Source(NamedTuple):
  """What a model has to start from, as numpy arrays."""
  what: str  # in words
  weights: Weights


def find_source(source: str) -> epath.Path:
  """Returns the folder of config.init_from; raises UserError where there is no such run or model."""
  with _naming_field(source):
    return find_model(source)


def read_source(source: str) -> Source:
  """Reads the weights of config.init_from, which stays as it is: of a run, those of its best step and first seed.

  A packed model has only the players that samples come from; its weights serve as their averages, too.

  Raises:
    UserError: there is no such run or model, it has no checkpoint, or is damaged.
  """
  folder = find_source(source)
  with _naming_field(source):
    if packed.is_packed(folder):
      made, variables = packed.read_generator(folder)
      return Source(f'step {made["step"]} of the packed model {folder}', Weights(variables, variables))
    with opening.open_run(folder) as run:
      step = run.pick_step(CHECKPOINT)
      state = jax.device_get(run.restore(step))
      seed, *_ = training_seeds(run.config)
  players = {name: variables_of(player) for name, player in state.players.items()}
  own, *_ = each_seed(Weights(players, state.ema), run.config.num_seeds)
  return Source(f'step {step} of {folder}, seed {seed}', own)


def take_weights(source: str, experiment: Experiment) -> tuple[Weights, list[str]]:
  """Returns those weights of config.init_from that agree with an experiment's in name and shape, and lines about them.

  Memories are no weights: they start empty.

  Raises:
    UserError: as read_source, or none agree.
  """
  found = read_source(source)
  described = experiment.traced.variables
  algorithm = experiment.algorithm
  players = {name: agreeing(found.weights.players.get(name, {}), described[name]) for name in algorithm.networks}
  ema = {name: agreeing(found.weights.ema.get(name, {}), described[name]) for name in algorithm.averaged}
  lines = [describe(name, found.weights.players, described[name]) for name in algorithm.networks]
  if not any(players.values()):
    refusal = (f'init_from={source!r}: no array of {found.what}, which has the players '
               f'{sorted(found.weights.players)}, has the name and the shape of one here:')
    raise UserError('\n'.join([refusal, *lines]))
  return Weights(players, ema), [f'weights of {found.what}:', *lines]


def agreeing(given: Variables, described: Variables) -> Variables:
  """Returns those arrays of a player's variables that have a name and a shape of the described ones."""
  shapes = {path: leaf.shape for path, leaf in traverse_util.flatten_dict(described).items()}
  same = {path: array for path, array in traverse_util.flatten_dict(given).items() if shapes.get(path) == array.shape}
  return traverse_util.unflatten_dict(same)


def describe(name: str, given: Mapping[str, Variables], described: Variables) -> str:
  """Says in a line how many of a player's arrays are among the `given` {player: variables}, and which are not."""
  if name not in given:
    return f'  {name}: random, as there is no such player'
  there = traverse_util.flatten_dict(given[name])
  here = traverse_util.flatten_dict(described)
  taken = traverse_util.flatten_dict(agreeing(given[name], described))
  left = []
  for path in here.keys() - taken.keys():
    shape_there = f'there {there[path].shape}' if path in there else 'not there'
    left.append(f'{"/".join(path)} {here[path].shape}, {shape_there}')
  counted = f'  {name}: {len(taken)} of {len(here)} arrays'
  return f'{counted}; random: ' + shorten(sorted(left), SHOWN, '; ') if left else counted


def list_frozen_at_random(config, experiment: Experiment, weights: Weights) -> list[str]:
  """Returns a line for each player that is to keep arrays which no weights are given for."""
  doubts = []
  for name in experiment.algorithm.networks:
    params = traverse_util.flatten_dict(experiment.traced.variables[name].get('params', {}), sep='/')
    given = traverse_util.flatten_dict(weights.players.get(name, {}).get('params', {}), sep='/')
    random = [param for param in params if param not in given and is_below(config[name].get('freeze', ()), param)]
    if random:
      doubts.append(f'doubtful: {name}.freeze={tuple(config[name].freeze)} keeps weights that are random and not of '
                    'init_from: ' + shorten(random, SHOWN, '; '))
  return doubts


@contextlib.contextmanager
def _naming_field(source: str) -> Iterator[None]:
  """Names config.init_from in errors, in place of the flag that other modes find a model by."""
  try:
    yield
  except UserError as error:
    raise UserError(f'init_from={source!r}: {str(error).removeprefix("--workdir=")}') from error
