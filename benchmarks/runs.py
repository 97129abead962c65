"""What the benchmarks that train whole runs share: where their data are, how they start, and how fast a run was."""
from collections.abc import Callable
import pathlib
import sys

from absl import app, flags, logging
from etils import epath
from ml_collections import config_flags
import numpy as np

from gans import overrides
from gans.errors import UserError
from gans.system import cache
from gans.system.events import read_scalars

DATA_DIR = flags.DEFINE_string('data_dir', '', "Where TFDS has its data sets; '': its own place.")


def launch(main: Callable):
  """Runs a benchmark's main(argv); what it cannot do with what it was given is said in a line, as main.py says it.

  Of the log, errors alone are shown.
  """
  def answered(argv):
    logging.set_verbosity(logging.ERROR)
    try:
      main(argv)
    except UserError as error:
      sys.exit(f'error: {error}')

  app.run(answered)


def read_config():
  """Returns the config that --config and its fields give, as main.py trains it."""
  cache.keep_compilations()
  flag = flags.FLAGS['config']
  overrides.drop_unread(flag.value, config_flags.get_override_values(flag))
  return flag.value


def speed(workdir: pathlib.Path) -> float:
  """Median steps per second of a run."""
  tag = 'steps_per_second'
  found = read_scalars(epath.Path(workdir / 'events'), lambda name: name == tag)[tag]
  return float(np.median(list(found.values())))
