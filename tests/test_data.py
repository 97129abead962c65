"""Data sets: what is in them, how they are fitted and scaled, and what is said where they are not to be had."""
from concurrent.futures import ThreadPoolExecutor
import shutil
import time

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from gans.data.batches import make_prepare
from gans.data.dataset import Spec
from gans.data.kinds import IMAGES, POINTS, kind_of, pixels_to_unit, unit_to_pixels
from gans.data.sources import load_dataset
from gans.data.sources.fit import fit
from gans.data.sources.tfds import prepare_once
from gans.errors import UserError


def ask(name, **fields):
  return ml_collections.ConfigDict({
      'name': name, 'path': '', 'data_dir': '', 'split': 'train', 'image_size': 28, 'crop': '', 'device_bytes': 2**30,
      **fields})


def test_mnist_5k_has_500_of_each_digit():
  digits = load_dataset(ask('mnist_5k'))
  assert digits.images.shape == (5000, 28, 28, 1) and digits.images.dtype == np.uint8
  assert (digits.images.min(), digits.images.max()) == (0, 255)
  np.testing.assert_array_equal(np.bincount(digits.labels), [500] * 10)


def test_scaling_is_exact_and_comes_back():
  pixels = np.arange(256, dtype=np.uint8)
  unit = pixels_to_unit(jnp.asarray(pixels))
  assert (float(unit.min()), float(unit.max())) == (-1, 1)
  np.testing.assert_array_equal(unit_to_pixels(unit), pixels)


def test_the_batch_of_an_index_is_made_on_the_device():
  pixels, labels = np.array([[[[0]]], [[[255]]], [[[51]]]], np.uint8), np.array([7, 8, 9], np.int32)
  prepare = make_prepare(Spec((1, 1, 1)), flip=False)
  batch = prepare((jnp.asarray(pixels), jnp.asarray(labels)), jnp.array([[2, 1]]), None)
  np.testing.assert_allclose(batch['image'], [[[[[-0.6]]], [[[1]]]]], rtol=1e-6)
  np.testing.assert_array_equal(batch['label'], [[9, 8]])


def test_fit_crops_the_centre_and_resizes():
  image = np.zeros((10, 30, 3), np.uint8)
  image[:, 10:20] = 200
  assert (fit(image, 5) == 200).all()
  assert fit(np.full((7, 4, 1), 9, np.uint8), 8).shape == (8, 8, 1)
  assert (fit(np.full((40, 40, 3), 9, np.uint8), (2, 1024)) == 9).all()
  assert fit(image, (10, 10)).shape == (10, 10, 3) and (fit(image, [20, 20]) == 200).all()


def test_fit_keeps_the_proportions_that_are_asked_for():
  image = np.zeros((12, 20, 3), np.uint8)
  image[2:8, :] = 50  # rows and columns of the largest centred part of 1:2
  image[:, 4:8] += 100
  fitted = fit(image, (5, 10))
  np.testing.assert_array_equal(fitted, fit(image[1:11], (5, 10)))
  wide = fit(image, (6, 4))  # of 3:2, the centre's 8 columns
  np.testing.assert_array_equal(wide, fit(image[:, 6:14], (6, 4)))
  assert fitted.shape == (5, 10, 3) and wide.shape == (6, 4, 3)


def test_flips_are_fair_and_the_rest_stays():
  data_ = jnp.arange(2, dtype=jnp.uint8).reshape(1, 1, 2, 1), jnp.array([3])
  batch = make_prepare(Spec((1, 2, 1)), flip=True)(data_, jnp.zeros((5, 40), jnp.int32), jax.random.key(0))
  plain = make_prepare(Spec((1, 2, 1)), flip=False)(data_, jnp.zeros((5, 40), jnp.int32), None)
  mirrored = np.asarray(batch['image'][..., 0, 0, 0] > batch['image'][..., 0, 1, 0])
  assert 70 < mirrored.sum() < 130 and (batch['label'] == 3).all()
  np.testing.assert_array_equal(batch['image'].sum(-2), plain['image'].sum(-2))


def test_points_stay_as_they_are():
  points = jnp.array([[-3.5, 2.0], [0.25, 7.0]])
  batch = make_prepare(Spec((2,)), flip=False)((points, jnp.zeros(2, jnp.int32)), jnp.array([1]), None)
  np.testing.assert_array_equal(batch['image'], points[1:])
  np.testing.assert_array_equal(POINTS.encode(POINTS.decode(points)), points)


