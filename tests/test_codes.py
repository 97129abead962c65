"""InfoGAN and BiGAN by hand: the codes that are drawn and recognised, and what an encoder gains from them."""
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.algorithms import bigan, infogan
from gans.build import build
from gans.core import losses
from gans.core.sampling import noise
from gans.data.dataset import Spec
from gans.errors import UserError
from tests.tiny import tiny

KEY = jax.random.key(0)
NUM, CODES, Z = 300, 4, 3


def batch(num: int = NUM):
  return {'image': jax.random.normal(jax.random.key(1), (num, 2)), 'label': jnp.zeros(num, jnp.int32)}


def softplus(x):
  return np.log1p(np.exp(np.asarray(x, float)))


# InfoGAN


def info_algorithm(**fields):
  return infogan.make_algorithm(infogan.Fields(num_codes=CODES, z_dim=Z, **fields))


class InfoPlay:
  """G(z, c) = (z_0, the number of c); D(x) = x_0 with the features x; (x_0, 1) is guessed of the continuous codes."""

  def __init__(self, certainty: float):
    self.certainty = certainty  # the logit of the right code

  def generator(self, latents, label):
    assert label is None  # the code is in the latents, and is no class of the data
    z, code = latents[:, :Z], latents[:, Z:]
    np.testing.assert_array_equal(code, jax.nn.one_hot(code.argmax(-1), CODES))
    return jnp.stack([z[:, 0], code.argmax(-1).astype(jnp.float32)], axis=-1)

  def critic(self, x, label):
    assert label is None
    return x[:, 0], x

  def recogniser(self, features, label):
    assert label is None  # which would tell it the answer
    logits = self.certainty * jax.nn.one_hot(features[:, 1].astype(jnp.int32), CODES)
    return jnp.concatenate([logits, features[:, :1], jnp.ones((len(features), 1))], axis=-1)


def losses_of(algorithm, play):
  """Returns [(value, metrics)] of its updates, as numbers."""
  found = [update.loss(play, batch(), KEY) for update in algorithm.updates]
  return jax.tree.map(float, found)


def test_a_recogniser_that_knows_nothing_has_no_information():
  _, (_, metrics) = losses_of(info_algorithm(), InfoPlay(certainty=0))
  assert metrics['mutual_information'] == pytest.approx(0, abs=1e-6)


def test_one_that_knows_every_code_has_its_entropy():
  _, (_, metrics) = losses_of(info_algorithm(), InfoPlay(certainty=50))
  assert metrics['mutual_information'] == pytest.approx(np.log(CODES))


def test_the_losses_of_infogan_by_hand():
  algorithm = info_algorithm(info_weight=7.0, continuous_weight=5.0)
  (critic, critic_metrics), (generator, metrics) = losses_of(algorithm, InfoPlay(certainty=1))
  code_loss = np.log(np.e + CODES - 1) - 1
  real, z = batch()['image'][:, 0], noise(KEY, NUM, Z)
  fake = z[:, 0]
  continuous_error = float(((z[:, 1] - 1)**2).mean()) / 2  # the first continuous code is known
  information = 7 * code_loss + 5 * continuous_error
  assert critic == critic_metrics['critic_loss'] == pytest.approx(
      softplus(-real).mean() + softplus(fake).mean() + information)
  assert generator == metrics['generator_loss'] == pytest.approx(softplus(-fake).mean() + information)
  assert metrics['continuous_error'] == pytest.approx(continuous_error)
  assert metrics['mutual_information'] == pytest.approx(np.log(CODES) - code_loss)


def test_the_codes_of_training_are_equally_likely_and_apart_from_the_noise():
  seen = []

  class Spy(InfoPlay):
    def generator(self, latents, label):
      seen.append((latents[:, :Z], latents[:, Z:].argmax(-1)))
      return super().generator(latents, label)

  losses_of(info_algorithm(), Spy(certainty=0))
  z, code = seen[0]
  np.testing.assert_array_equal(z, noise(KEY, NUM, Z))
  counts = np.bincount(code, minlength=CODES)
  assert counts.sum() == NUM and (abs(counts - NUM / CODES) < 30).all()  # four standard deviations


