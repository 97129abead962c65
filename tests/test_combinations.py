"""What a user combines from fields: losses, penalties, norms and networks of different papers train, and resume."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base
import gans
from gans.modes.pack import pack_generator
from gans.runs.opening import open_run
from gans.training.loop import train
from tests.conftest import cut_back
from tests.shrink import shrink

DCGAN = {'start': 2, 'hidden': (8, 4)}
COMBINATIONS = {  # {what: (algorithm, its fields, fields of the generator, fields of the critic)}
    'hinge, spectral norm, projection and R1 on DCGAN': (
        'adversarial', {'loss': 'hinge', 'penalty.name': 'r1'},
        base.dcgan_generator(norm='conditional_batch', **DCGAN),
        base.dcgan_critic(hidden=(4, 8), norm='none', spectral=True, projection=True)),
    'a relativistic loss, attention and lazy R1 and R2': (
        'adversarial', {'loss': 'relativistic', 'penalty.name': 'r1_r2', 'penalty.every': 2},
        base.dcgan_generator(attention_at=4, spectral=True, **DCGAN),
        base.dcgan_critic(hidden=(4, 8), attention_at=4, spectral=True, minibatch_stddev=4)),
    "BigGAN's generator against a residual critic with a gradient penalty": (
        'wgan_gp', {},
        base.resnet_generator(start=4, hidden=(8, 4), norm='conditional_batch', skip_z=True, label_dim=3,
                              spectral=True, initializer='orthogonal'),
        base.resnet_critic(hidden=(4,), strides=2, norm='layer', projection=True)),
    'AC-GAN with spectral norm in residual networks': (
        'acgan', {}, base.resnet_generator(start=4, hidden=(8, 4), label_dim=3),
        base.resnet_critic(hidden=(4,), strides=2, spectral=True, classify=True)),
    "a clipped WGAN with R3GAN's generator and a spectral perceptron": (
        'wgan', {}, base.r3gan_generator(start=4, hidden=(8, 8), num_blocks=1),
        base.mlp_critic(hidden=(8,), norm='layer', spectral=True)),
    'DRAGAN and least squares, residual voxels': (
        'adversarial', {'loss': 'least_squares', 'penalty.name': 'dragan', 'dataset.name': 'voxel_digits'},
        base.resnet_generator(start=4, hidden=(4, 4), norm='none', spectral=True),
        base.resnet_critic(hidden=(4,), strides=2, spectral=True, pool='mean')),
}


def combine(what: str):
  """Returns the config of a combination, for four steps on 8x8 pixels, or 8x8x8 voxels."""
  algorithm, fields, generator, critic = COMBINATIONS[what]
  config = base.get_config(algorithm)
  config.generator, config.critic = generator, critic
  config = shrink(config)
  config.dataset.image_size = 8
  config.update_from_flattened_dict(fields)
  config.checkpoint_every = 2
  return config


@pytest.mark.parametrize('what', COMBINATIONS)
def test_it_trains_and_a_resumed_run_is_the_whole_one_bit_for_bit(tmp_path, what):
  config = combine(what)
  whole = train(config, tmp_path / 'whole')
  cut = cut_back(tmp_path / 'whole', 2, tmp_path / 'cut')
  with open_run(cut) as run:
    half = run.restore(2)
  jax.tree.map(np.testing.assert_array_equal, whole, train(config, cut))
  for name, player in whole.players.items():
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(player.params))
    for u, earlier in zip(*(jax.tree.leaves(state.players[name].model_state.get('spectral', {}))
                            for state in (whole, half))):
      assert u.size == 1 or not np.array_equal(u, earlier)  # it went on
  packed = gans.load(pack_generator(tmp_path / 'whole', out=tmp_path / 'packed'))
  key = jax.random.key(0)
  assert jnp.abs(packed(key, 8) - gans.load(tmp_path / 'whole')(key, 8)).max() < 0.02


def test_each_seed_has_singular_vectors_of_its_own(tmp_path):
  config = combine('hinge, spectral norm, projection and R1 on DCGAN')
  config.seed = 1
  alone = train(config, tmp_path / 'alone')
  config.seed, config.num_seeds = 0, 2
  both = train(config, tmp_path / 'both')
  vectors = jax.tree.leaves(both.players['critic'].model_state)
  for mine, of_both in zip(jax.tree.leaves(alone.players['critic'].model_state), vectors):
    np.testing.assert_allclose(of_both[1], mine, rtol=1e-4, atol=1e-5)
  assert any(not np.allclose(*of_both) for of_both in vectors)
