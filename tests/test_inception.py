"""Inception: its parameters, its resizing, its values beside pytorch-fid's, and what is read of files of weights."""
import math
import pickle
import struct
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.errors import UserError
from gans.evaluation import inception, weights_file
from gans.evaluation.public_networks import BY_NAME, classify, load_weights
from tests.weights import draw_weights

NETWORK = BY_NAME['inception']


@pytest.fixture(scope='module')
def arrays():
  """Random weights under pytorch-fid's names and in torch's layout."""
  return draw_weights(NETWORK)


@pytest.fixture(scope='module')
def weights(arrays, tmp_path_factory):
  path = tmp_path_factory.mktemp('weights') / 'weights.npz'
  np.savez(path, **arrays, **{'Conv2d_1a_3x3.bn.num_batches_tracked': np.array(7), 'AuxLogits.fc.bias': np.zeros(3)})
  return path


def images(size, channels):
  """Two smooth and unequal images."""
  y, x, c = np.mgrid[:size, :size, :channels] / size
  return np.stack([128 + 100 * np.sin(7 * x + 3 * y + c), 255 * np.abs(x - y) / (1 + c)]).astype(np.uint8)


def test_parameter_count():
  """torchvision's has 27,161,264 with its auxiliary head of 3,326,696, and 1000 classes of 2049 each; not 1008."""
  images = jax.ShapeDtypeStruct((2, 75, 75, 3), jnp.float32)
  outputs, variables = jax.eval_shape(inception.Inception().init_with_output, jax.random.key(0), images)
  count = lambda tree: sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))
  assert count(variables['params']) == 27161264 - 3326696 + 8 * 2049
  assert count(variables['batch_stats']) == 2 * 17216  # a mean and a variance per channel
  assert [each.shape for each in outputs] == [(2, 2048), (2, 1008)]


def test_names_and_layout(arrays, weights):
  variables = load_weights('inception', weights).variables
  assert len(arrays) == 94 * 5 + 2  # convolutions with a norm each; and the last layer
  unit = variables['params']['Mixed_7c.branch3x3dbl_3b']
  kernel = arrays['Mixed_7c.branch3x3dbl_3b.conv.weight']
  assert kernel.shape == (384, 384, 3, 1) and unit['conv']['kernel'].shape == (3, 1, 384, 384)
  assert unit['conv']['kernel'][2, 0, 5, 7] == kernel[7, 5, 2, 0]
  np.testing.assert_array_equal(unit['bn']['scale'], arrays['Mixed_7c.branch3x3dbl_3b.bn.weight'])
  statistics = variables['batch_stats']['Conv2d_1a_3x3']['bn']
  np.testing.assert_array_equal(statistics['mean'], arrays['Conv2d_1a_3x3.bn.running_mean'])
  np.testing.assert_array_equal(statistics['var'], arrays['Conv2d_1a_3x3.bn.running_var'])
  assert variables['params']['fc']['kernel'][3, 4] == arrays['fc.weight'][4, 3]


def test_values_are_those_of_pytorch_fid(arrays, weights):
  """Computed there, by pytorch-fid 0.3.0 on torch 2.13, with the same weights and image."""
  features, probabilities = classify(NETWORK, load_weights('inception', weights).variables, images(20, 1)[:1])
  assert features.shape == (1, 2048) and probabilities.shape == (1, 1008)
  logits = features @ arrays['fc.weight'].T
  np.testing.assert_allclose(probabilities, np.exp(logits) / np.exp(logits).sum(), rtol=2e-3)
  np.testing.assert_allclose(features[0, ::256], [
    11.094763, 0.377735, 3.125186, 0.370593, 6.871394, 8.589866, 0.698219, 5.129105], rtol=1e-3)


def test_equals_pytorch_fid(arrays, weights, monkeypatch):
  """Where it is installed: pip install torch torchvision pytorch-fid."""
  torch = pytest.importorskip('torch')
  fid = pytest.importorskip('pytorch_fid.inception')
  tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
  monkeypatch.setattr(fid, 'load_state_dict_from_url', lambda *_, **__: tensors)
  network, variables = fid.InceptionV3().eval(), load_weights('inception', weights).variables
  for size, channels in ((20, 1), (400, 3)):
    pixels = images(size, channels)
    inputs = torch.from_numpy(np.broadcast_to(pixels, (*pixels.shape[:3], 3)).transpose(0, 3, 1, 2) / np.float32(255))
    expected = network(inputs)[0].numpy()[..., 0, 0]
    np.testing.assert_allclose(classify(NETWORK, variables, pixels)[0], expected, atol=1e-4 * expected.max())


def test_resizing_up_and_down():
  """Outputs at (i + 1/2) n / 299 - 1/2 between the two nearest inputs; at the border the outermost alone."""
  row = np.array([[0, 51], [51, 102]], np.uint8)[None, :, :, None]
  resized = np.asarray(inception.prepare_for_inception(row))
  assert resized.shape == (1, 299, 299, 3)
  place = np.clip((np.arange(299) + 0.5) * 2 / 299 - 0.5, 0, 1)
  expected = 0.4 * (place[:, None] + place) - 1  # 51 / 255 is 0.2, scaled to [-1, 1] 0.4
  np.testing.assert_allclose(resized[0], np.stack([expected] * 3, -1), atol=1e-6)
  row = np.zeros((1, 598, 598, 3), np.uint8)
  row[:, :, 2::4] = 255  # output 1 lies between inputs 2 and 3, output 0 between 0 and 1: no other counts
  np.testing.assert_allclose(inception.prepare_for_inception(row)[0, 7, :4, 0], [-1, 0, -1, 0], atol=1e-4)


