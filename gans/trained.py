"""gans.load: a trained generator as a function, from a workdir, a packed one or a built-in model; no data are read."""
from collections.abc import Sequence
import dataclasses
import functools
from typing import Any

from etils import epath
from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gans import checkpoint as checkpoints
from gans import disk, packed, runs, sampling, state, train, validate, workdir
from gans.data.dataset import Spec
from gans.errors import UserError

BUILT_IN = epath.Path(__file__).parent / 'zoo'
WEIGHTS = ('ema', 'raw')
ROW = 8  # images of a class that are drawn unasked, and in a row


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedGenerator:
  """images = generate(rng, n, labels). Jitted; may be called in the caller's own jit, grad and vmap.

  Images are float32 [n,H,W,C] in [-1, 1], points float32 [n,D]. Batch norm uses its running averages, so that an image
  depends on its own noise and label alone.
  """
  module: nn.Module  # the network, called (z [n,Z], label [n], train=False)
  variables: Any = dataclasses.field(repr=False)  # its variables {'params': ..., 'batch_stats': ...}
  spec: Spec  # of the data
  z_dim: int
  step: int  # of the checkpoint
  training_seed: int

  @property
  def image_shape(self) -> tuple[int, ...]:
    """(H, W, C), or (D,) of points."""
    return self.spec.shape

  @property
  def num_classes(self) -> int:
    """Number of labels; 0: it takes none."""
    return self.spec.num_classes if getattr(self.module, 'label_dim', 0) else 0

  def __call__(self, rng, n: int, labels=None, truncation: float | None = None):
    """Draws n images, a function of the arguments alone.

    Args:
      rng: a key, of jax.random.key or jax.random.PRNGKey.
      n: how many; static under jit.
      labels: [n] int, or one for all, from 0 to num_classes - 1; None: drawn uniformly where the model takes labels.
      truncation: noise beyond +-truncation is drawn again, for less variety and fewer broken images (the truncation
        trick, Brock et al. 2019, section 3.1); None or 0: off.

    Returns:
      float32 [n, *image_shape].

    Raises:
      UserError: n, labels or truncation is not what it should be (values that are traced are not looked at).
    """
    z = self.latents(rng, n, truncation)
    if labels is None and self.num_classes:
      labels = jax.random.randint(jax.random.split(rng)[1], (n,), 0, self.num_classes)
    return self.from_latents(z, labels)

  def latents(self, rng, n: int, truncation: float | None = None):
    """Draws the noise [n, z_dim] float32 that a call with the same arguments makes images of."""
    if not isinstance(n, (int, np.integer)) or n < 1:
      raise UserError(f'n={n!r}: expected a whole number of at least 1, which under jit is static')
    rng = jax.random.split(rng)[0]
    if not truncation:
      return jax.random.normal(rng, (n, self.z_dim))
    if not 0 < truncation < np.inf:
      raise UserError(f'truncation={truncation!r}: expected a number above 0, or 0 for none')
    return jax.random.truncated_normal(rng, -truncation, truncation, (n, self.z_dim))

  def from_latents(self, z, labels=None):
    """Makes images [n, *image_shape] of noise z [n, z_dim], differentiable with regard to z.

    labels: [n] int, or one for all; a model that takes labels needs them here.
    """
    if np.ndim(z) != 2 or np.shape(z)[1] != self.z_dim:
      raise UserError(f'z of shape {np.shape(z)}: expected (n, {self.z_dim})')
    return self._apply(self.variables, z, self.check_labels(labels, np.shape(z)[0]))

  def draw(self, z, label) -> np.ndarray:
    """Makes pixels, uint8 [n,H,W,C] (points, float32 [n,D]), of z [n, z_dim], label [n]: some at a time, for any n."""
    return sampling.sample_many(sampling.make_sampler(self.module), self.variables, z, label)

  def check_labels(self, labels, n: int):
    """Returns labels as [n] int32; zeros for a model that takes none. Raises UserError for labels that it cannot."""
    if not self.num_classes:
      if labels is not None:
        raise UserError(f'labels={labels}: this model was trained without labels; expected None')
      return np.zeros(n, np.int32)
    expected = f'expected {n} whole numbers from 0 to {self.num_classes - 1}, or one for all'
    traced = isinstance(labels, jax.core.Tracer)
    labels = labels if traced else np.asarray(labels)
    if not jnp.issubdtype(labels.dtype, jnp.integer) or labels.shape not in ((), (n,)):
      raise UserError(f'labels={labels} of type {labels.dtype} and shape {labels.shape}: {expected}')
    wrong = [] if traced else labels[(labels < 0) | (labels >= self.num_classes)]
    if len(wrong):
      raise UserError(f'labels: there is {wrong[0]} among them; {expected}')
    return jnp.broadcast_to(labels, (n,)).astype(jnp.int32)

  @functools.cached_property
  def _apply(self):
    return jax.jit(functools.partial(self.module.apply, train=False))


