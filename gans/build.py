"""Names in a config become modules, optimizers and an algorithm; nowhere else."""
from collections.abc import Callable
import os
from typing import NamedTuple

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from gans.algorithms import build_algorithm
from gans.core import sharding
from gans.core.augmentation import Augmented
from gans.core.game import DATA, NO_WEIGHTS, SEED_AXES, Algorithm, GANState, Weights, create_state, identity
from gans.core.step import make_train_step, make_train_steps
from gans.core.tracing import Traced, trace_losses, trace_reconstructions, trace_samples
from gans.data.batches import batch_shapes, condition, make_prepare
from gans.data.dataset import Spec
from gans.data.schedule import training_seeds
from gans.errors import UserError
from gans.networks import find_network
from gans.optimizers import check_frozen, check_optimizer, freeze, is_below, make_optimizer, name_of

# Of a player's group in the config, what is not a field of its network.
NOT_OF_THE_NETWORK = ('network', 'optimizer', 'augment', 'freeze')


class Experiment(NamedTuple):
  """What a config and the shape of its data spell out."""
  algorithm: Algorithm
  modules: dict[str, nn.Module]  # of each player
  optimizers: dict[str, optax.GradientTransformation]  # of each player that learns
  traced: Traced
  spec: Spec  # of the data
  num_labels: int  # classes or attributes by which samples can be asked for; 0: they depend on none
  translates: bool  # whether samples are made of images


def build(config, spec: Spec) -> Experiment:
  """Makes what a config names, for data of this shape.

  Raises:
    UserError: there is no algorithm, network or optimizer of such a name, or they do not go together.
  """
  algorithm = project_what_moves(config, build_algorithm(config))
  modules = {name: build_network(config, name, spec) for name in algorithm.networks}
  modules |= algorithm.memories
  optimizers = {name: build_optimizer(config, name, algorithm) for name in algorithm.networks}
  check_domains(config, algorithm, spec)
  check_augmented(config, algorithm)
  size = config.batch_size // config.microbatches  # what a loss sees at once
  traced = trace_losses(algorithm, modules, batch_shapes(spec, size, algorithm.data))
  for name, optimizer in optimizers.items():
    params = traced.variables[name].get('params', {})
    check_frozen(f'{name}.freeze', config[name].get('freeze', ()), params)
    check_optimizer(f'{name}.optimizer', config[name].optimizer.to_dict(), optimizer, params)
  check_microbatches(config, algorithm, traced)
  depend_on = trace_samples(algorithm, modules, traced, batch_shapes(spec, size))
  trace_reconstructions(algorithm, modules, traced, batch_shapes(spec, size, algorithm.data))
  num_labels = algorithm.classes or spec.num_labels
  is_conditional = condition(spec) in depend_on
  return Experiment(algorithm, modules, optimizers, traced, spec, num_labels if is_conditional else 0,
                    'image' in depend_on)


def build_network(config, player: str, spec: Spec) -> nn.Module:
  """Makes a player's network from its group in the config; what the data decide is filled in."""
  group = config[player].to_dict()
  # config.json has lists in place of tuples; a module with a list among its fields would have no hash.
  settings = {field: tuple(value) if isinstance(value, list) else value
              for field, value in group.items() if field not in NOT_OF_THE_NETWORK}
  network = find_network(player, group['network'])
  known = {'image_shape': spec.shape, 'num_classes': spec.num_labels, 'dtype': jnp.dtype(config.dtype)}
  for field, value in known.items():
    if field in network.__dataclass_fields__:
      settings.setdefault(field, value)
  try:
    module = network(**settings)
  except TypeError as error:
    raise UserError(f'{player}: {group["network"]}: {error}') from error
  policy = tuple(group.get('augment', ()))
  return Augmented(module, policy) if policy else module


def build_optimizer(config, player: str, algorithm: Algorithm) -> optax.GradientTransformation:
  """Makes a player's optimizer, config.PLAYER.optimizer; its schedule counts the player's own updates."""
  settings = config[player].optimizer.to_dict()
  num_updates, anneal_updates = (
      count_updates(steps, player, algorithm) for steps in (config.num_steps, anneal_steps(config)))
  optimizer = make_optimizer(f'{player}.optimizer', settings, num_updates, anneal_updates)
  frozen = config[player].get('freeze', ())
  return freeze(optimizer, frozen) if frozen else optimizer


def project_what_moves(config, algorithm: Algorithm) -> Algorithm:
  """Returns an algorithm whose projections, such as WGAN's clip, leave what is frozen as it is."""
  frozen = [f'{player}/{name}' for player in algorithm.networks for name in config[player].get('freeze', ())]

  def keep_frozen(project: Callable) -> Callable:
    def project_others(params):
      return jax.tree.map_with_path(lambda path, before, after: before if is_below(frozen, name_of(path)) else after,
                                    params, project(params))
    return project_others

  if not frozen:
    return algorithm
  updates = [update if update.project is identity else update._replace(project=keep_frozen(update.project))
             for update in algorithm.updates]
  return algorithm._replace(updates=tuple(updates))


