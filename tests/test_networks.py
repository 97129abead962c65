"""Shapes, ranges and exact parameter counts of every config's networks."""
import importlib
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.build import build
from gans.core.game import create_state
from gans.data.dataset import Spec
from gans.errors import UserError
from gans.networks import dcgan, mlp

# Parameters of convolutions and norms: of a generator of digits from a map of 64 channels and its norm on, and of a
# critic to such a map.
DIGITS_FROM_7X7 = 2 * 64 + 4**2 * 64 * 32 + 32 + 2 * 32 + 4**2 * 32 + 1
DIGITS_TO_7X7 = 4**2 * 32 + 32 + 4**2 * 32 * 64 + 64 + 2 * 64
# (config, variant): parameters of each player, worked out by hand where they are few.
PARAMETERS = {
    ('wgan_gp', ''): {'generator': 2_203_937, 'critic': 42_353},
    ('wgan_gp', 'source'): {'generator': 747_841, 'critic': 9_105},
    ('gan', ''): {'generator': 65 * 256 + 2 * 256 + 257 * 512 + 2 * 512 + 513 * 784,
                  'critic': 785 * 512 + 513 * 256 + 257},
    ('gan', 'pacgan'): {  # of two numbers; each of 200 units is the largest of five
        'generator': 3 * 400 + 3 * 401 * 400 + 4 * 2 * 400 + 401 * 2,
        'critic': 3 * 1000 + 2 * 201 * 1000 + 201},
    ('dcgan', ''): {'generator': 237_345, 'critic': DIGITS_TO_7X7 + (7 * 7 * 64 + 1) * 256 + 257},
    ('wgan', ''): {'generator': 1_676_577, 'critic': 36_641},  # 237,345 without its dense layer
    ('wgan_gp_celeba', ''): {'generator': 1_100_707, 'critic': 175_537},
    ('wgan_gp_pokemon', ''): {'generator': 2_305_107, 'critic': 2_271_153},
    ('wgan_gp_animals', ''): {'generator': 430_115, 'critic': 168_033},
    ('wgan_gp_toy', ''): {
        'generator': 2 * 512 + 512 + 2 * (512 * 513) + 513 * 2,
        'critic': 2 * 512 + 512 + 2 * (512 * 513) + 513},
    ('wgan_gp_toy', 'narrow'): {
        'generator': 2 * 128 + 128 + 2 * (128 * 129) + 129 * 2,
        'critic': 2 * 128 + 128 + 2 * (128 * 129) + 129},
    ('cgan', ''): {'generator': 10 * 10 + 111 * 256 + 2 * 256 + 257 * 512 + 2 * 512 + 513 * 784,
                   'critic': 10 * 784 + (2 * 784 + 1) * 512 + 513 * 256 + 257},
    ('acgan', ''): {'generator': 268_805, 'critic': 68_011},
    ('infogan', ''): {
        'generator': (16 + 10 + 1) * 7 * 7 * 64 + DIGITS_FROM_7X7,
        'critic': DIGITS_TO_7X7 + (7 * 7 * 64 + 1) * 256 + 257,
        'recogniser': 257 * 64 + 65 * (10 + 2)},
    ('bigan', ''): {
        'generator': (50 + 1) * 7 * 7 * 64 + DIGITS_FROM_7X7,
        'encoder': DIGITS_TO_7X7 + (7 * 7 * 64 + 1) * 50,
        'critic': DIGITS_TO_7X7 + (50 + 1) * 128 + (7 * 7 * 64 + 128 + 1) * 128 + 129},
    ('pix2pix', ''): {
        'generator': sum([
            4**2 * (1 * 32 + 32 * 64 + 64 * 128), 32 + 2 * 64 + 128,  # the encoder: kernels, biases or norms
            4**2 * (128 * 64 + (64 + 64) * 32 + (32 + 32) * 1), 2 * 64 + 2 * 32 + 1]),
        'critic': 4**2 * (2 * 32 + 32 * 64 + 64 * 1) + 32 + 2 * 64 + 1},
    ('cyclegan', ''): {
        **dict.fromkeys(['generator_ab', 'generator_ba'], sum([
            3**2 * (3 * 16 + 16 * 32 + 32 * 64), 2 * (16 + 32 + 64),  # kernels, norms
            2 * 2 * (3**2 * 64 * 64 + 2 * 64),  # residual blocks
            3**2 * (64 * 32 + 32 * 16 + 16 * 3), 2 * (32 + 16)])),
        **dict.fromkeys(['critic_a', 'critic_b'], 4**2 * (3 * 32 + 32 * 64 + 64 * 1) + 32 + 2 * 64 + 1),
        'pool_a': 0, 'pool_b': 0},
    ('stargan', ''): {
        'generator': sum([
            3**2 * (1 + 10) * 16 + 4**2 * (16 * 32 + 32 * 64), 2 * (16 + 32 + 64),
            2 * 2 * (3**2 * 64 * 64 + 2 * 64),
            4**2 * (64 * 32 + 32 * 16) + 3**2 * 16 * 1, 2 * (32 + 16)]),
        'critic': 4**2 * (1 * 32 + 32 * 64 + 64 * 128) + 32 + 64 + 128 + 3**2 * 128 + 4 * 4 * 128 * 10},
    ('stargan', 'faces'): {
        'generator': sum([
            7**2 * (3 + 5) * 16 + 4**2 * (16 * 32 + 32 * 64), 2 * (16 + 32 + 64),
            3 * 2 * (3**2 * 64 * 64 + 2 * 64),
            4**2 * (64 * 32 + 32 * 16) + 7**2 * 16 * 3, 2 * (32 + 16)]),
        'critic': sum([
            4**2 * (3 * 32 + 32 * 64 + 64 * 128 + 128 * 256 + 256 * 256), 32 + 64 + 128 + 256 + 256,
            3**2 * 256, 2 * 2 * 256 * 5])},
    ('stargan', 'paper'): {'generator': 8_430_528, 'critic': 44_762_048},  # the authors' at 128 pixels
    ('gan_3d', ''): {
        'generator': (200 + 1) * 3**3 * 64 + 4**3 * (64 * 32 + 32 * 16 + 16 * 1) + 2 * (64 + 32 + 16),
        'critic': 4**3 * (1 * 16 + 16 * 32 + 32 * 64) + 2 * (32 + 64) + 3**3 * 64 + 1},
    ('gan_3d', 'wgan_gp'): {
        'generator': (64 + 1) * 3**3 * 64 + 4**3 * (64 * 32 + 32 * 16 + 16 * 1) + 2 * (64 + 32 + 16),
        'critic': 4**3 * (1 * 16 + 16 * 32 + 32 * 64) + 2 * (32 + 64) + 3**3 * 64 + 1},
    ('gan_3d', 'modelnet'): {
        'generator': (200 + 1) * 4**3 * 64 + 4**3 * (64 * 32 + 32 * 16 + 16 * 1) + 2 * 10 * (64 + 32 + 16),
        'critic': 4**3 * (1 * 16 + 16 * 32 + 32 * 64) + 4**3 * 64 + 1 + 10 * 4**3 * 64},
    ('r3gan', ''): {'generator': 2_203_937, 'critic': 42_353},
    ('r3gan', 'stacked_mnist'): {'generator': 1_676_577 + 4**2 * 32 * 2 + 2, 'critic': 42_353 + 4**2 * 2 * 16},
    ('r3gan', 'small'): {
        'generator': sum([
            65 * 512 + 2 * 513 * 512 + 3 * 2 * 512, 513 * 4 * 4 * 128 + 2 * 128,
            4**2 * (128 * 64 + 64 * 32 + 32 * 3), 64 + 32 + 3, 2 * (64 + 32)]),
        'critic': 4**2 * (3 * 32 + 32 * 64 + 64 * 128) + 32 + 64 + 128 + 4 * 4 * 128 + 1},
    ('r3gan', 'cifar10_cpu'): {
        'generator': sum([
            10 * 10, 75 * 4 * 4 * 128 + 2 * 128,  # z and the label's embedding come first
            4**2 * (128 * 64 + 64 * 32 + 32 * 3), 64 + 32 + 3, 2 * (64 + 32)]),
        'critic': sum([
            4**2 * (3 * 32 + 32 * 64 + 64 * 128), 32 + 64 + 128, 4 * 4 * 128 + 1, 10 * 4 * 4 * 128])},
    **dict.fromkeys([('r3gan', 'faces_cpu'), ('r3gan', 'pokemon_cpu')], {
        'generator': sum([
            65 * 4 * 4 * 256 + 2 * 256,
            4**2 * (256 * 128 + 128 * 64 + 64 * 32 + 32 * 3), 128 + 64 + 32 + 3, 2 * (128 + 64 + 32)]),
        'critic': sum([
            4**2 * (3 * 32 + 32 * 64 + 64 * 128 + 128 * 256), 32 + 64 + 128 + 256, 4 * 4 * 256 + 1])}),
    ('r3gan', 'cifar10'): {'generator': 20_781_952, 'critic': 21_280_512, 'changes': 0},  # the authors'
    ('r3gan', 'faces'): {'generator': 7_063_072, 'critic': 7_030_816, 'changes': 0},
    ('gan_3d', 'paper'): {
        'generator': 17_569_664,
        'critic': 4**3 * (1 * 64 + 64 * 128 + 128 * 256 + 256 * 512) + 2 * (128 + 256 + 512) + 4**3 * 512 + 1},
}
# Residual networks for digits: a generator of the widths 64, 32 and 16 without its norms; a critic of 32, 64 and 64.
RESIDUAL_DIGITS = sum([
    (64 + 1) * 7 * 7 * 64, 3**2 * (64 * 32 + 32 * 32 + 32 * 16 + 16 * 16 + 16 * 1) + 2 * 32 + 2 * 16 + 1,
    64 * 32 + 32 + 32 * 16 + 16])  # 1x1
