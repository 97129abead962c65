"""The training loop: data -> train_steps -> metrics, pictures, scores, checkpoints."""
from collections.abc import Callable
import functools
from typing import NamedTuple

import jax
import ml_collections
import numpy as np

from gans import validate
from gans.build import Experiment, build, build_state, build_train_steps
from gans.core import sharding
from gans.core.game import NO_WEIGHTS, GANState, Weights, each_seed
from gans.core.sampling import make_sampler
from gans.data.dataset import Dataset, Spec
from gans.data.feed import open_feed, shorten_calls
from gans.data.inventory import describe_inventory, take_inventory
from gans.data.order import batch_indices, find_order
from gans.data.schedule import is_due, split_into_calls, step_indices, training_seeds
from gans.data.shown import choose_shown, number_of_samples
from gans.data.sources import load_dataset
from gans.errors import UserError
from gans.evaluation import evaluator
from gans.runs import checkpoints, evaluations, transfer, workdirs
from gans.system import cache, disk, processes, signals
from gans.training import health
from gans.training.reporter import Reporter

# Of an inventory: what the data of all processes are to have in common.
CONTENTS = ('number', 'shape', 'classes', 'checksums', 'labels', 'attribute_values')


class Training(NamedTuple):
  """A run before its first step, whose config and data are those of its folder: what it is built from."""
  config: ml_collections.ConfigDict  # settled: the fields that were left open are filled in
  dataset: Dataset
  experiment: Experiment
  mesh: jax.sharding.Mesh
  inventory: dict  # of the data
  changes: list[str]  # what is other than before, in a run that resumes with changes
  record: Callable[[], None]  # writes down in the workdir what the run is of
  find_best: Callable[[list[int]], int | None]  # find_best(steps) -> the best of those that were measured


def train(config, path, resume_with_changes: bool = False) -> GANState:
  """Trains `config` in the folder `path`, or resumes the run that is there, and returns the final state.

  With `resume_with_changes`, it may be the run of another config or on other data, which its state has to fit.

  Raises:
    UserError: the config, the data set or the folder is not what it should be, and nothing was written; or later, the
      run diverged or could not be written any more.
    SystemExit: as `run_steps`.
  """
  with processes.fail_together():
    training, workdir = prepare(config, path, resume_with_changes)
    several = jax.process_count() > 1
    mark = fingerprint(config, training.inventory)
  processes.check_same('the config or the data set', mark)
  with processes.fail_together():
    weights = first_weights(training, workdir)
    mark = cache.fingerprint(*jax.tree.leaves(weights)) if several else ''
  processes.check_same('what init_from names', mark)
  state = build_state(config, training.experiment, training.mesh, weights)
  with disk.explain_errors(workdir), workdirs.locked(workdir):
    with processes.fail_together():  # another run may have been there since it was prepared
      check_folder(config, path, training.dataset.spec, training.inventory, resume_with_changes)
    checkpoints.set_damaged_aside(workdir, state)
    with checkpoints.open_manager(workdir, training.find_best, config.keep_checkpoints, config.keep_every) as manager:
      state = checkpoints.restore_latest(manager, state)
      if not training.changes:  # those are written down with the first steps that they are true of
        training.record()
      print('\n'.join(describe_inventory(training.inventory)))
      is_owed = is_unmeasured(training.config, training.dataset.spec, workdir, int(state.step))
      if int(state.step) >= config.num_steps and (training.changes or not is_owed):
        print(f'already finished: {workdir} is at step {state.step} of {config.num_steps}')
        if training.changes:
          print('the changes were not made: they need a larger num_steps')
        return state
      state = resume(training, workdir, manager, state)
  print_results(workdir)
  return state


