"""Sampling: any number of samples, in their order; the same images wherever they are drawn; and --mode=sample."""
import subprocess
import sys

import jax
import numpy as np
from PIL import Image
import pytest

from configs import base, wgan_gp
import gans
from gans.data.dataset import Spec
from gans.data.kinds import unit_to_pixels
from gans.data.sources import load_dataset
from gans.errors import UserError
from gans.modes.export import NUM, export_generator
from gans.modes.nearest import show_nearest
from gans.modes.sample import sample
from gans.runs import trained
from gans.system import pictures
from gans.training.loop import train
from tests.conftest import save_untrained
from tests.shrink import shrink


def test_many_samples_keep_their_order_and_come_in_bounded_pieces(monkeypatch):
  sizes = []

  def draw(variables, inputs):
    sizes.append(len(inputs['z']))
    return variables * inputs['z'] + inputs['label'][:, None]

  monkeypatch.setattr(trained, 'make_sampler', lambda *_: draw)
  generate = trained.TrainedGenerator(None, {}, variables=3, spec=Spec((2,)), num_classes=0,
                                      translates=False, step=0, training_seed=0)
  z, label = np.arange(2002.0).reshape(1001, 2), np.arange(1001)
  np.testing.assert_array_equal(generate.draw({'z': z, 'label': label}), 3 * z + label[:, None])
  assert max(sizes) <= trained.CHUNK and sum(sizes) == 1001


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """The workdir of a run on an 8x8 data set of two classes, which samples need not, so that there is none."""
  config = shrink(wgan_gp.get_config())
  adam = base.adam()
  config.generator = {'network': 'mlp.Generator', 'hidden': (8,), 'norm': 'batch', 'label_dim': 2, 'optimizer': adam}
  config.critic = {'network': 'mlp.Critic', 'hidden': (8,), 'norm': 'layer', 'optimizer': adam}
  path = tmp_path_factory.mktemp('runs') / 'run'
  save_untrained(path, config, Spec((8, 8, 1), 2), 3)
  return path


def drawn(run, num: int, labels, seed: int = 0) -> np.ndarray:
  return np.asarray(unit_to_pixels(gans.load(run)(jax.random.key(seed), num, labels)))


def close(pixels, expected):
  """Equal but for rounding, as another number of images at a time may round otherwise."""
  assert pixels.dtype == np.uint8 and pixels.shape == expected.shape
  assert abs(pixels.astype(int) - expected).max() <= 1


def test_a_grid_has_a_row_for_each_class(run):
  path = sample(run)
  assert path == run / 'generated' / '0000003_seed_0.png'
  labels = np.repeat([0, 1], 8)
  close(np.asarray(Image.open(path)), pictures.grid(drawn(run, 16, labels), 8)[..., 0])
  again = sample(run)
  assert again == run / 'generated' / '0000003_seed_0_2.png' and again.read_bytes() == path.read_bytes()
  (run / 'generated' / '0000003_seed_0_3.gif').touch()  # which the grid of voxels would have beside it
  assert sample(run) == run / 'generated' / '0000003_seed_0_4.png'
  assert sample(run, seed=1).read_bytes() != path.read_bytes()
  wide = np.asarray(Image.open(sample(run, num=100, out=run / 'generated' / 'wide.png')))
  assert wide.shape == (2 * 8, 50 * 8)


def test_a_place_that_cannot_be_written_is_named_before_the_work(run, tmp_path, monkeypatch):
  (tmp_path / 'file').touch()
  monkeypatch.setattr(trained.TrainedGenerator, 'draw', None)
  for show in (sample, show_nearest):
    with pytest.raises(UserError, match=f'--out={tmp_path}/file/x.png cannot be written: {tmp_path}/file is no folder'):
      show(run, out=tmp_path / 'file' / 'x.png')


