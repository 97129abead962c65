"""Augmentation: each change by hand on 4x4 pixels, its gradient, and what a critic and a run make of it."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import acgan, gan, wgan_gp_toy
from gans.build import build
from gans.core import augmentation
from gans.core.augmentation import Augmented, augment, augment_together
from gans.core.game import bind, bind_trained
from gans.data.dataset import Spec
from gans.errors import UserError
from gans.networks import dcgan
from gans.training.loop import train
from gans.validate import check_config
from tests.conftest import cut_back, set_optimizers
from tests.shrink import shrink
from tests.tiny import tiny

X = jnp.arange(2 * 4 * 4 * 3, dtype=jnp.float32).reshape(2, 4, 4, 3) / 48 - 1
RNG = jax.random.key(3)
ALL = tuple(augmentation.POLICIES)


@pytest.fixture
def draws(monkeypatch):
  """Makes the changes draw these numbers, one for each example: draws(0.5, 1.0)."""
  def fix(*numbers):
    def of_each(rng, x, low, high):
      assert all(low <= number <= high for number in numbers)
      return jnp.array(numbers, x.dtype).reshape(-1, *(1,) * (x.ndim - 1))

    monkeypatch.setattr(augmentation, 'of_each', of_each)
  return fix


def test_brightness(draws):
  draws(0.25, -0.5)
  np.testing.assert_allclose(augmentation.brighten(RNG, X), [X[0] + 0.25, X[1] - 0.5])


def test_saturation_keeps_the_mean_of_the_channels_and_grey(draws):
  draws(0.0, 2.0)
  got = augmentation.saturate(RNG, X)
  grey = X.mean(-1, keepdims=True)
  np.testing.assert_allclose(got[0], jnp.broadcast_to(grey[0], X[0].shape), atol=1e-6)
  np.testing.assert_allclose(got[1], 2 * X[1] - grey[1], atol=1e-6)
  np.testing.assert_array_equal(augmentation.saturate(RNG, X[..., :1]), X[..., :1])


def test_contrast_keeps_the_mean_of_the_image(draws):
  draws(0.5, 1.5)
  got = augmentation.contrast(RNG, X)
  np.testing.assert_allclose(got.mean((1, 2, 3)), X.mean((1, 2, 3)), atol=1e-6)
  np.testing.assert_allclose(got[0, 0, 0, 0], X[0].mean() + 0.5 * (X[0, 0, 0, 0] - X[0].mean()), atol=1e-6)
  np.testing.assert_allclose(got.std((1, 2, 3)), jnp.array([0.5, 1.5]) * X.std((1, 2, 3)), rtol=1e-5)


def shifted(image, down: int, right: int):
  """[H,W,C] moved by whole pixels, with zeros where it was not."""
  result = np.zeros_like(image)
  rows, columns = image.shape[:2]
  for i in range(rows):
    for j in range(columns):
      if 0 <= i - down < rows and 0 <= j - right < columns:
        result[i, j] = image[i - down, j - right]
  return result


def test_translation_moves_each_image_by_up_to_an_eighth_and_its_gradient_moves_back():
  x = jax.random.normal(jax.random.key(0), (200, 4, 4, 2))
  ct = jax.random.normal(jax.random.key(1), x.shape)
  moved, pull_back = jax.vjp(jax.jit(lambda x: augmentation.translate(RNG, x)), x)
  back, = pull_back(ct)
  found = []
  for image, result, of_result, of_image in zip(*map(np.asarray, (x, moved, ct, back))):
    match = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if np.allclose(shifted(image, i, j), result, atol=1e-6)]
    (down, right), = match
    np.testing.assert_allclose(of_image, shifted(of_result, -down, -right), atol=1e-6)
    found.append((down, right))
  assert len(set(found)) == 9  # of 4 pixels, an eighth is rounded to 1


def test_cutout_takes_a_square_of_half_the_sides_whose_centre_is_anywhere():
  ones = jnp.ones((400, 4, 4, 2))
  cut = np.asarray(jax.jit(lambda x: augmentation.cut_out(RNG, x))(ones))
  found = set()
  for image in cut:
    rows, columns = np.nonzero(image[..., 0] == 0)
    np.testing.assert_array_equal(image[..., 0], image[..., 1])
    first, last = (rows.min(), columns.min()), (rows.max(), columns.max())
    assert len(rows) == np.prod(np.subtract(last, first) + 1)  # a rectangle without gaps
    found.add((first, last))
  sides = [(0, 0), (0, 1), (1, 2), (2, 3), (3, 3)]  # rows of a square of 2 with its centre from 0 to 4, clipped
  assert found == {((a, c), (b, d)) for a, b in sides for c, d in sides}


def test_alpha_stays_and_mirroring_is_from_left_to_right():
  with_alpha = jnp.concatenate([X, jnp.full((*X.shape[:-1], 1), 0.25)], axis=-1)
  changed = augment(with_alpha, RNG, ('color',))
  np.testing.assert_array_equal(changed[..., 3], with_alpha[..., 3])
  np.testing.assert_allclose(changed[..., :3], augment(X, RNG, ('color',)), atol=1e-6)
  for x, axis in ((jax.random.normal(RNG, (30, 3, 4, 1)), 2), (jax.random.normal(RNG, (30, 3, 4, 5, 1)), 1)):
    got = augmentation.mirror(RNG, x)
    is_mirrored = (got == jnp.flip(x, axis)).all(range(1, x.ndim))
    assert (is_mirrored | (got == x).all(range(1, x.ndim))).all() and 5 < is_mirrored.sum() < 25


def test_an_empty_policy_and_evaluation_change_nothing():
  np.testing.assert_array_equal(augment(X, RNG, ()), X)
  critic = dcgan.Critic((4,), norm='none')
  variables = jax.jit(lambda: critic.init(RNG, X, None, train=True))()
  augmented = Augmented(critic, ALL)
  same = jax.jit(lambda: augmented.init(RNG, X, None, train=True))()
  jax.tree.map(np.testing.assert_array_equal, variables, same)  # of the same names
  plain, changed = (bind_trained({'critic': module}, {'critic': variables}) for module in (critic, augmented))
  np.testing.assert_array_equal(plain.critic(X, None), changed.critic(X, None))


def test_each_call_of_a_critic_in_training_sees_other_changes():
  critic = dcgan.Critic((4,), norm='none')
  variables = jax.jit(lambda: critic.init(RNG, X, None, train=True))()
  play = bind({'critic': Augmented(critic, ALL)}, {'critic': variables['params']}, {'critic': {}},
              jax.random.PRNGKey(0))
  first, second = play.critic(X, None), play.critic(X, None)
  assert jnp.abs(first - second).min() > 0
  gradient = jax.grad(lambda x: jnp.sum(play.critic(x, None)))(X)  # through the changes, as the generator's
  assert jnp.isfinite(gradient).all() and gradient.any()


def test_pictures_of_one_example_are_changed_alike_and_what_is_no_picture_passes():
  label, z = jnp.array([1, 2]), jnp.ones((2, 5))
  a, same_label, b, same_z, nothing = augment_together((X, label, 2 * X, z, None), RNG, ('translation', 'cutout'))
  np.testing.assert_array_equal(2 * a, b)
  assert same_label is label and same_z is z and nothing is None and a.shape == X.shape


@pytest.mark.parametrize('config', [
    shrink(gan.get_config()), shrink(acgan.get_config()), tiny('pix2pix'), tiny('bigan')],
    ids=['gan', 'acgan', 'pix2pix', 'bigan'])
def test_any_game_trains_with_it_and_resumes_bit_for_bit(tmp_path, config):
  config.dataset.image_size = 8
  if 'start' in config.generator:
    config.generator.start = 2
  with config.unlocked():
    config.critic.augment = ALL
  config.checkpoint_every = 2
  set_optimizers(config, 'adam', b1=0.5, b2=0.9)
  whole = train(config, tmp_path / 'whole')
  cut = cut_back(tmp_path / 'whole', 2, tmp_path / 'cut')
  jax.tree.map(np.testing.assert_array_equal, whole, train(config, cut))
  config.critic.augment = ()
  with pytest.raises(UserError, match='critic.augment'):
    train(config, cut)


def test_what_cannot_be_augmented_is_refused():
  config = shrink(gan.get_config())
  config.critic.augment = ('colour',)
  with pytest.raises(UserError, match=r"critic.augment=\('colour',\): expected a tuple, each one of \['color', 'tr"):
    check_config(config)
  config.critic.augment = ()
  with config.unlocked():
    config.generator.augment = ('cutout',)
  with pytest.raises(UserError, match=r"generator.augment=\('cutout',\): samples come from this player"):
    build(config, Spec((8, 8, 1), 10))
  packed = shrink(gan.get_config())
  packed.pack, packed.critic.augment = 2, ('color',)
  with pytest.raises(UserError, match=r"critic.augment=\('color',\): with pack=2 it would take the images of a pack"):
    build(packed, Spec((8, 8, 1), 10))
  points = shrink(wgan_gp_toy.get_config())
  points.critic.augment = ('cutout',)
  with pytest.raises(UserError, match='it changes images and voxels, and the data are points'):
    build(points, Spec((2,), 0))
