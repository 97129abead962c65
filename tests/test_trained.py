"""The arguments of a trained generator, under jit and outside of it, and what it is when it is pickled or copied."""
import copy
import dataclasses
import json
import pickle
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base, wgan_gp
import gans
from gans.data.dataset import Spec
from gans.errors import UserError
from gans.modes.interpolate import interpolate
from gans.modes.pack import pack_generator
from gans.modes.sample import folder_name, sample
from gans.runs.labels import parse_attributes, parse_classes
from tests.conftest import ROOT, save_untrained
from tests.shrink import shrink
from tests.tiny import tiny

KEY = jax.random.key(0)
ANIMALS = ('cat', 'dog', 'eel')


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """The workdir of a run on 8x8 images of three animals, whose data set is not there."""
  config = shrink(wgan_gp.get_config())
  adam = base.adam()
  config.generator = {'network': 'mlp.Generator', 'hidden': (8,), 'norm': 'batch', 'label_dim': 2, 'optimizer': adam}
  config.critic = {'network': 'mlp.Critic', 'hidden': (8,), 'norm': 'layer', 'optimizer': adam}
  path = tmp_path_factory.mktemp('runs') / 'run'
  save_untrained(path, config, Spec((8, 8, 1), 3, class_names=ANIMALS), 3)
  return path


@pytest.fixture(scope='module')
def generate(run):
  return gans.load(run)


def test_one_that_was_used_can_be_pickled_and_copied(generate):
  images = generate(KEY, 3, [0, 1, 2])
  assert generate.play and generate.input_shapes
  for other in (pickle.loads(pickle.dumps(generate)), copy.copy(generate), copy.deepcopy(generate)):
    np.testing.assert_array_equal(other(KEY, 3, [0, 1, 2]), images)
    assert (other.spec, other.step, other.training_seed) == (generate.spec, 3, 0)
  changed = dataclasses.replace(generate, variables=jax.tree.map(lambda leaf: leaf + 1, generate.variables))
  np.testing.assert_array_equal(pickle.loads(pickle.dumps(changed))(KEY, 3, 1), changed(KEY, 3, 1))


@pytest.mark.parametrize('name', ['infogan', 'stargan'])
def test_those_of_other_algorithms_too(tmp_path, name):
  spec = Spec((8, 8, 1), 10)
  save_untrained(tmp_path / 'run', tiny(name), spec, 4)
  generate = gans.load(tmp_path / 'run')
  images = np.zeros((2, 8, 8, 1), np.float32) if generate.translates else None
  np.testing.assert_array_equal(pickle.loads(pickle.dumps(generate))(KEY, 2, 1, images=images),
                                generate(KEY, 2, 1, images=images))


def test_what_an_array_can_be_made_of_is_one(generate):
  z = np.asarray(generate.latents(KEY, 2))
  images = generate.from_latents(z, [0, 1])
  for same in (z.tolist(), tuple(map(tuple, z.tolist())), z.astype(np.float64), jnp.asarray(z)):
    np.testing.assert_allclose(generate.from_latents(same, (0, 1)), images, atol=1e-6)
  assert generate.from_latents([[0] * 8], 0).dtype == jnp.float32  # whole numbers
  np.testing.assert_array_equal(generate.from_inputs({'label': [0, 1], 'z': z.tolist()}), images)
  for same in (['cat', 'dog'], np.array(['cat', 'dog']), ['0', 'dog'], np.uint8([0, 1])):
    np.testing.assert_array_equal(generate.from_latents(z, same), images)
  np.testing.assert_array_equal(generate(KEY, 2, 'eel'), generate(KEY, 2, 2))


