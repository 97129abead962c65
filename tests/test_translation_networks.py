"""Networks of images and images, or of images and codes: shapes, exact parameter counts, targets, odd sizes."""
from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base
from gans.build import NOT_OF_THE_NETWORK
from gans.errors import UserError
from gans.networks import dcgan, default_network_fields, joint, layers, mlp, translation
from tests.test_networks import count


def shapes(module, *inputs):
  """Returns the shapes of (output, variables); nothing is compiled."""
  rngs = {'params': jax.random.key(0), 'dropout': jax.random.key(1)}
  return jax.eval_shape(lambda: module.init_with_output(rngs, *inputs, train=True))


def num_params(module, *inputs) -> int:
  _, variables = shapes(module, *inputs)
  return count(variables['params'])


def init_and_apply(module, *inputs, train=True):
  """Returns (output, variables), compiled."""
  rngs = {'params': jax.random.key(0), 'dropout': jax.random.key(1)}
  return jax.jit(lambda *inputs: module.init_with_output(rngs, *inputs, train=train))(*inputs)


def images(*shape):
  return jax.random.normal(jax.random.key(2), shape)


STARGAN_GENERATOR = translation.ResidualGenerator((128, 128, 3), takes_target=True, num_classes=5)
STARGAN_CRITIC = translation.PatchCritic(
    (64, 128, 256, 512, 1024, 2048), leak=0.01, head_kernel=3, head_bias=False, classify=True, num_classes=5)
PATCHES_OF_70 = translation.PatchCritic((64, 128, 256, 512), strides=(2, 2, 2, 1), norm='batch')
SMALL_STARGAN = translation.ResidualGenerator(
    (4, 4, 3), width=4, num_downsamplings=1, num_blocks=1, takes_target=True, num_classes=3)


def test_stargan_has_the_networks_of_the_paper():
  image, target = jnp.zeros((2, 128, 128, 3)), jnp.zeros((2, 5))
  assert num_params(STARGAN_GENERATOR, image, target) == 8_430_528
  (scores, logits), variables = shapes(STARGAN_CRITIC, image)
  assert count(variables['params']) == 44_762_048
  assert scores.shape == (2, 2, 2) and logits.shape == (2, 5)


def test_pix2pix_has_the_critic_of_the_paper():
  image = jnp.zeros((1, 256, 256, 3))
  scores, variables = shapes(PATCHES_OF_70, image, image)
  assert scores.shape == (1, 32, 32)
  assert count(variables['params']) == sum([
      16 * 6 * 64 + 64,
      16 * 64 * 128 + 2 * 128, 16 * 128 * 256 + 2 * 256, 16 * 256 * 512 + 2 * 512,  # norms in place of biases
      16 * 512 + 1]) == 2_768_705


def test_a_score_sees_70_pixels():
  """Measured by the gradient of one score, with all weights 1."""
  critic = PATCHES_OF_70.clone(hidden=(1, 1, 1, 1), norm='none', leak=1.0)
  image = jnp.zeros((1, 128, 128, 1))
  variables = jax.tree.map(lambda leaf: jnp.ones(leaf.shape), shapes(critic, image)[1])
  gradient = jax.jit(jax.grad(lambda x: critic.apply(variables, x, train=True)[0, 8, 8]))(image)
  rows, columns = np.nonzero(gradient[0, :, :, 0])
  assert np.ptp(rows) + 1 == np.ptp(columns) + 1 == 70


def test_pix2pix_has_the_generator_of_the_paper():
  """Isola et al. 2017, section 6.1.1, with biases where there is no norm."""
  widths = (64, 128, 256, 512, 512, 512, 512, 512)
  outer, *inner, innermost = zip((3, *widths), widths)
  encoder = [16 * i * o + o for i, o in (outer, innermost)] + [16 * i * o + 2 * o for i, o in inner]
  decoder = [16 * i * o + 2 * o for i, o in (
      (512, 512), (1024, 512), (1024, 512), (1024, 512), (1024, 256), (512, 128), (256, 64))]
  last = 16 * 128 * 3 + 3
  generator = translation.UNet((256, 256, 3), widths)
  assert num_params(generator, jnp.zeros((1, 256, 256, 3))) == sum(encoder) + sum(decoder) + last == 54_414_531


@pytest.mark.parametrize('size', [28, 30, 64, 128, 256, 7])
def test_unet_returns_images_of_any_size(size):
  generator = translation.UNet((size, size, 1), (2,) * 5)
  image, _ = shapes(generator, jnp.zeros((3, size, size, 2)))
  assert image.shape == (3, size, size, 1) and image.dtype == jnp.float32


