"""Shows that both sides compute the same: losses and gradients on the same weights, images, labels and noise.

Both compute in full float32, on a GPU where there is one.
"""
import jax
import numpy as np
import torch

from benchmarks import cases, ours, torch_gans
from gans.core.sampling import noise
from gans.core.step import bind_loss, learning_params

DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
BATCH = 16
CALLS = 300  # of a spectral critic, after which both sides' power iterations have arrived
# A gradient below this share of the largest, on both sides, is none: that of a bias before batch norm.
ROUNDING = 1e-4


def largest_difference(case: str, mode: torch_gans.Mode) -> float:
  """Largest difference of a loss or of a gradient's entry, relative to the largest entry of its array.

  Without dropout, whose masks differ; covers both players of a case.
  """
  with jax.default_matmul_precision('highest'):
    return _largest_difference(case, mode._replace(graph=False, tf32=False))


def _largest_difference(case: str, mode: torch_gans.Mode) -> float:
  config = cases.make_config(case, {'batch_size': BATCH, **cases.NO_DROPOUT})
  images = cases.make_images(config, BATCH)
  dataset, _, experiment, state = ours.start(config, images)
  batch, rng = ours.whole_batch(dataset), jax.random.key(1)
  game = torch_gans.Game(config, images.shape[1:], cases.NUM_CLASSES, DEVICE, mode)
  for name, module in game.players.items():
    torch_gans.load(module, state.players[name].params)
  inputs = draw_inputs(batch, rng, config.z_dim)
  if config.critic.spectral:
    state = settle(state, experiment.modules['critic'], batch)
    for _ in range(CALLS):
      game.critic(*inputs['critic'][:2])
  differences = []
  for update in experiment.algorithm.updates:
    name, = update.players
    gradient = jax.jit(jax.value_and_grad(bind_loss(update, experiment.modules), has_aux=True))
    (value, _), gradients = gradient(learning_params(update, state.players), state, batch, rng)
    torch_value = game.gradients[name](*inputs[name])
    pairs = pair_gradients(game.players[name], gradients[name])
    differences.append(difference([*pairs, (np.asarray(value), torch_value.cpu().numpy())]))
  return max(differences)


def settle(state, critic, batch: dict):
  """Returns the state in which the power iterations of the critic's spectral norms have arrived."""
  player = state.players['critic']

  def call(_, model_state):
    variables = {'params': player.params, **model_state}
    return critic.apply(variables, batch['image'], batch['label'], train=True, mutable=list(model_state))[1]

  model_state = jax.jit(lambda model_state: jax.lax.fori_loop(0, CALLS, call, model_state))(player.model_state)
  return state._replace(players={**state.players, 'critic': player._replace(model_state=model_state)})


def draw_inputs(batch: dict, rng, z_dim: int) -> dict[str, tuple]:
  """Returns {player: what its loss takes in PyTorch}, with the noise that this project's losses draw from `rng`."""
  image = batch['image']
  z_rng, eps_rng = jax.random.split(rng)
  critic_z = noise(z_rng, len(image), z_dim)
  eps = jax.random.uniform(eps_rng, (len(image),) + (1,) * (image.ndim - 1))
  generator_z = noise(rng, len(image), z_dim)
  real = torch_gans.channels_first(np.asarray(image)).to(DEVICE)
  label = as_tensor(batch['label']).long()
  return {'critic': (real, label, as_tensor(critic_z), as_tensor(eps)), 'generator': (label, as_tensor(generator_z))}


def as_tensor(array: jax.Array) -> torch.Tensor:
  """Returns a copy of an array for PyTorch."""
  return torch.tensor(np.asarray(array), device=DEVICE)


def pair_gradients(module: torch.nn.Module, gradients) -> list[tuple[np.ndarray, np.ndarray]]:
  """Returns (this project's gradient, PyTorch's) of each parameter of a module, which has the latter in `grad`."""
  theirs = [parameter.grad.cpu().numpy().copy() for parameter in module.parameters()]
  weights = {name: weight.clone() for name, weight in module.state_dict().items()}
  torch_gans.load(module, gradients)  # brings this project's gradients into the other's layout
  mine = [parameter.detach().cpu().numpy().copy() for parameter in module.parameters()]
  module.load_state_dict(weights)
  return list(zip(mine, theirs))


def difference(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
  """Largest difference of the gradients, and of the loss, which is the last pair."""
  largest = max(np.abs(theirs).max() for _, theirs in pairs[:-1])
  found = []
  for mine, theirs in pairs:
    if np.abs([mine, theirs]).max() < ROUNDING * largest:
      continue
    scale = max(np.abs(theirs).max(), 1e-3 * largest)
    found.append(float(np.abs(mine - theirs).max() / scale))
  return max(found)
