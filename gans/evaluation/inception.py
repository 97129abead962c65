"""Inception-v3 with the weights of the Frechet Inception distance: the network and the file of pytorch-fid."""
import functools

from flax import linen as nn
from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from gans.errors import UserError
from gans.evaluation import weights_file

CHUNK, SIZE, WIDTH = 50, 299, 2048
WEIGHTS = 'pt_inception-2015-12-05-6726825d.pth of github.com/mseitzer/pytorch-fid'
# From linen's names and axes to torch's, by the name of the variable and by the number of its axes.
LEAVES = {'kernel': 'weight', 'scale': 'weight', 'bias': 'bias', 'mean': 'running_mean', 'var': 'running_var'}
AXES = {1: (0,), 2: (1, 0), 4: (3, 2, 0, 1)}

# Branches of the blocks, side by side. A convolution is (features, kernel height, kernel width[, stride]); those of a
# branch follow each other, and a list of two is a fork, joined again.
average_pool = functools.partial(nn.avg_pool, window_shape=(3, 3), strides=(1, 1), padding='SAME',
                                 count_include_pad=False)
max_pool = functools.partial(nn.max_pool, window_shape=(3, 3), strides=(1, 1), padding='SAME')
halve = functools.partial(nn.max_pool, window_shape=(3, 3), strides=(2, 2))


def block_a(pooled: int) -> dict[str, list]:
  """The blocks of 35x35 maps; `pooled` features come from the pool."""
  return {'branch1x1': [(64, 1, 1)],
          'branch5x5': [(48, 1, 1), (64, 5, 5)],
          'branch3x3dbl': [(64, 1, 1), (96, 3, 3), (96, 3, 3)],
          'branch_pool': [(pooled, 1, 1)]}


def block_c(width: int) -> dict[str, list]:
  """The blocks of 17x17 maps; their 7x7 convolutions, in two factors, have `width` features."""
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
  """Convolution, batch norm by the running averages, ReLU; with a stride of 2 there is no padding."""
  features: int
  height: int
  width: int
  stride: int = 1
  padding: str | None = None

  @nn.compact
  def __call__(self, x):
    padding = self.padding or ('SAME' if self.stride == 1 else 'VALID')
    x = nn.Conv(self.features, (self.height, self.width), (self.stride,) * 2, padding, use_bias=False, name='conv')(x)
    return nn.relu(nn.BatchNorm(use_running_average=True, epsilon=1e-3, name='bn')(x))


class Inception(nn.Module):
  """images [B,H,W,3] in [-1, 1], H and W at least 75 -> (features [B,2048], logits [B,1008]).

  Inception-v3 (Szegedy et al. 2016) as TensorFlow's graph of 2015-12-05 has it: the average pools leave the padding
  out of the mean, and the last block's pool is of the maximum. Modules have pytorch-fid's names.
  """

  @nn.compact
  def __call__(self, x):
    x = Unit(32, 3, 3, 2, name='Conv2d_1a_3x3')(x)
    x = Unit(32, 3, 3, padding='VALID', name='Conv2d_2a_3x3')(x)
    x = halve(Unit(64, 3, 3, name='Conv2d_2b_3x3')(x))
    x = Unit(80, 1, 1, name='Conv2d_3b_1x1')(x)
    x = halve(Unit(192, 3, 3, padding='VALID', name='Conv2d_4a_3x3')(x))
    for block, pool, branches in BLOCKS:
      x = jnp.concatenate([_branch(pool(x) if name == 'branch_pool' else x, f'{block}.{name}', steps)
                           for name, steps in branches.items()], -1)
    features = x.mean((1, 2))
    return features, nn.Dense(1008, name='fc')(features)


