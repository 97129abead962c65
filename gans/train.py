"""The loop: data -> train_steps -> metrics, images, checkpoints. Only here do a config's names become modules."""
from collections.abc import Iterator
import importlib
import pkgutil
from typing import NamedTuple

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from gans import (
  algorithms,
  cache,
  checkpoint,
  data,
  disk,
  health,
  interrupt,
  networks,
  processes,
  sampling,
  seal,
  sharding,
  validate,
)
from gans import state as states
from gans import workdir as workdirs
from gans.data import dataset as datasets
from gans.data import order
from gans.errors import UserError
from gans.evaluation import evaluator
from gans.feed import open_feed, shorten_calls
from gans.report import Reporter
from gans.train_step import Algorithm, make_train_step, make_train_steps

GRID, GRID_COLUMNS, GRID_CLASSES = 64, 8, 16  # images in a sample grid; of labelled models a row per class
POINTS = 2000  # 2-D samples in a plot


class Experiment(NamedTuple):
  """What a config and the shape of its data spell out."""
  generator: nn.Module
  critic: nn.Module
  optimizers: tuple[optax.GradientTransformation, optax.GradientTransformation]  # generator's, critic's
  algorithm: Algorithm


def train(config, path) -> states.GANState:
  """Trains `config` in the folder `path`, or goes on with what is there, and returns the final state.

  Raises:
    UserError: the config, the data set or the folder is not what it should be; nothing is written then.
  """
  with processes.agreed():
    validate.check_config(config)
    workdir = workdirs.check_workdir(path, config)
    mesh = sharding.make_mesh(config.batch_size, data=config.mesh.data,
                              microbatches=config.optimizer.get('microbatches', 1))
    dataset = data.load(config.dataset)
    validate.check_data(config, dataset)
    settled = shorten_calls(evaluator.settle(config, dataset), dataset)
    mark = fingerprint(config, dataset) if jax.process_count() > 1 else ''  # it reads some of the data
  processes.check_same('the config or the data set', mark)
  if config.eval_every and not settled.eval_every:
    print(f'no evaluation: it takes some 130 labelled images of up to {evaluator.CLASSIFIED} pixels, or eval.weights')
  experiment = build(config, dataset.spec)
  state = create_state(config, experiment, dataset.spec, mesh)
  with disk.explained(workdir), workdirs.locked(workdir), open_manager(
      seal.set_damaged_aside(workdirs.open_workdir(workdir, config, dataset.spec)), settled) as manager:
    state = checkpoint.restore_latest(manager, state)
    start = int(state.step)
    if start >= config.num_steps:
      print(f'already finished: {workdir} is at step {start} of {config.num_steps}')
      return state
    with Reporter(workdir, config.num_steps, start) as reporter:
      if start:
        reporter.say(f'going on at step {start} of {config.num_steps}')
      pick = lambda step: step_indices(settled, step, len(dataset.images))
      with interrupt.watched() as received, open_feed(settled, dataset, mesh, start, pick) as take:
        state = run_steps(settled, experiment, dataset, mesh, take, state, manager, reporter, received)
  print_results(workdir)
  return state


def run_steps(config, experiment, dataset, mesh, take, state, manager, reporter, received) -> states.GANState:
  """Takes the steps that are left on what open_feed gives, reporting and saving at the config's intervals.

  Raises:
    SystemExit: a signal was received(), by any process; the state is saved then, and the exit code is 128 and its
      number.
  """
  train_steps = build_train_steps(config, experiment, mesh)
  sample = sampling.make_sampler(experiment.generator)
  show, measure = (make(config, dataset, sample, reporter) for make in (make_show, make_measure))
  for call, (step, stop) in enumerate(calls(int(state.step), config)):
    with reporter.trace(config.profile and call == 1):  # the first call compiles
      state, metrics = train_steps(state, *take(step), stop - step)
      here, metrics = sharding.local((state, metrics))
      if call == 0:  # compiled; the steps run on while this is written
        reporter.started(config, here)
      health.check_finite(step, metrics, stop - step, here)
      reporter.metrics(stop, metrics, stop - step)
      show(stop, here)
      stopping = processes.greatest(received())
      score = {} if stopping else save_if_raised(measure, manager, stop, state)
      if stopping or score or is_due(stop, config.checkpoint_every, config):
        checkpoint.save(manager, stop, state, score)
        reporter.plot_losses()
      if stopping:
        reporter.say(f'interrupted: saved at step {stop}; the same command goes on from there')
        raise SystemExit(128 + stopping)
  return state