SPECTRAL_DIGITS = sum([
    3**2 * (1 * 32 + 32 * 32 + 32 * 64 + 64 * 64 + 64 * 64 + 64 * 64) + 2 * (32 + 64 + 64),
    1 * 32 + 32 + 32 * 64 + 64, 64 + 1])
CONDITIONAL_DIGITS = RESIDUAL_DIGITS + 2 * 10 * (64 + 32 + 32 + 16) + 2 * 16  # a scale and a shift a class
# Of attention in a map of 32 channels: theta and phi, g and o, gamma.
ATTENTION_OF_32 = 2 * 32 * 4 + 2 * 32 * 16 + 1
PARAMETERS |= {
    ('sngan', ''): {'generator': RESIDUAL_DIGITS + 2 * (64 + 32 + 32 + 16 + 16), 'critic': SPECTRAL_DIGITS},
    ('sngan', 'cifar10'): {'generator': 4_276_739, 'critic': 1_053_825},  # the authors', as the next
    ('sngan_projection', ''): {'generator': CONDITIONAL_DIGITS, 'critic': SPECTRAL_DIGITS + 10 * 64},
    ('sngan_projection', 'cifar10'): {'generator': 4_304_387, 'critic': 1_055_105},
    ('sagan', ''): {
        'generator': CONDITIONAL_DIGITS + ATTENTION_OF_32, 'critic': SPECTRAL_DIGITS + 10 * 64 + ATTENTION_OF_32},
    ('sagan', 'cifar10'): {
        'generator': 4_304_387 + 2 * 256 * 32 + 2 * 256 * 128 + 1,
        'critic': 1_055_105 + 2 * 128 * 16 + 2 * 128 * 64 + 1},
    ('biggan_small', ''): {
        'generator': sum([
            RESIDUAL_DIGITS - (64 - 20) * 7 * 7 * 64, 10 * 32,  # z's first part of three, the embedding
            2 * (20 + 32) * (64 + 32 + 32 + 16), 2 * 16, ATTENTION_OF_32]),
        'critic': SPECTRAL_DIGITS + 10 * 64 + ATTENTION_OF_32},
    ('biggan_small', 'cifar10'): {'generator': 9_416_196, 'critic': 2_415_170},
    ('wgan_gp_resnet', ''): {
        'generator': RESIDUAL_DIGITS + 2 * (64 + 32 + 32 + 16 + 16),
        'critic': sum([
            3**2 * (1 * 16 + 16 * 16 + 16 * 32 + 32 * 32 + 32 * 64 + 64 * 64) + 2 * (16 + 32 + 64),
            1 * 16 + 16 + 16 * 32 + 32 + 32 * 64 + 64, 64 + 1])},
    ('wgan_gp_resnet', 'cifar10'): {'generator': 1_204_483, 'critic': 1_053_825},
}
EXPERIMENTS = sorted(path.stem for path in pathlib.Path('configs').glob('*.py') if path.stem != 'base')


