"""Checkpoints of the whole state with Orbax, written in the background: the latest, the best, and some for good."""
from collections.abc import Callable

from etils import epath
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from gans.core.game import GANState
from gans.runs import checksums
from gans.runs.layouts import downgrade_state, is_of_two_players, upgrade_state

ALL = -1  # config.keep_checkpoints


class KeepBest(checkpoint_managers.PreservationPolicy):
  """Keeps the best of the checkpoints; find_best(steps) says which it is, or None."""

  def __init__(self, find_best: Callable[[list[int]], int | None]):
    self.find_best = find_best

  def should_preserve(self, checkpoints, *, context) -> list[bool]:
    del context
    steps = [checkpoint.step for checkpoint in checkpoints]
    best = self.find_best(steps)
    return [step == best for step in steps]


def open_manager(workdir: epath.Path, find_best: Callable | None = None, keep: int = ALL, keep_every: int = 0,
                 read_only: bool = False) -> ocp.CheckpointManager:
  """Opens workdir/checkpoints; use it as a context manager, whose end waits for the last write.

  It keeps the last `keep`, those at multiples of `keep_every` steps, and the best, see KeepBest.
  """
  policies = [checkpoint_managers.LatestN(None if keep == ALL else keep)]
  if find_best:
    policies.append(KeepBest(find_best))
  if keep_every:
    policies.append(checkpoint_managers.EveryNSteps(keep_every))
  policy = checkpoint_managers.AnyPreservationPolicy(policies)
  # A folder that cannot be made is an error at once; in the background Orbax's threads would wait for it for minutes.
  in_background = ocp.options.AsyncOptions(create_directories_asynchronously=False)
  # Without `lightweight_initialize` Orbax reads what is beside the state of each checkpoint, and fails for a single one
  # that is damaged.
  options = ocp.CheckpointManagerOptions(
      preservation_policy=policy, async_options=in_background, read_only=read_only, lightweight_initialize=True)
  return ocp.CheckpointManager(workdir / 'checkpoints', handler_registry=checksums.make_registry(), options=options)


def has_any(workdir: epath.Path) -> bool:
  """Tells whether a run has a checkpoint, by which it resumes; one whose writing was cut short is none."""
  folder = workdir / 'checkpoints'
  return folder.exists() and bool(ocp.utils.checkpoint_steps(folder))


def save(manager: ocp.CheckpointManager, step: int, state: GANState):
  """Copies the state (so it may be donated at once) and writes it in the background.

  A step that was saved already is not saved again.
  """
  if step != manager.latest_step():
    manager.save(step, args=ocp.args.StandardSave(state))


def restore_latest(manager: ocp.CheckpointManager, state: GANState) -> GANState:
  """Returns the latest saved state, placed as `state` is, or `state` itself where nothing was saved.

  Raises:
    UserError: its arrays are those of another version's networks or optimizers.
  """
  step = manager.latest_step()
  return state if step is None else restore(manager, step, state)


def restore(manager: ocp.CheckpointManager, step: int, state: GANState) -> GANState:
  """Returns the state saved at `step`, in any layout, placed as `state` is.

  Raises:
    UserError: its arrays are those of another version's networks or optimizers.
  """
  saved = checksums.read_metadata(manager.directory / str(step))
  target = lay_out_alike(state, saved)
  checksums.check_fit(manager.directory / str(step), saved, target)
  restored = manager.restore(step, args=ocp.args.StandardRestore(target))
  return upgrade_state(restored) if is_of_two_players(saved) else restored


def lay_out_alike(state: GANState, saved):
  """Returns a state in the layout of a checkpoint, whose metadata are `saved`: the tree to read it into."""
  return downgrade_state(state) if is_of_two_players(saved) else state


def set_damaged_aside(workdir: epath.Path, state: GANState):
  """Sets damaged checkpoints aside, as `checksums.set_damaged_aside`, if the newest whole one fits a state.

  Raises:
    UserError: it does not, or there are checkpoints and none is whole; nothing is moved.
  """
  def check(checkpoint):
    saved = checksums.read_metadata(checkpoint)
    checksums.check_fit(checkpoint, saved, lay_out_alike(state, saved))

  checksums.set_damaged_aside(workdir, check)