def anneal_steps(config) -> float:
  """How many steps what is annealed takes to its last value; 1 if nothing is."""
  return config.anneal_images / config.batch_size or 1


def count_updates(num_steps: float, player: str, algorithm: Algorithm) -> float:
  """How many updates a player takes in so many steps."""
  updates = [update for update in algorithm.updates if player in update.players]
  return sum(update.repeats * -(-num_steps // update.every) for update in updates)


def check_augmented(config, algorithm: Algorithm):
  """Raises UserError for augmentation where samples come from, which would be changed too, and of packs."""
  for player in algorithm.averaged:
    if config[player].get('augment'):
      raise UserError(f'{player}.augment={tuple(config[player].augment)}: samples come from this player, and only what '
                      'a critic sees is augmented; expected ()')
  for player in algorithm.networks:
    if config.get('pack', 1) > 1 and config[player].get('augment'):
      raise UserError(f'{player}.augment={tuple(config[player].augment)}: with pack={config.pack} it would take the '
                      'images of a pack for one; expected (), or ada, which changes each of them')


def check_microbatches(config, algorithm: Algorithm, traced: Traced):
  """Raises UserError for microbatches beside a memory: the mean of what each part leaves in it is no memory."""
  remembering = [name for name in algorithm.memories if traced.variables[name]]
  if config.microbatches > 1 and remembering:
    memory = min(remembering)
    raise UserError(f'microbatches={config.microbatches}: the player {memory!r} remembers what it saw, and each part '
                    'of a batch would leave a memory of its own; expected 1')


def check_domains(config, algorithm: Algorithm, spec: Spec):
  """Raises UserError for data that are not the two classes, or the pairs, that the algorithm translates between."""
  if algorithm.data not in DATA:
    raise UserError(f'algorithm={config.algorithm!r}: data={algorithm.data!r}; expected one of {sorted(DATA)}')
  path = config.dataset.get('path')
  data = f'dataset.path={path!r}' if path else f'dataset.name={config.dataset.name!r}'
  if algorithm.data == 'pairs' and not spec.paired:
    raise UserError(f'{data} has no pairs of images, which the algorithm {config.algorithm!r} needs: expected a data '
                    "set such as 'mnist_5k_edges' or 'folder_pairs'; configs/cyclegan.py does without")
  if algorithm.data != 'examples' and spec.num_classes != 2:
    raise UserError(f'{data} has images of {spec.num_classes or "no"} classes: the algorithm {config.algorithm!r} '
                    "translates between two, such as the subfolders A and B of a 'folder', each with images")


def build_train_step(config, experiment: Experiment):
  """Makes the pure train_step(state, batch) of an experiment."""
  half_life = jax.tree.map(lambda images: images / config.batch_size, config.ema_half_life)  # in steps
  return make_train_step(experiment.algorithm, experiment.modules, experiment.optimizers, config.ema_decay,
                         config.microbatches, half_life, anneal_steps(config))


def build_train_steps(config, experiment: Experiment, spec: Spec, mesh):
  """Makes the compiled train_steps(state, (images, labels), indices, num_steps) of an experiment on a mesh."""
  return make_train_steps(
      sharding.on_mesh(mesh, build_train_step(config, experiment)),
      make_prepare(spec, config.dataset.flip, experiment.algorithm.data),
      out_shardings=sharding.replicated(mesh),
      seeds=config.num_seeds > 1)


def build_state(config, experiment: Experiment, mesh, weights: Weights = NO_WEIGHTS) -> GANState:
  """Creates the state of step 0 on every device of the mesh, a function of the config's seed; of several, stacked.

  `weights`, numpy arrays, take the place of random ones: the same for each seed.
  """
  # XLA would optimise the code of random numbers for longer than that of a step; the values are the same, bit for bit.
  # A level that the user has set stays.
  on_cpu = mesh.devices.flat[0].platform == 'cpu'
  level = 'xla_backend_optimization_level'
  options = {level: 1} if on_cpu and level not in os.environ.get('XLA_FLAGS', '') else None
  create = jax.jit(_make_create(config, experiment), out_shardings=sharding.replicated(mesh), compiler_options=options)
  return create(np.array(training_seeds(config), np.uint32), weights)


def build_shapes(config, experiment: Experiment) -> GANState:
  """Returns the shapes of what `build_state` creates."""
  return jax.eval_shape(_make_create(config, experiment), np.array(training_seeds(config), np.uint32), NO_WEIGHTS)


def _make_create(config, experiment: Experiment) -> Callable:
  """Makes the function from seeds [S], and weights to start from, to the state of step 0."""
  def create(seed, weights):
    rng = jax.random.PRNGKey(seed)
    return create_state(rng, experiment.algorithm, experiment.modules, experiment.optimizers,
                        experiment.traced.first_inputs, weights)

  if config.num_seeds > 1:
    return jax.vmap(create, in_axes=(0, None), out_axes=SEED_AXES)
  return lambda seeds, weights: create(seeds[0], weights)
