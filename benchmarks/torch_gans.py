"""The opponent: the same GANs from the same configs, as a good PyTorch user writes them.

`Game(config, image_shape, num_classes, device, mode)` holds networks, optimizers and an average of the generator;
`make_step` gives one training step. `load` copies this project's weights, so that both sides can be shown equal before
they are timed. Images are [B,C,H,W] here. Batch norm keeps no running averages, which spares PyTorch that work.
"""
from collections.abc import Callable
import contextlib
import math
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize

LINEN = {nn.Linear: 'Dense', nn.Conv2d: 'Conv', nn.ConvTranspose2d: 'ConvTranspose', nn.BatchNorm1d: 'BatchNorm',
         nn.BatchNorm2d: 'BatchNorm', nn.GroupNorm: 'LayerNorm', nn.Embedding: 'Embed'}


class Mode(NamedTuple):
  """How PyTorch is run."""
  channels_last: bool = False
  compile: bool = False  # torch.compile of torch.func's gradients: it refuses double backward otherwise
  autocast: bool = False  # bfloat16
  tf32: bool = False
  graph: bool = False  # the whole step as one CUDA graph


CPU = {'eager': Mode(), 'channels_last': Mode(channels_last=True), 'compile': Mode(compile=True)}
CPU_BFLOAT16 = {f'{name} autocast': mode._replace(autocast=True) for name, mode in CPU.items()}
CUDA = {'eager tf32': Mode(tf32=True),
        'channels_last tf32': Mode(channels_last=True, tf32=True),
        'compile tf32': Mode(compile=True, tf32=True),
        'cuda graph tf32': Mode(tf32=True, graph=True)}
CUDA_BFLOAT16 = {'channels_last autocast': Mode(channels_last=True, autocast=True),
                 'compile autocast': Mode(compile=True, autocast=True),
                 'cuda graph autocast': Mode(autocast=True, graph=True)}


class Player(nn.Module):
  """Layers that, with an embedding, see the label too: joined to noise or image as more features or channels."""

  def __init__(self, layers: nn.Sequential, embedding: nn.Embedding | None):
    super().__init__()
    self.layers = layers
    self.embedding = embedding

  def forward(self, x, label=None):
    if self.embedding is not None:
      embedding = self.embedding(label).view(len(x), -1, *x.shape[2:])
      x = torch.cat([x, embedding], 1)
    return self.layers(x)


class SplitClasses(nn.Module):
  """The last layer's [B,1+K] as (scores [B], class logits [B,K])."""

  def forward(self, x):
    return x[:, 0], x[:, 1:]


def make_generator(config, z_dim: int, image_shape, num_classes: int = 0) -> Player:
  """Mirrors gans/networks' Generator of the config's file; image_shape is this project's, channels last."""
  make_layers = {'mlp.Generator': _mlp_generator, 'dcgan.Generator': _dcgan_generator}[config.network]
  layers = make_layers(config, z_dim + config.label_dim, tuple(image_shape))
  return Player(layers, _embedding(num_classes, config.label_dim, ()))


def make_critic(config, image_shape, num_classes: int = 0) -> Player:
  """Mirrors gans/networks' Critic."""
  make_layers = {'mlp.Critic': _mlp_critic, 'dcgan.Critic': _dcgan_critic}[config.network]
  *places, channels = image_shape
  layers = make_layers(config, (*places, channels + config.label_dim), 1 + num_classes * config.classify)
  if config.spectral:
    for layer in [layer for layer in layers if isinstance(layer, nn.Conv2d | nn.Linear)]:
      parametrizations.spectral_norm(layer)
  return Player(layers, _embedding(num_classes, config.label_dim, tuple(places)))


def _embedding(num_classes: int, label_dim: int, places: tuple[int, ...]) -> nn.Embedding | None:
  """An embedding of the label for every place of an image."""
  if not label_dim:
    return None
  embedding = nn.Embedding(num_classes, math.prod(places) * label_dim)
  embedding.map_out = (*places, label_dim)
  return embedding


