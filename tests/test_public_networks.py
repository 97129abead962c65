"""Small public networks: their parameters, their values beside PyTorch's, how images are prepared, whose weights."""
import math

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import dcgan, wgan_gp
from gans.build import build
from gans.data.dataset import Dataset
from gans.data.sources import load_dataset
from gans.errors import UserError
from gans.evaluation import evaluator, small_networks, weights_file
from gans.evaluation.features import make_public
from gans.evaluation.public_networks import BY_NAME, check_shape, classify, load_weights, variables_by_name
from tests.shrink import shrink
from tests.weights import draw_weights

SMALL = [name for name, network in BY_NAME.items() if network.checksum]
SIZES = {'resnet20_cifar10': (32, 3), 'lenet5_mnist': (28, 1), 'squeezenet_imagenet': (40, 3)}


@pytest.fixture(scope='module')
def arrays():
  """Random weights of each network under the names and in the layout of its file."""
  drawn = {name: draw_weights(BY_NAME[name]) for name in SMALL}
  drawn['resnet20_cifar10']['linear.weight'] /= 50  # so that no class is certain
  return drawn


def accept(name, arrays, path, monkeypatch):
  """Writes a file of weights, and has them taken for the published ones; returns what is read."""
  np.savez(path, **arrays)
  monkeypatch.setitem(BY_NAME, name, BY_NAME[name]._replace(checksum=''))
  weights = load_weights(name, path)
  monkeypatch.setitem(BY_NAME, name, BY_NAME[name]._replace(checksum=weights.checksum))
  return weights


def images(size, channels):
  """Two smooth and unequal images."""
  y, x, c = np.mgrid[:size, :size, :channels] / size
  return np.stack([128 + 100 * np.sin(7 * x + 3 * y + c), 255 * np.abs(x - y) / (1 + c)]).astype(np.uint8)


@pytest.mark.parametrize('name, count', [
  ('resnet20_cifar10', 269_722 + 2 * 688),  # He et al.'s 0.27M, and the averages of 19 norms
  ('lenet5_mnist', 61_706),
  ('squeezenet_imagenet', 1_235_496 - 513_000),  # torchvision's, less its classifier
])
def test_parameter_count(name, count):
  assert sum(math.prod(shape) for _, shape in variables_by_name(BY_NAME[name]).values()) == count


@pytest.mark.parametrize('name, features, probabilities', [
  ('resnet20_cifar10', [95.62722, 7.139521, 37.29739, 43.87296], [0.028797, 0.000488424, 0.141232]),
  ('lenet5_mnist', [0.6143306, 0.385262, 0.1702862, -0.5124052], [0.0341196, 0.0259953, 0.0871923]),
  ('squeezenet_imagenet', [16.91545, 0, 48.90576, 3.247464], None),
])
def test_values_are_those_of_pytorch(name, features, probabilities, arrays, tmp_path, monkeypatch):
  """Computed there, as below, with torch 2.13."""
  weights = accept(name, arrays[name], tmp_path / 'weights.npz', monkeypatch)
  found, classes = classify(BY_NAME[name], weights.variables, images(*SIZES[name]))
  assert found.shape == (2, BY_NAME[name].width)
  np.testing.assert_allclose(found[1, ::BY_NAME[name].width // 4], features, rtol=1e-4, atol=1e-6)
  if probabilities is None:
    assert classes is None
  else:
    np.testing.assert_allclose(classes.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(classes[1, :3], probabilities, rtol=1e-3)


@pytest.mark.parametrize('name', SMALL)
def test_equals_pytorch(name, arrays, tmp_path, monkeypatch):
  torch = pytest.importorskip('torch')
  apply = {'resnet20_cifar10': resnet20_of_torch, 'lenet5_mnist': lenet5_of_torch,
           'squeezenet_imagenet': squeezenet_of_torch}[name]
  weights = accept(name, arrays[name], tmp_path / 'weights.npz', monkeypatch)
  pixels = images(*SIZES[name])
  tensors = {each: torch.from_numpy(array) for each, array in arrays[name].items()}
  features, logits = apply(torch, tensors, torch.from_numpy(pixels.transpose(0, 3, 1, 2)).float())
  found, probabilities = classify(BY_NAME[name], weights.variables, pixels)
  np.testing.assert_allclose(found, features.numpy(), atol=1e-5 * float(features.abs().max()))
  if logits is not None:
    np.testing.assert_allclose(probabilities, logits.softmax(1).numpy(), atol=1e-5)


def resnet20_of_torch(torch, weights, pixels):
  functional = torch.nn.functional

  def norm(x, name):
    parts = [weights[f'{name}.{part}'] for part in ('running_mean', 'running_var', 'weight', 'bias')]
    return functional.batch_norm(x, *parts)

  mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).view(2, 3, 1, 1)
  x = (pixels / 255 - mean) / std
  x = norm(functional.conv2d(x, weights['conv1.weight'], padding=1), 'bn1').relu()
  for layer in (1, 2, 3):
    for block in (0, 1, 2):
      name, stride = f'layer{layer}.{block}', 2 if (layer > 1 and block == 0) else 1
      y = functional.conv2d(x, weights[f'{name}.conv1.weight'], stride=stride, padding=1)
      y = functional.conv2d(norm(y, f'{name}.bn1').relu(), weights[f'{name}.conv2.weight'], padding=1)
      if stride == 2:
        quarter = y.shape[1] // 4
        x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, quarter, quarter))
      x = (norm(y, f'{name}.bn2') + x).relu()
  features = functional.avg_pool2d(x, 8).flatten(1)
  return features, functional.linear(features, weights['linear.weight'], weights['linear.bias'])