def count(params) -> int:
  return sum(p.size for p in jax.tree.leaves(params))


def init(module, x):
  return jax.eval_shape(lambda: module.init(jax.random.key(0), x, jnp.zeros(len(x), jnp.int32), train=False))['params']


def test_table_has_every_config():
  assert {name for name, _ in PARAMETERS} == set(EXPERIMENTS)


def init_and_apply(module, x, label=None):
  """Returns (output, variables), compiled: op by op it takes seconds."""
  return jax.jit(lambda x: module.init_with_output(jax.random.key(0), x, label, train=True))(x)


def spec_of(config) -> Spec:
  """What the data of a config look like; no data are read."""
  name, size = config.dataset.name, config.dataset.image_size
  if name == 'ring8':
    return Spec((2,), 10)
  if name.startswith('stacked_mnist'):
    return Spec((size, size, 3), 1000)
  if name.startswith('voxel_'):
    return Spec((size, size, size, 1), 10)
  if name in ('mnist_5k_edges', 'mnist_5k_coloured'):
    return Spec((size, size, 3 if name == 'mnist_5k_coloured' else 1), 2, paired=True)
  return Spec((size, size, 1 if size == 28 else 3), 10, tuple(config.dataset.attributes))


@pytest.mark.parametrize('name, variant', PARAMETERS)
def test_exact_parameter_counts(name, variant):
  """They are those of the players as a run creates them, each from what a loss first calls it with."""
  config = importlib.import_module(f'configs.{name}').get_config(variant)
  experiment = build(config, spec_of(config))
  state = jax.eval_shape(lambda: create_state(
      jax.random.PRNGKey(0), experiment.algorithm, experiment.modules, experiment.optimizers,
      experiment.traced.first_inputs))
  assert {player: count(state.players[player].params) for player in state.players} == PARAMETERS[name, variant]


