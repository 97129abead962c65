"""The opponent: the same GANs from the same configs, as a good PyTorch user writes them.

`Game(config, image_shape, device, mode)` holds networks, fused Adam and an average of the generator;
`make_step` gives one training step. `load` copies this project's weights, so that both sides can be shown equal before
they are timed. Images are [B,C,H,W] here. Batch norm keeps no running averages, which spares PyTorch that work.
"""
import contextlib
import math
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

LINEN = {nn.Linear: 'Dense', nn.Conv2d: 'Conv', nn.ConvTranspose2d: 'ConvTranspose', nn.BatchNorm1d: 'BatchNorm',
         nn.BatchNorm2d: 'BatchNorm', nn.GroupNorm: 'LayerNorm'}


class Mode(NamedTuple):
  """How PyTorch is run."""
  channels_last: bool = False
  compile: bool = False  # torch.compile of torch.func's gradients: it refuses double backward otherwise
  autocast: bool = False  # bfloat16
  tf32: bool = False
  graph: bool = False  # the whole step as one CUDA graph


CPU = {'eager': Mode(), 'channels_last': Mode(channels_last=True), 'compile': Mode(compile=True)}
CPU_BFLOAT16 = {f'{name} autocast': mode._replace(autocast=True) for name, mode in CPU.items()}
CUDA = {'eager': Mode(), 'eager tf32': Mode(tf32=True),
        'channels_last tf32': Mode(channels_last=True, tf32=True),
        'compile tf32': Mode(compile=True, tf32=True),
        'cuda graph tf32': Mode(tf32=True, graph=True)}
CUDA_BFLOAT16 = {'channels_last autocast': Mode(channels_last=True, autocast=True),
                 'compile autocast': Mode(compile=True, autocast=True),
                 'cuda graph autocast': Mode(autocast=True, graph=True)}


def make_generator(config, z_dim: int, image_shape) -> nn.Sequential:
  """Mirrors gans/networks' Generator of the config's family; image_shape is this project's, channels last."""
  return (_mlp_generator if config.family == 'mlp' else _dcgan_generator)(config, z_dim, tuple(image_shape))


def make_critic(config, image_shape) -> nn.Sequential:
  """Mirrors gans/networks' Critic."""
  return (_mlp_critic if config.family == 'mlp' else _dcgan_critic)(config, tuple(image_shape))


def _mlp_generator(config, z_dim, image_shape):
  layers, width = [], z_dim
  for features in config.hidden:
    layers += [nn.Linear(width, features), *_norm(config.norm, features, nn.BatchNorm1d), nn.ReLU()]
    width = features
  shape = image_shape if len(image_shape) == 1 else (image_shape[-1], *image_shape[:-1])
  layers += [nn.Linear(width, math.prod(image_shape)), *[nn.Tanh()] * (config.output == 'tanh'), nn.Unflatten(1, shape)]
  return nn.Sequential(*layers)


def _mlp_critic(config, image_shape):
  layers, width = [nn.Flatten()], math.prod(image_shape)
  for features in config.hidden:
    layers += [nn.Linear(width, features), *_norm(config.norm, features, nn.BatchNorm1d), nn.LeakyReLU(config.leak),
               *_dropout(config.dropout)]
    width = features
  return nn.Sequential(*layers, nn.Linear(width, 1), nn.Flatten(0))


def _dcgan_generator(config, z_dim, image_shape):
  layers, width, features = [], z_dim, (*config.hidden, image_shape[-1])
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


def _dcgan_critic(config, image_shape):
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
  for dense in (*config.dense, 1):
    layers += [nn.Linear(width, dense)]
    layers[-1].map_in = map_in
    map_in, width = None, dense
    if dense > 1:
      layers += [nn.LeakyReLU(0.2), *_dropout(config.dropout)]
  return nn.Sequential(*layers, nn.Flatten(0))


def _settings(config, features):
  values = [v if isinstance(v, (tuple, list)) else (v,) * len(features)
            for v in (config.kernels, config.strides, config.padding)]
  return zip(features, *values)


def _norm(norm: str, features: int, batch_norm) -> list:
  return {'none': [], 'layer': [nn.GroupNorm(1, features)],
          'batch': [batch_norm(features, track_running_stats=False)]}[norm]


def _dropout(rate: float) -> list:
  return [nn.Dropout(rate)] if rate else []


def load(network: nn.Sequential, params):
  """Copies linen's parameters: the layers of a kind are numbered in order there, and maps are channels last."""
  count = dict.fromkeys(LINEN.values(), 0)
  for module in network:
    if (kind := LINEN.get(type(module))) is None:
      continue
    values = {name: np.asarray(v) for name, v in params[f'{kind}_{count[kind]}'].items()}
    count[kind] += 1
    weight, bias = values.get('kernel', values.get('scale')), values['bias']
    if kind == 'Dense':
      if getattr(module, 'map_out', None):
        weight = np.moveaxis(weight.reshape(-1, *module.map_out), -1, 1).reshape(len(weight), -1)
        bias = np.moveaxis(bias.reshape(module.map_out), -1, 0).ravel()
      if getattr(module, 'map_in', None):
        weight = np.moveaxis(weight.reshape(*module.map_in, -1), 2, 0).reshape(weight.shape)
      weight = weight.T
    elif kind == 'Conv':
      weight = weight.transpose(3, 2, 0, 1)
    elif kind == 'ConvTranspose':
      weight = weight[::-1, ::-1].transpose(2, 3, 0, 1)
    with torch.no_grad():
      module.weight.copy_(torch.tensor(weight.copy()))
      module.bias.copy_(torch.tensor(bias.copy()))


