"""StarGAN, CycleGAN and pix2pix by hand: the values of their losses, the pools, and the data that they refuse."""
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
import pytest

import configs.cyclegan
import configs.pix2pix
from gans.algorithms import cyclegan, pix2pix, stargan
from gans.build import build
from gans.core.losses import BY_NAME
from gans.data.dataset import Spec
from gans.errors import UserError
from gans.training.loop import prepare
from tests.shrink import shrink

KEY = jax.random.key(0)
LABELS = jnp.array([3, 0, 0, 9, 1, 7])
ATTRIBUTES = jnp.array([[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 0], [0, 0, 1], [1, 1, 0]], jnp.float32)
DOMAINS = {'label': LABELS, 'attributes': ATTRIBUTES}  # of ten classes, of three attributes


def images(seed: int = 1):
  return jax.random.uniform(jax.random.key(seed), (6, 4, 4, 1), minval=-1)


def value_of(loss, play, batch):
  """Returns (value, metrics) of a loss, as numbers."""
  value, metrics = loss(play, batch, KEY)
  return float(value), jax.tree.map(float, metrics)


def leave(x, target=None):
  """The identity as a generator."""
  del target
  return x


# StarGAN


def star_losses(**fields):
  """The losses of the critic and of the generator."""
  critic, generator = stargan.make_algorithm(stargan.Fields(**fields)).updates
  return critic.loss, generator.loss


def star_play(generator, num_classes: int = 10, score=lambda x: x[..., 0]):
  """A play whose critic knows no class."""
  return SimpleNamespace(generator=generator, critic=lambda x: (score(x), jnp.zeros((len(x), num_classes))))


@pytest.mark.parametrize('name', DOMAINS)
def test_targets_are_the_domains_of_the_batch_in_another_order(name):
  domains = DOMAINS[name]
  seen = []

  def generator(x, target):
    seen.append(target)
    return x

  _, generator_loss = star_losses()
  generator_loss(star_play(generator, num_classes=3 if name == 'attributes' else 10),
                 {'image': images(), name: domains}, KEY)
  target, back = seen
  np.testing.assert_array_equal(back, domains)
  as_rows = [sorted(map(tuple, np.reshape(each, (6, -1)))) for each in (target, domains)]
  assert as_rows[0] == as_rows[1]
  assert (target != domains).any()


def test_other_keys_give_other_targets():
  targets = {tuple(np.asarray(stargan.shuffle(jax.random.key(i), LABELS))) for i in range(5)}
  assert len(targets) == 5


def test_attributes_are_the_domain_where_there_are_any():
  assert stargan.domain_of({'label': LABELS}) is LABELS
  assert stargan.domain_of({'image': images(), 'attributes': ATTRIBUTES}) is ATTRIBUTES


def test_a_critic_that_knows_nothing_has_log_2_for_each_attribute_and_log_k_for_k_classes():
  assert float(stargan.classification(jnp.zeros((6, 3)), ATTRIBUTES)) == pytest.approx(3 * np.log(2))
  assert float(stargan.classification(jnp.zeros((6, 10)), LABELS)) == pytest.approx(np.log(10))


def test_class_losses_by_hand():
  logits = jnp.log(jnp.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]))
  assert float(stargan.classification(logits, jnp.array([0, 2]))) == pytest.approx(-np.log(0.5 * 0.1) / 2)
  odds = jnp.log(jnp.array([[3.0, 1.0], [1.0, 1 / 3]]))  # probabilities 3/4, 1/2, 1/2, 1/4
  attributes = jnp.array([[1.0, 0.0], [1.0, 1.0]])
  assert float(stargan.classification(odds, attributes)) == pytest.approx(-np.log(3 / 4 * 1 / 2 * 1 / 2 * 1 / 4) / 2)


def test_a_generator_that_leaves_images_as_they_are_has_no_cycle_loss():
  _, generator_loss = star_losses(class_weight=3.0)
  x = images()
  value, metrics = value_of(generator_loss, star_play(leave), {'image': x, 'label': LABELS})
  assert metrics['cycle_loss'] == 0 and metrics['generator_class_loss'] == pytest.approx(np.log(10))
  assert value == metrics['generator_loss'] == pytest.approx(float(-x.mean()) + 3 * np.log(10))


