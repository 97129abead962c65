"""A run opened for reading: what its workdir says and keeps, without a trace left in it."""
from collections.abc import Iterator
import contextlib
from typing import NamedTuple

from etils import epath
import ml_collections
import orbax.checkpoint as ocp

from gans import checkpoint, data, sharding, state, train, workdir
from gans.errors import UserError
from gans.evaluation import evaluate


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
    UserError: it is no workdir, or has no checkpoint yet.
  """
  config = workdir.read_config(path)
  config.update_from_flattened_dict(changes or {})
  folder = epath.Path(path).expanduser()
  dataset = data.load(config.dataset)
  config = evaluate.settle(config, dataset)
  with train.open_manager(folder, config, read_only=True) as manager:
    if not manager.all_steps():
      raise UserError(f'--workdir={path} has no checkpoint yet; the first comes after {config.checkpoint_every} steps')
    experiment = train.build(config, dataset)
    initial = train.create_state(config, experiment, dataset, sharding.make_mesh(config.batch_size))
    yield Run(folder, config, dataset, experiment, initial, manager)
