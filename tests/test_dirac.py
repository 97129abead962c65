"""Dirac-GAN (Mescheder et al. 2018, section 2): the whole train_step on two numbers, whose motion is known.

The data are zeros, the generator makes theta, the critic scores x by psi x; both start near the equilibrium, 0. With
f(t) = -log(1 + exp(-t)) a step of gradient descent of rate h is, in first order,

  psi <- psi - h (c theta + gamma psi),  theta <- theta + h c psi,

where c = f'(0) = 1/2 for the losses of probabilities, c = 1 for Wasserstein's, and gamma is the weight of R1 or R2. In
continuous time the eigenvalues are (-gamma +- sqrt(gamma^2 - 4 c^2)) / 2 (their theorem 4.1 and section 4.1).
"""
import functools

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gans.algorithms import adversarial, wgan_gp
from gans.core.game import create_state
from gans.core.penalties import Penalty
from gans.core.step import make_train_step
from gans.core.tracing import trace_losses

RATE = 0.02
START = (0.1, 0.1)  # psi and theta


class Theta(nn.Module):
  @nn.compact
  def __call__(self, z, label, *, train):
    return jnp.broadcast_to(self.param('theta', nn.initializers.zeros, ()), (len(z), 1))


class Psi(nn.Module):
  @nn.compact
  def __call__(self, x, label, *, train):
    return x[:, 0] * self.param('psi', nn.initializers.zeros, ())


MODULES = {'critic': Psi(), 'generator': Theta()}
GAMES = {  # {name: (c, gamma)}
    'GAN': (0.5, 0.0), 'WGAN': (1.0, 0.0), 'RpGAN': (0.5, 0.0), 'RaGAN': (1.0, 0.0),
    'GAN, R1': (0.5, 0.4), 'GAN, R2': (0.5, 0.4), 'GAN, R1 + R2': (0.5, 0.8), 'GAN, strong R1': (0.5, 2.0),
    'WGAN, R1': (1.0, 0.4), 'RpGAN, R1': (0.5, 0.4), 'RpGAN, R1 + R2': (0.5, 0.8), 'GAN, lazy R1': (0.5, 0.4),
}
LOSSES = {'GAN': 'non_saturating', 'WGAN': 'wasserstein', 'RpGAN': 'relativistic', 'RaGAN': 'relativistic_average'}
PENALTIES = {'R1': Penalty('r1', 0.4), 'R2': Penalty('r2', 0.4), 'R1 + R2': Penalty('r1_r2', 0.4),
             'strong R1': Penalty('r1', 2.0), 'lazy R1': Penalty('r1', 0.4, every=4), '': Penalty()}


@functools.cache
def make_step(game: str):
  """Returns a jitted function of (psi, theta), and of the number of the step, which is a whole train_step."""
  loss, _, penalty = game.partition(', ')
  if game == 'WGAN-GP':
    algorithm = wgan_gp.make_algorithm(wgan_gp.Fields(gp_weight=1.0, n_critic=1, z_dim=1))
  else:
    fields = adversarial.Fields(loss=LOSSES[loss], penalty=PENALTIES[penalty], z_dim=1)
    algorithm = adversarial.make_algorithm(fields)
  one = {'image': jnp.zeros((4, 1)), 'label': jnp.zeros(4, jnp.int32)}
  optimizers = dict.fromkeys(MODULES, optax.sgd(RATE))
  first_inputs = trace_losses(algorithm, MODULES, one).first_inputs
  start = create_state(jax.random.PRNGKey(0), algorithm, MODULES, optimizers, first_inputs)
  train_step = make_train_step(algorithm, MODULES, optimizers, ema_decay=0.0)
  batch = jax.tree.map(lambda x: x[None], one)

  def step(point, number=0):
    psi, theta = point
    players = dict(start.players)
    players['critic'] = players['critic']._replace(params={'psi': psi})
    players['generator'] = players['generator']._replace(params={'theta': theta})
    state, _ = train_step(start._replace(players=players, step=jnp.int32(number)), batch)
    return jnp.stack([state.players['critic'].params['psi'], state.players['generator'].params['theta']])

  return jax.jit(step)


def follow(game: str, num_steps: int) -> np.ndarray:
  """The distances from the equilibrium on the way."""
  step, point, distances = make_step(game), jnp.array(START), []
  for number in range(num_steps):
    distances.append(float(jnp.linalg.norm(point)))
    point = step(point, number)
  return np.array(distances)


@pytest.mark.parametrize('game', [game for game in GAMES if 'lazy' not in game])
def test_a_step_near_the_equilibrium_is_the_linear_map_of_theory(game):
  """The critic moves first, and the generator sees its move."""
  c, gamma = GAMES[game]
  critic_moves = np.array([[1 - RATE * gamma, -RATE * c], [0, 1]])
  generator_moves = np.array([[1, 0], [RATE * c, 1]])
  jacobian = jax.jacobian(make_step(game))(jnp.zeros(2))
  np.testing.assert_allclose(jacobian, generator_moves @ critic_moves, atol=1e-6)


@pytest.mark.parametrize('game', [game for game in GAMES if 'lazy' not in game])
def test_its_eigenvalues_are_those_of_the_flow_up_to_the_rate(game):
  c, gamma = GAMES[game]
  root = np.sqrt(complex(gamma**2 - 4 * c**2))
  of_flow = np.array([(-gamma + root) / 2, (-gamma - root) / 2])
  jacobian = np.asarray(jax.jacobian(make_step(game))(jnp.zeros(2)), complex)
  of_step = np.log(np.linalg.eigvals(jacobian)) / RATE
  assert max(min(abs(value - other) for other in of_flow) for value in of_step) < 3 * RATE
  assert of_step.sum() == pytest.approx(of_flow.sum(), abs=3 * RATE)


@pytest.mark.parametrize('game', ['GAN', 'WGAN', 'RpGAN'])
def test_without_a_penalty_it_circles(game):
  """Neither nearer nor further after many turns: a turn takes 2 pi / (c h) steps."""
  distances = follow(game, 1500)
  assert 0.9 < distances[-700:].max() / distances[0] < 1.1
  assert distances.min() > 0.9 * distances[0]


@pytest.mark.parametrize('game', ['GAN, R1', 'GAN, R2', 'GAN, R1 + R2', 'WGAN, R1', 'RpGAN, R1 + R2', 'GAN, lazy R1'])
def test_with_a_penalty_at_the_data_it_converges_as_fast_as_theory_says(game):
  _, gamma = GAMES[game]
  distances = follow(game, 1500)
  expected = np.exp(-gamma / 2 * RATE * 1000)
  assert 0.4 * expected < distances[-200:].max() / distances[300:500].max() < 1.6 * expected


def test_wgan_gp_does_not_converge():
  """Its critic wants a slope of 1 where the data are, so that it is never at rest (their section 3.3)."""
  distances = follow('WGAN-GP', 1500)
  assert distances[-500:].min() > 0.5
