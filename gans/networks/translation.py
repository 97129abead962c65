"""Networks that turn images into images: those of StarGAN, CycleGAN and pix2pix, and their critics of patches.

StarGAN (Choi et al. 2018) and CycleGAN (Zhu et al. 2017) have a `ResidualGenerator`, pix2pix (Isola et al. 2017) a
`UNet`. A `PatchCritic` is in all three. A convolution has a bias if no norm follows, whose shift would take its place.
"""
from collections.abc import Callable, Sequence
import functools
from typing import Annotated, Any

from flax import linen as nn
import jax.numpy as jnp

from gans.errors import UserError
from gans.networks import conv, layers
from gans.networks.layers import Convolution
from gans.ranges import Fraction, Kernel, KernelPerLayer, Size, SizeOrNone, Sizes, Slope, SomeSizes, Stddev, Whole


class ResidualGenerator(nn.Module):
  """image [B,H,W,C], and a target if it takes one -> images [B,H,W,C'] in [-1, 1] float32.

  A convolution to `width` channels; `num_downsamplings` of stride 2, which double the channels; `num_blocks` residual
  blocks; as many transposed convolutions of stride 2, and one to the image's channels, with tanh (Johnson et al. 2016,
  Perceptual Losses). The last one has no bias, as in StarGAN. StarGAN's `kernel` of stride 2 is 4, CycleGAN's 3; the
  `outer_kernel` of the first convolution and the last is 7 in both.

  The target, [B] int of K classes or [B,K] float, becomes K more channels of the image, each the same everywhere (Choi
  et al. 2018, section 3.3). The padding with zeros lets instance norm, which takes a constant away, see it at the
  border. Raises UserError for a target that it does not take or misses, and if H or W is no multiple of
  2^num_downsamplings.
  """
  image_shape: tuple[int, ...]  # of the result, less H and W, which are those of the image
  width: Size = 64
  num_downsamplings: Annotated[int, Whole(0, 16)] = 2
  num_blocks: Annotated[int, Whole(0, 2**10)] = 6
  kernel: Kernel = 4
  outer_kernel: Kernel = 7
  norm: layers.NormName = 'instance'
  spectral: bool = False
  takes_target: bool = False
  num_classes: int = 0
  init_stddev: Stddev = 0.02
  remat: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, image, target=None, *, train):
    self.check_size(image)
    x = self.join_target(image, target)
    widths = [self.width * 2**i for i in range(self.num_downsamplings + 1)]
    convolve = functools.partial(apply_convolution, self, norm=self.norm, activate=nn.relu, train=train)
    x = convolve(x, Convolution(self.width, self.outer_kernel))
    for width in widths[1:]:
      x = convolve(x, Convolution(width, self.kernel, stride=2))
    for _ in range(self.num_blocks):
      x = layers.apply_layer(self, functools.partial(apply_residual_block, train=train), x)
    for width in reversed(widths[:-1]):
      x = convolve(x, Convolution(width, self.kernel, stride=2, module=conv.ConvTranspose))
    last = Convolution(self.image_shape[-1], self.outer_kernel, use_bias=False)
    x = layers.apply_layer(self, functools.partial(layers.convolve, convolution=last), x)
    return jnp.tanh(x.astype(jnp.float32))

  def join_target(self, image, target):
    """[B,H,W,C] -> [B,H,W,C+K]: gives an image the channels of its target, if the network takes one."""
    if self.takes_target != (target is not None):
      given = 'a target' if target is not None else 'no target'
      raise UserError(f'takes_target={self.takes_target}: the algorithm gives it {given}; '
                      f'expected {not self.takes_target}')
    if target is None:
      return image
    weights = layers.as_weights(target, self.num_classes)
    positions = image.shape[1:-1]
    channels = jnp.expand_dims(weights, range(1, 1 + len(positions)))
    channels = jnp.broadcast_to(channels, (*image.shape[:-1], self.num_classes))
    return jnp.concatenate([image, channels], axis=-1)

  def check_size(self, image):
    """Raises UserError for an image that does not come out as large as it is."""
    factor = 2**self.num_downsamplings
    if any(count % factor for count in image.shape[1:-1]):
      raise UserError(f'num_downsamplings={self.num_downsamplings}: it halves an image as often, and '
                      f'{image.shape[1:-1]} are no multiples of {factor}: change it or dataset.image_size')


def apply_residual_block(network: ResidualGenerator, x, train: bool):
  """x [B,h,w,c] -> x + f(x), f being convolution, norm, ReLU, convolution and norm (He et al. 2016)."""
  convolution = Convolution(x.shape[-1], kernel=3, use_bias=network.norm == 'none')
  y = layers.convolve_and_activate(network, x, convolution, network.norm, nn.relu, train)
  y = layers.convolve(network, y, convolution)
  return x + layers.normalize(y, network.norm, train, network.dtype)


