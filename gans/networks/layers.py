"""Layers that the networks share; call them inside a compact module."""
from collections.abc import Callable, Sequence
import functools
import math
from typing import Annotated, NamedTuple

from flax import linen as nn
import jax
import jax.numpy as jnp

from gans.errors import UserError
from gans.networks import conv
from gans.ranges import OneOf, one_or_each

NORMS = ('batch', 'layer', 'instance', 'none')
PADDING = OneOf(('SAME', 'VALID'))
NormName = Annotated[str, OneOf(NORMS)]
GeneratorNormName = Annotated[str, OneOf((*NORMS, 'conditional_batch'))]
PaddingPerLayer = Annotated[str | tuple[str, ...], one_or_each(PADDING)]


def normalize(x, norm: str, train: bool, dtype, condition=None):
  """Normalises features x [B,...,C], with a learnt scale and shift per channel.

  'batch': over the batch and all positions, with running averages when not training (Ioffe & Szegedy 2015).
  'layer': over all of an example's positions and channels, so that examples stay independent, as a gradient
  penalty needs (Ba et al. 2016, as in Gulrajani et al. 2017). 'instance': over the positions of each channel of an
  example, which stays independent too (Ulyanov et al. 2016, Instance Normalization). 'conditional_batch': as 'batch',
  with a scale and a shift that depend on the condition [B,F], see `modulate`. 'none': returns x unchanged.

  Raises:
    UserError: there is no such norm, or it would make all of x zero: instance norm of one position a channel, or layer
      norm of one number.
  """
  if norm == 'conditional_batch':
    x = nn.BatchNorm(use_running_average=not train, momentum=0.9, epsilon=1e-5, dtype=dtype, use_scale=False,
                     use_bias=False)(x)
    return modulate(x, condition, dtype)
  check_norm(norm)
  if norm == 'batch':
    return nn.BatchNorm(use_running_average=not train, momentum=0.9, epsilon=1e-5, dtype=dtype)(x)
  if norm == 'layer':
    if math.prod(x.shape[1:]) == 1:
      raise UserError("norm='layer': it subtracts the mean of an example's features, and here there is one, which "
                      "becomes zero; expected 'none', or more features")
    return nn.LayerNorm(reduction_axes=range(1, x.ndim), feature_axes=-1, epsilon=1e-5, dtype=dtype)(x)
  if norm == 'instance':
    positions = x.shape[1:-1]
    if math.prod(positions) == 1:
      raise UserError(f"norm='instance': it subtracts a channel's mean over its positions, and features of the shape "
                      f"{x.shape[1:]} have one, so that all become zero; expected 'layer', 'batch' or 'none'")
    return nn.InstanceNorm(epsilon=1e-5, dtype=dtype)(x)
  return x


def modulate(x, condition, dtype):
  """Scales and shifts each channel of x [B,*positions,C] by what a condition [B,F] says.

  That is (1 + W_scale c) x + W_shift c; both weights start at zero. With a class as one-hot c, each class has a scale
  and a shift of its own (Dumoulin et al. 2017, A Learned Representation for Artistic Style; de Vries et al. 2017).
  """
  def learnt():
    y = nn.Dense(x.shape[-1], use_bias=False, kernel_init=nn.initializers.zeros_init(), dtype=dtype)(condition)
    # Float32 from here on: their gradients are sums over all positions, which in bfloat16 stop growing early.
    return jnp.expand_dims(y, range(1, x.ndim - 1)).astype(jnp.float32)

  return (x * (1 + learnt()) + learnt()).astype(x.dtype)


def label_condition(network: nn.Module, label):
  """Returns the condition of a network's norms, the label as weights of the classes [B,K]; None if they take none."""
  return as_weights(label, network.num_classes) if network.norm == 'conditional_batch' else None


def normalize_and_activate(network: nn.Module, x, train: bool, condition=None):
  """Applies a network's norm and ReLU: [B,...,C] -> [B,...,C]."""
  return nn.relu(normalize(x, network.norm, train, network.dtype, condition))


def check_norm(norm: str):
  """Raises UserError for a name that is no norm; a network calls it even if none of its layers has a norm."""
  if norm not in NORMS:
    raise UserError(f'norm={norm!r}: expected one of {NORMS}')


