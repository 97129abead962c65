"""gans.load: a trained generator as a function, from a workdir, a packed one or a built-in model, without its data."""
from collections.abc import Mapping
import copy
import dataclasses
import functools
from typing import Any

from etils import epath
from flax import linen as nn
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from gans.build import Experiment, build
from gans.core.game import Algorithm, Play, Variables, bind_trained, each_seed, variables_of
from gans.core.sampling import make_sampler, truncated_noise
from gans.data.batches import batch_shapes, condition
from gans.data.dataset import Spec
from gans.data.schedule import training_seeds
from gans.errors import UserError
from gans.runs import packed, workdirs
from gans.runs.kept import build_kept, check_same_shapes
from gans.runs.labels import is_text, parse_attributes, parse_classes
from gans.system import disk, progress

BUILT_IN = epath.Path(__file__).parent.parent / 'zoo'
WEIGHTS = ('ema', 'raw')
CHUNK = 500  # samples drawn at a time


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedGenerator:
  """images = generate(rng, n, labels). Jitted; may be called in the caller's own jit, grad and vmap, and be pickled.

  Images are float32 [n,H,W,C] in [-1, 1], voxels float32 [n,X,Y,Z,1], occupied above 0, points float32 [n,D]. Batch
  norm uses its running averages, so an image depends on its own noise and label alone. A model that `translates` makes
  images of images: generate.translate(images, labels).

  Inside the caller's jit the values of labels are not known, so that a wrong one can raise no error. Its sample is then
  NaN throughout, and under jax.debug_nans(True) the call raises its error.
  """
  algorithm: Algorithm
  modules: Mapping[str, nn.Module]  # {player: module} of those that samples come from
  variables: Mapping[str, Variables] = dataclasses.field(repr=False)  # {player: variables} of the same
  spec: Spec  # of the data
  num_classes: int  # labels, or attributes, by which samples can be asked for; 0: they depend on none
  translates: bool  # whether samples are made of images
  step: int  # of the checkpoint
  training_seed: int
  config: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)  # of the run, nested

  def __reduce__(self):
    """Pickles what the generator is made from: the functions and modules that it is made of cannot be pickled."""
    variables = jax.tree.map(np.asarray, self.variables)
    return _unpickle, (self.config, self.spec, variables, self.step, self.training_seed)

  def __copy__(self):
    return dataclasses.replace(self)

  def __deepcopy__(self, memo):
    return dataclasses.replace(self, variables=copy.deepcopy(self.variables, memo))

  @property
  def label_names(self) -> tuple[str, ...]:
    """The names of the classes, or attributes, by which samples can be asked for; () where they have none."""
    if self.algorithm.classes or not self.num_classes:
      return ()
    return self.spec.attributes or self.spec.class_names

  @property
  def image_shape(self) -> tuple[int, ...]:
    """The shape of an image, (H, W, C), or of a point, (D,)."""
    return self.spec.shape

  @property
  def z_dim(self) -> int:
    """The size of the noise z; 0 if samples are not made from noise."""
    if 'z' not in self.input_shapes:
      return 0
    return self.input_shapes['z'].shape[1]

  @functools.cached_property
  def play(self) -> Play:
    """The averaged players as functions of their inputs: generate.play.encoder(images, labels)."""
    return bind_trained(self.modules, self.variables)

  @functools.cached_property
  def input_shapes(self) -> dict:
    """The inputs that one sample is made from, {name: shape [1,...]}, in the algorithm's order."""
    names = []

    def follow(rng, batch):
      inputs = self.algorithm.inputs(rng, batch)
      names.extend(inputs)  # JAX sorts the names of what it returns
      return inputs

    shapes = jax.eval_shape(follow, jax.random.key(0), batch_shapes(self.spec, 1))
    return {name: shapes[name] for name in names}

  def __call__(self, rng, n: int, labels=None, truncation: float | None = None, images=None):
    """Draws n images, which depend on the arguments alone.

    Args:
      rng: a key from jax.random.key or jax.random.PRNGKey.
      n: the number of images; static under jit.
      labels: [n] int, or one for all, from 0 to num_classes - 1, or names in label_names; None: drawn uniformly where
        the model takes labels. If it was trained with attributes, [n,K] numbers, or [K] for all, 1 for each that an
        image should have, else 0, or their names, such as 'Blond_Hair+Young'.
      truncation: noise beyond +-truncation is drawn again, for less variety and fewer broken images (the truncation
        trick, Brock et al. 2019, section 3.1); static under jit; None or 0: off.
      images: [n, *image_shape] in [-1, 1], what is translated, by a model that translates.

    Returns:
      float32 [n, *image_shape].

    Raises:
      UserError: an argument is not what it should be. Of traced values the shapes are checked, and see above.
    """
    _check_key(rng)
    _check_num(n)
    if labels is None and self.num_classes:
      labels = self._random_labels(rng, n)
    labels = self.check_labels(labels, n)
    images = self.from_inputs(self._make_inputs(rng, labels, truncation, images))
    return self._mark_unknown(images, labels)

  def translate(self, images, labels=None):
    """Translates images [n, *image_shape] in [-1, 1], of a model that translates; labels as in a call."""
    shape = _shape('images', images)
    num = shape[0] if len(shape) == len(self.image_shape) + 1 else 1
    self._check_images(images, num)
    return self(jax.random.key(0), num, labels, images=images)

  def inputs(self, rng, n: int, labels=None, truncation: float | None = None, images=None) -> dict:
    """Returns the inputs that a call with the same arguments makes images from, {'z': [n,Z], 'label': [n]}."""
    _check_key(rng)
    _check_num(n)
    return self._make_inputs(rng, self.check_labels(labels, n), truncation, images)

  def _make_inputs(self, rng, labels, truncation: float | None, images) -> dict:
    """Returns the inputs for labels that were checked."""
    n = len(labels)
    truncation = _check_truncation(truncation)
    if 'z' not in self.input_shapes and truncation:
      raise UserError(f'truncation={truncation!r}: samples of this model are not made from noise; expected None')
    batch = {condition(self.spec): labels}
    if self.translates or images is not None:
      batch['image'] = self._check_images(images, n)
    inputs = self.algorithm.inputs(rng, batch)
    for name, values in inputs.items():
      if len(values) != n:
        raise UserError(f'inputs of the algorithm returns {len(values)} rows of {name!r} for {n} labels; expected {n}')
    if truncation:
      inputs['z'] = truncated_noise(rng, inputs['z'].shape, truncation)
    return inputs

  def latents(self, rng, n: int, truncation: float | None = None):
    """Draws the noise [n, z_dim] float32 that a call with the same arguments makes images from."""
    if 'z' not in self.input_shapes:
      raise UserError(f'samples of this model are not made from noise, but from {sorted(self.input_shapes)}')
    any_label = None
    if self.num_classes:
      any_label = np.zeros(len(self.spec.attributes), np.float32) if self.spec.attributes else 0
    return self.inputs(rng, n, any_label, truncation)['z']

  def from_latents(self, z, labels=None):
    """Makes images [n, *image_shape] from noise z [n, z_dim]; differentiable with respect to z.

    Args:
      z: [n, z_dim].
      labels: as in a call; a model that takes labels needs them here.
    """
    self.refuse_other_inputs()
    shape = _shape('z', z)
    if len(shape) != 2 or shape[0] < 1 or shape[1] != self.z_dim:
      raise UserError(f'z of shape {shape}: expected (n, {self.z_dim})')
    label = self.check_labels(labels, shape[0])
    return self._mark_unknown(self.from_inputs({'z': z, 'label': label}), label)

  def _random_labels(self, rng, n: int):
    _, label_rng = jax.random.split(rng)
    if self.spec.attributes:
      return jax.random.bernoulli(label_rng, shape=(n, self.num_classes)).astype(jnp.float32)
    return jax.random.randint(label_rng, (n,), 0, self.num_classes)

  def _check_images(self, images, n: int):
    if not self.translates:
      raise UserError('images: samples of this model are not made of images; expected None')
    shape = None if images is None else _shape('images', images)
    if shape != (n, *self.image_shape):
      given = 'images=None' if images is None else f'images of the shape {shape}'
      expected = ('n', *self.image_shape)
      raise UserError(f'{given}: this model translates images, give them as float {expected} in [-1, 1]')
    if not _is_traced(images):
      images = np.asarray(images)
      if not jnp.issubdtype(images.dtype, np.floating) or not (np.abs(images) <= 1 + 1e-3).all():
        raise UserError(f'images of type {images.dtype}, from {images.min()} to {images.max()}: expected float from -1 '
                        'to 1, which uint8 pixels / 127.5 - 1 are')
    return jnp.asarray(images, jnp.float32)

  def from_inputs(self, inputs: dict):
    """Makes images [n, *image_shape] from inputs {name: [n,...]} such as `inputs` returns.

    Raises:
      UserError: they have other names, or shapes that do not go together.
    """
    if not isinstance(inputs, Mapping) or inputs.keys() != self.input_shapes.keys():
      given = sorted(inputs) if isinstance(inputs, Mapping) else repr(inputs)
      raise UserError(f'inputs {given}: expected {{name: values}} of {sorted(self.input_shapes)}, as generate.inputs '
                      'returns them')
    arrays = {name: _as_input(name, inputs[name], expected) for name, expected in self.input_shapes.items()}
    numbers = {name: array.shape[0] for name, array in arrays.items()}
    first, *others = numbers.values()
    if any(other != first for other in others):
      raise UserError(f'inputs of different numbers of samples, {numbers}: expected the same of each')
    if 'image' in arrays:
      self._check_images(inputs['image'], first)
    labels = arrays.get(self.condition_name)
    if not self.num_classes or labels is None or not self._are_labels(labels):
      return self._draw(self.variables, arrays)
    self.check_labels(labels, first)
    return self._mark_unknown(self._draw(self.variables, arrays), labels)

  def _are_labels(self, values) -> bool:
    """Tells labels or attributes from weights of the classes."""
    return bool(self.spec.attributes) or jnp.issubdtype(values.dtype, jnp.integer)

  @property
  def condition_name(self) -> str | None:
    """The input that says what is asked for: a label, or attributes as the data have them; None where there is none."""
    return next((name for name in ('label', condition(self.spec)) if name in self.input_shapes), None)

  @property
  def is_from_noise(self) -> bool:
    """Whether samples are made from noise and a label, and nothing else."""
    return self.input_shapes.keys() == {'z', 'label'}

  def refuse_other_inputs(self):
    """Raises UserError for a model whose samples are made from anything but noise and a label."""
    if not self.is_from_noise:
      raise UserError(f'samples of this model are made from {sorted(self.input_shapes)}; expected label and z alone')

  def draw(self, inputs: dict) -> np.ndarray:
    """Makes pixels, uint8 [n,H,W,C], or points, float32 [n,D], from inputs {name: [n,...]}, CHUNK at a time."""
    num = len(next(iter(inputs.values())))
    starts = progress.bar(range(0, num, CHUNK), unit_scale=CHUNK, unit=' samples', leave=False)
    parts = []
    for start in starts:
      part = slice(start, start + CHUNK)
      some_inputs = {name: values[part] for name, values in inputs.items()}
      samples = self._sample(self.variables, some_inputs)
      parts.append(np.asarray(samples))
    return np.concatenate(parts)

  def check_labels(self, labels, n: int):
    """Returns labels as [n] int32, zeros for a model that takes none; raises UserError for labels it cannot take.

    Those of a model with attributes are [n,K] float32.
    """
    if not self.num_classes:
      if labels is not None:
        raise UserError(f'labels={labels}: this model was trained without labels, so its samples can have none')
      return np.zeros((n, len(self.spec.attributes)), np.float32) if self.spec.attributes else np.zeros(n, np.int32)
    if self.spec.attributes:
      return self._check_attributes(labels, n)
    expected = f'expected {n} whole numbers from 0 to {self.num_classes - 1}, or one for all'
    labels = _as_array('labels', self.parse_labels(labels) if is_text(labels) else labels, expected)
    is_traced = _is_traced(labels)
    are_whole = jnp.issubdtype(labels.dtype, jnp.integer)
    if not are_whole or labels.shape not in ((), (n,)):
      raise UserError(f'labels={labels} of type {labels.dtype} and shape {labels.shape}: {expected}')
    if not is_traced:
      wrong = labels[(labels < 0) | (labels >= self.num_classes)]
      if len(wrong):
        raise UserError(f'labels: there is {wrong[0]} among them; {expected}')
    return jnp.broadcast_to(labels, (n,)).astype(jnp.int32)

  def _check_attributes(self, attributes, n: int):
    shape = (len(self.spec.attributes),)
    expected = f'expected numbers from 0 to 1 of the shape {(n, *shape)}, or {shape} for all: {self.spec.attributes}'
    if is_text(attributes):
      attributes = self.parse_labels(attributes)
    attributes = _as_array('labels', attributes, expected)
    if attributes.shape not in (shape, (n, *shape)) or not _is_number(attributes.dtype):
      raise UserError(f'labels of type {attributes.dtype} and shape {attributes.shape}: {expected}')
    if not _is_traced(attributes):
      attributes = attributes.astype(np.float32)
      wrong = attributes[~((attributes >= 0) & (attributes <= 1))]
      if len(wrong):
        raise UserError(f'labels: there is {wrong[0]} among them; {expected}')
    return jnp.broadcast_to(attributes, (n, *shape)).astype(jnp.float32)

  def parse_labels(self, labels) -> np.ndarray:
    """Returns labels that may be names as [T] int32 or, of attributes, [T,K] float32; of a single text without the T.

    Raises:
      UserError: there is no such label.
    """
    texts = [labels] if isinstance(labels, str) else labels
    if self.spec.attributes:
      found = parse_attributes(texts, self.spec.attributes)
    else:
      found = parse_classes(texts, self.num_classes, self.label_names)
    return found[0] if isinstance(labels, str) else found

  def _mark_unknown(self, samples, labels):
    """Returns samples [n,...], those whose traced labels, [n] or [n,K], are out of range as NaN."""
    if not self.num_classes or not _is_traced(labels):
      return samples
    greatest = 1 if self.spec.attributes else self.num_classes - 1
    is_known = (labels >= 0) & (labels <= greatest)
    if self.spec.attributes:
      is_known = is_known.all(axis=-1)
    return jnp.where(jnp.expand_dims(is_known, range(1, samples.ndim)), samples, jnp.nan)

  @functools.cached_property
  def _sample(self):
    return make_sampler(self.algorithm, self.modules, self.spec.kind.encode)

  @functools.cached_property
  def _draw(self):
    @jax.jit
    def draw(variables, inputs):
      play = bind_trained(self.modules, variables)
      return self.algorithm.draw(play, inputs)

    return draw


