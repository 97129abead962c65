"""Trains a GAN, and shows what it has learnt.

    python main.py --config=configs/wgan_gp.py --workdir=/tmp/run
    python main.py --mode=sample --workdir=/tmp/run
"""
import pathlib
import signal
import sys
import traceback


def _quit(*_):
  """Ends the program at Ctrl-C without a traceback, wherever there is nothing to save."""
  print('interrupted', file=sys.stderr)
  sys.exit(130)


if __name__ == '__main__':
  signal.signal(signal.SIGINT, _quit)  # now, as the imports below take seconds

from absl import app, flags, logging
from ml_collections import config_flags

from gans import overrides
from gans.errors import UserError, first_line

ROOT = pathlib.Path(__file__).parent

_CONFIG = overrides.define_config_flag(
    ROOT, 'The experiment to train: a file in configs/, or FILE:VARIANT. Change its fields by flags such as '
    '--config.batch_size=32 or --config.critic.optimizer.learning_rate=4e-4.')
flags.declare_key_flag('config')  # another file defines it, and --help lists those of this one
_WORKDIR = flags.DEFINE_string(
    'workdir', None, 'The folder of the run: checkpoints, samples and logs. The same command resumes what is there. '
    'The modes that show a generator also take the name of a built-in model (README.md); report takes several, '
    'separated by commas, and inspect none.')