def prepare(config, path, resume_with_changes: bool = False) -> tuple[Training, object]:
  """Checks what can be checked before the first step; returns what the run is built from, and its workdir."""
  validate.check_config(config)
  workdir = workdirs.check_workdir(path, config, resume_with_changes)
  check_source(config, workdir)  # before the data are read
  mesh = sharding.make_mesh(config.batch_size, data=config.mesh.data, microbatches=config.microbatches)
  dataset = load_dataset(config.dataset)
  validate.check_data(config, dataset)
  experiment = build(config, dataset.spec)
  validate.check_training(config, experiment)
  settled = evaluator.settle(config, dataset, experiment)
  algorithm = experiment.algorithm
  classes_per_batch = 1 if algorithm.data == 'examples' else 2
  settled = shorten_calls(settled, algorithm.batches_per_step * classes_per_batch, dataset)
  if config.eval_every and not settled.eval_every:
    print(f'no evaluation: it needs some 130 labelled images of up to {evaluator.CLASSIFIED} pixels, or eval.weights')
  for doubt in validate.list_doubts(config, experiment):
    print(doubt)
  inventory = take_inventory(config.dataset, dataset)
  of_config = workdirs.changed_fields(workdir, config)
  changes = [f'{field}: {before!r} -> {after!r}' for field, (before, after) in of_config.items()]
  of_data = workdirs.check_data(workdir, dataset.spec, inventory, resume_with_changes)
  record = functools.partial(write_down, workdir, config, dataset.spec, inventory, bool(of_data))
  find_best = functools.partial(find_best_step, workdir, config.to_dict(), dataset.spec)
  return Training(settled, dataset, experiment, mesh, inventory, changes + of_data, record, find_best), workdir


def write_down(workdir, config, spec: Spec, inventory: dict, has_other_data: bool):
  """Writes into the workdir what the run is of from now on; with other data, earlier scores say so."""
  if has_other_data and not jax.process_index():
    evaluations.set_apart(workdir / evaluations.NAME)
  workdirs.write_record(workdir, config, spec, inventory)


def check_folder(config, path, spec: Spec, inventory: dict, resume_with_changes: bool):
  """Raises UserError where the folder holds something else than a run of this config on these data."""
  workdir = workdirs.check_workdir(path, config, resume_with_changes)
  check_source(config, workdir)
  workdirs.check_data(workdir, spec, inventory, resume_with_changes)


def check_source(config, workdir):
  """Raises UserError where config.init_from names no model, or another one than a run with weights of its own did."""
  if not checkpoints.has_any(workdir):
    if config.init_from:
      transfer.find_source(config.init_from)
    return
  before, after = workdirs.changed_fields(workdir, config).get('init_from', ('', ''))
  if before != after:
    raise UserError(f'init_from={after!r}: the run in {workdir} has weights of its own by now; expected {before!r}, as '
                    'it was started with, or another --workdir')


def first_weights(training: Training, workdir) -> Weights:
  """Returns the weights that a new run starts from, and says which; those of one that resumes are in its checkpoints.

  Raises:
    UserError: config.init_from names no model, or one of which no weights agree.
  """
  if checkpoints.has_any(workdir):
    return NO_WEIGHTS
  source = training.config.init_from
  weights, lines = transfer.take_weights(source, training.experiment) if source else (NO_WEIGHTS, [])
  for line in lines + transfer.list_frozen_at_random(training.config, training.experiment, weights):
    print(line)
  return weights


def find_best_step(workdir, config: dict, spec: Spec, steps: list[int]) -> int | None:
  """Returns the best of the steps of a run of `config`, as eval.jsonl has it; None where no score says."""
  best = evaluations.find_best(workdir, config, spec, steps)
  return best.step if best else None


def resume(training: Training, workdir, manager, state: GANState) -> GANState:
  """Trains on from a state, with the reporter, the signals and the data feed open."""
  config = training.config
  experiment = training.experiment
  start = int(state.step)
  with Reporter(workdir, config, experiment.traced.intervals, start) as reporter:
    if start:
      reporter.say(f'resuming at step {start} of {config.num_steps}')
    if training.changes:
      reporter.say('\n  '.join(['with changes:', *training.changes]))
    pick = functools.partial(step_indices, config, experiment.algorithm.batches_per_step,
                             num_examples=len(training.dataset.images),
                             order=find_order(experiment.algorithm.data, training.dataset))
    feed = open_feed(config, training.dataset, training.mesh, start, pick)
    with signals.watched() as received, feed as take:
      return run_steps(training, take, state, manager, reporter, received)