@pytest.mark.parametrize('draw, message', [
    (lambda g: g(0, 4), r'rng=0: expected one key, such as jax.random.key\(0\)'),
    (lambda g: g(7, 4), r'rng=7: expected one key, such as jax.random.key\(7\)'),
    (lambda g: g(None, 4), 'rng=None: expected one key'),
    (lambda g: g(jax.random.split(KEY, 3), 4), r'rng=an array of type key<fry> and shape \(3,\): expected one key'),
    (lambda g: g(np.zeros(3, np.uint32), 4), 'rng=an array of type uint32'),
    (lambda g: g.latents(0, 4), 'rng=0: expected one key'),
    (lambda g: g.inputs(0, 4, 1), 'rng=0: expected one key'),
    (lambda g: g(KEY, 4.0), 'n=4.0: expected a whole number'),
    (lambda g: g(KEY, True), 'n=True: expected a whole number'),
    (lambda g: g(KEY, 4, 'cow'), "labels=cow: there is no class 'cow'; expected some of cat, dog, eel, or"),
    (lambda g: g(KEY, 2, ['cat']), r'labels=\[0\] of type int32 and shape \(1,\): expected 2 whole numbers'),
    (lambda g: g(KEY, 2, [[1], [2, 0]]), r'labels=\[\[1\], \[2, 0\]\]: expected 2 whole numbers from 0 to 2'),
    (lambda g: g(KEY, 2, {1}), r'labels=\{1\}: expected 2 whole numbers'),
    (lambda g: g(KEY, 2, 10**30), 'labels=10*: expected 2 whole numbers'),
    (lambda g: g(KEY, 2, True), 'labels=True of type bool'),
    (lambda g: g(KEY, 2, 1, '0.5'), "truncation='0.5': expected a number above 0"),
    (lambda g: g(KEY, 2, 1, [0.5]), r'truncation=\[0.5\]: expected a number above 0'),
    (lambda g: g(KEY, 2, 1, np.nan), 'truncation=nan: expected a number above 0'),
    (lambda g: g(KEY, 2, 1, True), 'truncation=True: expected a number above 0'),
    (lambda g: jax.jit(lambda t: g(KEY, 2, 1, t))(0.5), 'truncation is traced: .* it must be static'),
    (lambda g: g(KEY, 2, 1, images=[1]), 'images: samples of this model are not made of images'),
    (lambda g: g.translate([[1], [2, 3]]), 'images=.*: expected an array'),
    (lambda g: g.from_latents('z', 1), r'z of shape \(\): expected \(n, 8\)'),
    (lambda g: g.from_latents([['a'] * 8], 1), 'z of type <U1'),
    (lambda g: g.from_latents([[0.] * 8, [0.]], 1), 'z=.*: expected an array'),
    (lambda g: g.from_latents(np.zeros((0, 8)), 1), r'z of shape \(0, 8\): expected'),
    (lambda g: g.from_inputs(3), r"inputs 3: expected \{name: values\} of \['label', 'z'\]"),
    (lambda g: g.from_inputs({'z': np.zeros((2, 8))}), r"inputs \['z'\]: expected .*'label', 'z'"),
    (lambda g: g.from_inputs({'z': np.zeros((2, 8)), 'label': [1]}), 'numbers of samples, {.z.: 2, .label.: 1}'),
    (lambda g: g.from_inputs({'z': np.zeros((2, 9)), 'label': [1, 1]}), r'z .* shape \(2, 9\): expected .*\(n, 8\)'),
    (lambda g: g.from_inputs({'z': np.zeros((2, 8)), 'label': [1, 3]}), 'labels: there is 3 among them'),
    (lambda g: g.from_inputs({'z': np.zeros((2, 8)), 'label': [1., 2.]}), 'label of type float64'),
])
def test_wrong_arguments_are_answered_in_ones_own_words(generate, draw, message):
  with pytest.raises(UserError, match=message):
    draw(generate)


@pytest.mark.parametrize('label', [3, -1])
def test_a_label_out_of_range_under_jit_gives_no_wrong_sample(generate, label):
  """Its value is not known there, so that no error can be raised: its sample is NaN, the others are as they were."""
  labels = jnp.array([1, label, 2])
  z = generate.latents(KEY, 3)
  right = generate.from_latents(z, [1, 0, 2])
  drawn = {
      'a call': jax.jit(lambda labels: generate(KEY, 3, labels))(labels),
      'latents': jax.jit(lambda labels: generate.from_latents(z, labels))(labels),
      'inputs': jax.jit(lambda labels: generate.from_inputs({'z': z, 'label': labels}))(labels),
      'vmap': jax.vmap(lambda label, z: generate.from_latents(z[None], label)[0])(labels, z),
  }
  for images in drawn.values():
    assert jnp.isnan(images[1]).all()
    np.testing.assert_allclose(images[jnp.array([0, 2])], right[jnp.array([0, 2])], atol=1e-6)


def test_jax_reports_a_label_out_of_range_where_it_is_asked_to(generate):
  with jax.debug_nans(True):
    draw = jax.jit(lambda labels: generate(KEY, 2, labels))
    draw(jnp.array([1, 2]))
    with pytest.raises(UserError, match='labels: there is 3 among them'):  # JAX takes the operations one by one
      draw(jnp.array([1, 3]))


def test_a_traced_label_in_a_list_is_one(generate):
  drawn = jax.jit(lambda label: generate(KEY, 2, [label, 1]))(2)
  np.testing.assert_allclose(drawn, generate(KEY, 2, [2, 1]), atol=1e-6)