def _head(outputs: int) -> nn.Module:
  return nn.Flatten(0) if outputs == 1 else SplitClasses()


def _mlp_generator(config, width, image_shape):
  layers = []
  for features in config.hidden:
    layers += [nn.Linear(width, features), *_norm(config.norm, features, nn.BatchNorm1d), nn.ReLU()]
    width = features
  last = nn.Linear(width, math.prod(image_shape))
  last.map_out = image_shape
  layers += [last, nn.Unflatten(1, (image_shape[-1], *image_shape[:-1]))]
  if config.output == 'tanh':
    layers += [nn.Tanh()]
  return nn.Sequential(*layers)


def _mlp_critic(config, image_shape, outputs):
  layers, width = [nn.Flatten()], math.prod(image_shape)
  for features in config.hidden:
    layers += [nn.Linear(width, features), *_norm(config.norm, features, nn.BatchNorm1d), nn.LeakyReLU(config.leak),
               *_dropout(config.dropout)]
    width = features
  layers[1].map_in = image_shape
  return nn.Sequential(*layers, nn.Linear(width, outputs), _head(outputs))


def _dcgan_generator(config, width, image_shape):
  layers, features = [], (*config.hidden, image_shape[-1])
  for dense in config.dense:
    layers += [nn.Linear(width, dense), *_norm(config.norm, dense, nn.BatchNorm1d), nn.ReLU()]
    width = dense
  if config.start > 1:
    first = nn.Linear(width, config.start ** 2 * features[0])
    first.map_out = (config.start, config.start, features[0])
    layers += [first, nn.Unflatten(1, (features[0], config.start, config.start)),
               *_norm(config.norm, features[0], nn.BatchNorm2d), nn.ReLU()]
    width, features = features[0], features[1:]
  else:
    layers += [nn.Unflatten(1, (width, 1, 1))]
  for i, (out, kernel, stride, padding) in enumerate(_settings(config, features)):
    layers += [nn.ConvTranspose2d(width, out, kernel, stride, (kernel - stride) // 2 if padding == 'SAME' else 0)]
    if i < len(features) - 1:
      layers += [*_norm(config.norm, out, nn.BatchNorm2d), nn.ReLU()]
    width = out
  return nn.Sequential(*layers, nn.Tanh())


def _dcgan_critic(config, image_shape, outputs):
  layers, (size, _, width) = [], image_shape
  features = (*config.hidden, 1) if config.head == 'conv' else config.hidden
  for i, (out, kernel, stride, padding) in enumerate(_settings(config, features)):
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0) if padding == 'SAME' else 0
    if total % 2:  # TensorFlow's SAME: the odd pixel goes last
      layers += [nn.ZeroPad2d((total // 2, total - total // 2) * 2)]
    layers += [nn.Conv2d(width, out, kernel, stride, 0 if total % 2 else total // 2)]
    if i < len(config.hidden):
      norm = config.norm if i or config.norm_first else 'none'
      layers += [*_norm(norm, out, nn.BatchNorm2d), nn.LeakyReLU(0.2)]
    size, width = (size + total - kernel) // stride + 1, out
  if config.head == 'conv':
    return nn.Sequential(*layers, nn.Flatten(0))
  layers, map_in, width = [*layers, nn.Flatten(), *_dropout(config.dropout)], (size, size, width), size * size * width
  for dense in config.dense:
    layers += [_after_map(map_in, width, dense), nn.LeakyReLU(0.2), *_dropout(config.dropout)]
    map_in, width = None, dense
  return nn.Sequential(*layers, _after_map(map_in, width, outputs), _head(outputs))


def _after_map(map_in: tuple[int, ...] | None, width: int, features: int) -> nn.Linear:
  """A dense layer that, with `map_in`, takes a flattened map of that shape."""
  layer = nn.Linear(width, features)
  layer.map_in = map_in
  return layer


def _settings(config, features):
  values = [v if isinstance(v, (tuple, list)) else (v,) * len(features)
            for v in (config.kernels, config.strides, config.padding)]
  return zip(features, *values)


def _norm(norm: str, features: int, batch_norm) -> list:
  return {'none': [], 'layer': [nn.GroupNorm(1, features)],
          'batch': [batch_norm(features, track_running_stats=False)]}[norm]


def _dropout(rate: float) -> list:
  return [nn.Dropout(rate)] if rate else []


def channels_first(images: np.ndarray) -> torch.Tensor:
  """Images [N,H,W,C] as [N,C,H,W]; points [N,D] as they are."""
  return torch.tensor(np.moveaxis(images, -1, 1).copy() if images.ndim == 4 else images)


def load(network: nn.Module, params):
  """Copies linen's parameters: the layers of a kind are numbered in order there, and maps are channels last."""
  count = dict.fromkeys(LINEN.values(), 0)
  for module in network.modules():
    kind = next((kind for layer, kind in LINEN.items() if isinstance(module, layer)), None)
    if kind is None:
      continue
    values = {name: np.asarray(v) for name, v in params[f'{kind}_{count[kind]}'].items()}
    count[kind] += 1
    for name, value in _as_torch(kind, module, values).items():
      is_spectral = parametrize.is_parametrized(module, name)
      parameter = module.parametrizations[name].original if is_spectral else getattr(module, name)
      with torch.no_grad():
        parameter.copy_(torch.tensor(value.copy()))


def _as_torch(kind: str, module: nn.Module, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Returns the weight, and the bias if any, of one of linen's layers in the layout of PyTorch's."""
  if kind in ('BatchNorm', 'LayerNorm'):
    return {'weight': values['scale'], 'bias': values['bias']}
  if kind == 'Conv':
    return {'weight': values['kernel'].transpose(3, 2, 0, 1), 'bias': values['bias']}
  if kind == 'ConvTranspose':
    return {'weight': values['kernel'][::-1, ::-1].transpose(2, 3, 0, 1), 'bias': values['bias']}
  map_in, map_out = getattr(module, 'map_in', None), getattr(module, 'map_out', None)
  if kind == 'Embed':
    return {'weight': _channels_first_columns(values['embedding'], map_out)}
  weight = _channels_first_columns(values['kernel'], map_out)
  if map_in:
    weight = _channels_first_columns(weight.T, map_in).T
  return {'weight': weight.T, 'bias': _channels_first_columns(values['bias'][None], map_out)[0]}


def _channels_first_columns(rows: np.ndarray, map_shape: tuple[int, ...] | None) -> np.ndarray:
  """Reorders each row [N,H*W*C] that is a flattened map [H,W,C]; without a shape rows are as they should be."""
  if not map_shape:
    return rows
  return np.moveaxis(rows.reshape(-1, *map_shape), -1, 1).reshape(rows.shape)


def autograd_gradient(score, x):
  """The gradient of each example's score, to be differentiated again."""
  x.requires_grad_()
  return torch.autograd.grad(score(x).sum(), x, create_graph=True)[0]


def functional_gradient(score, x):
  """The same as torch.func has it, which torch.compile needs."""
  return torch.func.grad(lambda x: score(x).sum())(x)


def gradient_penalty(score, gradient_of, real, fake, eps):
  """E[(||grad D(x_hat)|| - 1)^2]; gradient_of is one of the two above."""
  gradient = gradient_of(score, eps * real + (1 - eps) * fake)
  return ((gradient.flatten(1).float().norm(dim=1) - 1) ** 2).mean()


class Play(NamedTuple):
  """The players as functions of (noise or images, labels)."""
  generator: Callable
  critic: Callable


def detached(play: Play, z, label):
  """The generator's images, of which no gradient is asked."""
  with torch.no_grad():
    return play.generator(z, label)


def binary_cross_entropy(scores, target: float):
  """-E[log D] for target 1, -E[log(1 - D)] for target 0."""
  return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, target))


# Losses by algorithm: each function takes the config and `gradient_of`, as gradient_penalty does, and returns the loss
# of the critic's update and that of the generator's.


def adversarial(config, gradient_of):
  """Cross-entropy, with -log D for the generator; or the hinge."""
  del gradient_of
  if config.loss == 'hinge':
    return hinge, minus_score

  def critic_loss(play, real, label, z, eps):
    del eps
    fake = detached(play, z, label)
    real_loss = binary_cross_entropy(play.critic(real, label), 1.0)
    fake_loss = binary_cross_entropy(play.critic(fake, label), 0.0)
    return real_loss + fake_loss

  def generator_loss(play, label, z):
    fake = play.generator(z, label)
    return binary_cross_entropy(play.critic(fake, label), 1.0)

  return critic_loss, generator_loss


def hinge(play, real, label, z, eps):
  """The critic's hinge loss."""
  del eps
  fake = detached(play, z, label)
  return F.relu(1 - play.critic(real, label)).mean() + F.relu(1 + play.critic(fake, label)).mean()


def wgan(config, gradient_of):
  """WGAN's; the clipping is the step's."""
  del config, gradient_of

  def critic_loss(play, real, label, z, eps):
    del eps
    fake = detached(play, z, label)
    return play.critic(fake, label).mean() - play.critic(real, label).mean()

  return critic_loss, minus_score


def wgan_gp(config, gradient_of):
  """WGAN-GP's."""
  gp_weight = config.gp_weight

  def critic_loss(play, real, label, z, eps):
    fake = detached(play, z, label)
    minus_estimate = play.critic(fake, label).mean() - play.critic(real, label).mean()
    penalty = gradient_penalty(lambda x: play.critic(x, label), gradient_of, real, fake, eps)
    return minus_estimate + gp_weight * penalty

  return critic_loss, minus_score


def minus_score(play, label, z):
  """The generator's loss in the Wasserstein game."""
  fake = play.generator(z, label)
  return -play.critic(fake, label).mean()


def acgan(config, gradient_of):
  """AC-GAN's: cross-entropy and the loss of the classes, with a gradient penalty."""
  gp_weight = config.penalty.weight
  critic_weight, generator_weight = config.class_weight.critic, config.class_weight.generator

  def critic_loss(play, real, label, z, eps):
    fake = detached(play, z, label)
    real_score, real_logits = play.critic(real, label)
    fake_score, fake_logits = play.critic(fake, label)
    score_loss = binary_cross_entropy(real_score, 1.0) + binary_cross_entropy(fake_score, 0.0)
    class_loss = F.cross_entropy(real_logits, label) + F.cross_entropy(fake_logits, label)
    penalty = gradient_penalty(lambda x: play.critic(x, label)[0], gradient_of, real, fake, eps)
    return score_loss + critic_weight * class_loss + gp_weight * penalty

  def generator_loss(play, label, z):
    score, logits = play.critic(play.generator(z, label), label)
    return binary_cross_entropy(score, 1.0) + generator_weight * F.cross_entropy(logits, label)

  return critic_loss, generator_loss


LOSSES = {'adversarial': adversarial, 'wgan': wgan, 'wgan_gp': wgan_gp, 'acgan': acgan}


def make_optimizer(settings, parameters, graph: bool) -> torch.optim.Optimizer:
  """Makes the optimizer of a player's config."""
  if settings.name == 'rmsprop':
    return torch.optim.RMSprop(parameters, settings.learning_rate, settings.decay, capturable=graph)
  return torch.optim.Adam(parameters, settings.learning_rate, (settings.b1, settings.b2), fused=True, capturable=graph)


class Game:
  """Both players in training."""

  def __init__(self, config, image_shape, num_classes: int, device: str, mode: Mode):
    self.config = config
    self.device = device
    self.mode = mode
    self.generator = make_generator(config.generator, config.z_dim, image_shape, num_classes).to(device)
    self.critic = make_critic(config.critic, image_shape, num_classes).to(device)
    self.players = {'generator': self.generator, 'critic': self.critic}
    if mode.channels_last:
      for player in self.players.values():
        player.to(memory_format=torch.channels_last)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = mode.tf32
    torch.backends.cudnn.benchmark = True
    self.optimizers = {name: make_optimizer(config[name].optimizer, player.parameters(), mode.graph)
                       for name, player in self.players.items()}
    self.average = [p.detach().clone() for p in self.generator.parameters()]
    gradient_of = functional_gradient if mode.compile else autograd_gradient
    critic_loss, generator_loss = LOSSES[config.algorithm](config, gradient_of)
    # (real, label, z, eps) and (label, z) -> loss; each leaves the gradients in its player's parameters.
    self.gradients = {'critic': self._make_gradient('critic', critic_loss),
                      'generator': self._make_gradient('generator', generator_loss)}

  def make_step(self, images, labels):
    """Returns step() on uint8 images [N,C,H,W], or float points [N,2], and labels [N] that lie on the device."""
    batch, z_dim, shape = self.config.batch_size, self.config.z_dim, (-1, *(1,) * (images.ndim - 1))
    labels = labels.long()

    def step():
      for _ in range(self.config.n_critic):
        index = torch.randint(len(images), (batch,), device=self.device)
        real, label = self._prepare(images[index]), labels[index]
        z = torch.randn(batch, z_dim, device=self.device)
        eps = torch.rand(batch, device=self.device).view(shape)
        self.gradients['critic'](real, label, z, eps)
        self.optimizers['critic'].step()
        self._clip()
      self.gradients['generator'](label, torch.randn(batch, z_dim, device=self.device))
      self.optimizers['generator'].step()
      with torch.no_grad():
        torch._foreach_lerp_(self.average, list(self.generator.parameters()), 1 - self.config.ema_decay)

    return self._as_graph(step) if self.mode.graph else step

  def _prepare(self, real):
    if real.dtype == torch.uint8:
      real = real.float() / 127.5 - 1
    return real.contiguous(memory_format=torch.channels_last) if self.mode.channels_last else real

  @torch.no_grad()
  def _clip(self):
    """WGAN's weight clipping."""
    if clip := self.config.get('clip'):
      for parameter in self.critic.parameters():
        parameter.clamp_(-clip, clip)

  def _as_graph(self, step):
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
      for _ in range(3):
        step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
      step()
    return graph.replay

  def _make_gradient(self, name: str, loss: Callable):
    """Returns gradient(*inputs) -> the loss, which fills the gradients of the player `name`."""
    make = self._make_compiled_gradient if self.mode.compile else self._make_eager_gradient
    return make(name, loss)

  def _make_eager_gradient(self, name: str, loss: Callable):
    player = self.players[name]
    play = Play(**self.players)

    def gradient(*inputs):
      self.generator.requires_grad_(name == 'generator')
      self.critic.requires_grad_(name == 'critic')
      player.zero_grad(set_to_none=not self.mode.graph)
      with self._precision():
        value = loss(play, *inputs)
      value.backward()
      return value.detach()

    return gradient

  def _make_compiled_gradient(self, name: str, loss: Callable):
    player = self.players[name].requires_grad_(False)

    def loss_of_params(params, *inputs):
      call = lambda x, label: torch.func.functional_call(player, params, (x, label))
      play = Play(**{**self.players, name: call})
      with self._precision():
        return loss(play, *inputs)

    gradient_and_loss = torch.compile(torch.func.grad_and_value(loss_of_params))

    def gradient(*inputs):
      params = dict(player.named_parameters())
      gradients, value = gradient_and_loss(params, *inputs)
      for field, parameter in params.items():
        parameter.grad = gradients[field].contiguous()  # laid out as the parameter, which a fused Adam insists on
      return value

    return gradient

  def _precision(self):
    return torch.autocast(self.device, torch.bfloat16) if self.mode.autocast else contextlib.nullcontext()
