"""Inception-v3 with the weights of the Frechet Inception distance: the network, and how to read pytorch-fid's file."""
from collections.abc import Callable
import functools

from flax import linen as nn
from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from gans.errors import UserError
from gans.evaluation import weights_file

CHUNK = 50  # images classified at a time
SIZE = 299  # pixels
WIDTH = 2048  # of the features
WEIGHTS = 'pt_inception-2015-12-05-6726825d.pth of github.com/mseitzer/pytorch-fid'
# From linen's names and axes to torch's, by the name of the variable and by the number of its axes.
LEAVES = {'kernel': 'weight', 'scale': 'weight', 'bias': 'bias', 'mean': 'running_mean', 'var': 'running_var'}
AXES = {1: (0,), 2: (1, 0), 4: (3, 2, 0, 1)}

# The blocks, as parallel branches. A convolution is (features, kernel height, kernel width[, stride]); those of a
# branch follow each other, and a list of two is a fork, whose outputs are concatenated.
average_pool = functools.partial(nn.avg_pool, window_shape=(3, 3), strides=(1, 1), padding='SAME',
                                 count_include_pad=False)
max_pool = functools.partial(nn.max_pool, window_shape=(3, 3), strides=(1, 1), padding='SAME')
halve = functools.partial(nn.max_pool, window_shape=(3, 3), strides=(2, 2))


def block_a(pooled: int) -> dict[str, list]:
  """Returns a block of 35x35 maps; `pooled` features come from its pool."""
  return {'branch1x1': [(64, 1, 1)],
          'branch5x5': [(48, 1, 1), (64, 5, 5)],
          'branch3x3dbl': [(64, 1, 1), (96, 3, 3), (96, 3, 3)],
          'branch_pool': [(pooled, 1, 1)]}


def block_c(width: int) -> dict[str, list]:
  """Returns a block of 17x17 maps; its 7x7 convolutions, each in two factors, have `width` features."""
  return {'branch1x1': [(192, 1, 1)],
          'branch7x7': [(width, 1, 1), (width, 1, 7), (192, 7, 1)],
          'branch7x7dbl': [(width, 1, 1), (width, 7, 1), (width, 1, 7), (width, 7, 1), (192, 1, 7)],
          'branch_pool': [(192, 1, 1)]}


BLOCK_B = {'branch3x3': [(384, 3, 3, 2)],
           'branch3x3dbl': [(64, 1, 1), (96, 3, 3), (96, 3, 3, 2)],
           'branch_pool': []}
BLOCK_D = {'branch3x3': [(192, 1, 1), (320, 3, 3, 2)],
           'branch7x7x3': [(192, 1, 1), (192, 1, 7), (192, 7, 1), (192, 3, 3, 2)],
           'branch_pool': []}
BLOCK_E = {'branch1x1': [(320, 1, 1)],
           'branch3x3': [(384, 1, 1), [(384, 1, 3), (384, 3, 1)]],
           'branch3x3dbl': [(448, 1, 1), (384, 3, 3), [(384, 1, 3), (384, 3, 1)]],
           'branch_pool': [(192, 1, 1)]}
BLOCKS = [('Mixed_5b', average_pool, block_a(32)), ('Mixed_5c', average_pool, block_a(64)),
          ('Mixed_5d', average_pool, block_a(64)), ('Mixed_6a', halve, BLOCK_B),
          ('Mixed_6b', average_pool, block_c(128)), ('Mixed_6c', average_pool, block_c(160)),
          ('Mixed_6d', average_pool, block_c(160)), ('Mixed_6e', average_pool, block_c(192)),
          ('Mixed_7a', halve, BLOCK_D), ('Mixed_7b', average_pool, BLOCK_E), ('Mixed_7c', max_pool, BLOCK_E)]


class Unit(nn.Module):
  """Convolution, batch norm by its running averages, and ReLU; with a stride of 2 there is no padding."""
  features: int
  height: int
  width: int
  stride: int = 1
  padding: str | None = None

  @nn.compact
  def __call__(self, x):
    padding = self.padding or ('SAME' if self.stride == 1 else 'VALID')
    kernel_size = (self.height, self.width)
    strides = (self.stride, self.stride)
    x = nn.Conv(self.features, kernel_size, strides, padding, use_bias=False, name='conv')(x)
    x = nn.BatchNorm(use_running_average=True, epsilon=1e-3, name='bn')(x)
    return nn.relu(x)


class Inception(nn.Module):
  """images [B,H,W,3] in [-1, 1], H and W at least 75 -> (features [B,2048], logits [B,1008]).

  Inception-v3 (Szegedy et al. 2016) as in TensorFlow's graph of 2015-12-05: the average pools exclude the padding from
  the mean, and the last block has a max pool. Modules have pytorch-fid's names.
  """

  @nn.compact
  def __call__(self, x):
    x = Unit(32, 3, 3, 2, name='Conv2d_1a_3x3')(x)
    x = Unit(32, 3, 3, padding='VALID', name='Conv2d_2a_3x3')(x)
    x = Unit(64, 3, 3, name='Conv2d_2b_3x3')(x)
    x = halve(x)
    x = Unit(80, 1, 1, name='Conv2d_3b_1x1')(x)
    x = Unit(192, 3, 3, padding='VALID', name='Conv2d_4a_3x3')(x)
    x = halve(x)
    for block, pool, branches in BLOCKS:
      x = _apply_block(x, block, pool, branches)
    features = x.mean((1, 2))
    return features, nn.Dense(1008, name='fc')(features)