def _is_traced(values) -> bool:
  """Tells whether values are, or have among them, those of the caller's jit, vmap or grad, which are not known yet."""
  return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(values))


def _is_number(dtype) -> bool:
  return any(jnp.issubdtype(dtype, kind) for kind in (jnp.floating, jnp.integer, jnp.bool_))


def _as_array(name: str, values, expected: str):
  """Returns an argument, which may be nested lists, as an array; raises UserError for one that makes none."""
  try:
    array = jnp.asarray(values) if _is_traced(values) else np.asarray(values)
  except (TypeError, ValueError) as error:
    raise UserError(f'{name}={values!r}: {expected}') from error
  if array.dtype == object:
    raise UserError(f'{name}={values!r}: {expected}')
  return array


def _shape(name: str, values) -> tuple[int, ...]:
  return _as_array(name, values, 'expected an array').shape


def _as_input(name: str, values, expected: jax.ShapeDtypeStruct):
  """Returns an input of samples as an array like the expected [1,...]; whole numbers may be weights [n,K] instead."""
  array = _as_array(name, values, 'expected an array')
  shape = ('n', *expected.shape[1:])
  is_whole = jnp.issubdtype(expected.dtype, jnp.integer)
  are_weights = is_whole and array.ndim == len(shape) + 1 and jnp.issubdtype(array.dtype, jnp.floating)
  has_shape = array.ndim == len(shape) and array.shape[1:] == expected.shape[1:] and array.shape[0] > 0
  has_type = jnp.issubdtype(array.dtype, jnp.integer) if is_whole else _is_number(array.dtype)
  if not are_weights and not (has_shape and has_type):
    raise UserError(f'{name} of type {array.dtype} and shape {array.shape}: expected {expected.dtype} of the shape '
                    f'{shape}'.replace("'n'", 'n'))
  return jnp.asarray(array, jnp.float32 if are_weights else expected.dtype)


