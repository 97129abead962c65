"""Translations, codes and voxels in pictures and in every mode, from tiny runs that are shared by the tests here."""
import json
import os
import shutil
import subprocess
import sys

import jax
import numpy as np
from PIL import Image
import pytest

import gans
from gans.data.dataset import Dataset, Spec
from gans.data.shown import change_each, choose_shown, choose_sources, number_of_samples, show_translations, targets_of
from gans.data.sources import load_dataset
from gans.errors import UserError
from gans.modes import interpolate, nearest
from gans.modes.export import export_generator
from gans.modes.pack import pack_generator
from gans.modes.report import draw_between, write_report
from gans.modes.sample import sample
from gans.runs.drawing import load_data, read_sources
from gans.system import pictures
from gans.training.loop import train
from tests.conftest import ROOT, save_untrained
from tests.tiny import tiny

NAMES = ('Black_Hair', 'Blond_Hair', 'Male')
TRANSLATORS = ('stargan', 'faces', 'cyclegan', 'pix2pix')
NUM_TARGETS = {'stargan': 10, 'faces': 3, 'cyclegan': 2, 'pix2pix': 1}


def save_faces(path, num: int = 12):
  """Writes images of noise and the list of their attributes."""
  rng = np.random.default_rng(0)
  path.mkdir()
  lines = [','.join(('file', *NAMES))]
  for i in range(num):
    Image.fromarray(rng.integers(0, 256, (10, 8, 3), np.uint8)).save(path / f'{i:02d}.png')
    lines.append(f'{i:02d}.png,{i % 2},{int(i % 4 == 0)},{int(i % 3 == 0)}')
  (path / 'attributes.csv').write_text('\n'.join(lines))
  return path


TRAINED = ('faces', 'cyclegan', 'pix2pix', 'gan_3d')  # of the others there is the start; test_configs.py trains all


def tiny_config(name: str, folder=None):
  """A tiny config; that of faces is StarGAN's, of a folder with attributes."""
  config = tiny('stargan' if name == 'faces' else name)
  if name == 'faces':
    config.dataset.update({'name': 'folder', 'path': str(folder), 'attributes': NAMES, 'flip': True})
  return config


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """Returns run(name) -> the workdir of a tiny run, which is made where it is first asked for; tests only read it."""
  folder = tmp_path_factory.mktemp('runs')
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))
    faces = save_faces(folder / 'images')

    def find(name: str):
      config = tiny_config(name, faces)
      if not (folder / name).exists():
        if name in TRAINED:
          train(config, folder / name)
        else:
          save_untrained(folder / name, config, load_dataset(config.dataset).spec, 4)
      return folder / name

    yield find


def pixels_of(name: str, run) -> dict:
  """Returns {array: values} of --mode=sample of a run, written as an .npz file in the workdir and kept there."""
  target = run(name) / 'drawn.npz'
  if not target.exists():
    sample(run(name), out=target)
  return dict(np.load(target))


def encode(generate, images):
  return np.asarray(generate.spec.kind.encode(images))


def assert_near(pixels, others):
  """Up to the rounding of a pixel."""
  assert pixels.shape == np.shape(others)
  assert np.abs(pixels.astype(int) - np.asarray(others).astype(int)).max() <= 1


# What a picture shows


def test_attributes_are_changed_one_by_one_and_a_colour_of_hair_takes_the_place_of_the_others():
  changed = change_each(np.array([[1, 0, 1], [0, 0, 0]], np.uint8), NAMES)
  np.testing.assert_array_equal(changed, [[[1, 0, 1], [0, 1, 1], [1, 0, 0]], [[1, 0, 0], [0, 1, 0], [0, 0, 1]]])
  assert changed.dtype == np.float32
  other = change_each(np.array([[1, 1]]), ('Young', 'Smiling'))
  np.testing.assert_array_equal(other, [[[0, 1], [1, 0]]])


