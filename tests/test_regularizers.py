"""Regularisers, packs and the highest scores: closed forms, and that the plain game has them by field."""
from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base, cgan, gan
from gans.algorithms import adversarial
from gans.algorithms.adversarial import join_packs
from gans.build import build
from gans.core import losses, penalties, regularizers
from gans.core.game import bind
from gans.core.penalties import Penalty
from gans.core.regularizers import Regularizers, ScoreAverages
from gans.data.dataset import Spec
from gans.errors import UserError
from gans.training.loop import train
from gans.validate import check_config
from tests.conftest import cut_back, set_optimizers
from tests.shrink import shrink

SHAPE = (4, 4, 1)
RNG = jax.random.PRNGKey(2)
ALL = Regularizers(lecam=2.0, real_consistency=3.0, fake_consistency=4.0, latent_consistency=5.0, latent_diversity=6.0,
                   feature_matching=7.0)


class LinearGenerator(nn.Module):
  """G(z) = A z."""

  @nn.compact
  def __call__(self, z, label, *, train):
    return nn.Dense(16, use_bias=False)(z).reshape(-1, *SHAPE)


class LinearCritic(nn.Module):
  """D(x) = w x, and with `features` x itself."""
  features: bool = False

  @nn.compact
  def __call__(self, x, label, *, train):
    x = x.reshape(len(x), -1)
    score = nn.Dense(1, use_bias=False)(x)[:, 0]
    return (score, x) if self.features else score


def play_linear(w, a, features: bool = False):
  """Binds both to the weights w [16] and A [Z,16]."""
  modules = {'critic': LinearCritic(features), 'generator': LinearGenerator(), 'score_averages': ScoreAverages()}
  params = {'critic': {'Dense_0': {'kernel': w[:, None]}}, 'generator': {'Dense_0': {'kernel': a}}}
  memory = {'memory': {'sums': jnp.zeros(2), 'count': jnp.int32(0)}}
  return bind(modules, params | {'score_averages': {}}, {'critic': {}, 'generator': {}, 'score_averages': memory}, RNG)


def random_game(num: int = 8, z_dim: int = 3):
  """Returns (w, A, batch) of random numbers."""
  w, a, x = (jax.random.normal(jax.random.key(i), shape) for i, shape in enumerate([(16,), (z_dim, 16), (num, *SHAPE)]))
  return w, a, {'image': x, 'label': jnp.zeros(num, jnp.int32)}


def test_lecam_is_twice_the_square_of_scores_on_the_right_side_of_averages_at_zero():
  scores = jnp.full(4, 3.0)
  assert float(regularizers.lecam(scores, -scores, 0.0, 0.0)) == pytest.approx(2 * 3.0**2)
  assert regularizers.lecam(-scores, scores, 0.0, 0.0) == 0
  assert float(regularizers.lecam(scores, scores, 5.0, 1.0)) == pytest.approx((3 - 1)**2 + (5 - 3)**2)


def test_score_averages_forget_their_start_and_have_no_gradient():
  averages = ScoreAverages(decay=0.9)
  state = averages.init(RNG, 0.0, 0.0, train=True)
  (real, fake), state = averages.apply(state, 2.0, -1.0, train=True, mutable=['memory'])
  np.testing.assert_allclose([real, fake], [2, -1], rtol=1e-6)
  (real, fake), _ = averages.apply(state, 6.0, -1.0, train=True, mutable=['memory'])
  np.testing.assert_allclose([real, fake], [(0.9 * 0.1 * 2 + 0.1 * 6) / (1 - 0.9**2), -1], rtol=1e-6)
  gradient = jax.grad(lambda score: averages.apply(state, score, 0.0, train=True, mutable=['memory'])[0][0])(6.0)
  assert gradient == 0


def test_consistency_is_the_mean_square_that_a_change_makes():
  before, after = jnp.array([1.0, 2.0]), jnp.array([1.0, 5.0])
  assert float(regularizers.consistency(before, after)) == pytest.approx(9 / 2)
  w, a, batch = random_game()
  constant = play_linear(jnp.ones(16), a)  # its score is the sum, which a shift leaves
  inner = jnp.pad(batch['image'][:, 1:3, 1:3], ((0, 0), (1, 1), (1, 1), (0, 0)))
  for w_of_critic, expect in ((constant, 0.0), (play_linear(w, a), None)):
    fields = adversarial.Fields(regularizers=Regularizers(real_consistency=1.0), z_dim=3)
    _, metrics = adversarial.critic_loss(fields)(w_of_critic, batch | {'image': inner}, RNG)
    value = float(metrics['real_consistency'])
    assert value == pytest.approx(0, abs=1e-9) if expect == 0 else value > 0.01