def _check_key(rng):
  """Raises UserError for what is no single key of jax.random."""
  dtype = getattr(rng, 'dtype', None)
  if dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key):
    is_key = np.shape(rng) == ()
  else:
    is_key = dtype == np.uint32 and np.shape(rng) == jax.eval_shape(jax.random.PRNGKey, 0).shape
  if not is_key:
    seed = rng if isinstance(rng, (int, np.integer)) else 0
    given = repr(rng) if dtype is None else f'an array of type {dtype} and shape {np.shape(rng)}'
    raise UserError(f'rng={given}: expected one key, such as jax.random.key({seed})')


def _check_num(n):
  if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
    raise UserError(f'n={n!r}: expected a whole number of at least 1; under jit it must be static')


def _check_truncation(truncation) -> float:
  """Returns the truncation, 0 for none; raises UserError for what is no such number."""
  if truncation is None:
    return 0.0
  if _is_traced(truncation):
    raise UserError('truncation is traced: expected a number that is known; under jit it must be static')
  array = _as_array('truncation', truncation, 'expected a number above 0, or 0 for none')
  if array.shape != () or array.dtype == bool or not _is_number(array.dtype) or not 0 <= array < np.inf:
    raise UserError(f'truncation={truncation!r}: expected a number above 0, or 0 for none')
  return float(array)