def test_dcgan_counts_by_hand():
  generator = dcgan.Generator((28, 28, 1), start=7, hidden=(8, 4))
  assert count(init(generator, jnp.zeros((1, 6)))) == sum([
      (6 + 1) * 7 * 7 * 8, 2 * 8,  # dense, norm
      4 * 4 * 8 * 4 + 4, 2 * 4,  # transposed convolution, norm
      4 * 4 * 4 * 1 + 1])
  critic = dcgan.Critic(hidden=(4, 8))
  assert count(init(critic, jnp.zeros((1, 28, 28, 1)))) == sum([
      4 * 4 * 1 * 4 + 4, 4 * 4 * 4 * 8 + 8, 2 * 8, 7 * 7 * 8 + 1])
  assert count(init(critic.clone(norm_first=True), jnp.zeros((1, 28, 28, 1)))) - count(
      init(critic, jnp.zeros((1, 28, 28, 1)))) == 2 * 4


def test_3d_gan_has_the_generator_of_the_paper():
  """Wu et al. 2016, 64^3: z [200] -> 512 x 4^3 -> 256 x 8^3 -> 128 x 16^3 -> 64 x 32^3 -> 64^3, without biases."""
  generator = dcgan.Generator(
      (64, 64, 64, 1), start=1, hidden=(512, 256, 128, 64), strides=(1, 2, 2, 2, 2),
      padding=('VALID', 'SAME', 'SAME', 'SAME', 'SAME'), use_bias=False)
  kernels = 4**3 * (200 * 512 + 512 * 256 + 256 * 128 + 128 * 64 + 64 * 1)
  norms = 2 * (512 + 256 + 128 + 64)
  assert count(init(generator, jnp.zeros((1, 200)))) == kernels + norms == 17_569_664


@pytest.mark.parametrize('module, x, biases', [
    (dcgan.Generator((8, 8, 1), start=2, hidden=(4, 3)), jnp.zeros((1, 6)), 3 + 1),
    (dcgan.Critic((4, 3)), jnp.zeros((1, 8, 8, 1)), 4 + 3),
])
def test_use_bias_is_that_of_the_convolutions(module, x, biases):
  without = module.clone(use_bias=False)
  assert count(init(module, x)) - count(init(without, x)) == biases