def _apply_block(x, block: str, pool: Callable, branches: dict[str, list]):
  outputs = []
  for name, steps in branches.items():
    branch_input = pool(x) if name == 'branch_pool' else x
    outputs.append(_apply_branch(branch_input, f'{block}.{name}', steps))
  return jnp.concatenate(outputs, -1)


def _apply_branch(x, name: str, steps: list):
  """Applies a branch's convolutions: name_1, name_2, ..., a fork's are name_2a and name_2b, an only one is name."""
  for i, step in enumerate(steps, 1):
    if isinstance(step, list):
      a, b = step
      x = jnp.concatenate([Unit(*a, name=f'{name}_{i}a')(x), Unit(*b, name=f'{name}_{i}b')(x)], -1)
    else:
      unit_name = f'{name}_{i}' if len(steps) > 1 else name
      x = Unit(*step, name=unit_name)(x)
  return x


def variables_by_name() -> dict[str, tuple[tuple[str, ...], tuple[int, ...]]]:
  """Returns {name in pytorch-fid's file: (path in the tree of `load_inception`, shape there)} of each variable."""
  images = jax.ShapeDtypeStruct((1, 75, 75, 3), jnp.float32)
  variables = jax.eval_shape(Inception().init, jax.random.key(0), images)
  by_name = {}
  for path, leaf in traverse_util.flatten_dict(variables).items():
    _, *modules, variable = path
    name = '.'.join([*modules, LEAVES[variable]])
    by_name[name] = (path, leaf.shape)
  return by_name


@functools.lru_cache(maxsize=1)  # takes a second and 95 MB; a run checks the file at its start, and evaluates later
def load_inception(path: str) -> dict:
  """Reads the variables of `Inception` from pytorch-fid's .pth file, or from an .npz with its names and arrays.

  Raises:
    UserError: the file cannot be read, or a name or a shape in it is wrong.
  """
  arrays = weights_file.read_weights(path)
  by_name = variables_by_name()
  for name in arrays:
    if name not in by_name and not _is_ignored(name):
      raise UserError(f'{path} has {name!r}, which is not of this network: expected {WEIGHTS}')
  variables = {}
  for name, (place, shape) in by_name.items():
    variables[place] = _convert(path, arrays, name, shape)
  return traverse_util.unflatten_dict(variables)


def _is_ignored(name: str) -> bool:
  """Tells whether a name is not of a variable, but of the head for training or of batch norm's counters."""
  return name.startswith('AuxLogits.') or name.endswith('.num_batches_tracked')


def _convert(path: str, arrays: dict, name: str, shape: tuple[int, ...]) -> np.ndarray:
  """Returns the array of this name as float32 in linen's layout."""
  if name not in arrays:
    raise UserError(f'{path} has no {name!r}: expected {WEIGHTS}')
  array = arrays[name]
  axes = AXES[len(shape)]
  expected = tuple(shape[axis] for axis in axes)
  if array.shape != expected or not np.issubdtype(array.dtype, np.floating):
    raise UserError(f'{path}: {name!r} is {array.dtype} {array.shape}, expected floats {expected}, as in {WEIGHTS}')
  in_linen_order = array.transpose(np.argsort(axes))
  return np.asarray(in_linen_order, np.float32)


def resize_images(images):
  """Resizes uint8 [B,H,W,1 or 3] to float32 [B,299,299,3] in [-1, 1] as pytorch-fid does: bilinear, not antialiased."""
  num, _, _, channels = images.shape
  unit = images.astype(jnp.float32) / 255
  resized = jax.image.resize(unit, (num, SIZE, SIZE, channels), 'bilinear', antialias=False)
  return 2 * jnp.broadcast_to(resized, (num, SIZE, SIZE, 3)) - 1


@jax.jit
def _predict(variables: dict, images):
  with jax.default_matmul_precision('float32'):  # an accelerator's default is coarser than that of the weights
    features, logits = Inception().apply(variables, resize_images(images))
  without_bias = logits - variables['params']['fc']['bias']
  return features, nn.softmax(without_bias)


def classify(variables: dict, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns features [N,2048] and class probabilities [N,1008] of uint8 images [N,H,W,1 or 3].

  The probabilities are those of the Inception score, whose code omits the last layer's bias (Salimans et al. 2016).
  """
  variables = jax.device_put(variables)
  num = len(images)
  size = min(CHUNK, num)
  all_features, all_probabilities = [], []
  for start in range(0, num, size):
    chunk = images[start:start + size]
    full = np.resize(chunk, (size, *images.shape[1:]))  # repeats images in the last one: one shape, one compilation
    features, probabilities = jax.device_get(_predict(variables, full))
    all_features.append(features)
    all_probabilities.append(probabilities)
  return np.concatenate(all_features)[:num], np.concatenate(all_probabilities)[:num]
