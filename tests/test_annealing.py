"""Numbers that change over a run: pairs in a config, counted in images, the same however a run is cut."""
from types import SimpleNamespace

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import base, gan
from gans.core.annealing import anneal
from gans.core.game import Algorithm, Update, create_state
from gans.core.penalties import Penalty, penalty_term
from gans.core.step import decay_of, make_train_step
from gans.errors import UserError
from gans.runs.workdirs import read_config
from gans.training.loop import train
from gans.validate import check_config
from tests.shrink import shrink

PAIR = (4.0, 1.0)


@pytest.mark.parametrize('progress, expected', [(0, 4), (1 / 3, 4 - 3 / 4), (1 / 2, 2.5), (1, 1), (7, 1)])
def test_half_a_cosine_and_then_the_last_value(progress, expected):
  for pair in (PAIR, list(PAIR)):  # config.json has lists
    assert float(anneal(pair, progress)) == pytest.approx(expected)
  assert anneal(4.0, progress) == 4.0


def test_a_half_life_halves_what_the_average_remembers():
  assert float(decay_of(5.0, 0.0))**5 == pytest.approx(0.5)
  assert float(decay_of((0.0, 6.0), 0.5))**3 == pytest.approx(0.5)
  assert float(decay_of((0.0, 6.0), 0.0)) == 0  # the average starts as the weights


def test_a_penalty_has_the_weight_of_the_moment():
  """Of a linear critic D(x) = 3 x, r1 is 9 / 2 everywhere."""
  x = jnp.zeros((2, 1))
  play = SimpleNamespace(progress=0.5)
  term, metrics = penalty_term(Penalty('r1', PAIR), play, lambda x: 3 * x[:, 0], x, x, jax.random.key(0))
  assert float(term) == pytest.approx(2.5 * 4.5) and float(metrics['r1']) == pytest.approx(4.5)


class Number(nn.Module):
  """One parameter, which starts at zero, whatever it is called with."""

  @nn.compact
  def __call__(self, x, *, train):
    del x, train
    return self.param('number', nn.initializers.zeros_init(), ())


def test_losses_know_how_far_a_run_has_come():
  def loss(play, batch, rng):
    del rng
    return -play.progress * play.generator(batch['image']), {}

  algorithm = Algorithm((Update(('generator',), loss),), inputs=None)
  players = {'generator': Number()}, {'generator': optax.sgd(1.0)}
  images = jnp.zeros((1, 1, 1))
  state = create_state(jax.random.PRNGKey(0), algorithm, *players, {'generator': (images[0],)})
  step = jax.jit(make_train_step(algorithm, *players, ema_decay=0.0, anneal_steps=4))
  numbers = [0.0]
  for _ in range(6):
    state, _ = step(state, {'image': images})
    numbers.append(float(state.players['generator'].params['number']))
  seen = np.minimum(np.arange(6) / 4, 1)
  np.testing.assert_allclose(np.diff(numbers), seen, rtol=1e-6)  # each step moves by what it sees


@pytest.fixture
def annealed():
  """A config in which all that can be annealed is, on R3GAN's networks."""
  config = shrink(gan.get_config())
  config.dataset.image_size = 8
  config.penalty.update({'name': 'r1', 'weight': (2.0, 0.5)})
  config.ema_half_life, config.anneal_images = (0.0, 16.0), 48
  adam = base.adam((1e-2, 1e-3), b2=(0.9, 0.99))
  config.generator = base.r3gan_generator(start=8, hidden=(8,), num_blocks=1, optimizer=adam)
  config.critic = base.r3gan_critic(hidden=(8,), num_blocks=1, optimizer=adam)
  config.checkpoint_every = 3
  return config


def test_a_resumed_and_lengthened_run_is_the_whole_one_bit_for_bit(tmp_path, annealed):
  annealed.num_steps = 8
  whole = train(annealed, tmp_path / 'whole')
  annealed.num_steps = 3
  train(annealed, tmp_path / 'cut')
  annealed.num_steps = 8
  jax.tree.map(np.testing.assert_array_equal, whole, train(annealed, tmp_path / 'cut'))
  assert read_config(tmp_path / 'cut').penalty.weight == [2.0, 0.5]
  annealed.penalty.weight = 2.0
  with pytest.raises(UserError, match=r'penalty.weight: \[2.0, 0.5\] there, 2.0 now'):
    train(annealed, tmp_path / 'cut')


@pytest.mark.parametrize('field, value, message', [
    ('anneal_images', 0, 'anneal_images=0: expected at least 1, as '),
    ('ema_half_life', (1.0, -1.0), 'ema_half_life=(1.0, -1.0): expected a finite number of at least 0, or a tuple'),
    ('ema_half_life', (1.0, 2.0, 3.0), 'ema_half_life=(1.0, 2.0, 3.0): expected a finite number'),
    ('penalty.weight', (1.0,), 'penalty.weight=(1.0,): expected a finite number'),
    ('critic.optimizer.b2', (0.9, 1.0), 'critic.optimizer.b2=(0.9, 1.0): expected a finite number of at least 0'),
    ('critic.optimizer.learning_rate', (0.1, 0.0), 'critic.optimizer.learning_rate=(0.1, 0.0): expected a finite'),
])
def test_a_pair_out_of_range_is_named(annealed, field, value, message):
  annealed.update_from_flattened_dict({field: value})
  with pytest.raises(UserError) as error:
    check_config(annealed)
  assert str(error.value).startswith(message)
