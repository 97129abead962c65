"""Adaptive augmentation: each change by hand on 4x4 pixels, p by its formula, and runs with it."""
from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import gan, r3gan
from gans.algorithms import adversarial
from gans.build import build
from gans.core import adaptive
from gans.core.adaptive import ALL, COLORS, MOVES, Ada, Changes, Probability, change, look_up, move
from gans.core.game import bind
from gans.data.dataset import Spec
from gans.errors import UserError
from gans.training.loop import train
from gans.validate import check_config
from tests.conftest import cut_back, set_optimizers
from tests.shrink import shrink

X = jnp.arange(2 * 4 * 4 * 3, dtype=jnp.float32).reshape(2, 4, 4, 3) / 48 - 1
MANY = jax.random.normal(jax.random.key(7), (60, 4, 4, 3))
RNG = jax.random.key(3)


@pytest.fixture
def normal(monkeypatch):
  """Makes changes of colour draw this number from the normal distribution."""
  def fix(number):
    monkeypatch.setattr(adaptive, 'normal_of_each', lambda rng, x: jnp.float32(number))

  return fix


def moved(name: str, x=MANY) -> np.ndarray:
  return np.asarray(jax.jit(lambda x: move(x, RNG, 1.0, [name]))(x))


def found_among(results: np.ndarray, images: np.ndarray, candidates) -> set:
  """Returns which of the candidates {name: (image -> image)} the results are; each must be one of them."""
  found = set()
  for image, result in zip(np.asarray(images), results):
    names = [name for name, make in candidates.items() if np.allclose(make(image), result, atol=1e-5)]
    assert names
    found.add(names[0])
  return found


def test_flips_and_quarter_turns():
  flips = {'as it was': lambda image: image, 'mirrored': lambda image: image[:, ::-1]}
  assert found_among(moved('flip'), MANY, flips) == set(flips)
  turns = {k: lambda image, k=k: np.rot90(image, k) for k in range(4)}
  assert found_among(moved('rotate90'), MANY, turns) == set(turns)


def test_shifts_are_whole_pixels_mirrored_at_the_border():
  image = jax.random.normal(jax.random.key(1), (8, 8, 1))
  padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode='reflect')
  shifts = {(i, j): lambda image, i=i, j=j: padded[1 + i:9 + i, 1 + j:9 + j] for i in (-1, 0, 1) for j in (-1, 0, 1)}
  images = jnp.tile(image, (200, 1, 1, 1))
  assert found_among(moved('shift', images), images, shifts) == set(shifts)  # of 8 pixels, an eighth is 1


@pytest.mark.parametrize('matrix, offset, value', [
    (np.eye(2), (0, 0.5), lambda x: (x[:, 1] + x[:, 2]) / 2),  # of the second column
    (2 * np.eye(2), (0, 0), None), ([[0.5, 0], [0, 2.0]], (0, 0), None)])
def test_looking_up_interpolates(matrix, offset, value):
  ramp = jnp.broadcast_to(jnp.arange(4.0)[None, :, None], (4, 4, 1))  # x[row, column] = column
  matrix, offset = jnp.array(matrix, jnp.float32), jnp.array(offset, jnp.float32)
  got = look_up(ramp[None], matrix[None], offset[None])[0]
  if value is not None:
    np.testing.assert_allclose(got[:, 1], value(ramp), atol=1e-6)
  else:
    np.testing.assert_allclose(got[:, 1:3, 0], [[1.5 - matrix[1][1] / 2, 1.5 + matrix[1][1] / 2]] * 4, atol=1e-6)


@pytest.mark.parametrize('name', ['scale', 'stretch', 'rotate'])
def test_matrices_keep_what_they_should(name):
  matrix, offset = MOVES[name](RNG, 500, (8, 8))
  determinant = np.linalg.det(matrix)
  assert not offset.any() and np.abs(matrix - np.eye(2)).max() > 0.1
  if name == 'scale':
    np.testing.assert_allclose(matrix[:, 0, 0], matrix[:, 1, 1])
    assert np.log2(determinant).std() == pytest.approx(2 * adaptive.SCALE, rel=0.1)
  else:
    np.testing.assert_allclose(determinant, 1, rtol=1e-5)
  if name == 'rotate':
    np.testing.assert_allclose(matrix @ matrix.mT, np.broadcast_to(np.eye(2), matrix.shape), atol=1e-5)