def test_the_targets_of_an_image():
  np.testing.assert_array_equal(targets_of(Spec((8, 8, 1), 3), 3, 2), [[0, 1, 2]] * 2)
  np.testing.assert_array_equal(targets_of(Spec((8, 8, 1), 2), 0, 2), [[0]] * 2)  # of a model that takes none
  assert targets_of(Spec((8, 8, 1), 50), 50, 2).shape == (2, 16)
  faces = Spec((8, 8, 3), 0, NAMES)
  np.testing.assert_array_equal(targets_of(faces, 3, 2), [np.eye(3)] * 2)  # where nothing is known of them
  attributes = np.array([[1, 0, 1]])
  np.testing.assert_array_equal(targets_of(faces, 3, 1, attributes), change_each(attributes, NAMES))


def numbered(num: int) -> np.ndarray:
  """Pictures [num,1,1,1] that are told apart by their pixel."""
  return np.arange(num, dtype=np.uint8).reshape(-1, 1, 1, 1)


def test_a_row_has_the_source_its_translations_and_what_they_should_be():
  spec = Spec((1, 1, 1), 2)
  shown = show_translations(spec, numbered(2), np.array([[0, 1], [0, 1]]), after=numbered(2) + 20)
  np.testing.assert_array_equal(shown.lay_out(numbered(4) + 10).ravel(), [0, 10, 11, 20, 1, 12, 13, 21])
  np.testing.assert_allclose(shown.batch['image'].ravel(), np.array([0, 0, 1, 1]) / 127.5 - 1)
  np.testing.assert_array_equal(shown.batch['label'], [0, 1, 0, 1])
  assert shown.columns == 8 and number_of_samples(shown) == 4  # two rows of four beside each other


@pytest.mark.parametrize('targets, after, columns', [(10, False, 11), (1, True, 12), (1, False, 10), (4, False, 10)])
def test_rows_are_whole(targets, after, columns):
  shown = show_translations(Spec((1, 1, 1), targets), numbered(5), np.zeros((5, targets), np.int32),
                            numbered(5) if after else None)
  assert shown.columns == columns


def two_classes() -> Dataset:
  """Eight pictures, the last four the counterparts of the first."""
  partners = np.roll(np.arange(8, dtype=np.int32), 4)
  return Dataset(numbered(8), np.repeat(np.arange(2, dtype=np.int32), 4), 2, partners=partners)


def test_sources_are_of_the_first_class_of_pairs_and_of_both_domains():
  assert set(choose_sources('pairs', two_classes(), 0, 4)) == {0, 1, 2, 3}
  in_turn = choose_sources('domains', two_classes(), 0, 7)
  assert (in_turn[::2] < 4).all() and (in_turn[1::2] >= 4).all() and len(in_turn) == 7
  assert set(choose_sources('examples', two_classes(), 0, 8)) == set(range(8))
  assert (choose_sources('examples', two_classes(), 1, 8) != choose_sources('examples', two_classes(), 0, 8)).any()


def test_a_picture_of_pairs_shows_the_counterpart():
  shown = choose_shown('pairs', two_classes(), 0, num_labels=0, translates=True)
  in_rows = shown.lay_out(shown.before + 100).reshape(-1, 3)
  np.testing.assert_array_equal(in_rows, in_rows[:, :1] + np.array([0, 100, 4]))


# Training


def test_cut_and_resumed_cyclegan_ends_as_if_nobody_had_and_so_do_its_pools(run, tmp_path):
  whole = train(tiny_config('cyclegan'), run('cyclegan'))  # already finished
  config = tiny_config('cyclegan')
  config.num_steps = 2
  train(config, tmp_path / 'cut')
  config.num_steps = 4
  resumed = train(config, tmp_path / 'cut')
  jax.tree.map(np.testing.assert_array_equal, whole, resumed)
  for pool in ('pool_a', 'pool_b'):
    memory = resumed.players[pool].model_state['memory']
    assert memory['count'] == 5 and np.abs(memory['images']).max() > 0


def test_the_grid_of_a_run_is_what_sample_draws(run, tmp_path):
  """Both are made of the first images in the order of seed 0."""
  sample(run('cyclegan'), out=tmp_path / 'grid.png')
  grid = pictures.read_png(run('cyclegan') / 'samples' / 'fake_0000004.png')
  assert_near(pictures.read_png(tmp_path / 'grid.png'), grid)