def autograd_gradient(score, x):
  """The gradient of each example's score, to be differentiated again."""
  x.requires_grad_()
  return torch.autograd.grad(score(x).sum(), x, create_graph=True)[0]


def functional_gradient(score, x):
  """The same as torch.func has it, which torch.compile needs."""
  return torch.func.grad(lambda x: score(x).sum())(x)


def critic_loss(score, generate, gp_weight: float, gradient_of, real, z, eps):
  """The critic's loss: cross-entropy without a penalty weight, WGAN-GP's with one."""
  with torch.no_grad():
    fake = generate(z)
  real_score, fake_score = score(real), score(fake)
  if not gp_weight:
    return (F.binary_cross_entropy_with_logits(real_score, torch.ones_like(real_score))
            + F.binary_cross_entropy_with_logits(fake_score, torch.zeros_like(fake_score)))
  gradient = gradient_of(score, eps * real + (1 - eps) * fake)
  penalty = ((gradient.flatten(1).float().norm(dim=1) - 1) ** 2).mean()
  return fake_score.mean() - real_score.mean() + gp_weight * penalty


def generator_loss(score, generate, gp_weight: float, gradient_of, z):
  """The generator's: -log D without a penalty weight, -D with one."""
  del gradient_of
  fake_score = score(generate(z))
  if not gp_weight:
    return F.binary_cross_entropy_with_logits(fake_score, torch.ones_like(fake_score))
  return -fake_score.mean()


class Game:
  """Both players in training."""

  def __init__(self, config, image_shape, device: str, mode: Mode):
    self.config, self.device, self.mode = config, device, mode
    self.generator = make_generator(config.generator, config.z_dim, image_shape).to(device)
    self.critic = make_critic(config.critic, image_shape).to(device)
    if mode.channels_last:
      self.generator, self.critic = (p.to(memory_format=torch.channels_last) for p in (self.generator, self.critic))
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = mode.tf32
    torch.backends.cudnn.benchmark = True
    o = config.optimizer
    self.optimizers = {
        name: torch.optim.Adam(player.parameters(), o[f'{name}_learning_rate'], (o.b1, o.b2), fused=True,
                               capturable=mode.graph)
        for name, player in (('generator', self.generator), ('critic', self.critic))}
    self.average = [p.detach().clone() for p in self.generator.parameters()]
    # (real, z, eps) or (z) -> loss; each leaves the gradients in its player's parameters.
    self.critic_gradient, self.generator_gradient = self._make_gradient('critic'), self._make_gradient('generator')

  def load(self, generator_params, critic_params):
    """Takes over this project's weights."""
    load(self.generator, generator_params)
    load(self.critic, critic_params)

  def make_step(self, images):
    """Returns step() on uint8 images [N,C,H,W], or float points [N,2], that lie on the device."""
    batch, z_dim, shape = self.config.batch_size, self.config.z_dim, (-1, *(1,) * (images.ndim - 1))

    def step():
      for _ in range(self.config.n_critic):
        real = images[torch.randint(len(images), (batch,), device=self.device)]
        real = real.float() / 127.5 - 1 if real.dtype == torch.uint8 else real
        real = real.contiguous(memory_format=torch.channels_last) if self.mode.channels_last else real
        self.critic_gradient(real, torch.randn(batch, z_dim, device=self.device),
                             torch.rand(batch, device=self.device).view(shape))
        self.optimizers['critic'].step()
      self.generator_gradient(torch.randn(batch, z_dim, device=self.device))
      self.optimizers['generator'].step()
      with torch.no_grad():
        torch._foreach_lerp_(self.average, list(self.generator.parameters()), 1 - self.config.ema_decay)

    return self._as_graph(step) if self.mode.graph else step

  def _as_graph(self, step):
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
      for _ in range(3):
        step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
      step()
    return graph.replay

  def _make_gradient(self, name: str):
    player, other = ((self.critic, self.generator) if name == 'critic' else (self.generator, self.critic))
    loss_of, gp_weight = (critic_loss if name == 'critic' else generator_loss), self.config.gp_weight
    pair = lambda mine, theirs: (mine, theirs) if name == 'critic' else (theirs, mine)

    def precision():
      return torch.autocast(self.device, torch.bfloat16) if self.mode.autocast else contextlib.nullcontext()

    def eager(*inputs):
      other.requires_grad_(False)
      player.requires_grad_(True)
      player.zero_grad(set_to_none=not self.mode.graph)
      with precision():
        loss = loss_of(*pair(player, other), gp_weight, autograd_gradient, *inputs)
      loss.backward()
      return loss.detach()

    def loss_of_params(params, *inputs):
      with precision():
        call = lambda x: torch.func.functional_call(player, params, (x,))
        return loss_of(*pair(call, other), gp_weight, functional_gradient, *inputs)

    gradient_and_loss = torch.compile(torch.func.grad_and_value(loss_of_params))

    def compiled(*inputs):
      params = dict(player.requires_grad_(False).named_parameters())
      gradients, loss = gradient_and_loss(params, *inputs)
      for name, parameter in params.items():
        parameter.grad = gradients[name]
      return loss

    return compiled if self.mode.compile else eager