def test_the_code_of_a_sample_is_its_label_or_its_weights():
  algorithm = info_algorithm()
  play = SimpleNamespace(generator=lambda latents, label: latents[:, Z:])
  z = jnp.zeros((3, Z))
  inputs = algorithm.inputs(KEY, {'label': jnp.array([2, 0, 3])})
  np.testing.assert_array_equal(inputs['z'], noise(KEY, 3, Z))
  np.testing.assert_array_equal(algorithm.draw(play, inputs), np.eye(CODES)[[2, 0, 3]])
  weights = jnp.array([[0, 0.5, 0.5, 0]])
  np.testing.assert_array_equal(algorithm.draw(play, {'z': z[:1], 'label': weights}), weights)


def test_a_generator_whose_label_is_one_of_the_datas_classes_is_refused():
  config = tiny('infogan')
  config.generator.label_dim = 4  # which has no embedding of codes beyond the classes
  with pytest.raises(UserError, match='label_dim=4: what this network sees has no label.*expected 0'):
    build(config, Spec((8, 8, 1), 2))


@pytest.mark.parametrize('num_classes', [0, 10])
def test_samples_are_asked_for_by_codes_whatever_the_classes(num_classes):
  experiment = build(tiny('infogan'), Spec((8, 8, 1), num_classes))
  assert experiment.num_labels == 3 and not experiment.translates


# BiGAN


def joint_play():
  """E(x) = (x_0, x_1, x_0), G(z) = (z_0, -z_1), D(x, z) = x_0 + 2 z_2."""
  return SimpleNamespace(
      encoder=lambda x, label: jnp.stack([x[:, 0], x[:, 1], x[:, 0]], axis=-1),
      generator=lambda z, label: jnp.stack([z[:, 0], -z[:, 1]], axis=-1),
      critic=lambda x, z: x[:, 0] + 2 * z[:, 2])


def test_the_losses_of_bigan_by_hand():
  algorithm = bigan.make_algorithm(bigan.Fields(z_dim=Z))
  (critic, critic_metrics), (generator, metrics) = losses_of(algorithm, joint_play())
  x, z = batch()['image'], noise(KEY, NUM, Z)
  real, fake = 3 * x[:, 0], z[:, 0] + 2 * z[:, 2]
  assert critic == critic_metrics['critic_loss'] == pytest.approx(softplus(-real).mean() + softplus(fake).mean())
  assert critic_metrics['real_score'] == pytest.approx(float(real.mean()), abs=1e-6)
  assert critic_metrics['fake_score'] == pytest.approx(float(fake.mean()), abs=1e-6)
  assert generator == metrics['generator_loss'] == pytest.approx(softplus(-fake).mean() + softplus(real).mean())


@pytest.mark.parametrize('loss', ['non_saturating', 'wasserstein'])
def test_generator_and_encoder_want_the_labels_swapped(loss):
  algorithm = bigan.make_algorithm(bigan.Fields(z_dim=Z, loss=loss))
  _, (value, _) = losses_of(algorithm, joint_play())
  x, z = batch()['image'], noise(KEY, NUM, Z)
  real, fake = 3 * x[:, 0], z[:, 0] + 2 * z[:, 2]
  assert value == pytest.approx(float(losses.BY_NAME[loss].critic(fake, real)), rel=1e-5)


def test_generator_and_encoder_both_learn_and_are_both_kept():
  algorithm = bigan.make_algorithm(bigan.Fields(z_dim=Z))
  assert algorithm.updates[1].players == algorithm.averaged == ('generator', 'encoder')


def test_bigan_reconstructs_by_way_of_the_code():
  algorithm = bigan.make_algorithm(bigan.Fields(z_dim=Z))
  found, original = algorithm.reconstruct(joint_play(), batch(4))
  x = batch(4)['image']
  np.testing.assert_array_equal(original, x)
  np.testing.assert_array_equal(found, x * jnp.array([1, -1]))