def test_the_cycle_loss_has_a_gradient_through_both_passes():
  """Of G(x) = a x, |x - a^2 x| has the derivative -2 a |x| for a < 1; through the second pass alone it is half."""
  _, generator_loss = star_losses(class_weight=0, cycle_weight=10.0)
  x = images()

  def loss(a):
    play = star_play(lambda x, target: a * x, score=lambda x: 0 * x[..., 0])
    return generator_loss(play, {'image': x, 'label': LABELS}, KEY)[0]

  value, derivative = jax.value_and_grad(loss)(0.6)
  size = float(jnp.abs(x).mean())
  assert float(value) == pytest.approx(10 * (1 - 0.36) * size)
  assert float(derivative) == pytest.approx(10 * -2 * 0.6 * size)


def test_the_way_back_is_to_the_images_own_domain():
  """A generator that writes its target into the image comes home only by that."""
  def write(x, target):
    return jnp.broadcast_to(target[:, None, None, None], x.shape).astype(jnp.float32)

  x = write(images(), LABELS)
  _, generator_loss = star_losses(cycle_weight=10.0)
  _, metrics = value_of(generator_loss, star_play(write), {'image': x, 'label': LABELS})
  assert metrics['cycle_loss'] == 0


def test_the_critics_loss_of_a_linear_critic():
  """D(x) = w x, of each pixel: the gradient of a score that is summed over 16 patches has the norm 4 w."""
  w = 0.7
  critic_loss, _ = star_losses(class_weight=2.0, gp_weight=5.0)
  x = images()
  play = star_play(lambda x, target: -x, score=lambda x: w * x[..., 0])
  value, metrics = value_of(critic_loss, play, {'image': x, 'label': LABELS})
  estimate = 2 * w * float(x.mean())
  penalty = (4 * w - 1)**2
  assert metrics['wasserstein_estimate'] == pytest.approx(estimate)
  assert metrics['gradient_penalty'] == pytest.approx(penalty, rel=1e-5)
  assert metrics['critic_class_loss'] == pytest.approx(np.log(10))
  assert value == metrics['critic_loss'] == pytest.approx(-estimate + 2 * np.log(10) + 5 * penalty, rel=1e-5)


def test_the_critic_learns_classes_from_real_images():
  """Their own labels, not the targets."""
  critic_loss, _ = star_losses()
  x = jnp.broadcast_to(LABELS[:, None, None, None], (6, 4, 4, 1)).astype(jnp.float32)
  play = SimpleNamespace(generator=lambda x, target: 0 * x,
                         critic=lambda x: (x[..., 0], 50 * jax.nn.one_hot(x[:, 0, 0, 0], 10)))
  _, metrics = value_of(critic_loss, play, {'image': x, 'label': LABELS})
  assert metrics['critic_class_loss'] == pytest.approx(0, abs=1e-6)


def test_stargan_reconstructs_by_way_of_a_neighbours_domain():
  algorithm = stargan.make_algorithm(stargan.Fields())
  seen = []

  def generator(x, target):
    seen.append(target)
    return x + 1

  x = images()
  found, original = algorithm.reconstruct(SimpleNamespace(generator=generator), {'image': x, 'attributes': ATTRIBUTES})
  np.testing.assert_allclose(found, x + 2, rtol=1e-6)
  np.testing.assert_array_equal(original, x)
  np.testing.assert_array_equal(seen, [ATTRIBUTES[jnp.array([5, 0, 1, 2, 3, 4])], ATTRIBUTES])


# CycleGAN


def cycle_losses(**fields):
  """The losses of the generators and of the critics."""
  generators, critics = cyclegan.make_algorithm(cyclegan.Fields(**fields)).updates
  return generators.loss, critics.loss


def cycle_play(to_a=leave, to_b=leave, **players):
  """A play whose critics say 0 of everything."""
  def say_nothing(x):
    return jnp.zeros((len(x), 2, 2))

  return SimpleNamespace(generator_ba=to_a, generator_ab=to_b,
                         **{'critic_a': say_nothing, 'critic_b': say_nothing} | players)


def both_domains():
  return {'a': images(1), 'b': images(2)}


def test_generators_that_leave_images_as_they_are_have_neither_cycle_nor_identity_loss():
  generator_loss, _ = cycle_losses()
  value, metrics = value_of(generator_loss, cycle_play(), both_domains())
  assert metrics == {'adversarial_loss': 2, 'cycle_loss': 0, 'identity_loss': 0, 'generator_loss': 2} and value == 2