def test_unet_puts_each_part_of_an_odd_image_where_it_was():
  """With all weights 1, a pixel reaches only what is near it: cropping shifts nothing."""
  generator = translation.UNet((7, 7, 1), (1,), norm='none', init_stddev=0)
  x = jnp.zeros((1, 7, 7, 1)).at[0, 3, 3].set(1e-3)
  variables = jax.tree.map(lambda leaf: jnp.ones(leaf.shape) * (len(leaf.shape) > 1), shapes(generator, x)[1])
  y = generator.apply(variables, x, train=False)[0, :, :, 0]
  np.testing.assert_array_equal(y, y.T)
  reached = np.flatnonzero(y[3])
  # Pixel 3 is in the windows of maps 1 (pixels 1 to 4) and 2 (3 to 6), which reach the same pixels in turn.
  np.testing.assert_array_equal(reached, np.arange(1, 7))
  assert y[3, 3] > y[3, 2]


@pytest.mark.parametrize('module, shape', [
    (translation.ResidualGenerator((8, 8, 1), width=2, num_blocks=1, dtype=jnp.bfloat16), (8, 8, 3)),
    (translation.ResidualGenerator((8, 8, 1), width=2, num_blocks=1, kernel=3, num_downsamplings=1), (8, 8, 1)),
    (translation.UNet((10, 10, 3), (2, 3, 4), dtype=jnp.bfloat16), (10, 10, 1)),
    (translation.UNet((10, 10, 3), (2,), num_dropouts=0), (10, 10, 3)),
])
def test_translations_are_images(module, shape):
  image, variables = init_and_apply(module, 1e4 * images(4, *shape))
  assert image.shape == (4, *module.image_shape) and image.dtype == jnp.float32
  assert jnp.abs(image).max() <= 1
  assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype('float32')}


@pytest.mark.parametrize('size', [28, 64])
@pytest.mark.parametrize('kernel', [3, 4])
def test_residual_generator_keeps_the_size(size, kernel):
  generator = translation.ResidualGenerator((size, size, 1), width=2, num_blocks=2, kernel=kernel)
  assert shapes(generator, jnp.zeros((3, size, size, 1)))[0].shape == (3, size, size, 1)


def test_the_target_changes_the_translation():
  image = jnp.broadcast_to(images(1, 4, 4, 3), (2, 4, 4, 3))
  translated, variables = init_and_apply(SMALL_STARGAN, image, jnp.array([0, 2]))
  assert jnp.abs(translated[0] - translated[1]).max() > 1e-3
  apply = jax.jit(lambda target: SMALL_STARGAN.apply(variables, image, target, train=False))
  same = apply(jnp.array([[1.0, 0, 0], [0, 0, 1]]))
  np.testing.assert_allclose(same, translated, atol=1e-6)
  between = apply(jnp.array([[0.5, 0, 0.5], [1, 0, 1]]))
  assert jnp.abs(between - translated).max() > 1e-3


def test_labels_as_weights():
  np.testing.assert_array_equal(layers.as_weights(jnp.array([2, 0]), 3), [[0, 0, 1], [1, 0, 0]])
  weights = layers.as_weights(jnp.array([[0.5, 0.25]], jnp.bfloat16), 2)
  assert weights.dtype == jnp.float32
  np.testing.assert_array_equal(weights, [[0.5, 0.25]])


@pytest.mark.parametrize('module, x', [
    (dcgan.Generator((8, 8, 1), num_classes=3, start=2, hidden=(4, 4), label_dim=5), images(2, 6)),
    (dcgan.Critic((4,), num_classes=3, label_dim=1), images(2, 8, 8, 1)),
    (mlp.Critic((4,), num_classes=3, label_dim=2), images(2, 4)),
])
def test_an_embedding_takes_labels_and_weights(module, x):
  """The weights of one class give what its label gives, and half of two classes the mean of their embeddings."""
  module = module.clone(norm='none')
  of_labels, variables = init_and_apply(module, x, jnp.array([0, 2]))
  apply = jax.jit(lambda variables, weights: module.apply(variables, x, weights, train=False))
  np.testing.assert_allclose(apply(variables, jnp.array([[1.0, 0, 0], [0, 0, 1]])), of_labels, atol=1e-6)
  same_shapes = shapes(module, x, jnp.zeros((2, 3)))[1]
  assert jax.tree.map(jnp.shape, variables) == jax.tree.map(lambda leaf: leaf.shape, same_shapes)
  table = variables['params']['Embed_0']['embedding']
  mean = table.at[1].set((table[0] + table[2]) / 2)
  of_mean = {'params': {**variables['params'], 'Embed_0': {'embedding': mean}}}
  want = apply(of_mean, jnp.array([[0.0, 1, 0]] * 2))
  np.testing.assert_allclose(apply(variables, jnp.array([[0.5, 0, 0.5]] * 2)), want, atol=1e-6)