@pytest.mark.parametrize('norm', ['batch', 'layer', 'none'])
@pytest.mark.parametrize('generator, critic, shape', [
    (dcgan.Generator((8, 8, 8, 1), start=2, hidden=(4, 4)), dcgan.Critic((4, 4)), (8, 8, 8, 1)),
    (dcgan.Generator((16, 1), start=4, hidden=(4, 4)), dcgan.Critic((4, 4)), (16, 1)),
    (dcgan.Generator((28, 28, 1), hidden=(4, 4)), dcgan.Critic((4, 4)), (28, 28, 1)),
    (mlp.Generator((6, 6, 3), (8,)), mlp.Critic((8,)), (6, 6, 3)),
])
def test_shapes_and_ranges(generator, critic, shape, norm):
  generator, critic = generator.clone(norm=norm), critic.clone(norm=norm)
  label = jnp.zeros(5, jnp.int32)
  image, _ = init_and_apply(generator, 100 * jnp.ones((5, 8)), label)
  score, _ = init_and_apply(critic, image, label)
  assert image.shape == (5, *shape) and score.shape == (5,)
  assert image.dtype == score.dtype == jnp.float32
  assert jnp.abs(image).max() <= 1


def test_points_are_not_squashed():
  image, _ = init_and_apply(mlp.Generator((2,), output='linear'), 1e3 * jnp.ones((1, 4)))
  assert image.shape == (1, 2) and jnp.abs(image).max() > 1


def test_maxout_takes_the_largest_of_each_units_numbers():
  """A unit of three lines, max(x, -x, 2): by hand."""
  critic = mlp.Critic((1,), maxout=3)
  variables = {'params': {'Dense_0': {'kernel': jnp.array([[1.0, -1.0, 0.0]]), 'bias': jnp.array([0.0, 0.0, 2.0])},
                          'Dense_1': {'kernel': jnp.ones((1, 1)), 'bias': jnp.zeros(1)}}}
  score = critic.apply(variables, jnp.array([[-5.0], [1.0], [3.0]]), None, train=False)
  np.testing.assert_array_equal(score, [5.0, 2.0, 3.0])


def test_layer_norm_keeps_examples_apart_and_batch_norm_does_not():
  x = jax.random.normal(jax.random.key(0), (4, 28, 28, 1))
  for norm, apart in (('layer', True), ('none', True), ('batch', False)):
    critic = dcgan.Critic((4, 4), norm=norm)
    _, variables = init_and_apply(critic, x)
    score = jax.jit(lambda x: critic.apply(variables, x, None, train=True, mutable=['batch_stats'])[0])
    moved = score(x.at[1:].multiply(3.0))[0] - score(x)[0]
    assert (abs(float(moved)) < 1e-6) == apart


def test_initial_weights_are_normal_0_02_where_asked():
  _, variables = init_and_apply(dcgan.Generator((28, 28, 1)), jnp.zeros((1, 64)))
  kernel = variables['params']['ConvTranspose_0']['kernel']
  assert float(kernel.std()) == pytest.approx(0.02, rel=0.02) and abs(float(kernel.mean())) < 1e-3


def test_bfloat16_computes_so_but_keeps_float32_parameters_and_scores():
  critic = dcgan.Critic((4, 4), dtype=jnp.bfloat16)
  score, variables = init_and_apply(critic, jnp.ones((2, 28, 28, 1)))
  assert score.dtype == jnp.float32
  assert {p.dtype for p in jax.tree.leaves(variables)} == {jnp.dtype('float32')}


@pytest.mark.parametrize('module, x', [
    (dcgan.Generator((16, 16, 3), start=4, hidden=(8, 4)), jnp.ones((3, 8))),
    (dcgan.Critic((4, 8), dense=(4,), dropout=0.3), jnp.ones((3, 16, 16, 3))),
    (mlp.Generator((2, 2, 3), (8, 8), norm='batch'), jnp.ones((64, 8))),
    (mlp.Critic((8, 8), norm='layer', dropout=0.3), jnp.ones((64, 2, 2, 3))),
], ids=['dcgan generator', 'dcgan critic', 'mlp generator', 'mlp critic'])
def test_remat_keeps_less_for_the_same_gradients(module, x):
  x, remat = x + jax.random.normal(jax.random.key(1), x.shape), module.clone(remat=True)
  (_, variables), (_, same) = init_and_apply(module, x), init_and_apply(remat, x)
  jax.tree.map(np.testing.assert_array_equal, variables, same)
  params = variables.pop('params')

  def apply(module, params, x):
    return module.apply({'params': params, **variables}, x, None, train=True, mutable=list(variables),
                        rngs={'dropout': jax.random.key(2)})[0]

  def penalty(module, params):  # a gradient's gradient, as WGAN-GP has
    return jnp.mean(jax.grad(lambda x: jnp.sum(jnp.sin(apply(module, params, x))))(x) ** 2)

  want, got = (jax.jit(jax.value_and_grad(lambda params, module=module: penalty(module, params)))(params)
               for module in (module, remat))
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), want, got)

  def kept(module) -> int:
    pullback = jax.eval_shape(lambda params: jax.vjp(lambda params: apply(module, params, x), params)[1], params)
    return sum(leaf.size for leaf in jax.tree.leaves(pullback))

  assert kept(remat) < 0.8 * kept(module)


