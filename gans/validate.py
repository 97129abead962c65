"""Checks of a config, which refuse one that cannot work before any work is done."""
from collections.abc import Collection
import functools
import operator

import ml_collections

from gans.algorithms import build_algorithm, default_fields
from gans.core import losses, penalties
from gans.data.sources import check_fields_read, find_source
from gans.errors import UserError

GROUPS = ('dataset', 'eval', 'mesh')
EVAL = ('features', 'weights', 'classifier_steps', 'num_samples', 'seed', 'best')
MESH = ('data',)
# The fields of every config, whatever its algorithm; configs/base.py explains them.
SHARED = ('algorithm', 'seed', 'num_seeds', 'num_steps', 'batch_size', 'microbatches', 'ema_decay', 'dtype',
          'steps_per_call', 'log_every', 'sample_every', 'checkpoint_every', 'eval_every', 'profile', *GROUPS)
LEAST = {  # the least value of each whole number
    'num_steps': 1, 'num_seeds': 1, 'batch_size': 1, 'microbatches': 1, 'steps_per_call': 1, 'log_every': 1,
    'sample_every': 1, 'checkpoint_every': 1, 'eval_every': 0, 'eval.num_samples': 2, 'eval.classifier_steps': 1,
    'dataset.device_bytes': 0, 'dataset.workers': 0,
}
LEAST_OF_ALGORITHMS = {'n_critic': 1, 'z_dim': 1, 'num_codes': 2, 'pool_size': 0}  # of those that have the field


def check_config(config):
  """Raises UserError for the first field with a value that no run can use."""
  for field in SHARED:
    if field not in config:
      raise UserError(f'{field} is missing from the config: start from base.get_config of configs/base.py')
  for group in GROUPS:
    _check_group(config, group)
  for field, least in LEAST.items():
    _expect(config, field, _find(config, field) >= least, f'a whole number of at least {least}')
  for field in ('seed', 'eval.seed'):
    _expect(config, field, 0 <= _find(config, field) < 2**31, 'a whole number from 0 to below 2^31')
  _expect(config, 'ema_decay', 0 <= config.ema_decay < 1, 'a number from 0 to below 1')
  _expect(config, 'dtype', config.dtype in ('float32', 'bfloat16'), "'float32' or 'bfloat16'")
  check_fields_read(config.dataset, find_source(config.dataset.name))
  _refuse_unknown(config, 'eval', EVAL)
  _refuse_unknown(config, 'mesh', MESH)
  _check_algorithm(config)


def _check_algorithm(config):
  """Raises UserError for a field that the algorithm does not read, and for values that it cannot take."""
  fields = default_fields(config.algorithm)
  _check_algorithm_fields(config, fields)
  players = build_algorithm(config).networks
  for player in players:
    _check_player(config, player, players)
  for field in config:
    if field not in (*SHARED, *fields, *players):
      is_group = isinstance(config[field], ml_collections.ConfigDict)
      given = field if is_group else f'{field}={config[field]!r}'
      raise UserError(f'{given}: the algorithm {config.algorithm!r} does not read it; its fields are '
                      f'{sorted(fields)} and its players {list(players)}')


def _check_algorithm_fields(config, fields: dict):
  """Checks the fields that the algorithm declares, {field: default}."""
  for field, default in fields.items():
    if field not in config:
      raise UserError(f'{field} is missing from the config: the algorithm {config.algorithm!r} reads it; its fields '
                      f'are {sorted(fields)}')
    if isinstance(default, dict):
      _check_group(config, field)
      _refuse_unknown(config, field, default)
  if 'loss' in fields:
    _expect(config, 'loss', config.loss in losses.BY_NAME, f'one of {sorted(losses.BY_NAME)}')
  if 'penalty' in fields:
    _expect(config, 'penalty.name', config.penalty.name in penalties.NAMES, f'one of {list(penalties.NAMES)}')
    _expect(config, 'penalty.weight', 0 <= config.penalty.weight < float('inf'), 'a number of at least 0')
    _expect(config, 'penalty.every', config.penalty.every >= 1, 'a whole number of at least 1')
  for field in fields:
    if field.endswith('_weight') and not isinstance(fields[field], dict):
      _expect(config, field, 0 <= config[field] < float('inf'), 'a number of at least 0')
    if field in LEAST_OF_ALGORITHMS:
      least = LEAST_OF_ALGORITHMS[field]
      _expect(config, field, config[field] >= least, f'a whole number of at least {least}')
  if 'max_accuracy' in fields:
    _expect(config, 'max_accuracy', 0 < config.max_accuracy <= 1, 'a number above 0, up to 1')


def _check_player(config, player: str, players: tuple[str, ...]):
  """Checks that a player of the algorithm has a group of fields, with a network and an optimizer."""
  if player not in config:
    raise UserError(f'{player} is missing from the config: the algorithm {config.algorithm!r} has the players '
                    f'{list(players)}, and each needs a group of fields')
  _check_group(config, player)
  for field in ('network', 'optimizer'):
    if field not in config[player]:
      raise UserError(f'{player}.{field} is missing from the config: see configs/base.py')
  _check_group(config, f'{player}.optimizer')


def _check_group(config, field: str):
  value = _find(config, field)
  _expect(config, field, isinstance(value, ml_collections.ConfigDict), 'a group of fields, see configs/base.py')


def _refuse_unknown(config, group: str, fields: Collection[str]):
  for field, value in config[group].items():
    if field not in fields:
      raise UserError(f'{group}.{field}={value!r}: there is no such field; those of {group} are {sorted(fields)}')


def check_kept(config, workdir):
  """Checks a config that was read from a workdir, where somebody may have changed it."""
  try:
    check_config(config)
  except UserError as error:
    raise UserError(f'{workdir}/config.json: {error}') from error
  except (AttributeError, KeyError, TypeError) as error:
    raise UserError(f'{workdir}/config.json is not as it was written: {error}') from error


def check_data(config, dataset):
  """Raises UserError if the data set does not suit the config."""
  size = len(dataset.images)
  _expect(config, 'batch_size', config.batch_size <= size, f'at most {size}, the size of {config.dataset.name}')
  kind = dataset.spec.kind
  if config.dataset.flip and not kind.can_be_mirrored:
    raise UserError(f'dataset.flip=True: {config.dataset.name} has {kind.name}, which have no left and right; expected '
                    'False')


def _find(config, field: str):
  return functools.reduce(operator.getitem, field.split('.'), config)


def _expect(config, field: str, holds: bool, expected: str):
  if not holds:
    raise UserError(f'{field}={_find(config, field)!r}: expected {expected}')