def test_feature_distance_by_hand():
  real, fake = jnp.array([[1.0, 2.0], [3.0, 2.0]]), jnp.array([[0.0, 5.0]])
  assert float(regularizers.distance(real, fake)) == pytest.approx((2 + 3) / 2)


def test_what_has_no_weight_is_not_computed():
  def fail():
    raise AssertionError

  total, values = regularizers.weigh(Regularizers(lecam=2.0), {'lecam': lambda: 5.0, 'fake_consistency': fail})
  assert (total, values) == (10.0, {'lecam': 5.0})


@pytest.mark.parametrize('share, num', [(0.5, 2), (0.3, 1), (0.01, 1), (1.0, 4)])
@pytest.mark.parametrize('name', [name for name, loss in losses.BY_NAME.items() if not loss.relative])
def test_the_highest_scores_alone_teach_the_generator(name, share, num):
  of_generator = losses.BY_NAME[name].generator
  fake = jnp.array([0.3, -2.0, 1.5, 0.1])
  value, gradient = jax.value_and_grad(lambda fake: losses.mean_of_highest(of_generator, fake, share))(fake)
  highest, expected = jax.value_and_grad(of_generator)(jnp.sort(fake)[::-1][:num])
  assert float(value) == pytest.approx(float(highest), rel=1e-6)
  np.testing.assert_allclose(jnp.sort(gradient[jnp.argsort(-fake)[:num]]), jnp.sort(expected), rtol=1e-5)
  assert jnp.count_nonzero(gradient) <= num


def test_packs_join_channels_and_leave_single_images():
  x = jnp.arange(4 * 2 * 2 * 3.0).reshape(4, 2, 2, 3)
  packed = join_packs(x, 2)
  assert packed.shape == (2, 2, 2, 6)
  np.testing.assert_array_equal(packed[1], jnp.concatenate([x[1], x[3]], axis=-1))
  assert join_packs(x, 1) is x or (join_packs(x, 1) == x).all()
  np.testing.assert_array_equal(join_packs(x[..., 0, 0], 4).shape, (1, 8))
  with pytest.raises(UserError, match='pack=3: expected a divisor of the 4 images'):
    join_packs(x, 3)


def test_a_penalty_is_of_the_gradient_of_a_whole_pack():
  w, a, batch = random_game(num=8)
  pair = jnp.concatenate([w, 2 * w])  # of the two images of a pack

  class PackCritic(nn.Module):
    @nn.compact
    def __call__(self, x, label, *, train):
      assert label is None and x.shape == (4, 4, 4, 2)
      return jnp.einsum('bhwc,chw->b', x, pair.reshape(2, 4, 4))

  play = bind({'critic': PackCritic(), 'generator': LinearGenerator()},
              {'critic': {}, 'generator': {'Dense_0': {'kernel': a}}}, {'critic': {}, 'generator': {}}, RNG)
  fields = adversarial.Fields(penalty=Penalty('gradient_penalty', 1.0), pack=2, z_dim=3)
  _, metrics = adversarial.critic_loss(fields)(play, batch, RNG)
  assert float(metrics['gradient_penalty']) == pytest.approx((np.linalg.norm(pair) - 1)**2, rel=1e-5)
  lazy = adversarial.make_algorithm(adversarial.Fields(penalty=Penalty('r1', 1.0, every=2), pack=2, z_dim=3)).updates[1]
  _, metrics = lazy.loss(play, batch, RNG)
  assert float(metrics['r1']) == pytest.approx(np.sum(np.square(pair)) / 2, rel=1e-5)