def test_classes_have_names_wherever_they_are_given_and_shown(run, tmp_path, capsys):
  with np.load(sample(run, labels=['eel', '0', 'cat'], out=tmp_path / 'x.npz')) as file:
    assert file['labels'].tolist() == [2, 0, 0] and file['label_names'].tolist() == list(ANIMALS)
  assert capsys.readouterr().out.endswith('3 of step 3: eel, cat\n')
  sample(run, num=3, out=tmp_path / 'trunc0.7')
  assert sorted(path.name for path in (tmp_path / 'trunc0.7').iterdir()) == list(ANIMALS)
  ways = interpolate(run, labels=['dog', 'eel'], num=2, out=tmp_path / 'ways_0.5')
  numbered = interpolate(run, labels=['1', '2'], num=2, out=tmp_path / 'numbered')
  assert (ways / 'classes.png').read_bytes() == (numbered / 'classes.png').read_bytes()
  packed = pack_generator(run, out=tmp_path / 'packed.v2')
  assert gans.load(packed).label_names == ANIMALS


@pytest.mark.parametrize('names, expected', [
    (ANIMALS, list(ANIMALS)),
    (('grey', 'colour'), ['grey', 'colour']),
    (('a/b', 'c'), ['0', '1']),
    (('a', 'a'), ['0', '1']),
    (('', 'a'), ['0', '1']),
    ((), ['0', '1', '2']),
    (tuple(map(str, range(12))), [f'{i:02d}' for i in range(12)]),
    (('1', '2', '10'), ['1', '2', '10']),
])
def test_folders_of_samples_have_the_names_of_classes_or_numbers_in_order(names, expected):
  largest = len(expected) - 1
  assert [folder_name(names, label, largest) for label in range(len(expected))] == expected


def test_the_names_of_classes():
  assert parse_classes(['dog', '0', 2], 3, ANIMALS).tolist() == [1, 0, 2]
  assert parse_classes(['3', '3', 7], 10).tolist() == [3, 3, 7]
  folders = ('1', '2', '10')
  assert parse_classes(['10', '1'], 3, folders).tolist() == [2, 0]
  assert parse_classes([0], 3, folders).tolist() == [0]  # a number, not a text
  assert parse_classes(['7', '007'], 1000, tuple(f'{i:03d}' for i in range(1000))).tolist() == [7, 7]
  assert parse_classes([8, '9'], 9, tuple('123456789')).tolist() == [8, 8]
  with pytest.raises(UserError, match="there is no class '9'"):
    parse_classes([9], 9, tuple('123456789'))
  for labels in (['0'], ['3'], ['-1'], [3], ['1.0'], [True], ['']):
    with pytest.raises(UserError, match='there is no class .*expected some of 1, 2, 10$'):
      parse_classes(labels, 3, folders)
  with pytest.raises(UserError, match='expected some of n0, n1, .*n19 and 980 more, or their numbers from 0 to 999'):
    parse_classes(['x'], 1000, tuple(f'n{i}' for i in range(1000)))
  np.testing.assert_array_equal(parse_attributes(['B+A', '', 'A+A'], ('A', 'B')), [[1, 1], [0, 0], [1, 0]])


def test_loading_is_silent(run):
  """Orbax warns three times that what is opened for reading is read only."""
  code = f'import gans, jax; gans.load({str(run)!r})(jax.random.key(0), 2, "cat")'
  result = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, timeout=120)
  assert (result.returncode, result.stdout, result.stderr) == (0, '', '')


@pytest.mark.parametrize('packed', [False, True])
@pytest.mark.parametrize('change', [
    {'generator': {'hidden': [16]}}, {'generator': {'hidden': 'big'}}, {'generator': {'hidden': [[8]]}},
    {'generator': {'norm': 7}}, {'generator': {'network': 'mlp.Critic'}}, {'generator': {'network': 'os.path'}},
    {'generator': {'label_dim': 'two'}}, {'z_dim': 9}, {'generator': {'no_such': 1}}, {'critic': {'hidden': None}},
])
def test_a_config_changed_by_hand_deep_in_a_network_is_named(run, tmp_path, change, packed):
  path = tmp_path / 'copy'
  if packed:
    pack_generator(run, out=path)
  else:
    shutil.copytree(run, path)
  record = json.loads((path / 'config.json').read_text())
  for field, value in change.items():
    group = record['config']
    group[field] = group[field] | value if isinstance(value, dict) else value
  (path / 'config.json').write_text(json.dumps(record))
  with pytest.raises(UserError, match='config.json|does not fit this config'):
    gans.load(path)
