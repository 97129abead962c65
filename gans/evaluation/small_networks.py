"""Three small public networks that give features: ResNet-20 of CIFAR-10, LeNet-5 of MNIST, SqueezeNet 1.1 of ImageNet.

Each is the published code's, with its names of the layers, and stands beside how that code prepares images.
"""
from flax import linen as nn
import jax
import jax.numpy as jnp

RGB_MEAN, RGB_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, which ResNet-20's trainer takes too
BGR_MEAN = (103.939, 116.779, 123.68)  # Keras's imagenet_utils.preprocess_input in its mode 'caffe'
LENET_SIZE = 32
SQUEEZENET_SIZE = 227


class ResNet20(nn.Module):
  """prepared images [B,32,32,3] -> (features [B,64], class probabilities [B,10]).

  He et al. 2016, section 4.2: shortcuts have no parameters (option A). The features are the means of the last maps.
  """

  @nn.compact
  def __call__(self, x):
    x = nn.relu(_norm('bn1')(_conv3(16, 1, 'conv1')(x)))
    for layer, width in enumerate((16, 32, 64), 1):
      for block in range(3):
        strides = 2 if block == 0 and layer > 1 else 1
        x = ResidualBlock(width, strides, name=f'layer{layer}.{block}')(x)
    features = x.mean((1, 2))
    return features, nn.softmax(nn.Dense(10, name='linear')(features))


class ResidualBlock(nn.Module):
  """Two convolutions with batch norm by its running averages, added to x [B,H,W,C]; new channels of x are zero."""
  width: int
  strides: int

  @nn.compact
  def __call__(self, x):
    y = nn.relu(_norm('bn1')(_conv3(self.width, self.strides, 'conv1')(x)))
    y = _norm('bn2')(_conv3(self.width, 1, 'conv2')(y))
    added = (self.width - x.shape[-1]) // 2  # on either side
    shortcut = jnp.pad(x[:, ::self.strides, ::self.strides], ((0, 0), (0, 0), (0, 0), (added, added)))
    return nn.relu(y + shortcut)


def _conv3(width: int, strides: int, name: str) -> nn.Conv:
  return nn.Conv(width, (3, 3), strides, padding=1, use_bias=False, name=name)


def _norm(name: str) -> nn.BatchNorm:
  return nn.BatchNorm(use_running_average=True, name=name)


def prepare_for_resnet20(images):
  """Scales uint8 [B,32,32,1 or 3] to float32 [B,32,32,3] of mean 0 and deviation 1, about; grey is repeated."""
  unit = images.astype(jnp.float32) / 255
  return (unit - jnp.array(RGB_MEAN)) / jnp.array(RGB_STD)


class LeNet5(nn.Module):
  """prepared images [B,32,32,1] -> (features [B,84], class probabilities [B,10]).

  LeCun et al. 1998, with max pooling and full connections. The features are the last hidden layer.
  """

  @nn.compact
  def __call__(self, x):
    x = nn.tanh(_conv5(6, 'c1')(x))
    x = nn.max_pool(x, (2, 2), (2, 2))
    x = nn.tanh(_conv5(16, 'c3')(x))
    x = nn.max_pool(x, (2, 2), (2, 2))
    x = nn.tanh(_conv5(120, 'c5')(x))
    x = x.reshape(x.shape[0], -1)
    features = nn.tanh(nn.Dense(84, name='fc.f6')(x))
    return features, nn.softmax(nn.Dense(10, name='fc.f7')(features))


def _conv5(width: int, name: str) -> nn.Conv:
  return nn.Conv(width, (5, 5), padding='VALID', name=f'convnet.{name}')


def prepare_for_lenet5(images):
  """Scales uint8 [B,28 or 32,28 or 32,1] to float32 [B,32,32,1] in [0, 1]; 28 pixels get a border of zeros."""
  unit = images.astype(jnp.float32) / 255
  borders = [((LENET_SIZE - size) // 2,) * 2 for size in images.shape[1:3]]
  return jnp.pad(unit, ((0, 0), *borders, (0, 0)))


class SqueezeNet(nn.Module):
  """prepared images [B,227,227,3] -> (features [B,512], None).

  SqueezeNet 1.1 (Iandola et al. 2016) without its classifier. The features are the means of fire9's maps.
  """

  @nn.compact
  def __call__(self, x):
    x = nn.relu(nn.Conv(64, (3, 3), 2, 'VALID', name='conv1')(x))
    squeezed = iter((16, 16, 32, 32, 48, 48, 64, 64))
    fires = iter(range(2, 10))
    for num in (2, 2, 4):
      x = nn.max_pool(x, (3, 3), (2, 2))
      for _ in range(num):
        x = Fire(next(squeezed), name=f'fire{next(fires)}')(x)
    return x.mean((1, 2)), None


class Fire(nn.Module):
  """x [B,H,W,C] -> [B,H,W,8*squeezed]: few maps, from which convolutions of two sizes make four times as many each."""
  squeezed: int

  @nn.compact
  def __call__(self, x):
    x = nn.relu(nn.Conv(self.squeezed, (1, 1), name='squeeze1x1')(x))
    sizes = {'expand1x1': (1, 1), 'expand3x3': (3, 3)}
    expanded = [nn.relu(nn.Conv(4 * self.squeezed, size, name=name)(x)) for name, size in sizes.items()]
    return jnp.concatenate(expanded, -1)


def prepare_for_squeezenet(images):
  """Resizes uint8 [B,H,W,1 or 3] to float32 [B,227,227,3] in BGR, less the mean; grey is repeated.

  The resizing is bilinear, over all pixels where it shrinks; that of the published example depends on the version of
  Pillow.
  """
  num, _, _, channels = images.shape
  shape = (num, SQUEEZENET_SIZE, SQUEEZENET_SIZE, channels)
  resized = jax.image.resize(images.astype(jnp.float32), shape, 'bilinear')
  return resized[..., ::-1] - jnp.array(BGR_MEAN)
