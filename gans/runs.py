"""A run opened for reading: what its workdir says and keeps, without a trace left in it."""
from collections.abc import Iterator
import contextlib
import pathlib
from typing import NamedTuple

from etils import epath
import jax
import ml_collections
import orbax.checkpoint as ocp

from gans import checkpoint, data, disk, seal, sharding, state, train, validate, workdir
from gans.errors import UserError
from gans.evaluation import evaluator


class Run(NamedTuple):
  """All that training started from, and where its states are."""
  workdir: epath.Path
  config: ml_collections.ConfigDict
  dataset: data.Dataset
  experiment: train.Experiment
  initial: state.GANState
  manager: ocp.CheckpointManager

  def averages(self, step: int) -> list:
    """Returns the averaged generator's variables at a step that was kept, of each seed."""
    return state.each_seed(checkpoint.restore(self.manager, step, self.initial).ema, self.config.num_seeds)


@contextlib.contextmanager
def open_run(path, changes: dict | None = None) -> Iterator[Run]:
  """Opens the run in a workdir, with other values {'eval.seed': 1} for some fields of its config.

  Raises:
    UserError: it is no workdir, has no checkpoint yet, or has a damaged one.
  """
  config = workdir.read_config(path)
  config.update_from_flattened_dict(changes or {})
  folder = epath.Path(path).expanduser()
  validate.check_config(config)
  dataset = data.load(config.dataset)
  config = evaluator.settle(config, dataset)
  _refuse_damaged(folder)
  with train.open_manager(folder, config, read_only=True) as manager:
    if not manager.all_steps():
      raise UserError(f'--workdir={path} has no checkpoint yet; the first comes after {config.checkpoint_every} steps')
    experiment = train.build(config, dataset.spec)
    initial = train.create_state(config, experiment, dataset.spec, sharding.make_mesh(1, jax.local_devices()[:1]))
    yield Run(folder, config, dataset, experiment, initial, manager)


def _refuse_damaged(folder: epath.Path):
  """Raises UserError for a checkpoint that is not as it was written; only training moves it aside."""
  found = [] if disk.is_remote(folder) else pathlib.Path(folder).glob('checkpoints/[0-9]*')
  for path in sorted(path for path in found if path.name.isdigit()):
    if reason := seal.find_damage(path):
      raise UserError(f'{path} is damaged, {reason}: move it away, or let training go on, which does')
