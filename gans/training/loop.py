"""The loop: data -> train_steps -> metrics, pictures, scores, checkpoints."""
from collections.abc import Callable
import functools
from typing import NamedTuple

import jax
import ml_collections
import numpy as np

from gans import validate
from gans.build import Experiment, build, build_state, build_train_steps
from gans.core import sharding
from gans.core.game import GANState, each_seed
from gans.core.sampling import make_sampler
from gans.data import kinds
from gans.data.dataset import Dataset
from gans.data.feed import open_feed, shorten_calls
from gans.data.order import batch_indices
from gans.data.schedule import calls, is_due, step_indices, training_seeds
from gans.data.sources import load_dataset
from gans.evaluation import evaluator
from gans.runs import checkpoints, checksums, workdirs
from gans.system import cache, disk, processes, signals
from gans.training import health
from gans.training.reporter import Reporter


class Training(NamedTuple):
  """What a run is made of, settled before its first step."""
  config: ml_collections.ConfigDict  # settled: what was left open in it is filled in
  dataset: Dataset
  experiment: Experiment
  mesh: jax.sharding.Mesh


def train(config, path) -> GANState:
  """Trains `config` in the folder `path`, or resumes the run that is there, and returns the final state.

  Raises:
    UserError: the config, the data set or the folder is not what it should be; nothing is written then.
  """
  with processes.fail_together():
    training, workdir = prepare(config, path)
    mark = fingerprint(config, training.dataset) if jax.process_count() > 1 else ''  # it reads some of the data
  processes.check_same('the config or the data set', mark)
  state = build_state(config, training.experiment, training.mesh)
  with disk.explain_errors(workdir), workdirs.locked(workdir):
    workdirs.open_workdir(workdir, config, training.dataset.spec)
    checksums.set_damaged_aside(workdir)
    with checkpoints.open_manager(workdir, *evaluator.best_score(training.config)) as manager:
      state = checkpoints.restore_latest(manager, state)
      if int(state.step) >= config.num_steps:
        print(f'already finished: {workdir} is at step {state.step} of {config.num_steps}')
        return state
      state = resume(training, workdir, manager, state)
  print_results(workdir)
  return state


def prepare(config, path) -> tuple[Training, object]:
  """Checks everything that can be checked before the first step; returns what the run is made of, and its workdir."""
  validate.check_config(config)
  workdir = workdirs.check_workdir(path, config)
  mesh = sharding.make_mesh(config.batch_size, data=config.mesh.data, microbatches=config.microbatches)
  dataset = load_dataset(config.dataset)
  validate.check_data(config, dataset)
  experiment = build(config, dataset.spec)
  settled = evaluator.settle(config, dataset)
  settled = shorten_calls(settled, experiment.algorithm.batches_per_step, dataset)
  if config.eval_every and not settled.eval_every:
    print(f'no evaluation: it takes some 130 labelled images of up to {evaluator.CLASSIFIED} pixels, or eval.weights')
  return Training(settled, dataset, experiment, mesh), workdir


def resume(training: Training, workdir, manager, state: GANState) -> GANState:
  """Trains from a state on, with the data, the signals and the screen that this takes."""
  config, experiment = training.config, training.experiment
  start = int(state.step)
  with Reporter(workdir, config, experiment.traced.intervals, start) as reporter:
    if start:
      reporter.say(f'resuming at step {start} of {config.num_steps}')
    pick = functools.partial(step_indices, config, experiment.algorithm.batches_per_step,
                             num_examples=len(training.dataset.images))
    with signals.watched() as received, open_feed(config, training.dataset, training.mesh, start, pick) as take:
      return run_steps(training, take, state, manager, reporter, received)


