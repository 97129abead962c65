"""Trains a GAN, and shows what it learnt.

    python main.py --config=configs/wgan_gp.py --workdir=/tmp/run
    python main.py --mode=sample --workdir=/tmp/run
"""
import pathlib
import sys

from absl import app, flags, logging
from ml_collections import config_flags

from gans.errors import UserError

ROOT = pathlib.Path(__file__).parent

_CONFIG = config_flags.DEFINE_config_file(
    'config', None, 'The experiment to train: a file in configs/, or FILE:VARIANT. Change its fields by flags such as '
    '--config.batch_size=32 or --config.critic.optimizer.learning_rate=4e-4.')
_WORKDIR = flags.DEFINE_string(
    'workdir', None, 'The folder of the run: checkpoints, samples and logs. The same command resumes what is there. '
    'The modes that show a generator also take the name of a built-in model (README.md); report takes several, with '
    'commas.',
    required=True)

# Flags of --mode=evaluate; nearest has the first one too. The default is what the run's config says.
_EVAL = [
    flags.DEFINE_string('eval.features', None, "What samples are compared by: 'classifier', 'inception' or 'points'. "
                        'For nearest the default is the pixels.'),
    flags.DEFINE_string('eval.weights', None, "The file of weights for --eval.features=inception."),
    flags.DEFINE_integer('eval.num_samples', None, 'How many samples to measure.', lower_bound=2),
    flags.DEFINE_integer('eval.seed', None, 'The seed of the noise of the samples to measure.', lower_bound=0),
]
# Flags of several processes, see docs/several-devices.md; the last three are jax.distributed.initialize's.
_PROCESSES = [
    flags.DEFINE_bool('distributed', None, 'This is one of several processes of the same command. JAX finds the others '
                      'on Cloud TPU and GKE, under SLURM and Open MPI.'),
    flags.DEFINE_string('coordinator_address', None, 'HOST:PORT of the first process, where JAX does not find it.'),
    flags.DEFINE_integer('num_processes', None, 'How many processes there are, where JAX does not know.',
                         lower_bound=1),
    flags.DEFINE_integer('process_id', None, 'The number of this process, from 0, where JAX does not know.',
                         lower_bound=0),
]
# Which generator of a run.
_CHOICE = [
    flags.DEFINE_string('checkpoint', None, "The checkpoint to draw from: 'best' (the default), 'latest', or a step."),
    flags.DEFINE_enum('weights', None, ['ema', 'raw'], "The weights to draw from: 'ema', averaged over the steps (the "
                      "default), or 'raw', as the last step left them."),
    flags.DEFINE_integer('training_seed', None, 'Which of the seeds that trained side by side; the default is the '
                         'first.', lower_bound=0),
]
_OUT = [flags.DEFINE_string(
    'out', None, 'A new file or folder to write. sample: NAME.png, a grid; NAME.npz, arrays; or a folder of single '
    'PNGs. nearest: NAME.png. report: NAME.html. interpolate, export and pack: a folder. The default is in the '
    'workdir.')]
_DRAW = [
    flags.DEFINE_integer('num', None, 'How many samples to draw. The default is 64 for sample, or 8 of each class; 8 '
                         'for interpolate and nearest.', lower_bound=1),
    flags.DEFINE_integer('seed', None, 'The seed of the noise of the samples to draw; the default is 0.', lower_bound=0,
                         upper_bound=2**31 - 1),
    flags.DEFINE_list('labels', None, 'Labels of the samples to draw, over and over: 3,3,7. The default is as many of '
                      'each class.'),
    flags.DEFINE_float('truncation', None, 'Noise beyond +-truncation is drawn again: fewer broken samples, less '
                       'variety. The default is off.', lower_bound=0),
]


# The modules are imported here, so that a mistyped flag is answered at once.


def _train():
  from gans.training.loop import train
  train(_CONFIG.value, _WORKDIR.value)


def _evaluate():
  from gans.modes.evaluate import evaluate
  evaluate(_WORKDIR.value, _given(_EVAL))


def _sample():
  from gans.modes.sample import sample
  sample(_WORKDIR.value, **_arguments())


def _pack():
  from gans.modes.pack import pack
  pack(_WORKDIR.value, **_arguments())


