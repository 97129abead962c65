"""Checks of a config, which refuse one that cannot work before any work is done.

Every field has a range, or the word that it has none: `list_ranges` puts them into one table.
"""
import difflib
import functools
import math
import operator

import jax
import ml_collections

from gans.algorithms import algorithm_ranges, build_algorithm
from gans.build import Experiment
from gans.core.annealing import is_annealed
from gans.core.augmentation import PolicyNames
from gans.core.game import identity
from gans.core.penalties import ZERO_CENTRED
from gans.data.sources import check_fields_read, find_source
from gans.errors import UserError
from gans.evaluation import features, scores
from gans.networks import network_ranges
from gans.optimizers import NEEDED, optimizer_ranges
from gans.ranges import SIZE, Each, Either, MayBeAnnealed, Number, OneOf, Range, Text, Truth, Whole, range_of_type

ALL = -1  # as keep_checkpoints and mesh.data
SEED = Whole(0)
SIDE = Whole(1, 2**14)
POLICY = range_of_type(PolicyNames)  # of a player's `augment`
NAMES = Each(Text())  # of a player's `freeze`
# The fields of every config, whatever its algorithm; configs/base.py explains them.
SHARED: dict[str, Range] = {
    'algorithm': Text(),
    'seed': SEED,
    'num_seeds': SIZE,
    'init_from': Text(),
    'num_steps': Whole(1),
    'batch_size': Whole(1),
    'microbatches': Whole(1),
    'ema_decay': Number(least=0, below=1),
    'ema_half_life': MayBeAnnealed(Number(least=0)),
    'anneal_images': Whole(0, 2**53),
    'dtype': OneOf(('float32', 'bfloat16')),
    'steps_per_call': Whole(1, 10**6),  # whose order of the data lies in memory
    'log_every': Whole(1),
    'sample_every': Whole(1),
    'checkpoint_every': Whole(1),
    'keep_checkpoints': Whole(1, others=(ALL,)),
    'keep_every': Whole(0),
    'eval_every': Whole(0),
    'profile': Truth(),
    'mesh.data': Whole(1, others=(ALL,)),
    'dataset.name': Text(),
    'dataset.path': Text(),
    'dataset.alpha': Truth(),
    'dataset.attributes': Each(Text()),
    'dataset.max_unreadable': Number(least=0, most=1),
    'dataset.data_dir': Text(),
    'dataset.split': Text(),
    'dataset.image_size': Either((SIDE, Each(SIDE, 2, 2))),
    'dataset.crop': Text(),
    'dataset.flip': Truth(),
    'dataset.device_bytes': Whole(0, 2**63 - 1),
    'dataset.workers': Whole(0, 1024),
    'eval.features': OneOf(('', *features.BY_NAME)),
    'eval.weights': Text(),
    'eval.classifier_steps': Whole(1),
    'eval.gan_train': Truth(),
    'eval.num_samples': Whole(2),
    'eval.seed': SEED,
    'eval.best': OneOf(('', *scores.DIRECTIONS)),
}
GROUPS = ('dataset', 'eval', 'mesh')
TOP = tuple(dict.fromkeys(field.partition('.')[0] for field in SHARED))  # the fields of the config itself


def check_config(config):
  """Raises UserError for the first field with a value that no run can use."""
  for field in TOP:
    if field not in config:
      raise UserError(f'{field} is missing from the config: start from base.get_config of configs/base.py')
  for group in GROUPS:
    _check_group(config, group)
  _check_values(config, SHARED, 'start from base.get_config of configs/base.py')
  is_multiple = config.keep_every % config.checkpoint_every == 0
  _expect(config, 'keep_every', is_multiple, f'a multiple of checkpoint_every={config.checkpoint_every}, or 0 for none')
  check_fields_read(config.dataset, find_source(config.dataset.name))
  for group in ('eval', 'mesh'):
    _refuse_unknown(config, group, SHARED)
  _check_algorithm(config)
  _check_annealed(config)


def list_ranges(config) -> dict[str, Range]:
  """Returns {field: range} of all fields that a config may have, fields as in the flags: 'critic.optimizer.b1'.

  Raises:
    UserError: it names an algorithm, a network or an optimizer that is not there.
  """
  ranges = SHARED | algorithm_ranges(config.algorithm)
  for player in build_algorithm(config).networks:
    ranges |= _player_ranges(config, player)
  return ranges


def _player_ranges(config, player: str) -> dict[str, Range]:
  group = config[player]
  own = {'network': Text(), 'augment': POLICY, 'freeze': NAMES, **network_ranges(player, group.network)}
  optimizer = optimizer_ranges(f'{player}.optimizer', group.optimizer.name)
  own |= {f'optimizer.{field}': each for field, each in optimizer.items()}
  return {f'{player}.{field}': each for field, each in own.items()}


def _check_algorithm(config):
  """Raises UserError for a field that the algorithm does not read, and for values that it cannot take."""
  ranges = algorithm_ranges(config.algorithm)
  fields = sorted({field.partition('.')[0] for field in ranges})
  reads = f'the algorithm {config.algorithm!r} reads it; its fields are {fields}'
  groups = {field.partition('.')[0] for field in ranges if '.' in field}
  for field in fields:
    if field not in config:
      raise UserError(f'{field} is missing from the config: {reads}')
  for group in sorted(groups):
    _check_group(config, group)
    _refuse_unknown(config, group, ranges)
  _check_values(config, ranges, reads)
  players = build_algorithm(config).networks
  for player in players:
    _check_player(config, player, players)
  for field in config:
    if field not in (*TOP, *fields, *players):
      is_group = isinstance(config[field], ml_collections.ConfigDict)
      given = field if is_group else f'{field}={config[field]!r}'
      near = difflib.get_close_matches(field, [*TOP, *fields, *players], 1)
      hint = f'; did you mean {near[0]}?' if near else ''
      raise UserError(f'{given}: the algorithm {config.algorithm!r} does not read it; its fields are '
                      f'{fields} and its players {list(players)}{hint}')


