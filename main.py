"""Trains a GAN, and shows what it learnt: python main.py --config=configs/wgan_gp.py --workdir=/tmp/run. Flags only."""
import pathlib
import sys

from absl import app, flags, logging
from ml_collections import config_flags

from gans.errors import UserError

_CONFIG = config_flags.DEFINE_config_file('config', None, 'The experiment: a file in configs/, or FILE:VARIANT.')
_WORKDIR = flags.DEFINE_string('workdir', None, 'Where checkpoints, samples and logs go.', required=True)
# Of --mode=evaluate; the run's own where they are not given, see configs/base.py. The first is nearest's as well.
_EVAL = [flags.DEFINE_string('eval.features', None, "'classifier', 'inception' or 'points'; of nearest else pixels."),
         flags.DEFINE_string('eval.weights', None, "The file of 'inception'."),
         flags.DEFINE_integer('eval.num_samples', None, 'Samples to measure.', lower_bound=2),
         flags.DEFINE_integer('eval.seed', None, 'Of their noise.', lower_bound=0)]
# Of several processes, see docs/several-devices.md; the last three are jax.distributed.initialize's.
_PROCESSES = [flags.DEFINE_bool('distributed', None, 'Whether this is one of several processes of the same command; '
                                'JAX finds the others on Cloud TPU and GKE, under SLURM and Open MPI.'),
              flags.DEFINE_string('coordinator_address', None, 'Where JAX does not: HOST:PORT of the first one.'),
              flags.DEFINE_integer('num_processes', None, 'How many there are.', lower_bound=1),
              flags.DEFINE_integer('process_id', None, 'The number of this one, from 0.', lower_bound=0)]
# Which generator; --workdir may then also name a built-in model, see README.md.
_CHOICE = [flags.DEFINE_string('sample.checkpoint', None, "'best', the default, 'latest', or a step."),
           flags.DEFINE_enum('sample.weights', None, ['ema', 'raw'], 'Averaged over the steps, the default, or not.'),
           flags.DEFINE_integer('sample.training_seed', None, 'Of several seeds; default: the first.', lower_bound=0)]
_OUT = [flags.DEFINE_string('sample.out', None, 'A new file or folder, as the mode writes; default: in the workdir.')]
_DRAW = [flags.DEFINE_integer('sample.num', None, 'Samples; of sample 64, or 8 of each class, else 8.', lower_bound=1),
         flags.DEFINE_integer('sample.seed', None, 'Of their noise; default: 0.', lower_bound=0, upper_bound=2**31 - 1),
         flags.DEFINE_list('sample.labels', None, 'Labels: 3,3,7; default: as many of each class.'),
         flags.DEFINE_float('sample.truncation', None, 'Noise beyond it is drawn again; default: off.', lower_bound=0)]


def _train():
  from gans import train  # here and below, so that a mistyped flag is answered at once
  train.train(_CONFIG.value, _WORKDIR.value)


def _evaluate():
  from gans import evaluate
  evaluate.evaluate(_WORKDIR.value, _given(_EVAL))


def _sample():
  from gans import sample
  sample.sample(_WORKDIR.value, **_arguments())


def _pack():
  from gans import pack
  pack.pack(_WORKDIR.value, **_arguments())


def _interpolate():
  from gans import interpolate
  interpolate.interpolate(_WORKDIR.value, **_arguments())


def _nearest():
  from gans import nearest
  nearest.show(_WORKDIR.value, **_arguments())


def _export():
  from gans import export
  export.write(_WORKDIR.value, **_arguments())


def _report():
  from gans import page
  page.write(_WORKDIR.value.split(','), **_arguments())


# What there is to do, and the flags that are its own.
MODES = {'train': (_train, _PROCESSES),
         'evaluate': (_evaluate, _EVAL + _PROCESSES),
         'sample': (_sample, _CHOICE + _DRAW + _OUT),
         'pack': (_pack, _CHOICE + _OUT),
         'interpolate': (_interpolate, _CHOICE + _DRAW + _OUT),
         'nearest': (_nearest, _CHOICE + _DRAW + _OUT + _EVAL[:1]),
         'export': (_export, _CHOICE + _OUT),
         'report': (_report, _OUT)}
_MODE = flags.DEFINE_enum('mode', 'train', list(MODES), 'What to do; all but train need the workdir alone.')


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected arguments {argv[1:]}')
  if not flags.FLAGS['verbosity'].present:
    # Orbax and CLU tell much, and print tracebacks of errors that are raised as well; --verbosity=0 lets them.
    logging.set_verbosity(logging.FATAL)
  from gans import cache, processes
  cache.keep_compilations()
  try:
    known = _given(_PROCESSES)
    if known.pop('distributed', False) or known:
      processes.connect(**known)
    MODES[_MODE.value][0]()
  except UserError as error:
    sys.exit(f'error: {error}')
  except KeyboardInterrupt:
    print('interrupted')
    sys.exit(130)


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
  for name in _given([flag for _, own in MODES.values() for flag in own]):
    modes = [mode for mode, (_, own) in MODES.items() if name in [flag.name for flag in own]]
    if _MODE.value not in modes:
      to_train = f'; give --config.{name} to train' if training and name.startswith('eval.') else ''
      raise flags.IllegalFlagValueError(f'flag --{name}: is of --mode={" or ".join(modes)}{to_train}')
  if config and not training:
    raise flags.IllegalFlagValueError(f'flag --config: --mode={_MODE.value} takes the config of the workdir')
  if training and not config:
    raise flags.IllegalFlagValueError('flag --config=None: --mode=train needs one, such as configs/wgan_gp.py')


def _given(among: list) -> dict:
  """Returns {name: value} of those flags that were given."""
  return {flag.name: flag.value for flag in among if flag.value is not None}


def _arguments() -> dict:
  """Those of the mode as keyword arguments, {'num': 64} for --sample.num=64."""
  return {name.split('.')[1]: value for name, value in _given(MODES[_MODE.value][1]).items()}


def _last_line(error: Exception) -> str:
  """The line that says what happened, where a message quotes a traceback; nothing where it is one line anyway."""
  lines = str(error).strip().splitlines()
  return lines[-1].strip() if len(lines) > 1 else ''


if __name__ == '__main__':
  app.run(main, flags_parser=parse_flags)
