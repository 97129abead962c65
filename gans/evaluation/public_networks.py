"""Public networks that give features: which there are, of which images, and how the user's file of weights is read."""
from collections.abc import Callable
import functools
from typing import NamedTuple

from flax import linen as nn
from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from gans.errors import UserError
from gans.evaluation import weights_file
from gans.evaluation.chunks import in_chunks
from gans.evaluation.inception import Inception, prepare_for_inception
from gans.evaluation.small_networks import (
  LeNet5,
  ResNet20,
  SqueezeNet,
  prepare_for_lenet5,
  prepare_for_resnet20,
  prepare_for_squeezenet,
)
from gans.system import cache

CHUNK = 50  # images classified at a time


class Layout(NamedTuple):
  """How a library names the variables of a module, and lays out their axes."""
  separator: str  # between the names of modules and that of the variable
  leaves: dict[str, str]  # from linen's names of variables
  axes: dict[int, tuple[int, ...]]  # from linen's axes, by their number


TORCH = Layout('.', {'kernel': 'weight', 'scale': 'weight', 'bias': 'bias', 'mean': 'running_mean',
                     'var': 'running_var'},
               {1: (0,), 2: (1, 0), 4: (3, 2, 0, 1)})
KERAS = Layout('/', {'kernel': 'kernel', 'bias': 'bias'}, {1: (0,), 4: (0, 1, 2, 3)})


class Network(NamedTuple):
  """A network whose weights anyone can fetch."""
  name: str  # part of the name of every score
  about: str  # for people
  module: nn.Module  # prepared images -> (features [B,width], class probabilities [B,K] or None)
  prepare: Callable  # uint8 [B,H,W,C] -> prepared images
  width: int
  source: str  # for people: the file of its weights
  layout: Layout
  channels: tuple[int, ...] = (1, 3)  # that images may have
  sizes: tuple[int, ...] = ()  # that their sides may have; (): any
  checksum: str = ''  # of the published weights, as load_weights computes it; '': unknown
  classifies: bool = True


class Weights(NamedTuple):
  """What was read of a file of weights."""
  variables: dict  # of the module
  checksum: str  # of the content, whatever the order and the kind of file


# The three checksums are those of copies with which ResNet-20 and LeNet-5 are as accurate as they should be
# (docs/evaluation.md). Their authors publish none.
BY_NAME = {
    'inception': Network(
        'inception_v3', 'Inception-v3', Inception(), prepare_for_inception, 2048,
        'pt_inception-2015-12-05-6726825d.pth of github.com/mseitzer/pytorch-fid', TORCH),
    'resnet20_cifar10': Network(
        'resnet20_cifar10', 'ResNet-20 trained on CIFAR-10', ResNet20(), prepare_for_resnet20, 64,
        'resnet20-12fca82f.th of github.com/akamaster/pytorch_resnet_cifar10', TORCH, sizes=(32,),
        checksum='4338fc54865e946fa860993b6df1f0cc5e422f224e9dd9b3e8d780045b5aa52d'),
    'lenet5_mnist': Network(
        'lenet5_mnist', 'LeNet-5 trained on MNIST', LeNet5(), prepare_for_lenet5, 84,
        'lenet.pth of github.com/abdulfatir/gan-metrics-pytorch', TORCH, channels=(1,), sizes=(28, 32),
        checksum='24dbb4be18ecb53b49681140884effc7da5a147d32b6a742e1abb41ebc5f3745'),
    'squeezenet_imagenet': Network(
        'squeezenet_imagenet', 'SqueezeNet 1.1 trained on ImageNet', SqueezeNet(), prepare_for_squeezenet, 512,
        'squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5 of github.com/rcmalli/keras-squeezenet', KERAS,
        checksum='75a13df3725886b06563e1e9ef0352b4534177aaca6eb723c060bb50d1c96e65', classifies=False),
}


