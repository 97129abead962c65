"""Interpolation: the arc's geometry, blends of classes, and the pictures of --mode=interpolate."""
import dataclasses
from types import SimpleNamespace

import jax
import numpy as np
from PIL import Image, ImageSequence
import pytest

import gans
from gans.data.kinds import IMAGES, unit_to_pixels
from gans.errors import UserError
from gans.modes import interpolate
from gans.system import pictures
from tests.conftest import ROOT


def test_slerp_goes_along_the_arc():
  a, b = np.array([3.0, 0.0]), np.array([0.0, 3.0])
  np.testing.assert_allclose(interpolate.slerp(a, b, [0, 1 / 3, 1 / 2, 1]), 3 * np.array(
      [[1, 0], [np.sqrt(3) / 2, 1 / 2], [np.sqrt(1 / 2), np.sqrt(1 / 2)], [0, 1]]), atol=1e-12)


def test_slerp_keeps_equal_norms_and_the_angular_speed():
  a, b = np.random.default_rng(0).standard_normal((2, 5, 1, 64))
  b *= np.linalg.norm(a, axis=-1, keepdims=True) / np.linalg.norm(b, axis=-1, keepdims=True)
  points = interpolate.slerp(a, b, np.linspace(0, 1, 9)[None])
  norms = np.linalg.norm(points, axis=-1)
  assert points.shape == (5, 9, 64)
  np.testing.assert_allclose(norms, norms[:, :1].repeat(9, 1))
  chords = np.linalg.norm(np.diff(points, axis=1), axis=-1)
  np.testing.assert_allclose(chords, chords[:, :1].repeat(8, 1))


@pytest.mark.parametrize('a, b', [([1, 2], [2, 4]), ([1, 2], [-1, -2]), ([1, 2], [1, 2]), ([0, 0], [1, 2])])
def test_slerp_without_a_plane_has_its_ends_and_stays_finite(a, b):
  points = interpolate.slerp(a, b, np.linspace(0, 1, 5))
  np.testing.assert_allclose(points[[0, -1]], [a, b], atol=1e-12)
  assert np.isfinite(points).all()


def test_slerp_of_parallel_or_opposite_vectors_is_straight():
  np.testing.assert_allclose(interpolate.slerp([1.0, 2], [3.0, 6], 0.25), [1.5, 3])
  np.testing.assert_allclose(interpolate.slerp([1.0, 2], [-1.0, -2], 0.25), [0.5, 1])


def test_slerp_of_nearly_parallel_vectors_is_nearly_straight():
  a, b = np.array([1.0, 0]), np.array([1.0, 1e-5])
  np.testing.assert_allclose(interpolate.slerp(a, b, 0.5), [1, 5e-6], rtol=1e-9)


def test_a_loop_meets_itself():
  points = np.random.default_rng(0).standard_normal((3, 4))
  legs = interpolate.loop_through(points, interpolate.slerp, 5)
  assert legs.shape == (3, 5, 4)
  np.testing.assert_allclose(legs[:, 0], points)
  np.testing.assert_allclose(legs[:, -1], points[[1, 2, 0]])


def test_a_blend_of_classes_blends_their_embeddings(digits_run):
  generate = gans.load(digits_run)
  z = generate.latents(jax.random.key(0), 4)
  whole, half = (np.tile(weights, (4, 1)).astype(np.float32) for weights in (np.eye(10)[7], np.eye(10)[[3, 7]].mean(0)))
  np.testing.assert_allclose(generate.from_inputs({'z': z, 'label': whole}), generate.from_latents(z, 7), atol=1e-6)
  variables = jax.tree.map(np.asarray, generate.variables)
  embedding = variables['generator']['params']['Embed_0']
  table = embedding['embedding']
  embedding['embedding'] = np.concatenate([[(table[3] + table[7]) / 2], table[1:]])
  blended = dataclasses.replace(generate, variables=variables)  # whose class 0 is that blend
  np.testing.assert_allclose(generate.from_inputs({'z': z, 'label': half}), blended.from_latents(z, 0), atol=1e-6)
  assert abs(blended.from_latents(z, 0) - generate.from_latents(z, 7)).max() > 1e-3
  with pytest.raises(UserError, match='labels: there is 10'):
    generate.from_latents(z, 10)