def test_arrays_and_their_labels(run, tmp_path):
  with np.load(sample(run, num=5, seed=7, labels=['1', '0'], out=tmp_path / 'new' / 'some.npz')) as file:
    assert file['labels'].tolist() == [1, 0, 1, 0, 1]
    close(file['images'], drawn(run, 5, [1, 0, 1, 0, 1], seed=7))
  one = [sample(run, labels=[1, 1, 0], out=tmp_path / f'{name}.npz').read_bytes() for name in 'ab']
  assert one[0] == one[1]


def test_single_files_are_a_data_set_with_labels(run, tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  sample(run, num=6, out=tmp_path / 'singles')
  names = sorted(str(path.relative_to(tmp_path / 'singles')) for path in tmp_path.glob('singles/*/*'))
  assert names == [f'{label}/{i:06d}.png' for i, label in enumerate([0, 0, 0, 1, 1, 1])]
  config = wgan_gp.get_config().dataset
  config.update({'name': 'folder', 'path': str(tmp_path / 'singles'), 'image_size': 8})
  read = load_dataset(config)
  assert read.labels.tolist() == [0, 0, 0, 1, 1, 1]
  close(read.images, drawn(run, 6, read.labels))


@pytest.mark.parametrize('arguments, message', [
    ({'labels': ['3', '7']}, "labels=3,7: there is no class '3'; expected whole numbers from 0 to 1"),
    ({'labels': ['1', 'x']}, "labels=1,x: there is no class 'x'"),
    ({'labels': ['1', '']}, "labels=1,: there is no class ''"),
    ({'labels': []}, 'labels=: there is none'),
    ({'num': 0}, '--num=0'),
    ({'out': 'images.jpg'}, '--out=images.jpg: expected NAME.png, NAME.npz, or a folder'),
    ({'out': 'README.md/x.png'}, '--out=README.md/x.png cannot be written'),
    ({'out': 'docs'}, '--out=docs exists'),
    ({'checkpoint': 4}, r'checkpoint=4: .* has the steps \[3\]'),
    ({'truncation': -1.0}, 'truncation=-1.0'),
])
def test_what_cannot_be_sampled_is_named(run, arguments, message):
  with pytest.raises(UserError, match=message):
    sample(run, **arguments)


def test_an_unlabelled_model_takes_no_labels_and_writes_none(tmp_path):
  for labels, given in (([3], '3'), ([], '')):
    with pytest.raises(UserError, match=f'--labels={given}: this model was trained without labels'):
      sample('dcgan_mnist_5k', labels=labels, out=tmp_path / 'x.png')
  with np.load(sample('dcgan_mnist_5k', num=3, out=tmp_path / 'x.npz')) as file:
    assert file.files == ['images'] and file['images'].shape == (3, 28, 28, 1)


def test_a_seed_draws_the_same_images_everywhere(tmp_path, config):
  """In a run's grids, in --mode=sample, from gans.load and, for seed 0, from an exported program."""
  config.seed = 5
  config.dataset.image_size = 8
  path = tmp_path / 'run'
  train(config, path)
  generate = gans.load(path, checkpoint='latest', weights='ema')
  one, other = (np.asarray(generate(jax.random.key(seed), 64)) for seed in (5, 0))
  assert abs(one - other).mean() > 10 / 127.5  # so that noise of another convention would show
  for seed in (5, 0):
    images = np.asarray(unit_to_pixels(generate(jax.random.key(seed), 64)))
    with np.load(sample(path, num=64, seed=seed, weights='ema', out=tmp_path / f'{seed}.npz')) as file:
      close(file['images'], images)
    grid = pictures.read_png(sample(path, num=64, seed=seed, weights='ema', out=tmp_path / f'{seed}.png'))
    close(grid, pictures.grid(images, 8))
    if seed == config.seed:
      close(pictures.read_png(path / 'samples' / 'fake_0000004.png'), grid)
  folder = export_generator(path, out=tmp_path / 'export', weights='ema')
  subprocess.run([sys.executable, folder / 'run.py'], cwd=tmp_path, check=True, timeout=120)
  exported = np.asarray(unit_to_pixels(np.load(folder / 'samples.npy')))
  close(exported, images[:NUM])