def _interpolate():
  from gans.modes.interpolate import interpolate
  interpolate(_WORKDIR.value, **_arguments())


def _nearest():
  from gans.modes.nearest import show_nearest
  show_nearest(_WORKDIR.value, **_arguments())


def _export():
  from gans.modes.export import export_generator
  export_generator(_WORKDIR.value, **_arguments())


def _report():
  from gans.modes.report import write_report
  write_report(_WORKDIR.value.split(','), **_arguments())


# What there is to do, and the flags that are its own.
MODES = {
    'train': (_train, _PROCESSES),
    'evaluate': (_evaluate, _EVAL + _PROCESSES),
    'sample': (_sample, _CHOICE + _DRAW + _OUT),
    'pack': (_pack, _CHOICE + _OUT),
    'interpolate': (_interpolate, _CHOICE + _DRAW + _OUT),
    'nearest': (_nearest, _CHOICE + _DRAW + _OUT + _EVAL[:1]),
    'export': (_export, _CHOICE + _OUT),
    'report': (_report, _OUT),
}
_MODE = flags.DEFINE_enum(
    'mode', 'train', list(MODES), 'train: train the config, or resume. evaluate: measure every checkpoint that the run '
    'keeps. sample: draw images. interpolate: walk between samples and between classes. nearest: set samples beside '
    'their nearest training images. report: write one page of the run, or of several. export: write the generator as '
    'one file that needs JAX alone. pack: keep the generator without its checkpoints. All but train need the workdir '
    'alone.')


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected arguments {argv[1:]}')
  if not flags.FLAGS['verbosity'].present:
    # Orbax and CLU log much, and print tracebacks of errors that are raised as well; --verbosity=0 lets them.
    logging.set_verbosity(logging.FATAL)
  from gans.system import cache, processes
  cache.keep_compilations()
  try:
    known = _given(_PROCESSES)
    if known.pop('distributed', False) or known:
      processes.connect(**known)
    run_mode, _ = MODES[_MODE.value]
    run_mode()
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
  except UserError as error:
    sys.exit(f'error: {error}')
  except flags.Error as error:
    sys.exit(f'error: {str(error).splitlines()[0]} {_last_line(error)}\nrun with --help for all flags')
  except AttributeError as error:
    sys.exit(f'error: the config has no field {error}; its file and configs/base.py have them all'.replace('\\n', ' '))
  except OSError:
    there = ', '.join(sorted(f'configs/{path.name}' for path in ROOT.glob('configs/*.py')))
    sys.exit(f'error: no config at the path given as --config; there are {there}')


def _check_mode():
  """Raises absl's error for a flag that is not of the mode, or one that the mode needs."""
  training, config = _MODE.value == 'train', flags.FLAGS['config'].present
  for name in _given([flag for _, own in MODES.values() for flag in own]):
    modes = [mode for mode, (_, own) in MODES.items() if name in [flag.name for flag in own]]
    if _MODE.value not in modes:
      to_train = f'; give --config.{name} to train' if training and _is_of_the_config(name) else ''
      raise flags.IllegalFlagValueError(f'flag --{name}: is of --mode={" or ".join(modes)}{to_train}')
  if config and not training:
    raise flags.IllegalFlagValueError(f'flag --config: --mode={_MODE.value} takes the config of the workdir')
  if training and not config:
    raise flags.IllegalFlagValueError('flag --config=None: --mode=train needs one, such as configs/wgan_gp.py')


def _is_of_the_config(name: str) -> bool:
  """Tells whether a flag has the name of a field of every config as well."""
  return name.startswith('eval.') or name == 'seed'


def _given(among: list) -> dict:
  """Returns {name: value} of those flags that were given."""
  return {flag.name: flag.value for flag in among if flag.value is not None}


def _arguments() -> dict:
  """Returns the flags of the mode that were given as keyword arguments, {'features': ...} for --eval.features."""
  _, own = MODES[_MODE.value]
  return {name.removeprefix('eval.'): value for name, value in _given(own).items()}


def _last_line(error: Exception) -> str:
  """The line that says what happened, where a message quotes a traceback; nothing where it is one line anyway."""
  lines = str(error).strip().splitlines()
  return lines[-1].strip() if len(lines) > 1 else ''


if __name__ == '__main__':
  app.run(main, flags_parser=parse_flags)