# --mode=sample


@pytest.mark.parametrize('name', TRANSLATORS)
def test_the_images_of_the_data_set_are_translated_to_every_target(run, name):
  generate = gans.load(run(name))
  assert generate.translates and generate.num_classes == (NUM_TARGETS[name] if name != 'pix2pix' else 0)
  drawn = pixels_of(name, run)
  num_targets = NUM_TARGETS[name]
  num = len(drawn['images']) // num_targets
  _, dataset = load_data(run(name), generate)
  positions = choose_sources(generate.algorithm.data, dataset, 0, num)
  sources = dataset.images[positions].repeat(num_targets, 0)
  attributes = dataset.attributes[positions] if name == 'faces' else None
  targets = targets_of(generate.spec, generate.num_classes, num, attributes).reshape(len(sources), -1)
  labels = {'faces': targets, 'pix2pix': None}.get(name, targets.ravel())
  expected = generate.translate(generate.spec.kind.decode(sources), labels)
  assert_near(drawn['images'], encode(generate, expected))
  if name == 'pix2pix':
    assert drawn.keys() == {'images', 'sources'} and num == 8
  else:
    np.testing.assert_array_equal(drawn['labels'], list(range(num_targets)) * num)
  assert num == 8


@pytest.mark.parametrize('name', ['stargan', 'faces', 'pix2pix'])
def test_ones_own_images_are_translated(run, tmp_path, name):
  channels = gans.load(run(name)).image_shape[-1]
  rng = np.random.default_rng(1)
  pixels = rng.integers(0, 256, (3, 8, 8, 3), np.uint8)
  pixels = pixels if channels == 3 else pixels[..., :1].repeat(3, -1)
  (tmp_path / 'mine').mkdir()
  for i, image in enumerate(pixels):
    Image.fromarray(image).save(tmp_path / 'mine' / f'{i}.png')
  generate = gans.load(run(name))
  labels = {'stargan': ['3', '7'], 'faces': ['Blond_Hair+Male', 'Black_Hair', ''], 'pix2pix': None}[name]
  given = {'stargan': np.array([3, 7]), 'faces': np.array([[0, 1, 1], [1, 0, 0], [0, 0, 0]], np.float32)}.get(name)
  sample(run(name), inputs=tmp_path / 'mine', labels=labels, out=tmp_path / 'out.npz')
  found = np.load(tmp_path / 'out.npz')
  num_targets = 1 if given is None else len(given)
  sources = generate.spec.kind.decode(pixels[..., :channels].repeat(num_targets, 0))
  targets = None if given is None else np.concatenate([given] * 3)
  assert_near(found['images'], encode(generate, generate.translate(sources, targets)))
  np.testing.assert_array_equal(found['sources'], pixels[..., :channels].repeat(num_targets, 0))
  if name == 'stargan':
    np.testing.assert_array_equal(found['labels'], [3, 7] * 3)
  if name == 'faces':
    np.testing.assert_array_equal(found['labels'], [0, 1, 2] * 3)  # the places of the targets
  sample(run(name), inputs=tmp_path / 'mine' / '1.png', labels=labels, num=5, out=tmp_path / 'single.npz')
  assert_near(np.load(tmp_path / 'single.npz')['images'], found['images'][num_targets:2 * num_targets])


def test_a_picture_has_each_source_before_its_translations(run, tmp_path):
  sample(run('faces'), num=2, out=tmp_path / 'grid.png')
  drawn = pixels_of('faces', run)['images'][:2 * 3]
  found = pictures.read_png(tmp_path / 'grid.png')
  assert found.shape == (8, 8 * 8, 3)  # two rows beside each other
  cells = found.reshape(8, 8, 8, 3).swapaxes(0, 1)
  assert_near(cells[[1, 2, 3, 5, 6, 7]], drawn)
  _, dataset = load_data(run('faces'), gans.load(run('faces')))
  np.testing.assert_array_equal(cells[[0, 4]], dataset.images[choose_sources('examples', dataset, 0, 2)])