def as_weights(label, num_classes: int) -> jax.Array:
  """Returns labels as weights of the classes, [B,K] float32.

  Labels [B] int become one-hot; weights [B,K] float, such as attributes or a way between two classes, are returned.

  Raises:
    UserError: the data set has no classes, or the weights are not of as many.
  """
  if not num_classes:
    raise UserError('the network is to use a label, but the data set has neither labels, such as the subfolders of a '
                    "'folder', nor dataset.attributes")
  if label is None:
    raise UserError('the network is to use a label, and what it sees has none, such as a pack; expected label_dim=0, '
                    "and another norm than 'conditional_batch'")
  if not is_weights(label):
    return jax.nn.one_hot(label, num_classes)
  if label.ndim != 2 or label.shape[1] != num_classes:
    raise UserError(f'labels as weights of the classes have the shape {label.shape}: expected {num_classes} numbers an '
                    f'example, [B,{num_classes}]')
  return label.astype(jnp.float32)


def is_weights(label) -> bool:
  """Tells whether labels are weights of the classes [B,K] float, and not the classes themselves [B] int."""
  return jnp.issubdtype(label.dtype, jnp.floating)


def join_label(x, label, num_classes: int, label_dim: int):
  """Joins an embedding of label to noise [B,Z] or image [B,*positions,C], as label_dim more features or channels.

  Each pixel has an embedding of its own (Mirza & Osindero 2014, with a table in place of the dense layer on one-hot
  labels). Labels are [B] int, or weights of the classes [B,K] float, which weigh the classes' embeddings. With
  label_dim 0 the label is ignored.

  Raises:
    UserError: there is no label to join, or what an algorithm gives in its place is none.
  """
  check_label(label, num_classes)
  if not label_dim:
    return x
  if not num_classes:
    raise UserError(f'label_dim={label_dim}: the data set has no labels; expected 0')
  if label is None:
    raise UserError(f'label_dim={label_dim}: what this network sees has no label, such as a pack; expected 0')
  positions = x.shape[1:-1]
  table = nn.Embed(num_classes, math.prod(positions) * label_dim)
  embedding = as_weights(label, num_classes) @ table.embedding if is_weights(label) else table(label)
  embedding = embedding.reshape(-1, *positions, label_dim)
  return jnp.concatenate([x, embedding], axis=-1)


def check_label(label, num_classes: int):
  """Raises UserError for what is no label, such as an image or a code that an algorithm gives its critic as well."""
  if label is None or label.ndim == 1 and not is_weights(label):
    return
  if label.shape[1:] != (num_classes,):
    raise UserError(f'in place of a label of {num_classes} classes, the algorithm gives this network an array of the '
                    f'shape {label.shape}, which it would not look at: expected a network that does, such as '
                    'joint.Critic of an image and its code, or translation.PatchCritic of several images')


def apply_layer(network: nn.Module, layer: Callable, x):
  """Returns layer(network, x), with gradient checkpointing if network.remat is set.

  That keeps only x for the backward pass, which recomputes the layer (Chen et al. 2016, Training Deep Nets with
  Sublinear Memory Cost). Parameters have the same names and values either way.
  """
  if network.remat:
    layer = nn.remat(layer)
  return layer(network, x)


def apply_head(network: nn.Module, x, label):
  """Applies a critic's last layer to features x [B,F]; all that it returns is float32.

  Returns scores [B]; (scores [B], class logits [B,K]) with the network's `classify`; N numbers [B,N] for `outputs` N >
  0; or (scores [B], x) with `features`. With `projection`, the product of x and an embedding of the label is added to
  the scores (Miyato & Koyama 2018, cGANs with Projection Discriminator, eq. 3).
  """
  asked = {field: getattr(network, field) for field in ('outputs', 'classify', 'features')}
  given = [f'{field}={value}' for field, value in asked.items() if value]
  if len(given) > 1:
    raise UserError(f'{" and ".join(given)}: a network returns one of these, expected no more than one of them')
  if network.classify and network.label_dim:
    raise UserError(f'label_dim={network.label_dim}: with classify=True the network would be told the class that it is '
                    'to tell; expected 0')
  if network.classify and not network.num_classes:
    raise UserError('classify=True: the data set has no labels; expected False')
  if network.outputs:
    if network.projection:
      raise UserError(f'projection=True: outputs={network.outputs} are no score, to which it could be added; '
                      'expected False')
    return apply_dense(network, x, network.outputs).astype(jnp.float32)
  y = apply_dense(network, x, 1 + (network.num_classes if network.classify else 0)).astype(jnp.float32)
  scores, logits = y[:, 0], y[:, 1:]
  if network.projection:
    if label is None:
      raise UserError('projection=True: what this network sees has no label, such as a pack; expected False')
    embedding = apply_dense(network, as_weights(label, network.num_classes), x.shape[-1], use_bias=False)
    scores += jnp.sum((x * embedding).astype(jnp.float32), axis=-1)
  if network.features:
    return scores, x.astype(jnp.float32)
  return (scores, logits) if network.classify else scores


