"""Sampling: any number of noise vectors, in their order; and --mode=sample."""
import jax
import numpy as np
from PIL import Image
import pytest

from configs import wgan_gp
import gans
from gans import data
from gans.core import sampling
from gans.data.dataset import Spec, to_uint8
from gans.errors import UserError
from gans.modes import sample
from gans.system import pictures
from tests.conftest import save_untrained


def test_many_samples_keep_their_order_and_come_in_bounded_pieces():
  sizes = []

  def draw(variables, z, label):
    sizes.append(len(z))
    return variables * z + label[:, None]

  z, label = np.arange(2002.0).reshape(1001, 2), np.arange(1001)
  np.testing.assert_array_equal(sampling.sample_many(draw, 3, z, label), 3 * z + label[:, None])
  assert max(sizes) <= sampling.CHUNK and sum(sizes) == 1001


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """The workdir of a run on an 8x8 data set of two classes, which samples need not, so that there is none."""
  config = wgan_gp.get_config('test')
  config.generator = {'family': 'mlp', 'hidden': (8,), 'norm': 'batch', 'label_dim': 2}
  config.critic = {'family': 'mlp', 'hidden': (8,), 'norm': 'layer'}
  path = tmp_path_factory.mktemp('runs') / 'run'
  save_untrained(path, config, Spec((8, 8, 1), 2), {3: None})
  return path


def drawn(run, num: int, labels, seed: int = 0) -> np.ndarray:
  return np.asarray(to_uint8(gans.load(run)(jax.random.key(seed), num, labels)))


def close(pixels, expected):
  """Equal but for rounding, as another number of images at a time may round otherwise."""
  assert pixels.dtype == np.uint8 and pixels.shape == expected.shape
  assert abs(pixels.astype(int) - expected).max() <= 1


def test_a_grid_has_a_row_for_each_class(run):
  path = sample.sample(run)
  assert path == run / 'generated' / '0000003_seed_0.png'
  labels = np.repeat([0, 1], 8)
  close(np.asarray(Image.open(path)), pictures.grid(drawn(run, 16, labels), 8)[..., 0])
  again = sample.sample(run)
  assert again == run / 'generated' / '0000003_seed_0_2.png' and again.read_bytes() == path.read_bytes()
  assert sample.sample(run, seed=1).read_bytes() != path.read_bytes()
  wide = np.asarray(Image.open(sample.sample(run, num=100, out=run / 'generated' / 'wide.png')))
  assert wide.shape == (2 * 8, 50 * 8)


def test_arrays_and_their_labels(run, tmp_path):
  with np.load(sample.sample(run, num=5, seed=7, labels=['1', '0'], out=tmp_path / 'new' / 'some.npz')) as file:
    assert file['labels'].tolist() == [1, 0, 1, 0, 1]
    close(file['images'], drawn(run, 5, [1, 0, 1, 0, 1], seed=7))
  one = [sample.sample(run, labels=[1, 1, 0], out=tmp_path / f'{name}.npz').read_bytes() for name in 'ab']
  assert one[0] == one[1]


def test_single_files_are_a_data_set_with_labels(run, tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  sample.sample(run, num=6, out=tmp_path / 'singles')
  names = sorted(str(path.relative_to(tmp_path / 'singles')) for path in tmp_path.glob('singles/*/*'))
  assert names == [f'{label}/{i:06d}.png' for i, label in enumerate([0, 0, 0, 1, 1, 1])]
  config = wgan_gp.get_config().dataset
  config.update({'name': 'folder', 'path': str(tmp_path / 'singles'), 'image_size': 8})
  read = data.load(config)
  assert read.labels.tolist() == [0, 0, 0, 1, 1, 1]
  close(read.images, drawn(run, 6, read.labels))


@pytest.mark.parametrize('arguments, message', [
    ({'labels': ['3', '7']}, 'labels: there is 3 among them; expected 2 whole numbers from 0 to 1'),
    ({'labels': ['1', 'x']}, '--sample.labels=1,x: expected whole numbers'),
    ({'num': 0}, '--sample.num=0'),
    ({'out': 'images.jpg'}, '--sample.out=images.jpg: expected NAME.png, NAME.npz, or a folder'),
    ({'out': 'README.md/x.png'}, '--sample.out=README.md/x.png cannot be written'),
    ({'out': 'docs'}, '--sample.out=docs exists'),
    ({'checkpoint': 4}, r'checkpoint=4: .* has the steps \[3\]'),
    ({'truncation': -1.0}, 'truncation=-1.0'),
])
def test_what_cannot_be_sampled_is_named(run, arguments, message):
  with pytest.raises(UserError, match=message):
    sample.sample(run, **arguments)


def test_an_unlabelled_model_takes_no_labels_and_writes_none(tmp_path):
  with pytest.raises(UserError, match=r'labels=\[3\]: this model was trained without labels'):
    sample.sample('dcgan_mnist_5k', labels=[3], out=tmp_path / 'x.png')
  with np.load(sample.sample('dcgan_mnist_5k', num=3, out=tmp_path / 'x.npz')) as file:
    assert file.files == ['images'] and file['images'].shape == (3, 28, 28, 1)
