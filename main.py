"""Trains a GAN: python main.py --config=configs/wgan_gp.py --workdir=/tmp/run. Flags only: see gans/train.py."""
import pathlib
import sys

from absl import app, flags, logging
from ml_collections import config_flags

from gans.errors import UserError

_CONFIG = config_flags.DEFINE_config_file('config', None, 'The experiment: a file in configs/, or FILE:VARIANT.')
_WORKDIR = flags.DEFINE_string('workdir', None, 'Where checkpoints, samples and logs go.', required=True)
_MODE = flags.DEFINE_enum('mode', 'train', ['train', 'evaluate'], 'What to do; all but train need the workdir alone.')
# Of --mode=evaluate; the run's own where they are not given, see configs/base.py.
_EVAL = [flags.DEFINE_string('eval.features', None, "'classifier', 'inception' or 'points'."),
         flags.DEFINE_string('eval.weights', None, "The file of 'inception'."),
         flags.DEFINE_integer('eval.num_samples', None, 'Samples to measure.', lower_bound=2),
         flags.DEFINE_integer('eval.seed', None, 'Of their noise.', lower_bound=0)]
# Of several processes, see docs/several-devices.md; the last three are jax.distributed.initialize's.
_DISTRIBUTED = flags.DEFINE_bool('distributed', False, 'Whether this is one of several processes of the same command; '
                                 'JAX finds the others on Cloud TPU and GKE, under SLURM and Open MPI.')
_PROCESSES = [flags.DEFINE_string('coordinator_address', None, 'Where JAX does not: HOST:PORT of the first one.'),
              flags.DEFINE_integer('num_processes', None, 'How many there are.', lower_bound=1),
              flags.DEFINE_integer('process_id', None, 'The number of this one, from 0.', lower_bound=0)]


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected arguments {argv[1:]}')
  if not flags.FLAGS['verbosity'].present:
    # Orbax and CLU tell much, and print tracebacks of errors that are raised as well; --verbosity=0 lets them.
    logging.set_verbosity(logging.FATAL)
  from gans import cache, evaluate, processes, train  # here, so that a mistyped flag is answered at once
  cache.keep_compilations()
  try:
    if _DISTRIBUTED.value or _given(_PROCESSES):
      processes.connect(**_given(_PROCESSES))
    if _MODE.value == 'train':
      train.train(_CONFIG.value, _WORKDIR.value)
    else:
      evaluate.evaluate(_WORKDIR.value, _given(_EVAL))
  except UserError as error:
    sys.exit(f'error: {error}')


def parse_flags(argv):
  """Parses as absl does, but answers what is wrong with the config in a line, not with a traceback."""
  try:
    positional = flags.FLAGS(argv)
    _check_mode()
    if _MODE.value == 'train':
      _CONFIG.value.lock()  # fails where the file was not found
    return positional
  except flags.Error as error:
    sys.exit(f'error: {str(error).splitlines()[0]} {_last_line(error)}\nrun with --helpfull for all flags')
  except AttributeError as error:
    sys.exit(f'error: the config has no field {error}; its file and configs/base.py have them all'.replace('\\n', ' '))
  except OSError:
    there = ', '.join(sorted(str(path) for path in pathlib.Path('configs').glob('*.py')))
    sys.exit(f'error: no config at the path given as --config; there are {there}')


def _check_mode():
  """Raises absl's error for a flag that is not of the mode, or one that the mode needs."""
  training, config = _MODE.value == 'train', flags.FLAGS['config'].present
  given = list(_given(_EVAL))
  if given and training:
    raise flags.IllegalFlagValueError(f'flag --{given[0]}: is of --mode=evaluate; give --config.{given[0]} to train')
  if config and not training:
    raise flags.IllegalFlagValueError(f'flag --config: --mode={_MODE.value} takes the config of the workdir')
  if training and not config:
    raise flags.IllegalFlagValueError('flag --config=None: --mode=train needs one, such as configs/wgan_gp.py')


def _given(among: list) -> dict:
  """Returns {name: value} of those flags that were given."""
  return {flag.name: flag.value for flag in among if flag.value is not None}


def _last_line(error: Exception) -> str:
  """The line that says what happened, where a message quotes a traceback; nothing where it is one line anyway."""
  lines = str(error).strip().splitlines()
  return lines[-1].strip() if len(lines) > 1 else ''


if __name__ == '__main__':
  app.run(main, flags_parser=parse_flags)