def make_show(config, dataset, sample, reporter):
  """Returns show(step, state), which draws samples of the same noise where due, and looks whether they differ."""
  label = grid_labels(config, dataset.spec)
  z = sampling.fixed_noise(config.seed, len(label), config.z_dim)
  first, = order.batch_indices(config.seed, 0, 1, len(label), len(dataset.images))  # many data sets are sorted by class
  reporter.real(dataset.images[first])
  check_collapse = {seed: health.watch_collapse(dataset.images, len(label), reporter.say) for seed in seeds(config)}

  def show(step: int, state: states.GANState):
    if is_due(step, config.sample_every, config):
      averages = states.each_seed(state.ema, config.num_seeds)
      samples = {seed: sample(ema, z, label) for seed, ema in zip(seeds(config), averages)}
      reporter.fake(step, samples)
      for seed, images in samples.items():
        check_collapse[seed](step, images)

  return show


def make_measure(config, dataset, sample, reporter):
  """Returns measure(step, state), which evaluates the generator where that is due.

  It returns the score that checkpoints are compared by, {name: value}, or {} where nothing was measured.
  """
  evaluate = evaluator.make_evaluate(config, dataset, sample)

  def measure(step: int, state: states.GANState) -> dict[str, float]:
    if not is_due(step, config.eval_every, config):
      return {}
    reporter.say(f'evaluating step {step}')
    evaluation = evaluate(states.each_seed(sharding.local(state.ema), config.num_seeds))
    reporter.scores(step, evaluation)
    return {evaluator.best_score(config)[0]: evaluator.best_value(config, evaluation)}

  return measure


def save_if_raised(measure, manager, step: int, state: states.GANState) -> dict[str, float]:
  """Returns measure(step, state); where that fails, the steps up to it are saved first."""
  try:
    return measure(step, state)
  except BaseException:
    checkpoint.save(manager, step, state, {})
    raise