def test_moves_are_composed_in_their_order():
  def fixed(matrix, offset):
    return lambda rng, num, sides: (jnp.tile(jnp.array(matrix, jnp.float32), (num, 1, 1)),
                                    jnp.tile(jnp.array(offset, jnp.float32), (num, 1)))

  names = ['first', 'second']
  first, second = fixed([[1, 0], [0, -1]], (0, 0)), fixed(np.eye(2), (0, 1.0))
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(adaptive, 'MOVES', {'first': first, 'second': second})
    together = move(X, RNG, 1.0, names)
    one_by_one = move(move(X, RNG, 1.0, ['first']), RNG, 1.0, ['second'])
  np.testing.assert_allclose(together[:, :, :3], one_by_one[:, :, :3], atol=1e-6)
  np.testing.assert_allclose(together[0, :, 0], X[0, :, 2], atol=1e-6)  # mirrored, and then the next to the right


def test_brightness_contrast_and_saturation(normal):
  normal(1.0)
  np.testing.assert_allclose(adaptive.brighten(RNG, X), X + 0.2, atol=1e-6)
  np.testing.assert_allclose(adaptive.contrast(RNG, X), X * 2**0.5, atol=1e-6)
  luma = X.mean(-1, keepdims=True)
  np.testing.assert_allclose(adaptive.saturate(RNG, X), luma + 2 * (X - luma), atol=1e-6)
  np.testing.assert_allclose(adaptive.saturate(RNG, X[..., :1]), X[..., :1], atol=1e-6)  # grey has none


def test_luma_is_flipped_and_colours_stay_and_twice_is_the_identity():
  flip = {'as it was': lambda image: image, 'flipped': lambda image: image - 2 * image.mean(-1, keepdims=True)}
  once = adaptive.flip_luma(RNG, MANY)
  assert found_among(np.asarray(once), MANY, flip) == set(flip)
  np.testing.assert_allclose(adaptive.flip_luma(RNG, once), MANY, atol=1e-6)
  np.testing.assert_allclose(once - once.mean(-1, keepdims=True), MANY - MANY.mean(-1, keepdims=True), atol=1e-6)


def test_hue_turns_around_grey():
  turned = np.asarray(adaptive.turn_hue(RNG, MANY))
  np.testing.assert_allclose(turned.mean(-1), MANY.mean(-1), atol=1e-5)
  np.testing.assert_allclose(np.linalg.norm(turned, axis=-1), np.linalg.norm(MANY, axis=-1), rtol=1e-4)
  assert np.abs(turned - MANY).max() > 0.5
  np.testing.assert_array_equal(adaptive.turn_hue(RNG, MANY[..., :1]), MANY[..., :1])


@pytest.mark.parametrize('x', [MANY, MANY[..., :1], jnp.sign(jax.random.normal(RNG, (3, 4, 4, 4, 1)))],
                         ids=['colour', 'grey', 'voxels'])
def test_a_probability_of_zero_is_the_identity_bit_for_bit_and_the_gradient_too(x):
  ct = jax.random.normal(RNG, x.shape)
  same, pull_back = jax.vjp(jax.jit(lambda x: change(x, RNG, 0.0, ALL)), x)
  np.testing.assert_array_equal(same, x)
  np.testing.assert_allclose(pull_back(ct)[0], ct, atol=1e-6)
  all_changed = change(x, RNG, 1.0, ALL)
  assert jnp.isfinite(all_changed).all() and (jnp.abs(all_changed - x).max(range(1, x.ndim)) > 1e-3).all()


def test_each_change_is_made_as_often_as_p_says():
  x = jax.random.normal(RNG, (4000, 2, 2, 1))
  for name in ('scale', 'brightness'):
    changed = (change(x, RNG, 0.3, (name,)) != x).any((1, 2, 3))
    assert changed.mean() == pytest.approx(0.3, abs=0.03)