def lenet5_of_torch(torch, weights, pixels):
  nn = torch.nn
  convnet = nn.Sequential(nn.Conv2d(1, 6, 5), nn.Tanh(), nn.MaxPool2d(2, 2), nn.Conv2d(6, 16, 5), nn.Tanh(),
                          nn.MaxPool2d(2, 2), nn.Conv2d(16, 120, 5), nn.Tanh(), nn.Flatten())
  hidden, last = nn.Linear(120, 84), nn.Linear(84, 10)
  layers = {'convnet.c1': convnet[0], 'convnet.c3': convnet[3], 'convnet.c5': convnet[6], 'fc.f6': hidden,
            'fc.f7': last}
  for name, layer in layers.items():
    layer.load_state_dict({'weight': weights[f'{name}.weight'], 'bias': weights[f'{name}.bias']})
  with torch.no_grad():
    features = hidden(convnet(nn.functional.pad(pixels / 255, (2, 2, 2, 2)))).tanh()
    return features, last(features)


def squeezenet_of_torch(torch, weights, pixels):
  functional = torch.nn.functional

  def convolve(x, name, **options):
    kernel = weights[f'{name}/kernel'].permute(3, 2, 0, 1)
    return functional.conv2d(x, kernel, weights[f'{name}/bias'], **options).relu()

  x = functional.interpolate(pixels, size=(227, 227), mode='bilinear')
  x = x.flip(1) - torch.tensor([103.939, 116.779, 123.68]).view(3, 1, 1)
  x = convolve(x, 'conv1', stride=2)
  for fire in range(2, 10):
    if fire in (2, 4, 6):
      x = functional.max_pool2d(x, 3, 2)
    x = convolve(x, f'fire{fire}/squeeze1x1')
    x = torch.cat([convolve(x, f'fire{fire}/expand1x1'), convolve(x, f'fire{fire}/expand3x3', padding=1)], 1)
  return x.mean((2, 3)), None


def test_preparation():
  white = np.full((1, 32, 32, 3), [255, 0, 51], np.uint8)
  prepared = small_networks.prepare_for_resnet20(white)[0, 5, 7]
  np.testing.assert_allclose(prepared, [(1 - 0.485) / 0.229, -0.456 / 0.224, (0.2 - 0.406) / 0.225], rtol=1e-5)
  prepared = small_networks.prepare_for_squeezenet(white)
  assert prepared.shape == (1, 227, 227, 3)
  np.testing.assert_allclose(prepared[0, 100, 0], [51 - 103.939, -116.779, 255 - 123.68], rtol=1e-5)
  grey = np.full((1, 28, 28, 1), 51, np.uint8)
  expected = np.zeros((32, 32))
  expected[2:-2, 2:-2] = 0.2
  np.testing.assert_allclose(small_networks.prepare_for_lenet5(grey)[0, :, :, 0], expected, rtol=1e-6)
  full = np.full((1, 32, 32, 1), 51, np.uint8)
  np.testing.assert_allclose(small_networks.prepare_for_lenet5(full), 0.2, rtol=1e-6)
  np.testing.assert_allclose(small_networks.prepare_for_resnet20(full)[0, 0, 0, 1], (0.2 - 0.456) / 0.224, rtol=1e-5)


