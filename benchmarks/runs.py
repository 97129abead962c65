"""What the benchmarks that train whole runs share: where their data are, and how fast a run was."""
import pathlib

from absl import flags
from etils import epath
import numpy as np

from gans.system.events import read_scalars

DATA_DIR = flags.DEFINE_string('data_dir', '', "Where TFDS has its data sets; '': its own place.")


def speed(workdir: pathlib.Path) -> float:
  """Median steps per second of a run."""
  tag = 'steps_per_second'
  found = read_scalars(epath.Path(workdir / 'events'), lambda name: name == tag)[tag]
  return float(np.median(list(found.values())))