def test_alpha_stays_and_voxels_are_mirrored_from_left_to_right():
  x = MANY.at[..., :1].set(MANY[..., :1])
  with_alpha = jnp.concatenate([x, jnp.full((*x.shape[:-1], 1), 0.25)], axis=-1)
  changed = change(with_alpha, RNG, 1.0, tuple(COLORS))
  np.testing.assert_array_equal(changed[..., 3], with_alpha[..., 3])
  np.testing.assert_allclose(changed[..., :3], change(x, RNG, 1.0, tuple(COLORS)), atol=1e-6)
  voxels = jax.random.normal(RNG, (40, 3, 4, 5, 1))
  flips = {'as it was': lambda model: model, 'mirrored': lambda model: model[::-1]}
  assert found_among(moved('flip', voxels), voxels, flips) == set(flips)


@pytest.mark.parametrize('changes, shape', [
    (('brightness', 'hue'), (2, 4, 4, 4, 1)), (('hue', 'saturation'), (2, 4, 4, 1))])
def test_changes_that_all_do_nothing_are_refused(changes, shape):
  with pytest.raises(UserError, match=f"ada.changes=.*{changes[-1]}.*: none of them .* expected some of .*'flip'"):
    change(jnp.zeros(shape), jax.random.key(0), 0.5, changes)


def test_voxels_keep_their_colours():
  x = jnp.arange(128.0).reshape(2, 4, 4, 4, 1)
  np.testing.assert_array_equal(change(x, RNG, 1.0, ('flip', *COLORS)), change(x, RNG, 1.0, ('flip',)))


def test_p_rises_by_one_in_its_images_while_the_critic_is_sure_and_falls_to_zero():
  probability = Probability(p=0.0, target=0.6, interval=4, ramp_images=64 * 20)
  state = probability.init(RNG, train=True)
  follow = jax.jit(lambda state, scores: probability.apply(state, scores, train=True, mutable=['memory']))
  seen = []
  for _ in range(20):  # 20 batches of 64: all the images of the ramp
    p, state = follow(state, jnp.full(64, 2.0))
    seen.append(float(p))
  np.testing.assert_allclose(seen, np.repeat([0, 0.2, 0.4, 0.6, 0.8, 1], 4)[1:21], atol=1e-6)
  for _ in range(4):  # r = 1/2, which is below the target
    p, state = follow(state, jnp.array([1.0, 1, 1, -1] * 16))
  assert float(p) == pytest.approx(0.8)
  for _ in range(40):
    p, state = follow(state, -jnp.ones(64))
  assert float(p) == 0
  assert float(probability.apply(state, train=False)) == 0


def test_each_call_makes_other_changes_and_evaluation_none():
  changes = Changes(ALL)
  first, second = (changes.apply({}, X, 1.0, train=True, rngs={'changes': jax.random.key(i)}) for i in range(2))
  assert jnp.abs(first - second).max() > 0
  np.testing.assert_array_equal(changes.apply({}, X, 1.0, train=False), X)


def digits(**ada):
  config = shrink(gan.get_config())
  config.dataset.image_size = 8
  config.ada.update(ada)
  set_optimizers(config, 'adam', b1=0.5, b2=0.9)
  return config


@pytest.mark.parametrize('loss, score, rises', [('least_squares', 0.4, False), ('least_squares', 0.6, True),
                                                ('hinge', 0.4, True)])
def test_p_is_steered_by_which_side_of_undecided_real_scores_are_on(loss, score, rises):
  class Constant(nn.Module):
    @nn.compact
    def __call__(self, x, label, *, train):
      return jnp.full(len(x), score)

  class Noise(nn.Module):
    @nn.compact
    def __call__(self, z, label, *, train):
      return z.reshape(-1, 2, 2, 1)

  fields = adversarial.Fields(loss=loss, ada=Ada(target=0.5, interval=1, ramp_images=8), z_dim=4)
  modules = {'critic': Constant(), 'generator': Noise(), **adaptive.memories(fields.ada, pack=1)}
  memory = {'memory': {'p': jnp.float32(0), 'signs': jnp.float32(0), 'count': jnp.int32(0)}}
  play = bind(modules, dict.fromkeys(modules, {}), {**dict.fromkeys(modules, {}), 'probability': memory},
              jax.random.PRNGKey(0))
  batch = {'image': jnp.zeros((4, 2, 2, 1)), 'label': jnp.zeros(4, jnp.int32)}
  _, metrics = adversarial.critic_loss(fields)(play, batch, jax.random.PRNGKey(1))
  assert metrics['augmentation_probability'] == (0.5 if rises else 0)