def test_the_generators_loss_by_hand():
  """With G_ab(x) = x / 2 and G_ba(x) = 4 x a way there and back doubles an image."""
  generator_loss, _ = cycle_losses(cycle_weight=3.0, identity_weight=7.0)
  batch = both_domains()
  play = cycle_play(lambda x: 4 * x, lambda x: x / 2,
                    critic_a=lambda x: x[..., 0] / 4, critic_b=lambda x: 2 * x[..., 0])
  value, metrics = value_of(generator_loss, play, batch)
  a, b = (np.asarray(batch[name], float) for name in 'ab')
  size_a, size_b = np.abs(a).mean(), np.abs(b).mean()
  adversarial = ((a - 1)**2).mean() + ((b - 1)**2).mean()
  expected = adversarial + 3 * (size_a + size_b) + 7 * (3 * size_a + size_b / 2)
  assert metrics['cycle_loss'] == pytest.approx(size_a + size_b, rel=1e-5)
  assert metrics['identity_loss'] == pytest.approx(3 * size_a + size_b / 2, rel=1e-5)
  assert value == metrics['generator_loss'] == pytest.approx(expected, rel=1e-5)


def test_without_its_weight_there_is_no_identity_loss():
  generator_loss, _ = cycle_losses(identity_weight=0.0)
  value, metrics = value_of(generator_loss, cycle_play(lambda x: 2 * x, lambda x: x / 2), both_domains())
  assert metrics == {'adversarial_loss': 2, 'cycle_loss': 0, 'generator_loss': 2} and value == 2


@pytest.mark.parametrize('pool_size', [0, 5])
def test_the_critics_loss_by_hand(pool_size):
  """Half of (E[(D(real) - 1)^2] + E[D(fake)^2]) of each domain; a pool, if any, says what is fake."""
  _, critic_loss = cycle_losses(pool_size=pool_size)
  pools = {'pool_a': lambda x: 3 + 0 * x, 'pool_b': lambda x: 5 + 0 * x} if pool_size else {}
  play = cycle_play(lambda x: 7 + 0 * x, lambda x: 11 + 0 * x, **pools,
                    critic_a=lambda x: x[..., 0], critic_b=lambda x: 2 * x[..., 0])
  batch = {'a': jnp.full((6, 4, 4, 1), 0.5), 'b': jnp.zeros((6, 4, 4, 1))}
  value, metrics = value_of(critic_loss, play, batch)
  fake_a, fake_b = (3, 2 * 5) if pool_size else (7, 2 * 11)
  assert metrics == {'critic_a_loss': (0.25 + fake_a**2) / 2, 'critic_b_loss': (1 + fake_b**2) / 2}
  assert value == sum(metrics.values())


def test_a_target_picks_the_generator_and_weights_blend_both():
  algorithm = cyclegan.make_algorithm(cyclegan.Fields())
  play = cycle_play(lambda x: x + 10, lambda x: x + 20)
  x = images()[:4]
  batch = {'image': x, 'label': jnp.array([0, 1, 1, 0])}
  shift = algorithm.draw(play, algorithm.inputs(KEY, batch)) - x
  np.testing.assert_allclose(shift[:, 0, 0, 0], [10, 20, 20, 10], rtol=1e-5)
  weights = jnp.array([[1, 0], [0, 1], [0.5, 0.5], [0.9, 0.1]])
  drawn = algorithm.draw(play, {'image': x, 'label': weights})
  np.testing.assert_allclose(drawn, x + jnp.array([10, 20, 15, 11.0])[:, None, None, None], rtol=1e-5)


def test_voxels_are_translated_as_images_are():
  algorithm = cyclegan.make_algorithm(cyclegan.Fields())
  voxels = jnp.zeros((2, 4, 4, 4, 1))
  drawn = algorithm.draw(cycle_play(lambda x: x + 1, lambda x: x + 2), {'image': voxels, 'label': jnp.array([1, 0])})
  assert drawn.shape == voxels.shape
  np.testing.assert_array_equal(drawn[:, 0, 0, 0, 0], [2, 1])