def load(source, checkpoint: str | int = 'best', weights: str = 'ema',
         training_seed: int | None = None) -> TrainedGenerator:
  """Loads a trained generator: generate = gans.load('/tmp/run'); images = generate(jax.random.key(0), 16).

  Args:
    source: a workdir, a packed one (--mode=pack), or the name of a built-in model, which README.md lists.
    checkpoint: 'best' by the scores in the run's eval.jsonl, whoever measured (the latest where nothing was evaluated),
      'latest', or a step that was kept.
    weights: 'ema', averaged over the steps, or 'raw', as the last step left them.
    training_seed: one of the seeds that trained side by side; None: the first.

  Returns:
    TrainedGenerator, called (rng, n, labels); it also has z_dim, image_shape, num_classes and step.

  Raises:
    UserError: there is no such run, checkpoint, seed or kind of weights, or it is damaged.
  """
  folder = find_model(source)
  if weights not in WEIGHTS:
    raise UserError(f'weights={weights!r}: expected one of {WEIGHTS}')
  if packed.is_packed(folder):
    return _load_packed(folder, checkpoint, weights, training_seed)
  from gans.runs import opening  # here, as importing Orbax takes a second, and a packed model needs none
  with opening.open_run(folder) as run:
    seeds = training_seeds(run.config)
    if training_seed is None:
      training_seed = seeds[0]
    if training_seed not in seeds:
      raise UserError(f'training_seed={training_seed}: {source} was trained with the seeds {list(seeds)}')
    step = run.pick_step(checkpoint)
    state = run.restore(step)
    variables = state.ema
    if weights == 'raw':
      variables = {name: variables_of(state.players[name]) for name in state.ema}
    own_variables = each_seed(variables, len(seeds))[seeds.index(training_seed)]
    return _make_generator(run.config, run.experiment, own_variables, step, training_seed)


