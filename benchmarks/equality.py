"""Shows that both sides compute the same: losses and gradients on the same weights, images and noise."""
import jax
import numpy as np
import torch

from benchmarks import cases, ours, torch_gans


def largest_difference(case: str, mode: torch_gans.Mode) -> float:
  """Largest difference of a loss or of a gradient's entry, relative to the largest entry of its array.

  In float32; covers both players of a case.
  """
  config = cases.make_config(case, {'batch_size': 16})
  images = cases.make_images(config, 16)
  dataset, _, experiment, state = ours.start(config, images)
  batch = ours.whole_batch(dataset)
  game = torch_gans.Game(config, images.shape[1:], 'cpu', mode)
  game.load(state.generator.params, state.critic.params)
  rng = jax.random.key(1)
  z, eps = drawn_noise(rng, batch['image'].ndim, config)
  real = torch.tensor(np.moveaxis(batch['image'], -1, 1).copy() if images.ndim == 4 else np.asarray(batch['image']))
  turns = ((experiment.algorithm.critic_loss, state.critic, game.critic, lambda: game.critic_gradient(real, z, eps)),
           (experiment.algorithm.generator_loss, state.generator, game.generator,
            lambda: game.generator_gradient(torch.tensor(np.asarray(noise(rng, config))))))
  return max(_difference(*turn, state, batch, rng) for turn in turns)


def _difference(loss, player, module, torch_turn, state, batch, rng) -> float:
  (value, _), gradients = jax.jit(jax.value_and_grad(loss, has_aux=True))(player.params, state, batch, rng)
  torch_value = torch_turn()
  want = [p.grad.clone() for p in module.parameters()]
  weights = {name: weight.clone() for name, weight in module.state_dict().items()}
  torch_gans.load(module, gradients)  # brings this project's gradients into the other's layout
  pairs = [(p.detach().clone().numpy(), w.numpy()) for p, w in zip(module.parameters(), want)]
  module.load_state_dict(weights)
  pairs.append((np.asarray(value), torch_value.numpy()))
  largest = max(np.abs(theirs).max() for _, theirs in pairs[:-1])
  return max(float(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-3 * largest)) for ours, theirs in pairs)


def noise(rng, config):
  """The z [B,Z] that gans.game draws from a turn's key."""
  return jax.random.normal(jax.random.split(rng, 5)[0], (config.batch_size, config.z_dim))


def drawn_noise(rng, ndim: int, config):
  """(z, eps) of a critic's turn with that key, as tensors."""
  turn_rng, eps_rng = jax.random.split(rng)
  eps = jax.random.uniform(eps_rng, (config.batch_size,) + (1,) * (ndim - 1))
  return torch.tensor(np.asarray(noise(turn_rng, config))), torch.tensor(np.asarray(eps))