class UNet(nn.Module):
  """image [B,H,W,C] -> images [B,H,W,C'] in [-1, 1] float32; H and W may be odd.

  An encoder of convolutions of stride 2 to widths `hidden`, with norm and leaky ReLU 0.2; a decoder of as many
  transposed ones with norm and ReLU, each of which also sees the encoder's map of its size (Ronneberger et al. 2015);
  tanh. The first `num_dropouts` layers of the decoder have `dropout`, the noise of pix2pix, when training (Isola et al.
  2017, section 6.1.1). Neither the first layer of the encoder nor the last, whose map may have one position, has a
  norm. pix2pix at 256 pixels has the widths (64, 128, 256) and five of 512.
  """
  image_shape: tuple[int, ...]  # of the result, less H and W, which are those of the image
  hidden: SomeSizes = (64, 128, 256)
  kernel: Kernel = 4
  norm: layers.NormName = 'batch'
  spectral: bool = False
  dropout: Fraction = 0.5
  num_dropouts: SizeOrNone = 3
  init_stddev: Stddev = 0.02
  remat: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, image, *, train):
    layers.check_norm(self.norm)
    maps = self.encode(image, train)
    x, *skipped = reversed(maps)
    for i, skip in enumerate(skipped):
      dropout = self.dropout if i < self.num_dropouts else 0.0
      layer = functools.partial(decode, shape=skip.shape[1:], dropout=dropout, train=train)
      x = layers.apply_layer(self, layer, x)
      x = jnp.concatenate([x, skip], axis=-1)
    shape = (*image.shape[1:-1], self.image_shape[-1])
    x = layers.apply_layer(self, functools.partial(enlarge, shape=shape, use_bias=True), x)
    return jnp.tanh(x.astype(jnp.float32))

  def encode(self, x, train: bool) -> list:
    """Returns the maps of the encoder, the largest first."""
    last = len(self.hidden) - 1
    maps = []
    for i, width in enumerate(self.hidden):
      norm = 'none' if i in (0, last) else self.norm
      x = apply_convolution(self, x, Convolution(width, self.kernel, stride=2), norm, layers.leaky_relu(0.2), train)
      maps.append(x)
    return maps


def decode(network: UNet, x, shape: Sequence[int], dropout: float, train: bool):
  """Applies a layer of the decoder, norm, dropout and ReLU: [B,h,w,c] -> [B,*shape]."""
  x = enlarge(network, x, shape, use_bias=network.norm == 'none')
  x = layers.normalize(x, network.norm, train, network.dtype)
  x = nn.Dropout(dropout, deterministic=not train)(x)
  return nn.relu(x)


def enlarge(network: UNet, x, shape: Sequence[int], use_bias: bool):
  """[B,h,w,c] -> [B,*shape]: doubles the sides of a map, and crops what the encoder rounded up."""
  *positions, width = shape
  doubling = Convolution(width, network.kernel, stride=2, use_bias=use_bias, module=conv.ConvTranspose)
  x = layers.convolve(network, x, doubling)
  cropped = [slice(count) for count in positions]
  return x[:, *cropped]


class PatchCritic(nn.Module):
  """images [B,H,W,C], one or more -> a map of scores [B,h,w] float32, one for each of the patches that overlap.

  Several images, as pix2pix has, are joined along their channels. Convolutions to widths `hidden` with leaky ReLU of
  slope `leak`, and a norm after all but the first, then one of `head_kernel` to the scores. With `classify`, (scores
  [B,h,w], class logits [B,K]); the logits are a convolution whose kernel is the whole map (Choi et al. 2018, table 5).
  Neither has a bias in StarGAN: `head_bias`.

  The critic of patches of 70x70 pixels in pix2pix and CycleGAN has hidden=(64, 128, 256, 512) and strides=(2, 2, 2, 1).
  """
  hidden: Sizes = (64, 128, 256)
  kernels: KernelPerLayer = 4
  strides: KernelPerLayer = 2
  padding: layers.PaddingPerLayer = 'SAME'
  norm: layers.NormName = 'none'
  spectral: bool = False
  leak: Slope = 0.2
  head_kernel: Kernel = 4
  head_bias: bool = True
  classify: bool = False
  num_classes: int = 0
  init_stddev: Stddev = 0.02
  remat: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, *images, train):
    layers.check_norm(self.norm)
    shapes = [image.shape for image in images]
    if any(shape[:-1] != shapes[0][:-1] for shape in shapes):
      raise UserError(f'the critic takes images of one size, and the algorithm gives it inputs of the shapes {shapes}')
    x = jnp.concatenate(images, axis=-1)
    activate = layers.leaky_relu(self.leak)
    for i, convolution in enumerate(layers.list_convolutions(self, self.hidden)):
      x = apply_convolution(self, x, convolution, self.norm if i else 'none', activate, train)
    scores = layers.convolve(self, x, Convolution(1, self.head_kernel, use_bias=self.head_bias))
    scores = jnp.squeeze(scores, -1).astype(jnp.float32)
    return (scores, self.classify_map(x)) if self.classify else scores

  def classify_map(self, x):
    """[B,h,w,c] -> class logits [B,K] float32."""
    if not self.num_classes:
      raise UserError('classify=True: the data set has neither labels nor attributes; expected False')
    x = x.reshape(x.shape[0], -1)
    return layers.apply_dense(self, x, self.num_classes, self.head_bias).astype(jnp.float32)


def apply_convolution(network: nn.Module, x, convolution: Convolution, norm: str, activate: Callable, train: bool):
  """Applies a convolution, a norm or else a bias, and a nonlinearity: [B,h,w,c] -> [B,h',w',width]."""
  layer = functools.partial(
      layers.convolve_and_activate, convolution=convolution._replace(use_bias=norm == 'none'), norm=norm,
      activate=activate, train=train)
  return layers.apply_layer(network, layer, x)