def test_as_many_images_are_translated_as_are_asked_for(run, tmp_path):
  sample(run('faces'), num=10, labels=['Male'], out=tmp_path / 'ten.npz')
  assert len(np.load(tmp_path / 'ten.npz')['images']) == 10  # of twelve


def test_a_folder_has_a_folder_for_each_target(run, tmp_path):
  sample(run('cyclegan'), num=2, out=tmp_path / 'single')
  names = sorted(str(path.relative_to(tmp_path / 'single')) for path in (tmp_path / 'single').rglob('*.png'))
  assert names == ['colour/000001.png', 'colour/000003.png', 'grey/000000.png', 'grey/000002.png']
  drawn = pixels_of('cyclegan', run)['images']
  assert_near(pictures.read_png(tmp_path / 'single' / 'colour' / '000003.png'), drawn[3])
  sample(run('pix2pix'), num=2, out=tmp_path / 'pairs')
  assert sorted(path.name for path in (tmp_path / 'pairs').iterdir()) == ['000000.png', '000001.png']


def test_voxels_are_arrays_and_pictures_and_turn(run, tmp_path):
  sample(run('gan_3d'), num=3, out=tmp_path / 'out.npz')
  found = np.load(tmp_path / 'out.npz')
  assert found['voxels'].shape == (3, 8, 8, 8, 1) and set(found['voxels'].ravel()) <= {0, 1}
  generate = gans.load(run('gan_3d'))
  np.testing.assert_array_equal(found['voxels'], encode(generate, generate(jax.random.key(0), 3)))
  written = sample(run('gan_3d'), num=2)
  assert written.with_suffix('.gif').exists() and pictures.read_png(written).any()
  sample(run('gan_3d'), num=2, out=tmp_path / 'single')
  assert len(list((tmp_path / 'single').glob('*.png'))) == 2


def test_codes_are_labels(run, tmp_path):
  generate = gans.load(run('infogan'))
  assert generate.num_classes == 3 and not generate.translates
  images = generate(jax.random.key(0), 4, labels=2)
  np.testing.assert_array_equal(images, generate(jax.random.key(0), 4, labels=[2] * 4))
  assert np.abs(images - generate(jax.random.key(0), 4, labels=1)).max() > 1e-4
  with pytest.raises(UserError, match='there is 3 among them; expected 4 whole numbers from 0 to 2'):
    generate(jax.random.key(0), 4, labels=3)
  drawn = pixels_of('infogan', run)
  np.testing.assert_array_equal(drawn['labels'], np.repeat(np.arange(3), 8))


def test_the_encoder_of_bigan_is_loaded_too(run):
  generate = gans.load(run('bigan'))
  digits = load_dataset(tiny('bigan').dataset)
  images = generate.spec.kind.decode(digits.images[:6])
  codes = generate.play.encoder(images, np.zeros(6, np.int32))
  assert codes.shape == (6, generate.z_dim) == (6, 5)
  assert (codes[0] != codes[1]).any()
  assert generate.from_latents(codes).shape == images.shape


# The other modes


@pytest.mark.parametrize('name', ['stargan', 'pix2pix', 'infogan', 'gan_3d'])
def test_it_is_interpolated(run, tmp_path, name):
  generate = gans.load(run(name))
  folder = interpolate.interpolate(run(name), num=2, out=tmp_path / 'ways')
  ways = ['latents', 'classes'] if generate.num_classes else ['latents']
  assert sorted(path.name for path in folder.iterdir()) == sorted(
      f'{way}.{suffix}' for way in ways for suffix in ('png', 'gif'))


def test_from_one_image_there_is_a_way_through_targets_alone(run, tmp_path):
  pictures.save_png(tmp_path / 'one.png', np.zeros((8, 8, 1), np.uint8))
  folder = interpolate.interpolate(run('stargan'), inputs=tmp_path / 'one.png', out=tmp_path / 'ways')
  assert sorted(path.name for path in folder.iterdir()) == ['classes.gif', 'classes.png']
  with pytest.raises(UserError, match='one.png is one image, and this model has one way to translate it'):
    interpolate.interpolate(run('pix2pix'), inputs=tmp_path / 'one.png', out=tmp_path / 'none')
  assert not (tmp_path / 'none').exists()


