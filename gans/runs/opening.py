"""A run opened for reading: its config and its checkpoints. Its workdir stays as it is, and no data are read."""
from collections.abc import Iterator
import contextlib
import logging
import pathlib
from typing import NamedTuple

from etils import epath
import jax
import ml_collections
import orbax.checkpoint as ocp

from gans.build import Experiment, build_shapes
from gans.core import sharding
from gans.core.game import GANState, each_seed
from gans.data.dataset import Spec
from gans.errors import UserError
from gans.evaluation import evaluator
from gans.runs import checkpoints, checksums, evaluations, packed, workdirs
from gans.runs.kept import build_kept
from gans.system import disk


class Run(NamedTuple):
  """A run as training started it, and its checkpoints."""
  workdir: epath.Path
  config: ml_collections.ConfigDict
  spec: Spec
  experiment: Experiment
  manager: ocp.CheckpointManager

  def pick_step(self, wanted: str | int) -> int:
    """Returns a step that was kept: that number, the 'latest', or the 'best', the latest where no score says which.

    Raises:
      UserError: it was not kept.
    """
    steps = sorted(self.manager.all_steps())
    by_name = {str(step): step for step in steps} | {'latest': steps[-1]}
    if wanted == 'best':
      best = self.find_best()
      return best.step if best else steps[-1]
    if str(wanted) not in by_name:
      raise UserError(f"checkpoint={wanted!r}: {self.manager.directory} has the steps {steps}; expected one of them, "
                      "'best' or 'latest'")
    return by_name[str(wanted)]

  def find_best(self) -> evaluations.Best | None:
    """Returns the best step of those that were kept, by the settings of the run itself; None: no score says which."""
    own_config = workdirs.read_config(self.workdir).to_dict()
    return evaluations.find_best(self.workdir, own_config, self.spec)

  def find_damage(self, step: int) -> str:
    """Says what is wrong with the checkpoint of a step, '' where it is whole."""
    if disk.is_remote(self.workdir):
      return ''
    return checksums.find_damage(pathlib.Path(self.manager.directory / str(step)))

  def restore(self, step: int) -> GANState:
    """Returns the state at a step that was kept, on the first device of this process.

    Raises:
      UserError: it is not as it was written (only training moves it aside), or training has deleted it meanwhile.
    """
    try:
      return self._restore(step)
    except Exception as error:
      folder = self.manager.directory / str(step)
      if folder.exists():
        raise
      raise UserError(f'{folder} was deleted meanwhile by the run, which is at work and keeps later ones; the same '
                      'again reads one of them') from error

  def _restore(self, step: int) -> GANState:
    if reason := self.find_damage(step):
      whole = [other for other in self.manager.all_steps() if other != step and not self.find_damage(other)]
      instead = f'the steps {whole} are whole' if whole else 'no other one is whole'
      raise UserError(f'{self.manager.directory / str(step)} is damaged, {reason}; {instead}')
    mesh = sharding.make_mesh(1, jax.local_devices()[:1])
    placement = sharding.replicated(mesh)
    # Shapes are enough to restore into: weights that are overwritten need not be initialised first.
    shapes = build_shapes(self.config, self.experiment)
    placed = jax.tree.map(lambda leaf: leaf.update(sharding=placement), shapes)
    return checkpoints.restore(self.manager, step, placed)

  def averages(self, step: int) -> list:
    """Returns the averaged variables {player: variables} at a step that was kept, of each seed."""
    return each_seed(self.restore(step).ema, self.config.num_seeds)


@contextlib.contextmanager
def open_run(path, changes: dict | None = None) -> Iterator[Run]:
  """Opens the run in a workdir; `changes` replace fields of its config, such as {'eval.seed': 1}.

  Raises:
    UserError: it is no workdir, or a packed one, or has no checkpoint yet.
  """
  config = workdirs.read_config(path)
  config.update_from_flattened_dict(changes or {})
  folder = disk.absolute(path)
  if packed.is_packed(folder):
    raise UserError(f'--workdir={path} is a packed generator, without checkpoints: expected the workdir of a run')
  spec = workdirs.read_spec(path) or _look_at_data(config, path)
  experiment = build_kept(config, spec, folder)
  config = evaluator.name_scores(config, spec, experiment)
  with _without_news():
    opened = checkpoints.open_manager(folder, read_only=True)
  with opened as manager:
    if not manager.all_steps():
      raise UserError(f'--workdir={path} has no checkpoint yet; the first comes after {config.checkpoint_every} steps')
    yield Run(folder, config, spec, experiment, manager)


@contextlib.contextmanager
def _without_news() -> Iterator[None]:
  """Keeps Orbax from warning that what is opened for reading is read only."""
  def is_other(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    return 'read_only=True' not in message and 'is read only' not in message

  logger = logging.getLogger('absl')
  logger.addFilter(is_other)
  try:
    yield
  finally:
    logger.removeFilter(is_other)


def _look_at_data(config, path) -> Spec:
  from gans.data.sources import load_dataset
  print(f'{path} was made by an earlier version and does not say which shape its data have: reading them')
  return load_dataset(config.dataset).spec