def variables_by_name(network: Network) -> dict[str, tuple[tuple[str, ...], tuple[int, ...]]]:
  """Returns {name in the published file: (path in the variables of the module, shape there)} of each variable."""
  images = jnp.zeros((1, 32, 32, network.channels[-1]), jnp.uint8)
  variables = jax.eval_shape(lambda: network.module.init(jax.random.key(0), network.prepare(images)))
  by_name = {}
  for path, leaf in traverse_util.flatten_dict(variables).items():
    _, *modules, variable = path
    name = network.layout.separator.join([*modules, network.layout.leaves[variable]])
    by_name[name] = (path, leaf.shape)
  return by_name


@functools.lru_cache(maxsize=1)  # takes a second and 95 MB; a run checks the file at its start, and evaluates later
def load_weights(features: str, path: str) -> Weights:
  """Reads the weights of a network of BY_NAME from the published file, or from an .npz with its names and arrays.

  Raises:
    UserError: the file cannot be read, a name or a shape in it is wrong, or the weights are not the published ones.
  """
  network = BY_NAME[features]
  arrays = {name.removeprefix('module.'): array  # which torch.nn.DataParallel puts before each
            for name, array in weights_file.read_weights(path).items()}
  by_name = variables_by_name(network)
  for name in arrays:
    if name not in by_name and not _is_ignored(name):
      raise UserError(f'{path} has {name!r}, which is not of this network: expected {network.source}')
  variables, published = {}, []
  for name, (place, shape) in sorted(by_name.items()):
    array = _check_array(path, arrays, name, shape, network)
    variables[place] = array.transpose(np.argsort(network.layout.axes[len(shape)]))
    published.append(array)
  checksum = cache.fingerprint(*published)
  if network.checksum and checksum != network.checksum:
    raise UserError(f'{path} has other weights than {network.source}: the checksum of its arrays is {checksum}, '
                    f'expected {network.checksum}')
  return Weights(traverse_util.unflatten_dict(variables), checksum)


def _is_ignored(name: str) -> bool:
  """Tells whether a name is not of a variable, but of Inception's head for training or of batch norm's counters."""
  return name.startswith('AuxLogits.') or name.endswith('.num_batches_tracked')


def _check_array(path: str, arrays: dict, name: str, shape: tuple[int, ...], network: Network) -> np.ndarray:
  """Returns the array of this name, which has this shape in linen's layout, as float32; it keeps its own layout."""
  if name not in arrays:
    raise UserError(f'{path} has no {name!r}: expected {network.source}')
  array = arrays[name]
  expected = tuple(shape[axis] for axis in network.layout.axes[len(shape)])
  if array.shape != expected or not np.issubdtype(array.dtype, np.floating):
    raise UserError(f'{path}: {name!r} is {array.dtype} {array.shape}, expected floats {expected}, as in '
                    f'{network.source}')
  return np.asarray(array, np.float32)


def check_shape(features: str, dataset_name: str, shape: tuple[int, ...]):
  """Raises UserError if images [H,W,C] are not what a network of BY_NAME is made for."""
  network = BY_NAME[features]
  *sides, channels = shape
  fits = not network.sizes or set(sides) <= set(network.sizes)
  if channels not in network.channels or not fits:
    shapes = [f'{size}x{size}x{channels}' for size in network.sizes or 'N' for channels in network.channels]
    found = 'x'.join(map(str, shape))
    raise UserError(f'eval.features={features!r}: {dataset_name} has images of {found}; expected {" or ".join(shapes)}')


def classify(network: Network, variables: dict, images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
  """Returns features [N,width] and class probabilities [N,K], or None, of uint8 images [N,H,W,C]."""
  variables = jax.device_put(variables)
  predict = functools.partial(_predict, variables, module=network.module, prepare=network.prepare)
  return in_chunks(predict, images, CHUNK)


@functools.partial(jax.jit, static_argnames=('module', 'prepare'))
def _predict(variables: dict, images, module: nn.Module, prepare: Callable):
  with jax.default_matmul_precision('float32'):  # an accelerator's default is coarser than that of the weights
    return module.apply(variables, prepare(images))