def _check_player(config, player: str, players: tuple[str, ...]):
  """Checks that a player of the algorithm has a group of fields, with a network and an optimizer, and their values."""
  if player not in config:
    raise UserError(f'{player} is missing from the config: the algorithm {config.algorithm!r} has the players '
                    f'{list(players)}, and each needs a group of fields')
  _check_group(config, player)
  for field in ('network', 'optimizer'):
    if field not in config[player]:
      raise UserError(f'{player}.{field} is missing from the config: see configs/base.py')
  _check_group(config, f'{player}.optimizer')
  for field in NEEDED:
    if field not in config[player].optimizer:
      raise UserError(f'{player}.optimizer.{field} is missing from the config: see configs/base.py')
  ranges = _player_ranges(config, player)
  _refuse_unknown(config, f'{player}.optimizer', ranges, f'optax.{config[player].optimizer.name}')
  _refuse_unknown(config, player, ranges, config[player].network)
  given = {field: each for field, each in ranges.items() if _has(config, field)}
  _check_values(config, given)


def _check_annealed(config):
  """Raises UserError for a field that is annealed, over no images."""
  for field, each in list_ranges(config).items():
    if isinstance(each, MayBeAnnealed) and _has(config, field) and is_annealed(_find(config, field)):
      _expect(config, 'anneal_images', config.anneal_images > 0, f'at least 1, as {field} is annealed')


def _check_group(config, field: str):
  value = _find(config, field)
  _expect(config, field, isinstance(value, ml_collections.ConfigDict), 'a group of fields, see configs/base.py')


def _check_values(config, ranges: dict[str, Range], why: str = ''):
  """Checks that a config has every field of these, and each with a value within its range."""
  for field, each in ranges.items():
    if not _has(config, field):
      raise UserError(f'{field} is missing from the config: {why}')
    _expect(config, field, each.holds(_find(config, field)), str(each))


def _refuse_unknown(config, group: str, ranges: dict[str, Range], owner: str = ''):
  """Raises UserError for a field of a group that `ranges`, {'group.field': ...}, does not have."""
  known = {field.removeprefix(f'{group}.').partition('.')[0] for field in ranges if field.startswith(f'{group}.')}
  for field, value in _find(config, group).items():
    if field not in known:
      raise UserError(f'{group}.{field}={value!r}: there is no such field; those of {owner or group} are '
                      f'{sorted(known)}')


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


def check_training(config, experiment: Experiment):
  """Raises UserError for what would be built and could not be trained as it is meant.

  That is batch norm over a batch of one example, and a critic that shows its examples how much their group differs
  under a penalty of norm 1, which is of how each score depends on its own example alone. R1 and R2, of which the
  gradient is to vanish, go with it in the papers (Karras et al. 2020, Analyzing and Improving).
  """
  for player in experiment.traced.differentiated:
    group = config.get(player, {}).get('minibatch_stddev', 0)  # a memory has no fields
    if group and config.get('penalty', {}).get('name') not in ZERO_CENTRED:
      other = f', or penalty.name one of {ZERO_CENTRED}' if 'penalty' in config else ''
      raise UserError(f"{player}.minibatch_stddev={group}: an example's score then depends on others, and the penalty "
                      f'takes it to depend on that example alone; expected 0{other}')
  for player in _have_batch_norm(experiment):
    divisors = {'microbatches': config.microbatches}
    if player not in experiment.algorithm.averaged:
      divisors['pack'] = config.get('pack', 1)
    if config.batch_size > math.prod(divisors.values()):
      continue
    parts = ''.join(f' and {field}={number}' for field, number in divisors.items() if number > 1)
    raise UserError(f'batch_size={config.batch_size}{parts}: the {player} has batch norm, which would take its '
                    "statistics from one example alone, and take away what is the example's own; expected at least two "
                    "examples at once, or norm='instance' or 'layer'")


def list_doubts(config, experiment: Experiment) -> list[str]:
  """Returns a line for each combination of fields that can be trained and is unlikely to be meant."""
  penalized = experiment.traced.differentiated
  doubts = [f'doubtful: the {player} has batch norm under a penalty, which takes each score to depend on one example '
            "alone; norm='layer' and 'instance' keep examples apart"
            for player in _have_batch_norm(experiment) if player in penalized]
  algorithm = experiment.algorithm
  is_spectral = any(config[player].get('spectral') for player in algorithm.networks if player not in algorithm.averaged)
  is_bounded = penalized or is_spectral or any(update.project is not identity for update in algorithm.updates)
  if config.get('loss') == 'wasserstein' and not is_bounded:
    doubts.append("doubtful: loss='wasserstein' without a penalty, a clip or spectral norm: nothing bounds the scores")
  return doubts


def _have_batch_norm(experiment: Experiment) -> list[str]:
  """Returns the players that have batch norm, which linen tells by averages of means and variances."""
  found = []
  for player, variables in experiment.traced.variables.items():
    paths = jax.tree.leaves_with_path(variables.get('batch_stats', {}))
    if {'mean', 'var'} <= {path[-1].key for path, _ in paths}:
      found.append(player)
  return found


def _has(config, field: str) -> bool:
  *groups, name = field.split('.')
  return name in functools.reduce(operator.getitem, groups, config)


def _find(config, field: str):
  return functools.reduce(operator.getitem, field.split('.'), config)


def _expect(config, field: str, holds: bool, expected: str):
  if not holds:
    raise UserError(f'{field}={_find(config, field)!r}: expected {expected}')