@pytest.mark.parametrize('name', ['stargan', 'faces', 'cyclegan'])
def test_the_way_through_targets_passes_the_translations_to_each(run, name):
  generate = gans.load(run(name))
  inputs = interpolate.choose_inputs(run(name), generate, 2, seed=0, label=1)
  classes = np.array([1, 0])
  there, back = interpolate.through_classes(generate, inputs, classes)
  source = np.asarray(inputs['image'])[:1].repeat(2, 0)
  targets = np.eye(3, dtype=np.float32)[classes] if name == 'faces' else classes
  ends = encode(generate, generate.translate(source, targets))
  assert_near(there[[0, -1]], ends)
  assert_near(back[[0, -1]], ends[::-1])
  if name == 'cyclegan':  # which blends what its two generators make
    halfway = np.asarray(generate.translate(source, classes)).mean(0)
    assert_near(there[8], encode(generate, halfway))


def test_the_way_through_images_fades_from_one_to_the_next(run):
  generate = gans.load(run('pix2pix'))
  inputs = interpolate.choose_inputs(run('pix2pix'), generate, 2, seed=0, label=0)
  there, _ = interpolate.through_inputs(generate, inputs)
  first, last = np.asarray(inputs['image'])
  sources = np.stack([first, (first + last) / 2, last])
  assert_near(there[[0, 8, -1]], encode(generate, generate.translate(sources)))


@pytest.mark.parametrize('name', ['faces', 'cyclegan', 'pix2pix', 'gan_3d'])
def test_it_is_reported(run, tmp_path, name):
  text = write_report([run(name)], out=tmp_path / 'page.html').read_text()
  between = draw_between(run(name)).png
  assert between and between in text
  assert text.count('data:image/png') >= 2, name  # and its grids
  assert (tmp_path / 'page.gif').exists()


@pytest.mark.parametrize('name', ['faces', 'cyclegan', 'pix2pix', 'infogan', 'gan_3d'])
def test_the_exported_program_draws_the_first_16_samples(run, tmp_path, name):
  folder = export_generator(run(name), out=tmp_path / 'export')
  subprocess.run([sys.executable, 'run.py'], check=True, timeout=120, cwd=folder, capture_output=True)
  exported = np.load(folder / 'samples.npy')
  generate = gans.load(run(name))
  if generate.translates:
    drawn = pixels_of(name, run)['images'][:16]
  else:
    sample(run(name), num=16, out=tmp_path / 'drawn.npz')
    drawn = np.load(tmp_path / 'drawn.npz')[generate.spec.kind.name]
  assert len(exported) == 16
  assert_near(encode(generate, exported)[:len(drawn)], drawn)


@pytest.mark.parametrize('name', ['stargan', 'cyclegan', 'pix2pix', 'infogan', 'bigan', 'gan_3d'])
def test_the_packed_one_draws_the_same_within_rounding(run, tmp_path, name):
  generate, packed = gans.load(run(name)), gans.load(pack_generator(run(name), out=tmp_path / 'packed'))
  assert packed.spec == generate.spec and packed.num_classes == generate.num_classes
  assert packed.translates == generate.translates and packed.variables.keys() == generate.variables.keys()
  images = None
  if generate.translates:
    images = jax.random.uniform(jax.random.key(1), (3, *generate.image_shape), minval=-1)
  one, other = (each(jax.random.key(0), 3, images=images) for each in (generate, packed))
  np.testing.assert_allclose(one, other, atol=0.02)
  assert (one != other).any() or name == 'gan_3d'


@pytest.mark.parametrize('name', ['stargan', 'cyclegan', 'pix2pix', 'infogan', 'gan_3d'])
def test_its_nearest_training_images_are_found(run, tmp_path, name, monkeypatch):
  monkeypatch.setattr(nearest, 'MEASURED', 30)
  found = nearest.show_nearest(run(name), num=2, out=tmp_path / 'nearest.png')
  assert len(found.samples) >= 30 and np.isfinite(found.samples).all()
  assert pictures.read_png(tmp_path / 'nearest.png').any()


# Bad input