def test_cyclegan_reconstructs_both_domains():
  algorithm = cyclegan.make_algorithm(cyclegan.Fields())
  batch = both_domains()
  found, original = algorithm.reconstruct(cycle_play(lambda x: 2 * x, lambda x: x + 1), batch)
  a, b = batch['a'], batch['b']
  np.testing.assert_allclose(found, jnp.concatenate([2 * (a + 1), 2 * b + 1]), rtol=1e-6)
  np.testing.assert_array_equal(original, jnp.concatenate([a, b]))


# The pools of CycleGAN


def numbered(first: int, num: int):
  """Images [num,1,1,1] that are told apart by their only pixel: first, first + 1 and so on."""
  return jnp.arange(first, first + num, dtype=jnp.float32).reshape(-1, 1, 1, 1)


def offer(pool, state, offered, key: int = 0):
  """Offers images to a pool; returns (numbers of what comes out, of what is kept, state)."""
  found, state = pool.apply(state, offered, train=True, mutable=['memory'], rngs=jax.random.key(key))
  return found.ravel(), state['memory']['images'].ravel(), state


@pytest.fixture(scope='module')
def full_pool():
  """A pool of three images, 1, 2 and 3, and its state."""
  pool = cyclegan.ImagePool(3)
  state = pool.init(jax.random.key(0), numbered(1, 2), train=True)
  assert state['memory']['count'] == 0 and not state['memory']['images'].any()  # initialisation keeps nothing
  found, kept, state = offer(pool, state, numbered(1, 2))
  np.testing.assert_array_equal(found, [1, 2])
  np.testing.assert_array_equal(kept, [1, 2, 0])
  found, kept, state = offer(pool, state, numbered(3, 1))
  np.testing.assert_array_equal(found, [3])
  np.testing.assert_array_equal(kept, [1, 2, 3])
  assert state['memory']['count'] == 3
  return pool, state


def test_a_full_pool_exchanges_every_second_image_for_one_that_it_kept(full_pool):
  pool, state = full_pool
  offered = numbered(4, 400)
  found, kept, state = offer(pool, state, offered)
  is_exchanged = found != offered.ravel()
  assert 160 < is_exchanged.sum() < 240  # four standard deviations about 200
  assert (found[is_exchanged] < offered.ravel()[is_exchanged]).all()  # came earlier
  # Nothing is lost and nothing is made: what was kept or offered has come out or is kept.
  np.testing.assert_array_equal(np.sort(np.concatenate([found, kept])), np.arange(1, 404))
  assert state['memory']['count'] == 3


def test_every_place_of_a_pool_is_exchanged(full_pool):
  pool, state = full_pool
  _, kept, _ = offer(pool, state, numbered(4, 60))
  assert (kept > 3).all()


def test_a_pool_that_becomes_full_exchanges_the_rest_of_a_batch():
  pool = cyclegan.ImagePool(3)
  state = pool.init(jax.random.key(0), numbered(1, 2), train=True)
  found, kept, _ = offer(pool, state, numbered(1, 50))
  np.testing.assert_array_equal(found[:3], [1, 2, 3])
  assert (found[3:] != np.arange(4, 51)).any()
  # Those that filled it came out as well.
  np.testing.assert_array_equal(np.sort(np.concatenate([found, kept])), [1, 1, 2, 2, 3, 3, *range(4, 51)])


def test_a_pool_is_a_function_of_its_key(full_pool):
  pool, state = full_pool
  first, again, other = (offer(pool, state, numbered(4, 20), key)[0] for key in (0, 0, 1))
  np.testing.assert_array_equal(first, again)
  assert (first != other).any()


def test_a_pool_lets_images_pass_where_nothing_is_trained(full_pool):
  pool, state = full_pool
  offered = numbered(4, 20)
  np.testing.assert_array_equal(pool.apply(state, offered, train=False), offered)
  found, after = pool.apply(state, offered, train=False, mutable=['memory'])
  np.testing.assert_array_equal(found, offered)
  jax.tree.map(np.testing.assert_array_equal, after, state)


def test_pools_are_players_without_parameters_or_are_not_there():
  config = shrink(configs.cyclegan.get_config())
  spec = Spec((8, 8, 1), 2)
  assert build(config, spec).modules.keys() == {
      'generator_ab', 'generator_ba', 'critic_a', 'critic_b', 'pool_a', 'pool_b'}
  config.pool_size = 0
  assert build(config, spec).modules.keys() == {'generator_ab', 'generator_ba', 'critic_a', 'critic_b'}
  config.microbatches = 2
  build(config, spec)
  config.pool_size = 1
  with pytest.raises(UserError, match="microbatches=2: the player 'pool_a' remembers what it saw"):
    build(config, spec)