def apply_dense(network: nn.Module, x, width: int, use_bias: bool = True):
  """Applies a dense layer to x [B,F], with a network's initialisation and dtype: [B,width]."""
  dense = nn.Dense(width, use_bias, kernel_init=kernel_init(network), dtype=network.dtype)
  return apply_weights(network, dense, x)


def apply_weights(network: nn.Module, layer: nn.Module, x):
  """Applies a layer; in a network with `spectral`, its kernel is divided by its largest singular value.

  The kernel is taken as a matrix of its output channels and all else, and the value is found by one power iteration
  a call (Miyato et al. 2018, Spectral Normalization for GANs, Algorithm 1). The vector u that it starts from is in the
  collection 'spectral', which only training changes; the gradient passes through the singular value. The scales and
  shifts of conditional batch norm are not divided: their kernels start at zero, and so do their singular values.
  """
  if not network.spectral:
    return layer(x)
  normalized = nn.SpectralNorm(layer, collection_name='spectral')
  return normalized(x, update_stats=network.is_mutable_collection('spectral'))


def kernel_init(network: nn.Module, gain: float = 1):
  """Returns the initialiser of a network's kernels.

  By its `initializer`, where it has one: 'glorot' (Glorot & Bengio 2010) times the gain, or 'orthogonal' (Saxe et al.
  2014); else by its `init_stddev`: N(0, init_stddev^2), as in DCGAN (0.02), and for 0 LeCun's, by the fan-in.
  """
  initializer = getattr(network, 'initializer', None)
  if initializer == 'orthogonal':
    return nn.initializers.orthogonal()
  if initializer == 'glorot':
    return nn.initializers.variance_scaling(gain**2, 'fan_avg', 'uniform')
  stddev = network.init_stddev
  return nn.initializers.normal(stddev) if stddev else nn.initializers.lecun_normal()


def start_sides(network: nn.Module) -> tuple[int, ...]:
  """Returns the sides of a generator's first map, its `start`: one number for all axes, or one for each.

  Raises:
    UserError: there is one for each of other than the axes of the data.
  """
  rank = count_axes(network.image_shape)
  sides = (network.start,) * rank if isinstance(network.start, int) else tuple(network.start)
  if len(sides) != rank:
    raise UserError(f'start={network.start!r}: expected one side, or {rank}, as the data have so many axes')
  return sides


def check_sides(network: nn.Module, doublings: int, parts: str):
  """Raises UserError if a generator whose sides are doubled from `start` on does not end at the size of the images."""
  positions = tuple(network.image_shape[:-1])
  sides = tuple(side * 2**doublings for side in start_sides(network))
  if positions != sides:
    raise UserError(f'start={network.start}: {parts} end at sides of {sides}, the data have {positions}: change '
                    'dataset.image_size, or start and hidden')


class Convolution(NamedTuple):
  """The settings of one convolution; kernel and stride are the same along all axes."""
  width: int  # output channels
  kernel: int
  stride: int = 1
  padding: str = 'SAME'
  use_bias: bool = True
  module: type[nn.Module] = conv.Conv  # or another of the file, of which ConvTranspose enlarges the map by its stride
  gain: float = 1  # of the first weights, see `kernel_init`


def convolve(network: nn.Module, x, convolution: Convolution):
  """Applies a convolution to x [B,*positions,C], with a network's initialisation and dtype: [B,*positions',width]."""
  width, kernel, stride, padding, use_bias, module, gain = convolution
  kernel_size = (kernel,) * count_axes(x.shape[1:])
  if module is conv.Conv and padding == 'VALID' and min(x.shape[1:-1]) < kernel:
    raise UserError(f"padding='VALID': a kernel of {kernel} does not fit into a map of {x.shape[1:-1]}; expected "
                    "'SAME', or smaller kernels or strides")
  layer = module(width, kernel_size, stride, padding, use_bias, network.dtype, kernel_init(network, gain))
  return apply_weights(network, layer, x)


def convolve_and_activate(network: nn.Module, x, convolution: Convolution, norm: str, activate: Callable, train: bool):
  """Applies a convolution, a norm and a nonlinearity: [B,*positions,C] -> [B,*positions',width]."""
  x = convolve(network, x, convolution)
  x = normalize(x, norm, train, network.dtype)
  return activate(x)


def attend_at(network: nn.Module, before, x):
  """Applies self-attention to a map x if it is the first of the side `attention_at`; `before` is the map before it."""
  side = network.attention_at
  return attend(network, x) if side == x.shape[1] != before.shape[1] else x