def test_the_shape_tells_the_kind():
  assert Spec((28, 28, 1)).kind is IMAGES and Spec((2,)).kind is POINTS
  for shape in ((), (28, 28), (2, 4, 4, 4, 1)):
    with pytest.raises(UserError, match=r'expected images \(H, W, C\), voxels \(X, Y, Z, 1\) or points \(D,\)'):
      kind_of(shape)


@pytest.mark.parametrize('name, modes', [('ring8', 8), ('grid25', 25), ('swiss_roll', 0)])
def test_planes_have_about_unit_spread(name, modes):
  points = load_dataset(ask(name))
  assert points.images.shape == (100_000, 2) and points.images.dtype == np.float32
  assert points.num_classes == modes and 0.5 < points.images.std() < 1.5


def test_stacked_digits_are_labelled_by_their_three_digits():
  stacked, digits = load_dataset(ask('stacked_mnist_5k')), load_dataset(ask('mnist_5k'))
  assert stacked.images.shape == (128_000, 28, 28, 3) and stacked.num_classes == 1000
  known = {digit.tobytes(): label for digit, label in zip(digits.images[..., 0], digits.labels)}
  for image, label in zip(stacked.images[:20], stacked.labels):
    assert ''.join(str(known[image[..., c].tobytes()]) for c in range(3)) == f'{label:03d}'


def test_ring_has_eight_tight_modes():
  points = load_dataset(ask('ring8'))
  assert points.images.dtype == np.float32 and points.num_classes == 8
  centres = np.stack([points.images[points.labels == k].mean(0) for k in range(8)])
  np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 2 / 1.414, rtol=1e-3)
  assert points.images[points.labels == 0].std() < 2


def test_tfds_data_set_is_read_and_fitted(tfds_dir):
  blobs = load_dataset(ask('blobs', data_dir=tfds_dir, image_size=8))
  assert blobs.images.shape == (23, 8, 8, 3) and blobs.num_classes == 2
  values = blobs.images[:, -1, -1, 0].astype(int)
  np.testing.assert_array_equal(np.sort(values), 10 * np.arange(23))
  np.testing.assert_array_equal(blobs.labels, values > 110)
  assert len(load_dataset(ask('blobs', data_dir=tfds_dir, split='train[:30%]')).images) == 7


def test_tfds_images_are_cropped_to_a_bounding_box(tfds_dir):
  assert (load_dataset(ask('blobs', data_dir=tfds_dir, image_size=4, crop='head')).images == 255).all()
  with pytest.raises(UserError, match="dataset.crop='tail'.*'head'"):
    load_dataset(ask('blobs', data_dir=tfds_dir, crop='tail'))


def test_unknown_split_is_named(tfds_dir):
  with pytest.raises(UserError, match=r"dataset.split='valid'.*train"):
    load_dataset(ask('blobs', data_dir=tfds_dir, split='valid'))


def test_unknown_data_set_is_named():
  with pytest.raises(UserError, match="dataset.name='mnst'.*mnist_5k"):
    load_dataset(ask('mnst'))


def test_no_network_is_said_within_seconds(tmp_path, monkeypatch):
  monkeypatch.setattr('socket.create_connection', lambda *_: (_ for _ in ()).throw(OSError('unreachable')))
  start = time.monotonic()
  with pytest.raises(UserError, match=r"'mnist' is not prepared.*builder.'mnist'.*array_record.*mnist_5k"):
    load_dataset(ask('mnist', data_dir=str(tmp_path)))
  assert time.monotonic() - start < 10


def test_names_that_tfds_does_not_know_are_named_in_one_line(tmp_path):
  for name, hint in [('cifar-10', 'did you mean .*cifar10'), ('fashion mnist', 'did you mean fashion_mnist'),
                     ('/no/folder', 'expected'), (str(tmp_path), f'name=folder --config.dataset.path={tmp_path}')]:
    with pytest.raises(UserError, match=f"^dataset.name='{name}' is not a data set: .*{hint}") as caught:
      load_dataset(ask(name))
    assert '\n' not in str(caught.value)
  with pytest.raises(UserError, match="^dataset.name='mnist:9.9.9' cannot be had from TFDS: .*only: 3.0.1.$"):
    load_dataset(ask('mnist:9.9.9'))