def run_steps(training: Training, take: Callable, state: GANState, manager, reporter: Reporter,
              received: Callable) -> GANState:
  """Takes the steps that are left on what open_feed gives, reporting and saving at the config's intervals.

  Raises:
    SystemExit: a signal was received(), by any process; the state is saved then, and the exit code is 128 and its
      number.
  """
  config, experiment = training.config, training.experiment
  train_steps = build_train_steps(config, experiment, training.dataset.spec, training.mesh)
  sample = make_sampler(experiment.algorithm, experiment.modules, training.dataset.spec.kind.encode)
  show = make_show(training, sample, reporter)
  measure = make_measure(training, sample, reporter)
  for call, (step, stop) in enumerate(calls(int(state.step), config)):
    with reporter.trace(config.profile and call == 1):  # the first call compiles
      state, metrics = train_steps(state, *take(step), stop - step)
      local_state, metrics = sharding.local((state, metrics))
      if call == 0:  # compiled; the steps run on while this is written
        reporter.started(local_state)
      health.check_finite(step, metrics, stop - step, local_state)
      reporter.metrics(stop, metrics, stop - step)
      show(stop, local_state)
      stopping = processes.greatest(received())
      score = {} if stopping else save_if_raised(measure, manager, stop, state)
      if stopping or score or is_due(stop, config.checkpoint_every, config):
        checkpoints.save(manager, stop, state, score)
        reporter.plot_losses()
      if stopping:
        reporter.say(f'interrupted: saved at step {stop}; the same command resumes from there')
        raise SystemExit(128 + stopping)
  return state


def make_show(training: Training, sample: Callable, reporter: Reporter) -> Callable:
  """Returns show(step, state), which draws samples of fixed inputs where due, and looks whether they differ."""
  config, dataset = training.config, training.dataset
  num_classes = dataset.num_classes if training.experiment.is_conditional else 0
  label = kinds.labels_shown(dataset.spec.kind, num_classes)
  # The first batch in the order of training, since many data sets are sorted by class.
  first, = batch_indices(config.seed, 0, 1, len(label), len(dataset.images))
  real = dataset.images[first]
  reporter.real(real, dataset.spec.kind)
  batch = {'image': dataset.spec.kind.decode(real), 'label': label}
  inputs = training.experiment.algorithm.inputs(jax.random.key(config.seed), batch)
  seeds = training_seeds(config)
  check_collapse = {seed: health.watch_collapse(dataset.images, len(label), reporter.say) for seed in seeds}

  def show(step: int, state: GANState):
    if not is_due(step, config.sample_every, config):
      return
    samples = {}
    for seed, ema in zip(seeds, each_seed(state.ema, config.num_seeds)):
      samples[seed] = np.asarray(sample(ema, inputs))
    reporter.fake(step, samples)
    for seed, images in samples.items():
      check_collapse[seed](step, images)

  return show


def make_measure(training: Training, sample: Callable, reporter: Reporter) -> Callable:
  """Returns measure(step, state), which evaluates the samples where that is due.

  It returns the score that checkpoints are compared by, {name: value}, or {} where nothing was measured.
  """
  config = training.config
  evaluate = evaluator.make_evaluate(config, training.dataset, training.experiment.algorithm.inputs, sample)

  def measure(step: int, state: GANState) -> dict[str, float]:
    if not is_due(step, config.eval_every, config):
      return {}
    reporter.say(f'evaluating step {step}')
    evaluation = evaluate(each_seed(sharding.local(state.ema), config.num_seeds))
    reporter.scores(step, evaluation)
    name, _ = evaluator.best_score(config)
    return {name: evaluator.best_value(config, evaluation)}

  return measure


def save_if_raised(measure: Callable, manager, step: int, state: GANState) -> dict[str, float]:
  """Returns measure(step, state); where that fails, the steps up to it are saved first."""
  try:
    return measure(step, state)
  except BaseException:
    checkpoints.save(manager, step, state, {})
    raise


def fingerprint(config, dataset: Dataset) -> str:
  """Tells runs apart by their config and by some hundred of their examples, evenly spaced."""
  some = slice(None, None, -(-len(dataset.images) // 100))
  described = repr((config.to_dict(), dataset.images.shape))
  return cache.fingerprint(np.frombuffer(described.encode(), np.uint8), dataset.images[some], dataset.labels[some])


def print_results(workdir):
  """Says where everything is."""
  print(f'finished. In {workdir}:\n'
        '  samples/      grids of the same noise over the steps, and real images\n'
        '  losses.png    the losses over the steps\n'
        '  eval.jsonl    the scores, where it was evaluated\n'
        '  checkpoints/  the last states, whole, and the best one\n'
        f'  events/       scalars and images: tensorboard --logdir={workdir}')