def test_shrinking_for_squeezenet_counts_all_pixels():
  stripes = np.zeros((1, 908, 908, 1), np.uint8)
  stripes[:, ::4] = 200  # of each four rows that become one: two neighbours on either side have a weight, too
  prepared = small_networks.prepare_for_squeezenet(stripes)
  np.testing.assert_allclose(prepared[0, 10:20, 10:20, 0], 50 - 103.939, atol=1e-2)


def test_the_shortcut_of_a_residual_block_has_no_parameters():
  """Every second pixel, and zeros around the channels; the convolutions here give nothing."""
  x = jnp.arange(1.0, 33).reshape(1, 4, 4, 2)
  block = small_networks.ResidualBlock(4, strides=2)
  variables = jax.tree.map(jnp.zeros_like, block.init(jax.random.key(0), x))
  y = block.apply(variables, x)
  np.testing.assert_array_equal(y[0, :, :, 0], 0)
  np.testing.assert_array_equal(y[0, :, :, 3], 0)
  np.testing.assert_array_equal(y[0, :, :, 1:3], [[[1, 2], [5, 6]], [[17, 18], [21, 22]]])


@pytest.mark.parametrize('name', SMALL)
def test_other_weights_than_the_published_are_refused(name, arrays, tmp_path, monkeypatch):
  np.savez(tmp_path / 'random.npz', **arrays[name])
  with pytest.raises(UserError, match=f'random.npz has other weights than .*, expected {BY_NAME[name].checksum}'):
    load_weights(name, tmp_path / 'random.npz')
  weights = accept(name, arrays[name], tmp_path / 'weights.npz', monkeypatch)
  assert weights.checksum == BY_NAME[name].checksum
  changed = {each: array.copy() for each, array in arrays[name].items()}
  next(iter(changed.values())).flat[0] += 1e-3
  np.savez(tmp_path / 'changed.npz', **changed)
  with pytest.raises(UserError, match='changed.npz has other weights'):
    load_weights(name, tmp_path / 'changed.npz')


def test_the_checksum_depends_on_neither_the_order_nor_the_kind_of_file(arrays, tmp_path, monkeypatch):
  name = 'squeezenet_imagenet'
  checksum = accept(name, arrays[name], tmp_path / 'weights.npz', monkeypatch).checksum
  np.savez(tmp_path / 'other.npz', **{each: arrays[name][each].astype(float) for each in reversed(arrays[name])})
  write_keras(tmp_path / 'weights.h5', arrays[name])
  for file in ('other.npz', 'weights.h5'):
    assert load_weights(name, tmp_path / file).checksum == checksum


def write_keras(path, arrays):
  """Writes HDF5 as Keras 2 does, with names as bytes."""
  layers = sorted({name.rpartition('/')[0] for name in arrays})
  with h5py.File(path, 'w') as file:
    file.attrs['layer_names'] = [layer.encode() for layer in ('relu', *layers)]
    file.create_group('relu').attrs['weight_names'] = np.zeros(0)
    for layer in layers:
      names = [f'{layer}/kernel', f'{layer}/bias']
      group = file.create_group(layer)
      group.attrs['weight_names'] = [f'{name}:0'.encode() for name in names]
      for name in names:
        group[f'{name}:0'] = arrays[name]


def test_reads_what_keras_saves(arrays, tmp_path):
  expected = arrays['squeezenet_imagenet']
  write_keras(tmp_path / 'weights.h5', expected)
  read = weights_file.read_weights(tmp_path / 'weights.h5')
  assert read.keys() == expected.keys()
  for name, array in expected.items():
    np.testing.assert_array_equal(read[name], array)
  (tmp_path / 'cut.h5').write_bytes((tmp_path / 'weights.h5').read_bytes()[:4000])
  with pytest.raises(UserError, match='cut.h5 cannot be read as weights'):
    weights_file.read_weights(tmp_path / 'cut.h5')


def test_names_of_data_parallel_are_read(arrays, tmp_path, monkeypatch):
  name = 'resnet20_cifar10'
  checksum = accept(name, arrays[name], tmp_path / 'weights.npz', monkeypatch).checksum
  np.savez(tmp_path / 'parallel.npz', **{f'module.{each}': array for each, array in arrays[name].items()})
  assert load_weights(name, tmp_path / 'parallel.npz').checksum == checksum