def check_attention(network: nn.Module):
  """Raises UserError if no map of a network that has been applied was of the side `attention_at`."""
  if network.attention_at and not network.has_variable('params', 'attention'):
    raise UserError(f'attention_at={network.attention_at}: no layer of the network arrives at a map of this side; '
                    'expected the side of one, or 0 for no attention')


def attend(network: nn.Module, x):
  """Adds to each position of x [B,*positions,C] what it finds at all others (Zhang et al. 2019, Self-Attention GAN).

  x + gamma o(softmax(theta(x) phi(x)') g(x)), where theta, phi, g and o are 1x1 convolutions to C/8, C/8, C/2 and C
  channels, and phi(x) and g(x) are max-pooled to half their sides. gamma starts at zero.
  """
  n, *positions, channels = x.shape
  window = (2,) * len(positions)
  if min(positions) < 2:
    raise UserError(f'attention_at={network.attention_at}: a map of {tuple(positions)} has nothing to attend to; '
                    'expected a side of at least 2')

  def convolve_1x1(x, width):
    return convolve(network, x, Convolution(max(1, width), kernel=1, use_bias=False))

  def listed(x):
    return x.reshape(n, -1, x.shape[-1])

  theta = convolve_1x1(x, channels // 8)
  phi = nn.max_pool(convolve_1x1(x, channels // 8), window, window)
  g = nn.max_pool(convolve_1x1(x, channels // 2), window, window)
  logits = jnp.einsum('nqc,nkc->nqk', listed(theta), listed(phi), preferred_element_type=jnp.float32)
  found = jnp.einsum('nqk,nkc->nqc', nn.softmax(logits).astype(x.dtype), listed(g))
  found = convolve_1x1(found.reshape(n, *positions, -1), channels)
  gamma = network.param('attention', nn.initializers.zeros_init(), (), jnp.float32)
  return x + (gamma * found).astype(x.dtype)  # gamma stays float32: its gradient is a sum over the whole map


def join_stddev(x, group: int):
  """Joins a channel to x [B,*positions,C]: how much the examples of a group differ (Karras et al. 2018, section 3).

  That is the standard deviation over `group` examples, one after the other in the batch, of each feature; its mean over
  all features is one number for the group. With group 0, x is returned. Raises UserError if groups do not fill the
  batch.
  """
  if not group:
    return x
  if len(x) % group:
    raise UserError(f'minibatch_stddev={group}: a batch of {len(x)} does not divide into groups of so many examples; '
                    'expected a divisor of the batch, or 0 for none')
  groups = x.astype(jnp.float32).reshape(-1, group, *x.shape[1:])
  variance = jnp.var(groups, axis=1)
  amounts = jnp.mean(jnp.sqrt(variance + 1e-8), axis=range(1, variance.ndim))
  channel = jnp.repeat(amounts, group).reshape(-1, *(1,) * (x.ndim - 1))
  channel = jnp.broadcast_to(channel, (*x.shape[:-1], 1)).astype(x.dtype)
  return jnp.concatenate([x, channel], axis=-1)


def leaky_relu(leak: float) -> Callable:
  """Returns leaky ReLU of this slope below zero."""
  return functools.partial(nn.leaky_relu, negative_slope=leak)


def count_axes(shape: Sequence[int]) -> int:
  """Returns how many axes of positions an example of this shape has: 2 for images (H, W, C), 3 for voxels (D, H, W, C).

  Raises:
    UserError: it has none, such as a point (D,).
  """
  rank = len(shape) - 1
  if rank < 1:
    raise UserError(f'convolutions need examples such as images (H, W, C) or voxels (D, H, W, C), these have the shape '
                    f'{tuple(shape)}: take a network of mlp')
  return rank


def list_convolutions(network: nn.Module, widths: Sequence[int], use_bias: bool = True) -> list[Convolution]:
  """Returns a network's convolutions of these widths, with its kernels, strides and padding."""
  kernels = one_per_layer(network, 'kernels', len(widths))
  strides = one_per_layer(network, 'strides', len(widths))
  paddings = one_per_layer(network, 'padding', len(widths))
  settings = zip(widths, kernels, strides, paddings)
  return [Convolution(*setting, use_bias=use_bias) for setting in settings]


def one_per_layer(network: nn.Module, field: str, count: int) -> tuple:
  """Returns one value for each of `count` layers, of a field that has one for all of them or one for each."""
  value = getattr(network, field)
  is_per_layer = isinstance(value, Sequence) and not isinstance(value, str)
  values = tuple(value) if is_per_layer else (value,) * count
  if len(values) != count:
    raise UserError(f'{field}={value!r} has {len(values)} entries for {count} layers: give one value, or one per layer')
  return values
