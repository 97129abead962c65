"""Inception-v3 of the Frechet Inception distance: the network, and how pytorch-fid prepares images."""
from collections.abc import Callable
import functools

from flax import linen as nn
import jax
import jax.numpy as jnp

SIZE = 299  # pixels

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
  """images [B,H,W,3] in [-1, 1], H and W at least 75 -> (features [B,2048], class probabilities [B,1008]).

  Inception-v3 (Szegedy et al. 2016) as in TensorFlow's graph of 2015-12-05: the average pools exclude the padding from
  the mean, and the last block has a max pool. Modules have pytorch-fid's names. The probabilities are those of the
  Inception score, whose code omits the last layer's bias (Salimans et al. 2016).
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
    last = nn.Dense(1008, name='fc')
    logits = last(features) - last.variables['params']['bias']
    return features, nn.softmax(logits)


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


def prepare_for_inception(images):
  """Resizes uint8 [B,H,W,1 or 3] to float32 [B,299,299,3] in [-1, 1] as pytorch-fid does: bilinear, not antialiased."""
  num, _, _, channels = images.shape
  unit = images.astype(jnp.float32) / 255
  resized = jax.image.resize(unit, (num, SIZE, SIZE, channels), 'bilinear', antialias=False)
  return 2 * jnp.broadcast_to(resized, (num, SIZE, SIZE, 3)) - 1