def test_attributes_that_the_file_has_not_are_named(run, tmp_path):
  config = tiny_config('faces', run('faces').parent / 'images')
  config.dataset.attributes = ('Male', 'Old')
  with pytest.raises(UserError, match=r"dataset.attributes: 'Old' is not in '.*attributes.csv'; it has \['Black_Hair'"):
    train(config, tmp_path / 'run')
  assert not (tmp_path / 'run').exists()


def test_main_says_so_in_a_line(run, tmp_path):
  flags = ['--config=configs/stargan.py:faces', f'--workdir={tmp_path / "run"}',
           f'--config.dataset.path={run("faces").parent / "images"}']
  result = subprocess.run([sys.executable, 'main.py', *flags], cwd=ROOT, capture_output=True, text=True, timeout=120)
  assert result.returncode == 1 and 'Traceback' not in result.stderr
  assert "dataset.attributes: 'Brown_Hair' is not in" in result.stderr


@pytest.mark.parametrize('name, arguments, message', [
    ('faces', {'labels': ['Male+Beard']},
     r"labels=Male\+Beard: there is no attribute 'Beard'; expected some of Black_Hair, .*such as Black_Hair\+B"),
    ('faces', {'labels': [1]}, "labels=1: there is no attribute '1'"),
    ('faces', {'labels': []}, 'labels=: there is none'),
    ('stargan', {'labels': ['10']}, "labels=10: there is no class '10'; expected some of 0, 1, 2"),
    ('stargan', {'labels': ['three']}, "labels=three: there is no class 'three'"),
    ('pix2pix', {'labels': ['1']}, 'this model was trained without labels'),
    ('cyclegan', {'truncation': 0.5}, '--truncation=0.5: samples of this model are not made from noise'),
    ('cyclegan', {'inputs': '/no/such'}, '--inputs=/no/such holds no image: give a folder of images, or one image'),
    ('cyclegan', {'inputs': '~nosuch/a.png'}, '--inputs=~nosuch/a.png holds no image'),
    ('cyclegan', {'inputs': 'configs'}, '--inputs=configs holds no image'),
    ('cyclegan', {'inputs': 'README.md'}, "--inputs=README.md: 'README.md' cannot be read: "),
    ('cyclegan', {'num': 0}, '--num=0: expected at least 1'),
    ('infogan', {'inputs': '/no/such'}, '--inputs=/no/such: samples of this model are not made of images')])
def test_what_cannot_be_drawn_is_said(run, tmp_path, name, arguments, message):
  with pytest.raises(UserError, match=message):
    sample(run(name), out=tmp_path / 'out.png', **arguments)
  assert not (tmp_path / 'out.png').exists()


@pytest.mark.parametrize('labels, message', [
    (['Beard'], "labels=Beard: there is no attribute 'Beard'"),
    (['Male+Young'], "there is no attribute 'Young'"),
    ([1], "there is no attribute '1'"),
    (['Male+Black_Hair', 'Male'], 'expected one attribute each'),
    (['', 'Male'], 'expected one attribute each'),
])
def test_an_attribute_that_there_is_not_cannot_be_gone_through(run, tmp_path, labels, message):
  with pytest.raises(UserError, match=message):
    interpolate.interpolate(run('faces'), labels=labels, out=tmp_path / 'ways')