def find_model(source) -> epath.Path:
  """Returns the folder of a run or of a built-in model; raises UserError where there is neither."""
  folder = disk.absolute(source)
  if (folder / 'config.json').exists():
    return folder
  names = sorted(path.name for path in BUILT_IN.iterdir() if (path / 'config.json').exists())
  if str(source) in names:
    return BUILT_IN / str(source)
  raise UserError(f'--workdir={source} is neither the folder of a run, which has a config.json, nor a built-in model; '
                  f'the built-in models are {names}')


def _load_packed(folder: epath.Path, checkpoint, weights: str, training_seed: int | None) -> TrainedGenerator:
  config = workdirs.read_config(folder)
  spec = workdirs.read_spec(folder)
  made, variables = packed.read_generator(folder)
  asked = {'checkpoint': str(checkpoint), 'weights': weights, 'training_seed': training_seed}
  available = {
      'checkpoint': ['best', 'latest', str(made['step'])],
      'weights': [made['weights']],
      'training_seed': [None, made['training_seed']],
  }
  for field, value in asked.items():
    if value not in available[field]:
      raise UserError(f'{field}={value!r}: {folder} is packed, with {made}; expected one of {available[field]}')
  experiment = build_kept(config, spec, folder)
  expected = {name: experiment.traced.variables[name] for name in experiment.algorithm.averaged}
  check_same_shapes(folder, variables, expected)
  return _make_generator(config, experiment, variables, made['step'], made['training_seed'])


def _make_generator(config, experiment: Experiment, variables, step: int, training_seed: int) -> TrainedGenerator:
  modules = {name: experiment.modules[name] for name in experiment.algorithm.averaged}
  return TrainedGenerator(experiment.algorithm, modules, variables, experiment.spec, experiment.num_labels,
                          experiment.translates, step, training_seed, config.to_dict())


def _unpickle(config: dict, spec, variables, step: int, training_seed: int) -> TrainedGenerator:
  config = ml_collections.ConfigDict(config)
  return _make_generator(config, build(config, spec), variables, step, training_seed)