@pytest.mark.parametrize('upsample', ['nearest', 'bilinear'])
@pytest.mark.parametrize('positions', [(16, 16), (16, 16, 16)])
def test_enlarging_then_convolving_makes_the_same_sizes(positions, upsample):
  generator = dcgan.Generator((*positions, 3), start=4, hidden=(4, 4), kernels=3, upsample=upsample)
  image, variables = init_and_apply(generator, jnp.ones((2, 8)))
  kernel_size = (3,) * len(positions)
  assert image.shape == (2, *positions, 3)
  assert variables['params']['Conv_0']['kernel'].shape == (*kernel_size, 4, 4)


@pytest.mark.parametrize('start', [1, 4])
def test_voxels_of_one_position_or_a_map_of_them_come_first(start):
  generator = dcgan.Generator((4, 4, 4, 1), start=start, hidden=(3,) * (1 + (start > 1)), kernels=4,
                              strides=1, padding=('VALID', 'SAME') if start == 1 else 'SAME')
  voxels, _ = init_and_apply(generator, jnp.ones((2, 8)))
  assert voxels.shape == (2, 4, 4, 4, 1)


def test_a_convolution_to_one_position_scores_voxels():
  critic = dcgan.Critic((3,), strides=(2, 1), padding=('SAME', 'VALID'), head='conv')
  score, variables = init_and_apply(critic, jnp.ones((2, 8, 8, 8, 1)))
  assert score.shape == (2,) and variables['params']['Conv_1']['kernel'].shape == (4, 4, 4, 3, 1)


@pytest.mark.parametrize('generator, critic', [
    (dcgan.Generator((28, 28, 1), num_classes=3, hidden=(4, 4), label_dim=5),
     dcgan.Critic(num_classes=3, hidden=(4, 4), label_dim=1)),
    (mlp.Generator((28, 28, 1), num_classes=3, hidden=(8,), label_dim=5),
     mlp.Critic(num_classes=3, hidden=(8,), label_dim=1)),
])
def test_labels_matter_where_asked_for(generator, critic):
  z, image = jnp.ones((2, 6)), jnp.ones((2, 28, 28, 1))
  for module, x in ((generator.clone(norm='none'), z), (critic, image)):
    out, _ = init_and_apply(module, x, jnp.array([0, 2]))
    assert jnp.abs(out[0] - out[1]).max() > 0
    out, _ = init_and_apply(module.clone(label_dim=0), x, jnp.array([0, 2]))
    assert jnp.abs(out[0] - out[1]).max() == 0


def test_classifying_critic_returns_scores_and_logits():
  for critic in (dcgan.Critic(num_classes=7, hidden=(4, 4), classify=True),
                 mlp.Critic(num_classes=7, hidden=(4,), classify=True)):
    (score, logits), _ = init_and_apply(critic, jnp.ones((2, 28, 28, 1)))
    assert score.shape == (2,) and logits.shape == (2, 7)


