"""Nearest training images: the search, leaving one out, and what --mode=nearest says of a generator that copies."""
import json
import shutil

import numpy as np
import pytest

from gans.data.dataset import OnDisk
from gans.data.kinds import VOXELS
from gans.errors import UserError
from gans.modes import nearest
from gans.modes.nearest import show_nearest
from gans.system import pictures
from tests.conftest import ROOT

PIXELS = nearest.Space(lambda images: images, 1.0, 'Euclidean')


def test_the_search_is_that_of_all_pairs_whatever_the_chunks(monkeypatch):
  queries, examples = np.split(np.random.default_rng(0).integers(0, 256, (60, 3, 3, 1), np.uint8), [10])
  pairs = np.linalg.norm((queries[:, None] - examples[None].astype(float)).reshape(10, 50, -1), axis=-1)
  for chunk in (7, 50, 100):
    monkeypatch.setattr(nearest, 'CHUNK', chunk * 9)
    distances, indices = nearest.find_nearest(queries, examples, 4)
    np.testing.assert_array_equal(indices, np.argsort(pairs, axis=1)[:, :4])
    np.testing.assert_allclose(distances, np.sort(pairs, axis=1)[:, :4], rtol=1e-5)


def test_an_example_is_not_its_own_neighbour_nor_is_its_mirror_image():
  examples = np.array([[0.0], [1], [10], [10]])
  own = np.arange(4)
  np.testing.assert_allclose(nearest.distances_to_others(examples, own, examples, 4), [1, 1, 0, 0])
  mirrored = np.concatenate([examples, examples + 0.1])
  np.testing.assert_allclose(nearest.distances_to_others(examples, own, mirrored, 4), [1, 0.9, 0, 0], atol=1e-5)


@pytest.mark.parametrize('streamed', [False, True])
def test_copies_are_at_no_distance_and_found_mirrored_too(streamed):
  real = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 1), np.uint8)
  copies = real[[3, 5], :, ::-1]
  if streamed:
    in_memory, real = real, OnDisk(real.shape, '', lambda positions: list(in_memory[positions]))
    np.testing.assert_array_equal(nearest.with_mirrored(real)[[[43, 5]]], [[copies[0], in_memory[5]]])
  indices, found = nearest.measure_distances(copies, nearest.with_mirrored(real), 40, PIXELS)
  assert indices[:, 0].tolist() == [43, 45]
  np.testing.assert_allclose(found.samples, 0, atol=1e-3)
  assert found.real.min() > 50 and len(found.real) == 40
  assert 'samples are 0.00 times as far' in nearest.describe_distances(found, 40, PIXELS)


def test_few_images_or_equal_ones_are_described_as_they_are():
  """Of three images there are three nearest; where they are equal, or there is but one, there is no ratio."""
  samples = np.zeros((2, 4, 4, 1), np.uint8)
  real = np.stack([np.full((4, 4, 1), value, np.uint8) for value in (1, 50, 200)])
  indices, found = nearest.measure_distances(samples, real, 3, PIXELS)
  assert indices.tolist() == [[0, 1, 2]] * 2
  assert 'samples are 0.02 times as far' in nearest.describe_distances(found, 3, PIXELS)
  _, found = nearest.measure_distances(samples, real[[0, 0, 0]], 3, PIXELS)
  text = nearest.describe_distances(found, 3, PIXELS)
  assert 'most training images have an equal one' in text and 'inf' not in text and 'times' not in text
  _, found = nearest.measure_distances(samples, real[:1], 1, PIXELS)
  text = nearest.describe_distances(found, 1, PIXELS)
  assert 'there is no other training image' in text and 'inf' not in text


def test_neighbours_stand_beside_their_sample():
  samples = np.array([1, 2], np.uint8).reshape(2, 1, 1, 1)
  neighbours = np.array([[3, 4], [5, 6]], np.uint8).reshape(2, 2, 1, 1, 1)
  picture = nearest.lay_out_beside(samples, neighbours)
  np.testing.assert_array_equal(picture[..., 0], [[1, 255, 255, 3, 4], [2, 255, 255, 5, 6]])


def test_a_run_is_shown_beside_its_data(digits_run, tmp_path, capsys):
  found = show_nearest(digits_run, num=5, labels=['1', '2'], out=tmp_path / 'near.png')
  assert found.samples.shape == found.real.shape == (1000,)
  assert pictures.read_png(tmp_path / 'near.png').shape == (5 * 8, 8 * 8 + 2, 1)
  output = capsys.readouterr().out
  assert '5000 training images (root mean square over the pixels, of 255)' in output
  assert f'median {np.median(found.samples):.4g}' in output and f'median {np.median(found.real):.4g}' in output
  assert 0 < found.real.min() < np.median(found.real) < np.median(found.samples) < 255  # four steps taught it nothing


def test_features_need_no_more_samples_than_there_are(digits_run, tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  run = shutil.copytree(digits_run, tmp_path / 'run')
  record = json.loads((run / 'config.json').read_text())
  record['config']['eval'] |= {'num_samples': 50, 'classifier_steps': 2}  # too few for a Frechet distance
  (run / 'config.json').write_text(json.dumps(record))
  assert show_nearest(run, num=2, means={'eval.features': 'classifier'}).samples.shape == (1000,)


def test_points_are_refused():
  with pytest.raises(UserError, match='--mode=nearest: .* makes points; expected a model that makes images'):
    show_nearest(ROOT / 'tests' / 'workdirs' / 'layout_2')


@pytest.mark.parametrize('arguments, message', [
    ({'labels': ['-1']}, "labels=-1: there is no class '-1'"),
    ({'means': {'eval.features': 'points'}}, "eval.features='points': mnist_5k has images"),
    ({'means': {'eval.features': 'inception'}}, "eval.features='inception' needs eval.weights"),
    ({'means': {'eval.features': 'inception', 'eval.weights': '/no/file.pth'}}, "eval.weights: '?/no/file.pth"),
    ({'out': 'near.jpg'}, '--out=near.jpg: expected NAME.png'),
    ({'out': ROOT / 'docs/images/nearest.png'}, '--out=.*docs/images/nearest.png exists'),
])
def test_what_cannot_be_shown_is_named(digits_run, arguments, message):
  with pytest.raises(UserError, match=message):
    show_nearest(digits_run, **arguments)


def test_voxels_are_mirrored_from_left_to_right():
  models = np.arange(8, dtype=np.uint8).reshape(1, 2, 2, 2, 1)
  both = nearest.with_mirrored(models, VOXELS.mirror_axis)
  np.testing.assert_array_equal(both[1], models[0, ::-1])