def test_instance_norm_by_hand():
  class Norm(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
      return layers.normalize(x, 'instance', train, jnp.float32)

  x = jnp.array([[1.0, 10], [3, 10], [5, 10], [7, 50]]).reshape(1, 2, 2, 2)
  x = jnp.concatenate([x, 3 * x + 1])
  y, variables = init_and_apply(Norm(), x)
  assert jax.tree.map(jnp.shape, variables['params']) == {'InstanceNorm_0': {'scale': (2,), 'bias': (2,)}}
  first = np.array([-3.0, -1, 1, 3]) / np.sqrt(5 + 1e-5)
  second = np.array([-10.0, -10, -10, 30]) / np.sqrt(300 + 1e-5)
  np.testing.assert_allclose(y[0].reshape(4, 2), np.stack([first, second], -1), atol=1e-5)
  np.testing.assert_allclose(y[1], y[0], atol=1e-5)
  variables = {'params': {'InstanceNorm_0': {'scale': jnp.array([2.0, 1]), 'bias': jnp.array([0.0, 5])}}}
  np.testing.assert_allclose(Norm().apply(variables, x, train=False), y * jnp.array([2, 1]) + jnp.array([0, 5]))


def test_instance_norm_keeps_examples_apart():
  critic = translation.PatchCritic((4, 4), norm='instance')
  x = images(3, 8, 8, 1)
  variables = init_and_apply(critic, x)[1]
  apply = jax.jit(lambda x: critic.apply(variables, x, train=True))
  np.testing.assert_allclose(apply(x.at[1:].multiply(3.0))[0], apply(x)[0], atol=1e-6)


def test_patch_critic_scores_maps_and_classes():
  critic = translation.PatchCritic((4, 3), num_classes=7, classify=True, dtype=jnp.bfloat16)
  (scores, logits), variables = init_and_apply(critic, images(2, 28, 28, 1))
  assert scores.shape == (2, 7, 7) and logits.shape == (2, 7)
  assert scores.dtype == logits.dtype == jnp.float32
  kernels = 16 * 1 * 4 + 4 + 16 * 4 * 3 + 3
  assert count(variables['params']) == kernels + (16 * 3 + 1) + (7 * 7 * 3 + 1) * 7


def test_patch_critic_sees_all_its_images():
  critic = translation.PatchCritic((4,))
  a, b = images(2, 8, 8, 1), images(2, 8, 8, 3)
  scores, variables = init_and_apply(critic, a, b)
  assert variables['params']['Conv_0']['kernel'].shape == (4, 4, 1 + 3, 4)
  for other in ((-a, b), (a, -b)):
    assert jnp.abs(critic.apply(variables, *other, train=True) - scores).max() > 0


def test_joint_critic_scores_an_image_with_its_code():
  critic = joint.Critic((4, 3), z_dense=(5,), dense=(6,), dropout=0.5, norm='batch', dtype=jnp.bfloat16)
  image, z = images(2, 8, 8, 1), images(2, 7)
  score, variables = init_and_apply(critic, image, z)
  assert score.shape == (2,) and score.dtype == jnp.float32
  convolutions = 16 * 1 * 4 + 4 + 16 * 4 * 3 + 3 + 2 * 3
  assert count(variables['params']) == convolutions + (7 + 1) * 5 + (2 * 2 * 3 + 5 + 1) * 6 + 6 + 1
  apply = jax.jit(lambda image, z: critic.apply(variables, image, z, train=False))
  for other in ((-image, z), (image, -z)):
    assert jnp.abs(apply(*other) - apply(image, z)).min() > 0


@pytest.mark.parametrize('shape', [(8, 8, 8, 1), (8, 8, 1)])
def test_joint_critic_takes_voxels(shape):
  score, _ = shapes(joint.Critic((4,)), jnp.zeros((2, *shape)), jnp.zeros((2, 7)))
  assert score.shape == (2,)


@pytest.mark.parametrize('module, inputs', [
    (SMALL_STARGAN, (images(4, 4, 4, 3), jnp.array([0, 1, 2, 0]))),
    (translation.UNet((5, 5, 1), (4, 4, 4), norm='instance'), (images(4, 5, 5, 1),)),
    (translation.PatchCritic((4, 4), norm='instance'), (images(4, 8, 8, 1),)),
    (joint.Critic((4, 4)), (images(4, 8, 8, 1), images(4, 3))),
], ids=['residual', 'unet', 'patch', 'joint'])
def test_remat_gives_the_same_gradients(module, inputs):
  def gradients(module):
    def value(params):
      out = module.apply({'params': params}, *inputs, train=True, rngs={'dropout': jax.random.key(3)})
      return jnp.sum(jnp.sin(out))

    return jax.jit(jax.grad(value))(variables['params'])

  _, variables = init_and_apply(module, *inputs)
  remat = module.clone(remat=True)
  assert jax.tree.map(jnp.shape, variables) == jax.tree.map(lambda leaf: leaf.shape, shapes(remat, *inputs)[1])
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), gradients(module), gradients(remat))


