"""Workdirs and packed models of earlier layouts, read as if they had been written by this version.

`version` in config.json is the layout. Layout 2 brought evaluation and several seeds; 3 meshes, streaming, microbatches
and the shape of the data; 4 players by name, each with its network and its optimizer.
"""
import collections
import json
from typing import Any, NamedTuple

import jax

from gans.algorithms import default_fields
from gans.core.game import GANState, Player
from gans.data.sources import OPTIONAL, find_source
from gans.errors import UserError

VERSION = 4
# The fields that came with a layout, with the values that describe earlier runs.
ADDED = {
    2: {'num_seeds': 1, 'eval_every': 0, 'profile': False, 'eval': {
        'features': '', 'weights': '', 'classifier_steps': 2000, 'num_samples': 10_000, 'seed': 0, 'best': ''}},
    3: {'mesh': {'data': -1}, 'dataset': {'device_bytes': 2 * 2**30, 'workers': 0}, 'optimizer': {'microbatches': 1}},
}
# The fields that came without a layout, and what was done before them.
NEW = {'init_from': '', 'keep_checkpoints': 3, 'keep_every': 0, 'ema_half_life': 0.0, 'anneal_images': 0,
       'eval': {'gan_train': False}}
# Those of algorithms, of which the defaults say it.
NEW_OF_ALGORITHMS = ('regularizers', 'ada', 'pack', 'top_k', 'penalty')
UNSET = json.loads(json.dumps(OPTIONAL))  # fields of `dataset`, as in a config.json, where tuples are lists
TWO_PLAYERS = ('generator', 'critic')  # the only ones up to layout 3
# What layout 3 had at another place, or for every algorithm.
MOVED = ('optimizer', 'gp_weight', 'n_critic', 'z_dim', 'loss', 'clip', 'class_weight', *TWO_PLAYERS)


class TwoPlayerState(NamedTuple):
  """The state of a run up to layout 3."""
  step: Any
  rng: Any
  generator: Player
  critic: Player
  ema: Any  # the generator's variables


def upgrade_config(config: dict, version: int) -> dict:
  """Returns a config of layout `version` as the present layout has it."""
  for layout in range(version + 1, VERSION):
    config = fill_missing(config, ADDED[layout])
  config = name_players(config) if version < VERSION else config
  # An algorithm or a source may have come to read more fields.
  return fill_missing(config, NEW | {'dataset': UNSET} | new_fields(config.get('algorithm', '')))


def new_fields(algorithm: str) -> dict:
  """Returns NEW_OF_ALGORITHMS that an algorithm reads, as a config.json has their defaults; {} if it is not there."""
  try:
    defaults = default_fields(algorithm)
  except UserError:
    return {}
  new = {field: value for field, value in defaults.items() if field in NEW_OF_ALGORITHMS}
  return json.loads(json.dumps(new))  # with lists in place of tuples


def name_players(config: dict) -> dict:
  """Returns a config of layout 3 as layout 4 has it."""
  upgraded = {field: value for field, value in config.items() if field not in MOVED}
  optimizer = dict(config['optimizer'])
  upgraded['microbatches'] = optimizer.pop('microbatches')
  upgraded['steps_per_call'] = config['log_every']
  rates = {player: optimizer.pop(f'{player}_learning_rate') for player in TWO_PLAYERS}
  for player in TWO_PLAYERS:
    group = dict(config[player])
    family = group.pop('family')
    own_optimizer = {**optimizer, 'learning_rate': rates[player]}
    upgraded[player] = {'network': f'{family}.{player.capitalize()}', **group, 'optimizer': own_optimizer}
  upgraded['dataset'] = drop_unread_fields(config['dataset'])
  return upgraded | algorithm_fields(config)


def drop_unread_fields(dataset: dict) -> dict:
  """Returns a config's `dataset` without values that its source does not read, which earlier layouts did not refuse."""
  reads = find_source(dataset['name']).reads
  unread = {field: unset for field, unset in UNSET.items() if field not in reads}
  return dataset | unread


def algorithm_fields(config: dict) -> dict:
  """Returns the fields that the algorithm of a config of layout 3 reads, as layout 4 has them."""
  fields = default_fields(config['algorithm'])
  upgraded = {field: config[field] for field in fields if field in config}
  if 'penalty' in fields:
    weight = config['gp_weight']
    penalty = {'name': 'gradient_penalty', 'weight': weight} if weight else {'name': 'none'}
    upgraded['penalty'] = fields['penalty'] | penalty
  return upgraded


def is_of_two_players(saved) -> bool:
  """Tells whether a saved state, {name: ...} of its parts, is that of a run up to layout 3."""
  return 'players' not in saved


def downgrade_state(state: GANState) -> TwoPlayerState:
  """Returns a state as a checkpoint up to layout 3 has it: the tree to read such a checkpoint into."""
  return TwoPlayerState(state.step, state.rng, state.players['generator'], state.players['critic'],
                        state.ema['generator'])


def upgrade_state(state: TwoPlayerState) -> GANState:
  """Returns a state of a run up to layout 3 as this version has it: the inverse of `downgrade_state`."""
  players = collections.OrderedDict(generator=state.generator, critic=state.critic)
  return GANState(state.step, state.rng, players, {'generator': state.ema})


def upgrade_packed(variables: dict, version: int) -> dict:
  """Returns the variables of a packed model, {player: variables}; up to layout 3 they were the generator's alone."""
  return {'generator': variables} if version < VERSION else variables


def fill_missing(config: dict, added: dict) -> dict:
  """Returns a nested dict with the fields of `added` that it lacks."""
  filled = dict(added)
  for key, value in config.items():
    is_nested = isinstance(added.get(key), dict) and isinstance(value, dict)
    filled[key] = fill_missing(value, added[key]) if is_nested else value
  return filled


def shapes_of(tree):
  """Returns {dotted name: shape} of the arrays in a tree, or in the metadata of one."""
  leaves = jax.tree.leaves_with_path(tree)
  return {jax.tree_util.keystr(path, simple=True, separator='.'): leaf.shape for path, leaf in leaves}