@pytest.mark.parametrize('name, change, message', [
  ('lenet5_mnist', {'fc.f7.bias': None}, "has no 'fc.f7.bias'"),
  ('lenet5_mnist', {'fc.f8.bias': np.zeros(3)}, "has 'fc.f8.bias', which is not of this network: expected lenet.pth"),
  ('squeezenet_imagenet', {'conv1/kernel': np.zeros((64, 3, 3, 3), np.float32)},
   r"'conv1/kernel' is float32 \(64, 3, 3, 3\), expected floats \(3, 3, 3, 64\)"),
])
def test_refuses_other_networks(name, change, message, arrays, tmp_path):
  changed = {each: array for each, array in {**arrays[name], **change}.items() if array is not None}
  np.savez(tmp_path / 'other.npz', **changed)
  with pytest.raises(UserError, match=f'other.npz:? {message}'):
    load_weights(name, tmp_path / 'other.npz')


@pytest.mark.parametrize('name, shape, message', [
  ('resnet20_cifar10', (64, 64, 3), 'faces has images of 64x64x3; expected 32x32x1 or 32x32x3'),
  ('lenet5_mnist', (28, 28, 3), 'faces has images of 28x28x3; expected 28x28x1 or 32x32x1'),
  ('lenet5_mnist', (14, 14, 1), 'faces has images of 14x14x1; expected 28x28x1 or'),
  ('squeezenet_imagenet', (64, 64, 2), 'faces has images of 64x64x2; expected NxNx1 or NxNx3'),
])
def test_images_that_a_network_is_not_made_for_are_refused(name, shape, message):
  with pytest.raises(UserError, match=f'eval.features={name!r}: {message}'):
    check_shape(name, 'faces', shape)


def test_real_digits_score_better_than_noise(arrays, tmp_path, monkeypatch):
  """By a network of random weights: scores carry its name, and the checksum of its weights stands beside them."""
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  config = shrink(wgan_gp.get_config())
  config.dataset.image_size, config.generator.start, config.generator.label_dim = 28, 7, 2
  config.eval_every, config.eval.num_samples = 4, 1000
  config.eval.features, config.eval.weights = 'lenet5_mnist', str(tmp_path / 'weights.npz')
  checksum = accept('lenet5_mnist', arrays['lenet5_mnist'], tmp_path / 'weights.npz', monkeypatch).checksum
  digits = load_dataset(config.dataset)
  experiment = build(config, digits.spec)
  config = evaluator.settle(config, digits, experiment)
  evaluate = evaluator.make_evaluate(config, digits, experiment, lambda images, inputs: images[:len(inputs['z'])])
  noise = np.random.default_rng(0).integers(0, 256, (1000, 28, 28, 1), np.uint8)
  real, fake = evaluate([digits.images[::5]]), evaluate([noise])
  assert real.features == f'LeNet-5 trained on MNIST, SHA-256 of its weights {checksum}'
  assert 'lenet5_mnist/classifier_score' in real.scores
  assert not [name for name in real.scores if not name.startswith('lenet5_mnist/') or 'accuracy' in name]
  distance = 'lenet5_mnist/frechet_distance'
  assert real.scores[distance][0] < fake.scores[distance][0] / 3


def test_a_network_without_classes_has_no_score_of_them():
  config = wgan_gp.get_config()
  config.eval.features, config.eval.best = 'squeezenet_imagenet', 'classifier_score'
  dataset = Dataset(np.zeros((9, 28, 28, 1), np.uint8), np.zeros(9, np.int32), 10)
  with pytest.raises(UserError, match=r"eval.best='classifier_score': expected one of \['coverage'"):
    evaluator.name_scores(config, dataset.spec, build(shrink(wgan_gp.get_config()), dataset.spec))


def test_scores_are_by_the_weights_wherever_their_file_lies(arrays, tmp_path, monkeypatch):
  """Of a network without a published checksum, such as Inception, too."""
  name = 'lenet5_mnist'
  monkeypatch.setitem(BY_NAME, name, BY_NAME[name]._replace(checksum=''))
  first, *_ = arrays[name]
  others = arrays[name] | {first: arrays[name][first] + 1}
  config = dcgan.get_config()
  abouts = []
  for path, weights in (('a.npz', arrays[name]), ('b.npz', arrays[name]), ('a.npz', others)):
    np.savez(tmp_path / path, **weights)
    config.eval.update({'features': name, 'weights': str(tmp_path / path)})
    abouts.append(make_public(config, None).about)
  assert abouts[0] == abouts[1] != abouts[2]