def test_each_image_of_a_pack_is_changed_for_itself():
  pixels = jnp.stack([jnp.full((2, 2, 1), value) for value in (1.0, -0.5, -0.5, 0.25)])

  class Seen(nn.Module):
    @nn.compact
    def __call__(self, x, label, *, train):
      return 10 * x[:, 0, 0, 0] + x[:, 0, 0, 1]

  fields = adversarial.Fields(ada=Ada(p=1.0, changes=('luma_flip', 'hue', 'saturation')), pack=2)
  modules = {'critic': Seen(), **adaptive.memories(fields.ada, fields.pack)}
  play = bind(modules, dict.fromkeys(modules, {}), dict.fromkeys(modules, {}), jax.random.PRNGKey(0))
  game = adversarial.Round(fields, play, jnp.zeros(4, jnp.int32))
  seen = game.score(game.show(pixels))
  possible = [[10 * a + b for a in (first, -first) for b in (second, -second)]  # grey: its luma alone is flipped
              for first, second in ((1, 0.5), (0.5, 0.25))]
  for score, values in zip(seen, possible):
    assert min(abs(score - value) for value in values) < 1e-5


def test_a_run_with_it_resumes_bit_for_bit_with_its_p_and_each_seed_has_its_own(tmp_path):
  config = digits(target=0.5, interval=1, ramp_images=80, changes=('rotate', 'contrast'))
  config.num_seeds = 2
  config.penalty.update({'name': 'r1', 'weight': 1.0})
  config.checkpoint_every = 2
  whole = train(config, tmp_path / 'whole')
  p = whole.players['probability'].model_state['memory']['p']
  tenths = 10 * np.asarray(p)  # 8 images of 80 an update
  assert p.shape == (2,) and p.any()
  np.testing.assert_allclose(tenths, np.round(tenths), atol=1e-4)
  cut = cut_back(tmp_path / 'whole', 2, tmp_path / 'cut')
  jax.tree.map(np.testing.assert_array_equal, whole, train(config, cut))


@pytest.mark.parametrize('fields', [{'p': 1}, {'p': 0, 'target': 0.6}])
def test_a_probability_may_be_a_whole_number(fields):
  build(digits(**fields), Spec((8, 8, 1), 10))


def test_what_does_not_go_together_is_refused():
  def refuse(config, match, spec=Spec((8, 8, 1), 10)):  # noqa: B008, it is a tuple
    with pytest.raises(UserError, match=match):
      check_config(config)
      build(config, spec)

  refuse(digits(changes=('colour',)), r"ada.changes=\('colour',\): expected a tuple of at least 1, each one of")
  refuse(digits(p=1.5), 'ada.p=1.5: expected')
  refuse(digits(target=0.6, p=(0.0, 0.3)), r'ada.p=\(0.0, 0.3\): it is steered to ada.target=0.6')
  refuse(digits(p=(0.0, 0.3)), 'anneal_images=0: expected at least 1, as ada.p is annealed')
  refuse(digits(p=0.1), 'ada changes images and voxels, and the data are points', Spec((2,), 0))
  config = digits(target=0.6)
  config.loss = 'wasserstein'
  refuse(config, r"ada.target=0.6: the sign of a score of loss='wasserstein' says nothing")
  config = digits(target=0.6)
  config.microbatches = 2
  refuse(config, "microbatches=2: the player 'probability' remembers what it saw")
  config = digits(p=0.2)
  config.microbatches = 2
  build(config, Spec((8, 8, 1), 10))  # it remembers nothing
  config = shrink(r3gan.get_config())
  config.ada.target = 0.6
  refuse(config, r"ada.target=0.6: the sign of a score of loss='relativistic' says nothing; expected 0.0, and a p")
