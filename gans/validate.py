"""Refusing a config that cannot work, before any work is done."""
import functools
import operator

import ml_collections

from gans import losses
from gans.errors import UserError


def check_config(config):
  """Raises UserError for the first field with a value that no run can use."""
  for group in ('generator', 'critic', 'optimizer', 'dataset', 'eval'):
    is_group = isinstance(config[group], ml_collections.ConfigDict)
    _expect(config, group, is_group, 'a group of fields, see configs/base.py')
  intervals = ('log_every', 'sample_every', 'checkpoint_every')
  for field in ('num_steps', 'num_seeds', 'batch_size', 'n_critic', 'z_dim', *intervals):
    _expect(config, field, config[field] >= 1, 'a whole number of at least 1')
  _expect(config, 'seed', 0 <= config.seed < 2 ** 31, 'a whole number from 0 to below 2^31')
  _expect(config, 'eval.seed', config.eval.seed < 2 ** 31, 'a whole number from 0 to below 2^31')
  _expect(config, 'eval_every', config.eval_every >= 0, 'a whole number of at least 0')
  for field, least in (('num_samples', 2), ('classifier_steps', 1), ('seed', 0)):
    _expect(config, f'eval.{field}', config.eval[field] >= least, f'a whole number of at least {least}')
  for field in ('device_bytes', 'workers'):
    _expect(config, f'dataset.{field}', config.dataset[field] >= 0, 'a whole number of at least 0')
  _expect(config, 'gp_weight', 0 <= config.gp_weight < float('inf'), 'a number of at least 0')
  _expect(config, 'ema_decay', 0 <= config.ema_decay < 1, 'a number from 0 to below 1')
  microbatches = config.optimizer.get('microbatches', 1)
  _expect(config, 'optimizer.microbatches', microbatches >= 1, 'a whole number of at least 1')
  if 'loss' in config:
    _expect(config, 'loss', config.loss in losses.BY_NAME, f'one of {sorted(losses.BY_NAME)}')
  _expect(config, 'dtype', config.dtype in ('float32', 'bfloat16'), "'float32' or 'bfloat16'")


def check_kept(config, workdir):
  """As check_config, for one that was read from a workdir, where somebody may have changed it."""
  try:
    check_config(config)
  except (AttributeError, KeyError, TypeError) as error:
    raise UserError(f'{workdir}/config.json is not as it was written: {error}') from error


def check_data(config, dataset):
  """Raises UserError where the data set is too small for the config."""
  size = len(dataset.images)
  _expect(config, 'batch_size', config.batch_size <= size, f'at most {size}, the size of {config.dataset.name}')
  if config.dataset.flip and dataset.images.ndim != 4:
    raise UserError(f'dataset.flip=True: {config.dataset.name} has points, not images; expected False')


def _expect(config, field: str, holds: bool, expected: str):
  if not holds:
    value = functools.reduce(operator.getitem, field.split('.'), config)
    raise UserError(f'{field}={value!r}: expected {expected}')