def make_builder(path, name: str, features, examples, file_format: str = 'array_record'):
  """Returns the builder of a data set of TFDS under `path`."""
  import tensorflow_datasets as tfds

  class Made(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    VERSION = tfds.core.Version('1.0.0')

    def _info(self):
      return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
      return {'train': self._generate_examples()}

    def _generate_examples(self):
      yield from enumerate(examples)

  Made.name = name
  return Made(data_dir=path, file_format=file_format)


def prepare(*arguments):
  """Prepares a data set of TFDS; the arguments are those of make_builder."""
  make_builder(*arguments).download_and_prepare()


def test_of_several_that_start_at_once_one_prepares_the_data(tmp_path):
  import tensorflow_datasets as tfds
  taken = []

  def examples():
    for i in range(3):
      taken.append(i)
      time.sleep(0.05)
      yield {'image': np.full((4, 4, 3), i, np.uint8)}

  def start(_):
    return prepare_once(lambda: make_builder(tmp_path, 'once', {'image': tfds.features.Image()}, examples()))

  with ThreadPoolExecutor(3) as pool:
    builders = list(pool.map(start, range(3)))
  assert taken == [0, 1, 2]
  assert [builder.info.splits['train'].num_examples for builder in builders] == [3, 3, 3]


def test_features_that_are_no_label_and_no_picture(tmp_path):
  import tensorflow_datasets as tfds
  image = np.zeros((4, 4, 3), np.uint8)
  texts = {'image': tfds.features.Image(), 'label': tfds.features.Text()}
  prepare(tmp_path, 'texts', texts, [{'image': image, 'label': 'x'}] * 3)
  loaded = load_dataset(ask('texts', data_dir=str(tmp_path), image_size=4))
  assert loaded.num_classes == 0 and loaded.notes == ("no classes: its feature 'label' is Text and not ClassLabel",)
  unknown = {'image': tfds.features.Image(), 'label': tfds.features.ClassLabel(names=['a', 'b'])}
  prepare(tmp_path, 'unknown', unknown, [{'image': image, 'label': label} for label in (0, 1, -1)])
  for device_bytes in (0, 2**20):
    loaded = load_dataset(ask('unknown', data_dir=str(tmp_path), image_size=4, device_bytes=device_bytes))
    assert loaded.spec == Spec((4, 4, 3)) and loaded.notes == ('no classes: 1 of its examples have no label',)
  with pytest.raises(UserError, match="^dataset.split='train.:1.' of 'texts' has 1 examples: expected at least 2$"):
    load_dataset(ask('texts', data_dir=str(tmp_path), split='train[:1]'))
  with pytest.raises(UserError, match="^dataset.crop='label' is no feature with one bounding box; such are ..$"):
    load_dataset(ask('texts', data_dir=str(tmp_path), crop='label'))
  films = {'image': tfds.features.Sequence(tfds.features.Image(shape=(4, 4, 3)))}
  prepare(tmp_path, 'films', films, [{'image': [image] * 2}] * 3)
  with pytest.raises(UserError, match="^dataset.name='films': its feature 'image' is .* expected one picture"):
    load_dataset(ask('films', data_dir=str(tmp_path)))


def test_a_data_set_in_the_default_format_is_named_with_what_to_do(tmp_path):
  import tensorflow_datasets as tfds
  prepare(tmp_path, 'records', {'image': tfds.features.Image()}, [{'image': np.zeros((4, 4, 3), np.uint8)}] * 2,
          'tfrecord')
  with pytest.raises(UserError, match="^dataset.name='records' is prepared in .* another format than array_record.*run "
                     ".*file_format='array_record'"):
    load_dataset(ask('records', data_dir=str(tmp_path)))


@pytest.mark.parametrize('error', [AssertionError('Manual directory is empty. Create it.\nmore\nlines'),
                                   RuntimeError('Manual directory is empty. Create it.')])
def test_what_keeps_tfds_from_preparing_is_one_line(tmp_path, monkeypatch, error):
  import tensorflow_datasets as tfds

  def fail(*_, **__):
    raise error

  monkeypatch.setattr('gans.data.sources.tfds._online', lambda: True)
  monkeypatch.setattr(tfds.core.DatasetBuilder, 'download_and_prepare', fail)
  with pytest.raises(UserError, match="^dataset.name='mnist' cannot be prepared in .*: Manual directory is empty. "
                     'Create it. Once it can be had.*data_dir$'):
    load_dataset(ask('mnist', data_dir=str(tmp_path)))


def test_the_same_data_of_tfds_under_another_path_and_size_are_the_same(tfds_dir, tmp_path):
  shutil.copytree(tfds_dir, tmp_path / 'moved')
  old = load_dataset(ask('blobs', data_dir=tfds_dir, image_size=8))
  new = load_dataset(ask('blobs', data_dir=str(tmp_path / 'moved'), image_size=4, device_bytes=0))
  assert old.class_names == ('dark', 'light') == new.spec.class_names
  np.testing.assert_array_equal(old.checksums, new.checksums)
  assert len(set(old.checksums.tolist())) == 23