def _branch(x, name: str, steps: list):
  """Applies the convolutions of a branch: name_1, name_2, ..., a fork's name_2a and name_2b, and a lone one's name."""
  for i, step in enumerate(steps, 1):
    if isinstance(step, list):
      x = jnp.concatenate([Unit(*fork, name=f'{name}_{i}{letter}')(x) for letter, fork in zip('ab', step)], -1)
    else:
      x = Unit(*step, name=f'{name}_{i}' if len(steps) > 1 else name)(x)
  return x


def variables_by_name() -> dict[str, tuple[tuple[str, ...], tuple[int, ...]]]:
  """Returns, by its name in pytorch-fid's file, each variable's place in the tree of `load`, and its shape there."""
  images = jax.ShapeDtypeStruct((1, 75, 75, 3), jnp.float32)
  flat = traverse_util.flatten_dict(jax.eval_shape(Inception().init, jax.random.key(0), images))
  return {'.'.join((*place[1:-1], LEAVES[place[-1]])): (place, leaf.shape) for place, leaf in flat.items()}


@functools.lru_cache(maxsize=1)  # a second and 95 MB; a start looks at the file, and an evaluation wants it again
def load_inception(path: str) -> dict:
  """Reads the variables of `Inception` from pytorch-fid's .pth file, or from an .npz with its names and arrays.

  Raises:
    UserError: the file cannot be read, or a name or a shape in it is wrong.
  """
  arrays, places = weights_file.read(path), variables_by_name()
  extra = [name for name in arrays if name not in places and not _ignored(name)]
  if extra:
    raise UserError(f'{path} has {extra[0]!r}, which is not of this network: expected {WEIGHTS}')
  return traverse_util.unflatten_dict({place: _convert(path, arrays, name, shape)
                                       for name, (place, shape) in places.items()})


def _ignored(name: str) -> bool:
  """Tells what a file may hold beside the variables: the head for training, and batch norm's counters."""
  return name.startswith('AuxLogits.') or name.endswith('.num_batches_tracked')


def _convert(path: str, arrays: dict, name: str, shape: tuple[int, ...]) -> np.ndarray:
  """Returns the array of that name as float32 in linen's layout."""
  if name not in arrays:
    raise UserError(f'{path} has no {name!r}: expected {WEIGHTS}')
  array, axes = arrays[name], AXES[len(shape)]
  expected = tuple(shape[axis] for axis in axes)
  if array.shape != expected or not np.issubdtype(array.dtype, np.floating):
    raise UserError(f'{path}: {name!r} is {array.dtype} {array.shape}, expected floats {expected}, as in {WEIGHTS}')
  return np.asarray(array.transpose(np.argsort(axes)), np.float32)


def prepare(images):
  """uint8 [B,H,W,1 or 3] -> float32 [B,299,299,3] in [-1, 1], as pytorch-fid does it: bilinear, no antialiasing."""
  size = (len(images), SIZE, SIZE, images.shape[-1])
  resized = jax.image.resize(images.astype(jnp.float32) / 255, size, 'bilinear', antialias=False)
  return 2 * jnp.broadcast_to(resized, (*size[:-1], 3)) - 1


@jax.jit
def _predict(variables: dict, images):
  with jax.default_matmul_precision('float32'):  # an accelerator's default is coarser than the weights were made with
    features, logits = Inception().apply(variables, prepare(images))
  return features, nn.softmax(logits - variables['params']['fc']['bias'])


def classify(variables: dict, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns features [N,2048] and class probabilities [N,1008] of uint8 images [N,H,W,1 or 3].

  The probabilities are the Inception score's, whose code leaves the last layer's bias out (Salimans et al. 2016).
  """
  variables, size = jax.device_put(variables), min(CHUNK, len(images))
  # np.resize fills the last chunk with repetitions: one shape, one compilation.
  chunks = [jax.device_get(_predict(variables, np.resize(images[i:i + size], (size, *images.shape[1:]))))
            for i in range(0, len(images), size)]
  return tuple(np.concatenate(parts)[:len(images)] for parts in zip(*chunks))
