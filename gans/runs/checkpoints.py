"""Checkpoints of the whole state with Orbax: written in the background, the last few kept, and the best one."""
import math

from etils import epath
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from gans.core.game import GANState
from gans.errors import UserError
from gans.runs import checksums
from gans.runs.layouts import downgrade_state, is_of_two_players, upgrade_state

KEEP = 3


def open_manager(workdir: epath.Path, score: str, mode: str, **options) -> ocp.CheckpointManager:
  """Opens workdir/checkpoints; use it as a context manager, whose end waits for the last write.

  Kept are the last KEEP and the one whose `score` is best: the least in the mode 'min', the greatest in 'max'.
  """
  worst = math.inf if mode == 'min' else -math.inf
  value = lambda scores: scores.get(score, worst)
  best = checkpoint_managers.BestN(get_metric_fn=value, reverse=mode == 'min', n=1,
                                   keep_checkpoints_without_metrics=False)
  policy = checkpoint_managers.AnyPreservationPolicy([checkpoint_managers.LatestN(KEEP), best])
  # A folder that cannot be made is an error at once; in the background Orbax's threads would wait for it, for minutes.
  in_background = ocp.options.AsyncOptions(create_directories_asynchronously=False)
  return ocp.CheckpointManager(
      workdir / 'checkpoints', handler_registry=checksums.handlers(), options=ocp.CheckpointManagerOptions(
          best_fn=value, best_mode=mode, preservation_policy=policy, async_options=in_background, **options))


def save(manager: ocp.CheckpointManager, step: int, state: GANState, scores: dict[str, float]):
  """Copies the state (so it may be donated at once) and writes it in the background, with its scores, if any.

  Does nothing where it was saved already.
  """
  if step != manager.latest_step():
    manager.save(step, args=ocp.args.StandardSave(state), metrics=scores)


def restore_latest(manager: ocp.CheckpointManager, state: GANState) -> GANState:
  """Returns the latest state saved, placed as `state` is, or `state` itself where nothing was saved.

  Raises:
    UserError: it is the state of another version's networks or optimizers.
  """
  step = manager.latest_step()
  return state if step is None else restore(manager, step, state)


def restore(manager: ocp.CheckpointManager, step: int, state: GANState) -> GANState:
  """Returns the state saved at `step`, in whatever layout, placed as `state` is.

  Raises:
    UserError: it is the state of another version's networks or optimizers.
  """
  saved = manager.item_metadata(step)
  is_old = is_of_two_players(saved)
  target = downgrade_state(state) if is_old else state
  checksums.check_fit(manager.directory / str(step), saved, target)
  restored = manager.restore(step, args=ocp.args.StandardRestore(target))
  return upgrade_state(restored) if is_old else restored


def pick_step(manager: ocp.CheckpointManager, wanted: str | int) -> int:
  """Returns a step that was kept: that number, the 'latest', or the 'best', the latest where none was evaluated.

  Raises:
    UserError: it was not kept.
  """
  steps = manager.all_steps()
  named = {'latest': manager.latest_step(), 'best': manager.best_step() or manager.latest_step()}
  step = named.get(str(wanted)) or next((step for step in steps if str(step) == str(wanted)), None)
  if step is None:
    raise UserError(f"checkpoint={wanted!r}: {manager.directory} has the steps {sorted(steps)}; expected one of them, "
                    "'best' or 'latest'")
  return step
