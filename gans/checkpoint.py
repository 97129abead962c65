"""Checkpoints of the whole state with Orbax: written in the background, the last few kept."""
from etils import epath
import orbax.checkpoint as ocp

from gans import seal
from gans.state import GANState

KEEP = 3


def open_manager(workdir: epath.Path) -> ocp.CheckpointManager:
  """Opens workdir/checkpoints; use it as a context manager, whose end waits for the last write."""
  # A folder that cannot be made is an error at once; in the background Orbax's threads would wait for it, for minutes.
  in_background = ocp.options.AsyncOptions(create_directories_asynchronously=False)
  options = ocp.CheckpointManagerOptions(max_to_keep=KEEP, async_options=in_background)
  return ocp.CheckpointManager(workdir / 'checkpoints', options=options, handler_registry=seal.handlers())


def save(manager: ocp.CheckpointManager, step: int, state: GANState):
  """Copies the state (so it may be donated at once) and writes it in the background, unless it is there already."""
  if step != manager.latest_step():
    manager.save(step, args=ocp.args.StandardSave(state))


def restore_latest(manager: ocp.CheckpointManager, state: GANState) -> GANState:
  """Returns the latest state saved, placed as `state` is, or `state` itself where nothing was saved.

  Raises:
    UserError: it is the state of another version's networks or optimizers.
  """
  step = manager.latest_step()
  if step is None:
    return state
  seal.check_fit(manager.directory / str(step), manager.item_metadata(step), state)
  return manager.restore(step, args=ocp.args.StandardRestore(state))