@pytest.mark.parametrize('critic, features', [
    (dcgan.Critic((4, 3), num_classes=7, outputs=5), 2 * 2 * 3),
    (dcgan.Critic((4, 4), dense=(6,), outputs=5, dtype=jnp.bfloat16), 6),
    (mlp.Critic((8,), num_classes=7, outputs=5), 8),
    (mlp.Critic((8, 9), norm='layer', dropout=0.3, outputs=5, dtype=jnp.bfloat16), 9),
])
def test_critic_with_outputs_returns_numbers_in_place_of_a_score(critic, features):
  """The last dense layer has (features + 1) parameters a number."""
  image = jax.random.normal(jax.random.key(1), (3, 8, 8, 1))

  def apply(module):
    return jax.jit(lambda x: module.init_with_output(jax.random.key(0), x, None, train=False))(image)

  (numbers, variables), (score, scoring) = apply(critic), apply(critic.clone(outputs=0))
  assert numbers.shape == (3, 5) and score.shape == (3,) and numbers.dtype == jnp.float32
  assert len(np.unique(numbers)) == 15  # each example and each output has its own
  assert count(variables['params']) - count(scoring['params']) == (features + 1) * (5 - 1)


@pytest.mark.parametrize('critic, width, last', [
    (dcgan.Critic((4, 3), dense=(6,), features=True), 6, 'Dense_1'),
    (mlp.Critic((8, 9), features=True, dtype=jnp.bfloat16), 9, 'Dense_2'),
])
def test_critic_with_features_returns_what_its_score_is_made_of(critic, width, last):
  image = jax.random.normal(jax.random.key(1), (3, 8, 8, 1))
  (score, features), variables = init_and_apply(critic, image)
  alone, _ = init_and_apply(critic.clone(features=False), image)
  np.testing.assert_array_equal(score, alone)
  assert features.shape == (3, width) and features.dtype == score.dtype == jnp.float32
  dense = variables['params'][last]
  np.testing.assert_allclose(features @ dense['kernel'][:, 0] + dense['bias'][0], score, rtol=0.02, atol=1e-3)


@pytest.mark.parametrize('module, x, message', [
    (dcgan.Generator((28, 28, 1), label_dim=4), jnp.zeros((1, 8)), 'label_dim=4: the data set has no labels'),
    (dcgan.Critic((4,), num_classes=7, label_dim=1, classify=True), jnp.zeros((1, 8, 8, 1)),
     'label_dim=1: with classify=True the network would be told the class'),
    (dcgan.Generator((28, 28, 1), upsample='cubic'), jnp.zeros((1, 8)), "^upsample='cubic'"),
    (dcgan.Generator((30, 30, 1)), jnp.zeros((1, 8)), r'\(28, 28, 1\).*\(30, 30, 1\)'),
    (dcgan.Generator((28, 28, 1), kernels=(4, 4, 4)), jnp.zeros((1, 8)), '3 entries for 2 layers'),
    (dcgan.Generator((30, 30, 30, 1)), jnp.zeros((1, 8)), r'the shape \(28, 28, 28, 1\).*\(30, 30, 30, 1\)'),
    (dcgan.Generator((2,)), jnp.zeros((1, 8)), r'shape \(2,\): take a network of mlp'),
    (dcgan.Critic((4,)), jnp.zeros((1, 2)), r'shape \(2,\): take a network of mlp'),
    (dcgan.Critic((4,), head='conv'), jnp.zeros((1, 28, 28, 1)), "head='conv'"),
    (dcgan.Critic((4,), head='conv'), jnp.zeros((1, 8, 8, 8, 1)), r"a last map of \(1, 1, 1\), here \(2, 2, 2\)"),
    (dcgan.Critic((4,), norm='group'), jnp.zeros((1, 28, 28, 1)), "norm='group'"),
    (dcgan.Critic((4,), kernels=4, padding='VALID', head='conv', outputs=3), jnp.zeros((1, 10, 10, 1)),
     r"^head='conv': it needs a last map of \(1, 1\), here \(1, 1\), and no dense, dropout, classify, outputs, feat"),
    (dcgan.Critic((4,), num_classes=7, classify=True, outputs=3), jnp.zeros((1, 28, 28, 1)),
     'outputs=3 and classify=True'),
    (mlp.Critic((4,), num_classes=7, classify=True, outputs=3), jnp.zeros((1, 28, 28, 1)),
     'outputs=3 and classify=True'),
    (dcgan.Critic((4,), outputs=3, features=True), jnp.zeros((1, 28, 28, 1)), 'outputs=3 and features=True'),
    (mlp.Critic((4,), num_classes=7, classify=True, features=True), jnp.zeros((1, 28, 28, 1)),
     'classify=True and features=True'),
])
def test_settings_that_do_not_fit_are_named(module, x, message):
  with pytest.raises(UserError, match=message):
    init(module, x)