# pix2pix


def test_the_losses_of_pix2pix_by_hand():
  """D(a, b) = a + 3 b and G(a) = a / 2, of each pixel."""
  critic, generator = pix2pix.make_algorithm(pix2pix.Fields(l1_weight=20.0)).updates
  batch = both_domains()
  play = SimpleNamespace(generator=lambda a: a / 2, critic=lambda a, b: (a + 3 * b)[..., 0])
  a, b = (np.asarray(batch[name], float) for name in 'ab')
  real, fake = a + 3 * b, 2.5 * a

  def softplus(x):
    return np.log1p(np.exp(x))

  value, metrics = value_of(critic.loss, play, batch)
  assert value == metrics['critic_loss'] == pytest.approx((softplus(-real).mean() + softplus(fake).mean()) / 2)
  assert metrics['real_score'] == pytest.approx(real.mean(), abs=1e-6)
  assert metrics['fake_score'] == pytest.approx(fake.mean(), abs=1e-6)
  value, metrics = value_of(generator.loss, play, batch)
  l1 = np.abs(b - a / 2).mean()
  assert metrics['l1'] == pytest.approx(l1)
  assert value == metrics['generator_loss'] == pytest.approx(softplus(-fake).mean() + 20 * l1)


@pytest.mark.parametrize('loss', BY_NAME)
def test_any_loss_judges_patches_as_it_judges_as_many_images(loss):
  critic, _ = pix2pix.make_algorithm(pix2pix.Fields(loss=loss)).updates
  batch = both_domains()
  play = SimpleNamespace(generator=leave, critic=lambda a, b: (a - b)[..., 0])
  value, _ = value_of(critic.loss, play, batch)
  difference = (batch['a'] - batch['b']).ravel()
  assert value == pytest.approx(float(BY_NAME[loss].critic(difference, jnp.zeros(96))) / 2, rel=1e-5)


def test_samples_of_pix2pix_are_made_of_images_alone():
  algorithm = pix2pix.make_algorithm(pix2pix.Fields())
  x = images()
  inputs = algorithm.inputs(KEY, {'image': x, 'label': LABELS})
  assert list(inputs) == ['image']
  np.testing.assert_array_equal(algorithm.draw(SimpleNamespace(generator=lambda x: -x), inputs), -x)


# The data that they take


def folder(path, classes):
  """Writes two images into a folder for each class."""
  for name in classes:
    (path / name).mkdir(parents=True)
    for i in range(2):
      Image.new('L', (8, 8), 100 * i).save(path / name / f'{i}.png')
  return path


def small(module, path):
  config = shrink(module.get_config())
  config.dataset.update({'name': 'folder', 'path': str(path), 'image_size': 8})
  config.batch_size = 2
  return config


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))


def test_pix2pix_refuses_images_that_are_no_pairs(tmp_path):
  config = small(configs.pix2pix, folder(tmp_path / 'images', 'AB'))
  with pytest.raises(UserError, match=r"dataset.path='.*' has no pairs of images, which the algorithm 'pix2pix' needs: "
                     r"expected a data set such as 'mnist_5k_edges' or 'folder_pairs'; configs/cyclegan.py does"):
    prepare(config, tmp_path / 'run')
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('classes, num', [('', 'no'), ('A', 'no'), ('ABC', 3)])
def test_cyclegan_refuses_what_has_not_two_classes(tmp_path, classes, num):
  path = folder(tmp_path / 'images', classes) if classes else folder(tmp_path, ['images']) / 'images'
  config = small(configs.cyclegan, path)
  with pytest.raises(UserError, match=f"dataset.path='.*' has images of {num} classes: the algorithm 'cyclegan' "
                     "translates between two, such as the subfolders A and B of a 'folder', each with images"):
    prepare(config, tmp_path / 'run')


def test_cyclegan_refuses_ten_digits(tmp_path):
  config = shrink(configs.cyclegan.get_config())
  config.dataset.name = 'mnist_5k'
  with pytest.raises(UserError, match="dataset.name='mnist_5k' has images of 10 classes: the algorithm 'cyclegan' tr"):
    prepare(config, tmp_path / 'run')