@pytest.mark.parametrize('group', [
    base.residual_generator(), base.unet_generator(), base.patch_critic(), base.joint_critic(),
    base.resnet_generator(), base.resnet_critic(), base.dcgan_generator(), base.dcgan_critic(), base.mlp_generator(),
    base.mlp_critic(), base.r3gan_generator(), base.r3gan_critic()])
def test_a_config_has_the_fields_of_the_network_with_its_defaults(group):
  fields = {field: value for field, value in group.items() if field not in NOT_OF_THE_NETWORK}
  assert fields == default_network_fields('player', group['network'])


@pytest.mark.parametrize('module, inputs, message', [
    (SMALL_STARGAN, [jnp.zeros((1, 8, 8, 3))], 'takes_target=True: the algorithm gives it no target'),
    (SMALL_STARGAN.clone(takes_target=False), [jnp.zeros((1, 8, 8, 3)), jnp.zeros(1, jnp.int32)],
     'takes_target=False: the algorithm gives it a target; expected True'),
    (SMALL_STARGAN.clone(num_classes=0), [jnp.zeros((1, 8, 8, 3)), jnp.zeros(1, jnp.int32)],
     'neither labels, .* nor dataset.attributes'),
    (SMALL_STARGAN, [jnp.zeros((2, 8, 8, 3)), jnp.zeros((2, 4))], r'shape \(2, 4\): expected 3 numbers an example'),
    (SMALL_STARGAN, [jnp.zeros((1, 9, 9, 3)), jnp.zeros(1, jnp.int32)], r'\(9, 9\) are no multiples of 2'),
    (SMALL_STARGAN.clone(norm='group'), [jnp.zeros((1, 8, 8, 3)), jnp.zeros(1, jnp.int32)], "norm='group'"),
    (translation.UNet((8, 8, 1), (2,), norm='group'), [jnp.zeros((1, 8, 8, 1))], "norm='group'"),
    (translation.UNet((4, 4, 1), (2, 2, 2, 2), norm='instance'), [jnp.zeros((1, 4, 4, 1))],
     r"norm='instance'.*shape \(1, 1, 2\) have one"),
    (translation.PatchCritic((4,), norm='group'), [jnp.zeros((1, 8, 8, 1))], "norm='group'"),
    (translation.PatchCritic((4,), classify=True), [jnp.zeros((1, 8, 8, 1))], '^classify=True.*expected False'),
    (translation.PatchCritic((4,)), [jnp.zeros((1, 8, 8, 1)), jnp.zeros(1, jnp.int32)], r'\[\(1, 8, 8, 1\), \(1,\)\]'),
    (translation.PatchCritic((4, 4), strides=(2, 2, 1)), [jnp.zeros((1, 8, 8, 1))], '3 entries for 2 layers'),
    (mlp.Critic((4,), norm='instance'), [jnp.zeros((1, 8)), None], r"norm='instance'.*\(4,\)"),
    (joint.Critic((4,), norm='group'), [jnp.zeros((1, 8, 8, 1)), jnp.zeros((1, 3))], "norm='group'"),
])
def test_settings_that_do_not_fit_are_named(module, inputs, message):
  with pytest.raises(UserError, match=message):
    shapes(module, *inputs)