# Flags of --mode=evaluate and nearest, then those of evaluate alone. The defaults are those of the run's config.
_FEATURES = [
    flags.DEFINE_string('eval.features', None, "What samples are compared by: 'classifier', 'points' or a "
                        "public network's, 'inception', 'resnet20_cifar10', 'lenet5_mnist' or 'squeezenet_imagenet'. "
                        'For nearest the default is the pixels.'),
    flags.DEFINE_string('eval.weights', None, "The file of the public network's weights, see docs/evaluation.md."),
]
_EVAL = _FEATURES + [
    flags.DEFINE_bool('eval.gan_train', None, 'Also measure GAN-train: a classifier learns from samples alone.'),
    flags.DEFINE_integer('eval.num_samples', None, 'How many samples to measure.', lower_bound=2),
    flags.DEFINE_integer('eval.seed', None, 'The seed of the noise of the samples to measure.', lower_bound=0),
]
_CHANGES = [
    flags.DEFINE_bool('resume_with_changes', None, 'Resume a run, from its latest checkpoint, with another config or '
                      'other data than it was made with, as after a divergence. starts.jsonl and the report say what '
                      'changed, and at which step.'),
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
# Flags of the modes that read the data set of a run, which config.json names.
_MOVED = [
    flags.DEFINE_string('dataset.path', None, 'Where the folder of the data lies now, if it was moved.'),
    flags.DEFINE_string('dataset.data_dir', None, 'Where the data sets of TFDS lie now, if they were moved.'),
]
# Flags that choose a generator of a run.
_CHOICE = [
    flags.DEFINE_string('checkpoint', None, "The checkpoint to draw from: 'best' (the default), 'latest', or a step."),
    flags.DEFINE_enum('weights', None, ['ema', 'raw'], "The weights to draw from: 'ema', averaged over the steps (the "
                      "default), or 'raw', as the last step left them."),
    flags.DEFINE_integer('training_seed', None, 'One of the seeds that trained side by side; the default is the first.',
                         lower_bound=0),
]
# Flags of what is drawn, and where it is written.
_OUT = [flags.DEFINE_string(
    'out', None, 'A new file or folder to write. sample: NAME.png, a grid; NAME.npz, arrays; NAME.gif, turning voxels; '
    'or a folder of single PNGs. nearest and inspect: NAME.png. report: NAME.html. interpolate, export and pack: a '
    'folder. The default is in the workdir, and for inspect in the present folder.')]
_INPUTS = [flags.DEFINE_string(
    'inputs', None, 'A folder of images, or one image, for a model that translates. The default is some of its '
    'data set.')]
_DRAW = [
    flags.DEFINE_integer('num', None, 'How many samples to draw. The default is 64 for sample, or 8 of each class; 8 '
                         'for interpolate and nearest.', lower_bound=1),
    flags.DEFINE_integer('seed', None, 'The seed of the noise of the samples to draw; the default is 0.', lower_bound=0,
                         upper_bound=2**31 - 1),
    flags.DEFINE_list('labels', None, 'Labels of the samples to draw, repeated as needed: 3,3,7. By default each class '
                      'has as many samples.'),
    flags.DEFINE_float('truncation', None, 'Noise beyond +-truncation is drawn again: fewer broken samples, less '
                       'variety. The default is off.', lower_bound=0),
]


# The modules are imported here, so that a mistyped flag is answered at once.


def _train():
  from gans.training.loop import train
  train(_CONFIG.value, _WORKDIR.value, **_given(_CHANGES))


def _inspect():
  from gans.modes.inspect import inspect
  inspect(_CONFIG.value, **_arguments())


def _evaluate():
  from gans.modes.evaluate import evaluate
  evaluate(_WORKDIR.value, _given(_EVAL), _given(_MOVED))


def _sample():
  from gans.modes.sample import sample
  sample(_WORKDIR.value, **_arguments())


def _pack():
  from gans.modes.pack import pack_generator
  pack_generator(_WORKDIR.value, **_arguments())


def _interpolate():
  from gans.modes.interpolate import interpolate
  interpolate(_WORKDIR.value, **_arguments())


def _nearest():
  from gans.modes.nearest import show_nearest
  show_nearest(_WORKDIR.value, means=_given(_FEATURES), moved=_given(_MOVED), **_arguments())


def _export():
  from gans.modes.export import export_generator
  export_generator(_WORKDIR.value, **_arguments())


def _report():
  from gans.modes.report import split_paths, write_report
  write_report(split_paths(_WORKDIR.value), **_arguments())


# {mode: (function, flags that belong to it)}.
MODES = {
    'train': (_train, _CHANGES + _PROCESSES),
    'inspect': (_inspect, _OUT),
    'evaluate': (_evaluate, _EVAL + _MOVED + _PROCESSES),
    'sample': (_sample, _CHOICE + _DRAW + _INPUTS + _OUT),
    'pack': (_pack, _CHOICE + _OUT),
    'interpolate': (_interpolate, _CHOICE + _DRAW + _INPUTS + _OUT),
    'nearest': (_nearest, _CHOICE + _DRAW + _INPUTS + _OUT + _MOVED + _FEATURES),
    'export': (_export, _CHOICE + _INPUTS + _OUT),
    'report': (_report, _OUT),
}
_OF_A_CONFIG = ('train', 'inspect')  # modes that read --config; the others take the config of the workdir
_MODE = flags.DEFINE_enum(
    'mode', 'train', list(MODES), 'train: train the config, or resume. inspect: show what the data set of the config '
    'holds. evaluate: measure every checkpoint that the run keeps, or a packed or built-in model. sample: draw images. '
    'interpolate: walk between samples and between classes. nearest: set samples beside their nearest training images. '
    'report: write one page of the run, or of several. export: write the generator as one file that needs JAX, but not '
    'this code. pack: keep the generator without its checkpoints. All but train and inspect take --workdir and no '
    '--config.')


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected arguments {argv[1:]}')
  if not flags.FLAGS['verbosity'].present:
    # Orbax and CLU log much, and print tracebacks of errors that are also raised; --verbosity=0 shows their logs.
    logging.set_verbosity(logging.FATAL)
  from gans.system import cache, processes, streams
  streams.outlive_readers()
  streams.hide_orphaned_writes()
  cache.keep_compilations()
  try:
    known = _given(_PROCESSES)
    is_distributed = known.pop('distributed', False)
    if is_distributed or known:
      processes.connect(**known)
    run_mode, _ = MODES[_MODE.value]
    with processes.explain_missing_devices():
      run_mode()
  except UserError as error:
    sys.exit(f'error: {error}')


def parse_flags(argv):
  """Parses flags as absl does, but says what is wrong with the config in one line, without a traceback."""
  try:
    positional = flags.FLAGS(argv)
    _check_mode()
    if _MODE.value in _OF_A_CONFIG:
      if not hasattr(_CONFIG.value, 'lock'):  # the file is read here, at the latest
        raise flags.IllegalFlagValueError(f'flag --config={_config_path()}: get_config() returns '
                                          f'{type(_CONFIG.value).__name__}, expected an ml_collections.ConfigDict')
      overrides.drop_unread(_CONFIG.value, config_flags.get_override_values(flags.FLAGS['config']))
      _CONFIG.value.lock()
    return positional
  except UserError as error:
    sys.exit(f'error: {error}')
  except flags.Error as error:
    sys.exit(f'error: {first_line(error)} {_last_line(error)}\nrun with --help for all flags')
  except (AttributeError, LookupError, TypeError, ValueError) as error:
    if not _is_of_ml_collections(error):
      raise  # a mistake in the code of the config, whose line the traceback names
    sys.exit(f'error: {_describe_missing(error)}')
  except OSError as error:
    names = sorted(path.name for path in ROOT.glob('configs/*.py') if path.name != 'base.py')
    configs = ', '.join(f'configs/{name}' for name in names)
    sys.exit(f'error: --config={error.filename or _config_path()}: {error.strerror or _last_line(error)}; those of '
             f'{ROOT} are {configs}')


def _config_path() -> str:
  return flags.FLAGS['config'].config_filename


def _is_of_ml_collections(error: Exception) -> bool:
  """Tells whether an error was raised by the parser of --config flags, not by the code of a config."""
  *_, innermost = files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
  return 'ml_collections' in innermost or any(file.endswith('config_path.py') for file in files)


def _describe_missing(error: Exception) -> str:
  """Says which field a --config flag names in vain, or that the file is no config."""
  if not isinstance(error, AttributeError | KeyError):
    return f'a --config flag names no field, or a value that it cannot take: {error}'
  missing = error.args[0].args[0] if isinstance(error.args[0], Exception) else error.args[0]
  if 'get_config' in missing:
    return 'the file of --config is no config: it has no function get_config'
  return f'the config has no field {missing}; its file and configs/base.py have them all'.replace('\n', '; ')


def _check_mode():
  """Raises absl's error for a flag that belongs to other modes, or for a missing one that the mode needs."""
  is_of_a_config = _MODE.value in _OF_A_CONFIG
  has_config = flags.FLAGS['config'].present
  modes_of = {}  # {flag: the modes that it belongs to}
  for mode, (_, own) in MODES.items():
    for name in _given(own):
      modes_of.setdefault(name, []).append(mode)
  for name, modes in modes_of.items():
    if _MODE.value not in modes:
      to_train = f'; give --config.{name} to train' if _MODE.value == 'train' and _is_field(name) else ''
      raise flags.IllegalFlagValueError(f'flag --{name}: belongs to --mode={" or ".join(modes)}{to_train}')
  if has_config and not is_of_a_config:
    raise flags.IllegalFlagValueError(f'flag --config: --mode={_MODE.value} takes the config of the workdir')
  if is_of_a_config and not has_config:
    raise flags.IllegalFlagValueError(f'flag --config=None: --mode={_MODE.value} needs one, such as configs/wgan_gp.py')
  if (_WORKDIR.value is None) != (_MODE.value == 'inspect'):
    expected = 'takes none' if _WORKDIR.value else 'needs one, such as /tmp/run'
    raise flags.IllegalFlagValueError(f'flag --workdir={_WORKDIR.value}: --mode={_MODE.value} {expected}')


def _is_field(name: str) -> bool:
  """Tells whether a flag has the name of a field that every config has."""
  return name.startswith(('eval.', 'dataset.')) or name == 'seed'


def _given(among: list) -> dict:
  """Returns {name: value} of the flags that were given."""
  return {flag.name: flag.value for flag in among if flag.value is not None}


def _arguments() -> dict:
  """Returns the given flags of the mode, but for those that are fields of a config, as keyword arguments."""
  _, own = MODES[_MODE.value]
  return {name: value for name, value in _given(own).items() if '.' not in name}


def _last_line(error: Exception) -> str:
  """Returns the last line of a message that quotes a traceback, which says what happened; '' for any other message."""
  lines = str(error).strip().splitlines()
  return lines[-1].strip() if len(lines) > 1 else ''


if __name__ == '__main__':
  app.run(main, flags_parser=parse_flags)