def test_the_pictures_of_a_labelled_model(digits_run, tmp_path):
  folder = interpolate.interpolate(digits_run, num=3, seed=5, labels=['4', '9'], out=tmp_path / 'new')
  assert sorted(path.name for path in folder.iterdir()) == ['classes.gif', 'classes.png', 'latents.gif', 'latents.png']
  generate = gans.load(digits_run)
  z = generate.latents(jax.random.key(5), 3)
  latents, classes = (pictures.read_png(folder / f'{name}.png')[..., 0].astype(int) for name in ('latents', 'classes'))
  assert latents.shape == (3 * 8, 9 * 8) and classes.shape == (2 * 8, 9 * 8)
  expected = np.asarray(unit_to_pixels(generate.from_latents(z, 4)))[..., 0].astype(int)
  assert abs(latents[:, :8] - expected.reshape(24, 8)).max() <= 1
  assert abs(latents[:8, -8:] - expected[1]).max() <= 1  # the first row ends where the second starts
  expected = np.asarray(unit_to_pixels(generate.from_latents(z[:1].repeat(2, 0), np.array([4, 9]))))[..., 0].astype(int)
  assert abs(classes[:, :8] - expected.reshape(16, 8)).max() <= 1
  assert abs(classes[8:, -8:] - expected[0]).max() <= 1  # and round to the first class


def test_the_gif_goes_all_the_way_and_starts_over(digits_run, tmp_path):
  legs = interpolate.through_inputs(
      gans.load(digits_run), {'z': np.eye(2, 8), 'label': np.zeros(2, np.int32)})
  pictures.save_gif(tmp_path / 'a.gif', interpolate.frames(legs), 70)
  shown, milliseconds = [], 0
  with Image.open(tmp_path / 'a.gif') as gif:
    assert gif.info['loop'] == 0 and gif.size == (144, 144)  # 18 times 8 pixels
    for frame in ImageSequence.Iterator(gif):
      shown.append(np.asarray(frame.convert('L')))
      milliseconds += frame.info['duration']
  assert milliseconds == 2 * 16 * 70  # equal frames may be one, shown for longer
  np.testing.assert_array_equal(shown[0][::18, ::18], legs[0, 0, ..., 0])
  np.testing.assert_array_equal(shown[-1][::18, ::18], legs[1, -2, ..., 0])


@pytest.mark.parametrize('arguments, message', [
    ({'labels': ['10']}, "labels=10: there is no class '10'; expected some of 0, 1, 2"),
    ({'labels': ['3', 'x']}, "labels=3,x: there is no class 'x'"),
    ({'labels': []}, 'labels=: there is none; expected labels separated by commas'),
    ({'labels': ['3', '3']}, '--labels=3,3: there is no way from a class to itself'),
    ({'labels': [3, 7, 3]}, '--labels=3,7,3: there is no way from a class to itself'),
    ({'num': 1}, '--num=1: expected at least 2'),
    ({'inputs': '/none'}, '--inputs=/none: samples of this model are not made of images'),
    ({'out': 'docs'}, '--out=docs exists'),
    ({'out': 'x.png'}, '--out=x.png: expected a new folder'),
    ({'out': 'x.npy'}, '--out=x.npy: expected a new folder'),
])
def test_what_cannot_be_shown_is_named(digits_run, arguments, message):
  with pytest.raises(UserError, match=message):
    interpolate.interpolate(digits_run, **arguments)
  assert not (digits_run / 'interpolation').exists()


def test_what_is_transparent_is_shown_on_a_checkerboard():
  generate = SimpleNamespace(spec=SimpleNamespace(kind=IMAGES), draw=lambda inputs: np.zeros((6, 8, 8, 4), np.uint8))
  drawn = interpolate._draw(generate, {'z': np.zeros((2, 3, 5))})
  assert drawn.shape == (2, 3, 8, 8, 3)
  assert set(drawn.ravel()) == {204, 255}


def test_points_are_refused():
  with pytest.raises(UserError, match='--mode=interpolate: .* makes points; expected a model that makes images'):
    interpolate.interpolate(ROOT / 'tests' / 'workdirs' / 'layout_2')