def load(source, checkpoint: str | int = 'best', weights: str = 'ema',
         training_seed: int | None = None) -> TrainedGenerator:
  """Loads a trained generator: generate = gans.load('/tmp/run'); images = generate(jax.random.key(0), 16).

  Args:
    source: a workdir, a packed one (--mode=pack), or the name of a built-in model, which README.md lists.
    checkpoint: 'best' by the run's score (the latest where nothing was evaluated), 'latest', or a step that was kept.
    weights: 'ema', averaged over the steps, or 'raw', as the last step left them.
    training_seed: which of the seeds that trained side by side; None: the first.

  Returns:
    TrainedGenerator, called (rng, n, labels); it also has z_dim, image_shape, num_classes and step.

  Raises:
    UserError: there is no such run, checkpoint, seed or kind of weights, or it is damaged.
  """
  folder = find(source)
  if weights not in WEIGHTS:
    raise UserError(f'weights={weights!r}: expected one of {WEIGHTS}')
  if packed.is_packed(folder):
    return _load_packed(folder, checkpoint, weights, training_seed)
  with runs.open_run(folder) as run:
    seeds = train.seeds(run.config)
    if training_seed is None:
      training_seed = seeds[0]
    if training_seed not in seeds:
      raise UserError(f'training_seed={training_seed}: {source} was trained with the seeds {list(seeds)}')
    step = checkpoints.pick_step(run.manager, checkpoint)
    kept = run.restore(step)
    variables = kept.ema if weights == 'ema' else {'params': kept.generator.params, **kept.generator.model_state}
    variables = state.each_seed(variables, len(seeds))[training_seed - seeds[0]]
    return _make(run.config, run.spec, variables, step, training_seed)


def find(source) -> epath.Path:
  """Returns the folder of a run or of a built-in model; raises UserError where there is neither."""
  folder = disk.absolute(source)
  if (folder / 'config.json').exists():
    return folder
  names = sorted(path.name for path in BUILT_IN.iterdir() if (path / 'config.json').exists())
  if str(source) in names:
    return BUILT_IN / str(source)
  raise UserError(f'--workdir={source} is neither the folder of a run, which has a config.json, nor a built-in model; '
                  f'those are {names}')


def choose_labels(generate: TrainedGenerator, num: int | None, labels: Sequence | None) -> np.ndarray:
  """Labels of the samples [N] int32, zeros where the model takes none; raises UserError for those it cannot take."""
  if num is not None and num < 1:
    raise UserError(f'--sample.num={num}: expected at least 1')
  if labels:
    try:
      given = np.array([int(label) for label in labels])
    except ValueError as error:
      raise UserError(f'--sample.labels={",".join(map(str, labels))}: expected whole numbers: 3,3,7') from error
    given = np.resize(given, num or len(given))
    return np.asarray(generate.check_labels(given, len(given)))
  classes = max(generate.num_classes, 1)
  num = num or (ROW * classes if generate.num_classes else ROW ** 2)
  return (np.arange(num) * classes // num).astype(np.int32)


def _load_packed(folder: epath.Path, checkpoint, weights: str, training_seed: int | None) -> TrainedGenerator:
  config, spec = workdir.read_config(folder), workdir.read_spec(folder)
  validate.check_kept(config, folder)
  made, variables = packed.read(folder)
  wanted = {'checkpoint': (str(checkpoint), ['best', 'latest', str(made['step'])]),
            'weights': (weights, [made['weights']]),
            'training_seed': (training_seed, [None, made['training_seed']])}
  for field, (value, there) in wanted.items():
    if value not in there:
      raise UserError(f'{field}={value!r}: {folder} is packed, with {made}; expected one of {there}')
  return _make(config, spec, variables, made['step'], made['training_seed'])


def _make(config, spec, variables, step: int, training_seed: int) -> TrainedGenerator:
  return TrainedGenerator(train.build(config, spec).generator, variables, spec, config.z_dim, step, training_seed)