def test_a_translator_wants_images_of_its_shape(run):
  generate = gans.load(run('stargan'))
  wanted = r'this model translates images, give them as float \(.n., 8, 8, 1\) in \[-1, 1'
  for wrong in (np.zeros((2, 9, 9, 1), np.float32), np.zeros((8, 8, 1), np.float32), 'me.jpg'):
    with pytest.raises(UserError, match=f'images of the shape .*{wanted}'):
      generate.translate(wrong)
  with pytest.raises(UserError, match=f'images=None: {wanted}'):
    generate(jax.random.key(0), 2)
  for wrong in (None, [[1], [2, 3]]):
    with pytest.raises(UserError, match='images=.*: expected an array'):
      generate.translate(wrong)
  with pytest.raises(UserError, match='images of type uint8, from 0 to 0: expected float from -1 to 1'):
    generate.from_inputs({'image': np.zeros((1, 8, 8, 1), np.uint8), 'label': [1]})
  with pytest.raises(UserError, match=r'labels: there is 10 among them'):
    generate.translate(np.zeros((2, 8, 8, 1), np.float32), [10, 0])
  with pytest.raises(UserError, match=r"samples of this model are made from \['image', 'label'\]; expected label and"):
    generate.from_latents(np.zeros((2, 3), np.float32))
  faces = gans.load(run('faces'))
  with pytest.raises(UserError, match=r'labels of .* shape \(2,\): expected numbers from 0 to 1 of the shape \(2, 3'):
    faces.translate(np.zeros((2, 8, 8, 3), np.float32), [0, 1])
  with pytest.raises(UserError, match='labels: there is 2.0 among them'):
    faces.translate(np.zeros((2, 8, 8, 3), np.float32), [0, 1, 2])
  noise = gans.load(run('infogan'))
  with pytest.raises(UserError, match='images: samples of this model are not made of images'):
    noise.translate(np.zeros((2, 8, 8, 1), np.float32))


def test_without_a_target_a_translation_has_a_random_one(run):
  for name in ('stargan', 'faces'):
    generate = gans.load(run(name))
    image = jax.random.uniform(jax.random.key(1), (1, *generate.image_shape), minval=-1)
    images = np.concatenate([image] * 20)
    found = np.asarray(generate.translate(images))
    assert found.shape == images.shape and len(np.unique(found.round(5), axis=0)) > 1


def test_a_data_set_that_has_changed_its_size_is_refused(run, tmp_path):
  path = shutil.copytree(run('pix2pix'), tmp_path / 'run')
  record = json.loads((path / 'config.json').read_text())
  record['config']['dataset']['image_size'] = 12
  (path / 'config.json').write_text(json.dumps(record))
  with pytest.raises(UserError, match='trained on other data.*\n.*examples are 12x12x1 now, and were 8x8x1'):
    sample(path, out=tmp_path / 'out.png')


@pytest.mark.parametrize('images', [
    np.full((1, 8, 8, 1), 200, np.uint8), np.full((1, 8, 8, 1), 1.1), np.full((1, 8, 8, 1), np.nan)])
def test_a_translator_wants_images_of_its_range(run, images):
  with pytest.raises(UserError, match='images of type .*: expected float from -1 to 1, which uint8 pixels / 127.5 - 1'):
    gans.load(run('stargan')).translate(images)


def test_no_more_images_of_ones_own_are_read_than_are_asked_for(tmp_path):
  for name in ('a', 'b'):
    Image.new('RGB', (8, 8)).save(tmp_path / f'{name}.png')
  (tmp_path / 'c.png').write_bytes(b'no picture')
  sources, _ = read_sources(tmp_path, Spec((8, 8, 3)), may_be_pairs=False, num=2)
  assert len(sources) == 2
  with pytest.raises(UserError, match='c.png. cannot be read'):
    read_sources(tmp_path, Spec((8, 8, 3)), may_be_pairs=False)


def test_a_pipe_is_no_image(tmp_path):
  os.mkfifo(tmp_path / 'pipe.png')  # to read it would wait for ever
  with pytest.raises(UserError, match='holds no image'):
    read_sources(tmp_path / 'pipe.png', Spec((8, 8, 3)), may_be_pairs=False)


def test_pairs_of_ones_own_are_translated_from_their_left_halves(tmp_path):
  pair = np.concatenate([np.full((8, 8, 3), 40, np.uint8), np.full((8, 8, 3), 90, np.uint8)], axis=1)
  Image.fromarray(pair).save(tmp_path / 'pair.png')
  a, b = read_sources(tmp_path, Spec((8, 8, 1), 2, paired=True), may_be_pairs=True)
  assert a.shape == b.shape == (1, 8, 8, 1) and set(a.ravel()) == {40} and set(b.ravel()) == {90}
  Image.fromarray(pair[:, :8]).save(tmp_path / 'single.png')
  sources, partners = read_sources(tmp_path, Spec((8, 8, 3), 2, paired=True), may_be_pairs=True)
  assert sources.shape == (2, 8, 8, 3) and partners is None