def test_latent_terms_of_a_linear_game():
  w, a, batch = random_game(num=4000)
  settings = Regularizers(latent_consistency=1.0, latent_diversity=1.0, latent_stddev=0.1)
  fields = adversarial.Fields(regularizers=settings, z_dim=3)
  _, of_critic = adversarial.critic_loss(fields)(play_linear(w, a), batch, RNG)
  assert float(of_critic['latent_consistency']) == pytest.approx(0.1**2 * np.sum(np.square(a @ w)), rel=0.1)
  _, of_generator = adversarial.generator_loss(fields)(play_linear(w, a), batch, RNG)
  assert float(of_generator['latent_diversity']) == pytest.approx(-0.1**2 * np.sum(np.square(a)) / 16, rel=0.1)


def test_each_term_is_added_by_its_weight_and_the_rest_is_the_plain_game():
  w, a, batch = random_game()
  for make, loss in ((adversarial.critic_loss, 'critic_loss'), (adversarial.generator_loss, 'generator_loss')):
    plain, _ = make(adversarial.Fields(z_dim=3))(play_linear(w, a), batch, RNG)
    value, metrics = make(adversarial.Fields(regularizers=ALL, z_dim=3))(play_linear(w, a, features=True), batch, RNG)
    terms = metrics.keys() & {field for field in vars(ALL)}
    assert len(terms) == {'critic_loss': 4, 'generator_loss': 2}[loss]
    assert all(abs(metrics[term]) > 1e-4 for term in terms)
    assert float(value) == pytest.approx(float(plain + sum(getattr(ALL, term) * metrics[term] for term in terms)))
    assert metrics[loss] == value


def with_everything():
  config = shrink(gan.get_config())
  config.dataset.image_size = 8
  config.update({'regularizers': vars(ALL), 'pack': 2, 'top_k': (1.0, 0.5), 'anneal_images': 24, 'n_critic': 2})
  config.critic = base.mlp_critic(hidden=(8,), features=True)
  set_optimizers(config, 'adam', b1=0.5, b2=0.9)
  return config


def test_a_run_with_all_of_them_resumes_bit_for_bit_and_each_seed_remembers_its_own_scores(tmp_path):
  config = with_everything()
  config.num_seeds = 2
  config.checkpoint_every = 2
  whole = train(config, tmp_path / 'whole')
  memory = whole.players['score_averages'].model_state['memory']
  np.testing.assert_array_equal(memory['count'], [8, 8])
  assert (memory['sums'][0] != memory['sums'][1]).all()
  cut = cut_back(tmp_path / 'whole', 2, tmp_path / 'cut')
  jax.tree.map(np.testing.assert_array_equal, whole, train(config, cut))


def refuse(config, match: str, spec: Spec = Spec((8, 8, 1), 10)):  # noqa: B008, it is a tuple
  with pytest.raises(UserError, match=match):
    check_config(config)
    build(config, spec)


def test_what_does_not_go_together_is_refused():
  config = with_everything()
  config.loss = 'relativistic'
  refuse(config, r"top_k=\(1.0, 0.5\): loss='relativistic' compares each score with real ones; expected 1.0")
  config = with_everything()
  config.pack = 3
  refuse(config, 'pack=3: expected a divisor of the 8 images')
  config = with_everything()
  config.critic.features = False
  refuse(config, 'regularizers.feature_matching=7.0: it compares features; expected critic.features=True')
  config = shrink(gan.get_config())
  config.critic.features = True
  refuse(config, 'critic.classify or critic.features=True: the critic of this game returns scores alone')
  config = with_everything()
  config.microbatches = 2
  refuse(config, "microbatches=2: the player 'score_averages' remembers what it saw")
  config = shrink(cgan.get_config())
  config.pack = 2
  refuse(config, 'critic.label_dim=1: what this network sees has no label, such as a pack; expected 0')
  config = shrink(gan.get_config())
  config.regularizers.real_consistency = 1.0
  refuse(config, r"regularizers.changes=\('translation',\): it changes images and voxels", Spec((2,), 0))
  config.regularizers.changes = ()
  refuse(config, r'regularizers.changes=\(\): expected a tuple of at least 1')
  config.regularizers.changes = ('shift',)
  refuse(config, r"regularizers.changes=\('shift',\): expected a tuple of at least 1, each one of")


def test_no_key_is_taken_twice():
  """A loss splits its key in two, and folds a stream into it for each of what else it may have."""
  streams = regularizers.STREAM, penalties.STREAM
  keys = [*jax.random.split(RNG), *(jax.random.fold_in(RNG, stream) for stream in streams)]
  assert len(np.unique(np.stack(keys), axis=0)) == 4