def grid_labels(config, spec: datasets.Spec) -> np.ndarray:
  """Labels of the samples shown [N] int32: GRID images or POINTS zeros; of labelled models as many of each class.

  Images come in a row of GRID_COLUMNS for each of the first GRID_CLASSES classes.
  """
  images = len(spec.shape) == 3
  if not config.generator.get('label_dim'):
    return np.zeros(GRID if images else POINTS, np.int32)
  classes = min(spec.num_classes, GRID_CLASSES) if images else spec.num_classes
  return np.repeat(np.arange(classes, dtype=np.int32), GRID_COLUMNS if images else POINTS // classes)


def fingerprint(config, dataset: data.Dataset) -> str:
  """Tells runs apart by their config and by some hundred of their examples, evenly spaced."""
  some = slice(None, None, -(-len(dataset.images) // 100))
  shape = np.frombuffer(repr((config.to_dict(), dataset.images.shape)).encode(), np.uint8)
  return cache.fingerprint(shape, dataset.images[some], dataset.labels[some])


def calls(step: int, config) -> Iterator[tuple[int, int]]:
  """Yields (first step, stop) of each call of train_steps: it ends where something is due, after log_every at most."""
  intervals = (config.log_every, config.sample_every, config.checkpoint_every, config.eval_every)
  while step < config.num_steps:
    stop = min(config.num_steps, *(step - step % interval + interval for interval in intervals if interval))
    yield step, stop
    step = stop


def is_due(step: int, interval: int, config) -> bool:
  """Tells whether what happens every `interval` steps and at the end, if at all, happens after `step` steps."""
  return interval > 0 and (step % interval == 0 or step == config.num_steps)


def seeds(config) -> range:
  """The seeds that a config trains side by side."""
  return range(config.seed, config.seed + config.num_seeds)


def step_indices(config, step: int, num_examples: int) -> np.ndarray:
  """The examples of the next log_every steps, whatever came before: [log_every, n_critic, batch_size] int32.

  With several seeds, each of which has an order of its own: [log_every, num_seeds, n_critic, batch_size].
  """
  first, count = step * config.n_critic, config.log_every * config.n_critic
  batches = [order.batch_indices(seed, first, count, config.batch_size, num_examples)
             .reshape(config.log_every, config.n_critic, config.batch_size) for seed in seeds(config)]
  return np.stack(batches, axis=1) if len(batches) > 1 else batches[0]


def build(config, spec: datasets.Spec) -> Experiment:
  """Resolves the names in a config: networks, optimizers and algorithm. Raises UserError for those there are not."""
  fields = {'num_classes': spec.num_classes, 'dtype': jnp.dtype(config.dtype)}
  generator = build_network('Generator', config.generator, image_shape=spec.shape, **fields)
  critic = build_network('Critic', config.critic, **fields)
  optimizers = (build_optimizer(config, 'generator', 1), build_optimizer(config, 'critic', config.n_critic))
  algorithm = _module(algorithms, 'algorithm', config.algorithm).make_algorithm(config, generator, critic)
  return Experiment(generator, critic, optimizers, algorithm)


def build_network(kind: str, config, **fields):
  """Makes the module `kind` ('Generator' or 'Critic') of config.family from the config's other fields and `fields`."""
  player = kind.lower()
  settings = config.to_dict()
  module = _module(networks, f'{player}.family', settings.pop('family'))
  try:
    return getattr(module, kind)(**settings, **fields)
  except TypeError as error:
    raise UserError(f'{player} of family {config.family!r}: {error}') from error


def build_optimizer(config, player: str, updates_per_step: int) -> optax.GradientTransformation:
  """Makes config.optimizer for a player; its schedule counts the player's own updates."""
  settings = config.optimizer.to_dict()
  settings.pop('microbatches', None)  # the train step's
  rates = {name: settings.pop(f'{name}_learning_rate') for name in ('generator', 'critic')}
  name, schedule = settings.pop('name'), settings.pop('schedule')
  rate, num_updates = rates[player], config.num_steps * updates_per_step
  schedules = {'constant': rate, 'linear': optax.linear_schedule(rate, 0.0, num_updates),
               'cosine': optax.cosine_decay_schedule(rate, num_updates)}
  if schedule not in schedules:
    raise UserError(f'optimizer.schedule={schedule!r}: expected one of {sorted(schedules)}')
  if not hasattr(optax, name):
    raise UserError(f'optimizer.name={name!r}: optax has no such optimizer; common ones are adam and rmsprop')
  try:
    return getattr(optax, name)(schedules[schedule], **settings)
  except TypeError as error:
    raise UserError(f'optimizer {name!r}: {error}') from error


def build_train_steps(config, experiment: Experiment, mesh):
  """Makes the compiled train_steps(state, (images, labels), indices, num_steps) of an experiment on a mesh."""
  return make_train_steps(
      sharding.on_mesh(mesh, make_train_step(
          experiment.algorithm, experiment.optimizers, config.ema_decay, config.optimizer.get('microbatches', 1))),
      datasets.gather_flipped if config.dataset.flip else datasets.gather,
      out_shardings=sharding.replicated(mesh), seeds=config.num_seeds > 1)


def create_state(config, experiment: Experiment, spec: datasets.Spec, mesh) -> states.GANState:
  """Creates the state of step 0 on every device of the mesh, a function of the config's seed; of several, stacked."""
  example = {'image': np.zeros((1, *spec.shape), np.float32), 'label': np.zeros(1, np.int32)}

  def create(seed):
    rng = jax.random.PRNGKey(seed)
    return states.create_state(
        rng, experiment.generator, experiment.critic, experiment.optimizers, config.z_dim, example)

  several = np.array(seeds(config), np.uint32)
  create, seed = (create, several[0]) if len(several) == 1 else (jax.vmap(create, out_axes=states.SEEDS), several)
  return jax.jit(create, out_shardings=sharding.replicated(mesh))(seed)


def open_manager(workdir, config, **options):
  """Opens the checkpoints of a workdir, of which the best by its settled config.eval is kept; `options` are Orbax's."""
  return checkpoint.open_manager(workdir, *evaluator.best_score(config), **options)


def print_results(workdir):
  """Says where everything is."""
  print(f'finished. In {workdir}:\n'
        '  samples/      grids of the same noise over the steps, and real images\n'
        '  losses.png    the losses over the steps\n'
        '  eval.jsonl    the scores, where it was evaluated\n'
        '  checkpoints/  the last states, whole, and the best one\n'
        f'  events/       scalars and images: tensorboard --logdir={workdir}')


def _module(package, field: str, name: str):
  """Imports the file `name` of a package of this project, or says which files there are."""
  names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
  if name not in names:
    raise UserError(f'{field}={name!r}: expected one of {names}')
  return importlib.import_module(f'{package.__name__}.{name}')