def run_steps(training: Training, take: Callable, state: GANState, manager, reporter: Reporter,
              received: Callable) -> GANState:
  """Takes the steps that are left, on data from open_feed, and reports and saves at the config's intervals.

  Raises:
    SystemExit: a signal was received(), by any process; the state is saved, and the exit code is 128 plus the signal's
      number. One that came during the last evaluation ends a program that has other runs to make.
  """
  config = training.config
  experiment = training.experiment
  train_steps = build_train_steps(config, experiment, training.dataset.spec, training.mesh)
  sample = make_sampler(experiment.algorithm, experiment.modules, training.dataset.spec.kind.encode)
  show = make_show(training, sample, reporter)
  measure = make_measure(training, sample, reporter)
  step = int(state.step)
  if step and is_unmeasured(config, training.dataset.spec, reporter.workdir, step):  # it was interrupted there
    measure(step, state)
  for call, (step, stop) in enumerate(split_into_calls(int(state.step), config)):
    count = stop - step
    with reporter.trace(config.profile and call == 1):  # the first call compiles
      state, metrics = train_steps(state, *take(step), count)  # no name keeps this call's data past it
      local_state, metrics = sharding.local((state, metrics))
      if call == 0:  # compiled; the steps keep running while this is written
        if training.changes:
          training.record()
        reporter.started(local_state, training.changes)
      health.check_finite(step, metrics, count, local_state)
      reporter.metrics(stop, metrics, count)
      show(stop, local_state)
      stopping = processes.greatest(received())
      is_measured = not stopping and save_if_raised(measure, manager, stop, state)
      if stopping or is_measured or is_due(stop, config.checkpoint_every, config):
        checkpoints.save(manager, stop, state)
        reporter.plot_losses(training.find_best)
      if stopping:
        reporter.say(f'interrupted: saved at step {stop}; the same command resumes from there')
        raise SystemExit(128 + stopping)
  if stopping := processes.greatest(received()):
    reporter.say(f'interrupted after the last step, {config.num_steps}, which is saved')
    raise SystemExit(128 + stopping)
  return state


def make_show(training: Training, sample: Callable, reporter: Reporter) -> Callable:
  """Returns show(step, state), which draws samples of fixed inputs where due, and checks them for collapse."""
  config = training.config
  dataset = training.dataset
  experiment = training.experiment
  shown = choose_shown(experiment.algorithm.data, dataset, config.seed, experiment.num_labels, experiment.translates)
  num = number_of_samples(shown)
  # The first batch in the order of training, since many data sets are sorted by class.
  first, = batch_indices(config.seed, 0, 1, num, len(dataset.images))
  reporter.real(dataset.images[first], dataset.spec.kind)
  inputs = experiment.algorithm.inputs(jax.random.key(config.seed), shown.batch)
  seeds = training_seeds(config)
  check_collapse = {seed: health.watch_collapse(dataset.images, num, reporter.say) for seed in seeds}

  def show(step: int, state: GANState):
    if not is_due(step, config.sample_every, config):
      return
    samples = {}
    for seed, ema in zip(seeds, each_seed(state.ema, config.num_seeds)):
      samples[seed] = np.asarray(sample(ema, inputs))
    reporter.fake(step, {seed: shown.lay_out(drawn) for seed, drawn in samples.items()}, shown.columns)
    for seed, images in samples.items():
      check_collapse[seed](step, images)

  return show


def make_measure(training: Training, sample: Callable, reporter: Reporter) -> Callable:
  """Returns measure(step, state), which evaluates the samples where that is due, and tells whether it did."""
  config = training.config
  evaluate = evaluator.make_evaluate(config, training.dataset, training.experiment, sample)

  def measure(step: int, state: GANState) -> bool:
    if not is_due(step, config.eval_every, config):
      return False
    reporter.say(f'evaluating step {step}')
    averages = each_seed(sharding.local(state.ema), config.num_seeds)
    reporter.scores(step, evaluate(averages))
    return True

  return measure


def is_unmeasured(config, spec: Spec, workdir, step: int) -> bool:
  """Tells whether an evaluation is due at a step and has not been made."""
  asked, measured = config.eval.to_dict(), evaluations.read_scores(workdir / evaluations.NAME)
  is_there = any(at == step and evaluations.is_as_asked(evaluation, asked, spec) for at, evaluation in measured)
  return is_due(step, config.eval_every, config) and not is_there


def save_if_raised(measure: Callable, manager, step: int, state: GANState) -> bool:
  """Returns measure(step, state); if that fails, saves the steps up to it first."""
  try:
    return measure(step, state)
  except BaseException:
    checkpoints.save(manager, step, state)
    raise


def fingerprint(config, inventory: dict) -> str:
  """Returns a name for a run's config and what its data hold, wherever they lie."""
  return cache.digest((config.to_dict(), [inventory[field] for field in CONTENTS]))


def print_results(workdir):
  """Says where the results of a finished run are."""
  print(f'finished. In {workdir}:\n'
        '  samples/      grids of the same noise over the steps, and real images\n'
        '  losses.png    the losses over the steps\n'
        '  eval.jsonl    the scores, where it was evaluated\n'
        '  checkpoints/  the latest complete states, and the best one\n'
        f'  events/       scalars and images: tensorboard --logdir={workdir}')
