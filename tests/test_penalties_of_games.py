"""Every game of scores takes penalties: at its images and what comes with them, in each step or as an own update."""
import jax
import jax.numpy as jnp
import pytest

from configs.bigan import get_config as bigan_config
from configs.cyclegan import get_config as cyclegan_config
from configs.gan_3d import get_config as gan_3d_config
from configs.infogan import get_config as infogan_config
from configs.pix2pix import get_config as pix2pix_config
from gans.algorithms import acgan, adversarial, bigan, cyclegan, gan_3d, infogan, pix2pix
from gans.build import build
from gans.core.penalties import Penalty
from gans.data.sources import load_dataset
from gans.errors import UserError
from tests.shrink import shrink

X = jnp.array([[[1.0], [2.0]], [[0.0], [3.0]]])  # two images of two pixels, as are all others
X_TILDE = jnp.array([[[4.0], [0.0]], [[1.0], [-1.0]]])
LABEL, WEIGHT = jnp.array([0, 1]), 5.0
SQUARES = {'r1': (5 + 9) / 2 / 2, 'r2': (16 + 2) / 2 / 2}  # half the mean squared norm of X and of X_TILDE


def half_square(x, scale=1.0):
  """Scores [B] whose gradient at an image is `scale` times the image."""
  return scale * jnp.sum(x**2, axis=tuple(range(1, x.ndim))) / 2


class Play:
  """Players that are written down; annealed weights are at their first value."""
  progress = 0.0

  def __init__(self, critic, **players):
    self.critic = critic
    self.generator = lambda *_: X_TILDE
    for name, player in players.items():
      setattr(self, name, player)


def play_images():
  return Play(lambda x, label: half_square(x))


def play_with_classes():
  return Play(lambda x, label: (half_square(x), jnp.zeros((len(x), 2))))


def play_codes():
  return Play(lambda x, label: (half_square(x), x), recogniser=lambda features, label: jnp.zeros((len(features), 12)))


def play_pairs():
  return Play(lambda a, b: half_square(b, jnp.sum(a, axis=(1, 2))))  # a sums to 1 and to 2


GAMES = {
    'adversarial': (adversarial, play_images, SQUARES),
    'acgan': (acgan, play_with_classes, SQUARES),
    'gan_3d': (gan_3d, play_images, SQUARES),
    'infogan': (infogan, play_codes, SQUARES),
    'pix2pix': (pix2pix, play_pairs, {'r1': (5 + 4 * 9) / 2 / 2, 'r2': (16 + 4 * 2) / 2 / 2}),
}
BATCH = {'image': X, 'label': LABEL, 'a': jnp.array([[[1.0], [0.0]], [[1.0], [1.0]]]), 'b': X}


@pytest.mark.parametrize('every', [1, 3])
@pytest.mark.parametrize('name', ['r1', 'r2', 'r1_r2'])
@pytest.mark.parametrize('game', GAMES)
def test_of_a_critic_of_squares(game, name, every):
  module, make_play, wanted = GAMES[game]
  want = sum(wanted[part] for part in name.split('_'))
  check_terms(module, make_play(), name, every, {name: want})


def check_terms(module, play, name, every, wanted):
  """Compares a critic's loss with that without a penalty, or an update of its own with nothing."""
  never_held_back = {'max_accuracy': 1.0} if module is gan_3d else {}

  def losses_of(**penalty):
    updates = module.make_algorithm(module.Fields(penalty=Penalty(**penalty), **never_held_back)).updates
    return [update for update in updates if any('critic' in player for player in update.players)]

  plain, = losses_of()
  critic, *own = losses_of(name=name, weight=WEIGHT, every=every)
  rng = jax.random.key(0)
  bare, _ = plain.loss(play, BATCH, rng)
  value, metrics = critic.loss(play, BATCH, rng)
  if every == 1:
    assert not own
    assert float(value - bare) == pytest.approx(WEIGHT * sum(wanted.values()), rel=1e-5)
  else:
    assert float(value) == float(bare) and len(own) == len(wanted)
    found = [update.loss(play, BATCH, rng) for update in own]
    assert [update.every for update in own] == [every] * len(own)
    assert float(sum(value for value, _ in found)) == pytest.approx(every * WEIGHT * sum(wanted.values()), rel=1e-5)
    metrics = {name: value for _, terms in found for name, value in terms.items()}
  assert {name: float(metrics[name]) for name in wanted} == pytest.approx(wanted, rel=1e-5)


def test_a_critic_that_may_be_held_back_has_no_penalty_in_an_update_of_its_own():
  with pytest.raises(UserError, match='penalty.every=2: with max_accuracy=0.8 .* expected 1, or max_accuracy=1.0'):
    gan_3d.make_algorithm(gan_3d.Fields(penalty=Penalty('r1', every=2)))
  assert len(gan_3d.make_algorithm(gan_3d.Fields(penalty=Penalty('none', every=2))).updates) == 2


@pytest.mark.parametrize('every', [1, 3])
def test_bigan_is_penalised_at_the_image_and_its_code(every):
  code = jnp.arange(2 * 50.0).reshape(2, 50) / 50
  play = Play(lambda x, z: half_square(x) + half_square(z, 2.0), encoder=lambda x, label: code)
  want = (5 + 9 + 4 * float(jnp.sum(code**2))) / 2 / 2
  check_terms(bigan, play, 'r1', every, {'r1': want})


@pytest.mark.parametrize('every', [1, 3])
def test_each_critic_of_cyclegan_is_penalised_at_its_own_images(every):
  play = Play(None, critic_a=half_square, critic_b=lambda x: half_square(x, 3.0), generator_ab=lambda a: X_TILDE,
              generator_ba=lambda b: 2 * X_TILDE, pool_a=lambda x: x, pool_b=lambda x: x)
  of_a = {'r1': (1 + 2) / 2 / 2, 'r2': 4 * SQUARES['r2']}
  for name in ('r1', 'r2'):
    of_b = 9 * SQUARES[name]
    check_terms(cyclegan, play, name, every, {f'critic_a_{name}': of_a[name], f'critic_b_{name}': of_b})


@pytest.mark.parametrize('every', [1, 2])
@pytest.mark.parametrize('make_config', [infogan_config, bigan_config, pix2pix_config, cyclegan_config, gan_3d_config])
def test_the_networks_of_its_config_have_the_gradient_that_is_penalised(make_config, every):
  config = shrink(make_config())
  config.penalty.update({'name': 'r1_r2', 'every': every})
  if config.algorithm == 'gan_3d':
    config.max_accuracy = 1.0
  experiment = build(config, load_dataset(config.dataset).spec)
  critics = {player for player in experiment.algorithm.networks if player.startswith('critic')}
  assert experiment.traced.differentiated == critics