def test_average_pool_leaves_out_the_padding_and_max_pool_takes_the_maximum():
  x = jnp.arange(9.0).reshape(1, 3, 3, 1)
  np.testing.assert_allclose(inception.average_pool(x)[0, :, :, 0], [[2, 2.5, 3], [3.5, 4, 4.5], [5, 5.5, 6]])
  np.testing.assert_allclose(inception.max_pool(x)[0, :, :, 0], [[4, 5, 5], [7, 8, 8], [7, 8, 8]])


def push(value):
  """Opcodes that leave `value` on the unpickler's stack."""
  return pickle.dumps(value, protocol=0)[:-1]


def state_dict(function=b'ctorch._utils\n_rebuild_tensor_v2\n', count=6):
  """A pickle of {'b': a transposed view [2,2] from element 1 on of storage '7', of `count` floats}."""
  storage = b'(' + push('storage') + b'ctorch\nFloatStorage\n' + push('7') + push('cpu') + push(count) + b'tQ'
  tensor = function + b'(' + storage + push(1) + push((2, 2)) + push((1, 2)) + push(False) + push({}) + b'tR'
  return b'ccollections\nOrderedDict\n)R' + push('b') + tensor + b's.'


def write_archive(path, data):
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('weights/data.pkl', data)
    archive.writestr('weights/data/7', np.arange(6, dtype='<f4').tobytes())
  return path


def write_legacy(path, data, count=6):
  """The format of torch before 1.6."""
  head = b''.join(pickle.dumps(value, protocol=2) for value in (weights_file.LEGACY_MAGIC, 1001, {}))
  path.write_bytes(head + data + pickle.dumps(['7'], protocol=2) + struct.pack('<q', count)
                   + np.arange(count, dtype='<f4').tobytes())
  return path


@pytest.mark.parametrize('write', [write_archive, write_legacy])
@pytest.mark.parametrize('data', [
  state_dict(),
  state_dict(b'ctorch._utils\n_rebuild_tensor\n'),  # of torch before 0.4
  b'(' + push('best') + push(91.7) + push('state_dict') + state_dict()[:-1] + b'd.',  # what training keeps to resume
])
def test_reads_what_torch_saves(write, data, tmp_path):
  read = weights_file.read_weights(write(tmp_path / 'weights.pth', data))
  assert list(read) == ['b'] and read['b'].dtype == np.float32
  np.testing.assert_array_equal(read['b'], [[1, 3], [2, 4]])


@pytest.mark.parametrize('zipped', [True, False])
def test_reads_what_torch_itself_saves(zipped, tmp_path):
  torch = pytest.importorskip('torch')
  saved = {'a': torch.arange(6.0).reshape(2, 3).T, 'n': torch.tensor(3), 'h': torch.arange(9).half()[4:]}
  torch.save(saved, tmp_path / 'weights.pth', _use_new_zipfile_serialization=zipped)
  read = weights_file.read_weights(tmp_path / 'weights.pth')
  assert read.keys() == saved.keys()
  for name, tensor in saved.items():
    np.testing.assert_array_equal(read[name], tensor.numpy(), strict=True)


@pytest.mark.parametrize('write', [write_archive, write_legacy])
@pytest.mark.parametrize('data, message', [
  (state_dict(b'cos\nsystem\n'), 'os.system, which is refused'),
  (state_dict(b'ctorch._utils\n_rebuild_tensor_v3\n'), '_rebuild_tensor_v3, which is refused'),
  (b"cbuiltins\neval\n(S'1'\ntR.", 'builtins.eval, which is refused'),
  (push({'b': 1}) + b'.', 'no state dict'),
  (push([1]) + b'.', 'no state dict'),
  (b'not a pickle', 'cannot be read'),
])
def test_refuses_what_is_no_state_dict(write, data, message, tmp_path):
  with pytest.raises(UserError, match=f'weights.pth.*{message}'):
    weights_file.read_weights(write(tmp_path / 'weights.pth', data))


def test_refuses_a_tensor_outside_its_storage_and_files_that_are_none(tmp_path):
  for path in (write_legacy(tmp_path / 'short.pth', state_dict(), count=3), tmp_path / 'missing.pth', tmp_path):
    with pytest.raises(UserError, match=f'{path.name} cannot be read as weights'):
      weights_file.read_weights(path)


@pytest.mark.parametrize('change, message', [
  ({'fc.bias': None}, "has no 'fc.bias'"),
  ({'fc.bias': np.zeros(1000, np.float32)}, r"'fc.bias' is float32 \(1000,\), expected floats \(1008,\)"),
  ({'fc.bias': np.zeros(1008, int)}, r"'fc.bias' is int64 \(1008,\), expected floats"),
  ({'fc.scale': np.zeros(3)}, "has 'fc.scale', which is not of this network"),
])
def test_refuses_other_networks(change, message, arrays, tmp_path):
  changed = {name: array for name, array in {**arrays, **change}.items() if array is not None}
  np.savez(tmp_path / 'other.npz', **changed)
  with pytest.raises(UserError, match=f'other.npz:? {message}'):
    load_weights('inception', tmp_path / 'other.npz')
