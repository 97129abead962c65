"""Batches of pairs and of two domains: their order, how they are mirrored and streamed, on many devices and seeds."""
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
import pytest

from gans.build import build, build_state, build_train_steps
from gans.core import sharding
from gans.core.game import Algorithm, Update, each_seed
from gans.core.tracing import trace_losses
from gans.data.batches import batch_shapes, make_prepare
from gans.data.dataset import Dataset, OnDisk, Spec
from gans.data.feed import open_feed, shorten_calls
from gans.data.order import batch_indices, find_order
from gans.data.schedule import split_into_calls, step_indices
from gans.data.sources import load_dataset
from gans.errors import UserError
from tests.conftest import ROOT, set_optimizers
from tests.test_gate import Critic
from tests.tiny import tiny

NUM = 7  # pairs


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))


def paired(num: int = NUM) -> Dataset:
  """Pairs whose partners lie anywhere: the example at a place of the shuffled labels is told by its first pixel."""
  rng = np.random.default_rng(0)
  labels = rng.permutation(np.repeat(np.arange(2, dtype=np.int32), num))
  a, b = np.flatnonzero(labels == 0), rng.permutation(np.flatnonzero(labels == 1))
  partners = np.empty(2 * num, np.int32)
  partners[a], partners[b] = b, a
  images = rng.integers(0, 256, (2 * num, 2, 2, 1), np.uint8)
  return Dataset(images, labels, num_classes=2, partners=partners)


# The order


def test_examples_have_the_order_that_they_had():
  assert find_order('examples', paired()) is batch_indices


def test_pairs_stay_together_and_all_come_once_an_epoch():
  dataset = paired()
  order = find_order('pairs', dataset)
  indices = order(3, 0, NUM, 4, 2 * NUM)  # four epochs
  assert indices.shape == (NUM, 8) and indices.dtype == np.int32
  a, b = indices[:, ::2].ravel(), indices[:, 1::2].ravel()
  np.testing.assert_array_equal(dataset.labels[a], 0)
  np.testing.assert_array_equal(b, dataset.partners[a])
  for epoch in a.reshape(4, NUM):
    np.testing.assert_array_equal(np.sort(epoch), np.flatnonzero(dataset.labels == 0))


def two_domains(num_a: int, num_b: int) -> Dataset:
  """The first class, then the second."""
  labels = np.repeat(np.arange(2, dtype=np.int32), [num_a, num_b])
  images = np.arange(len(labels) * 4, dtype=np.uint8).reshape(-1, 2, 2, 1)
  return Dataset(images, labels, num_classes=2)


def test_each_domain_has_an_order_of_its_own():
  few, many = (find_order('domains', two_domains(5, num))(0, 0, 10, 3, 5 + num) for num in (6, 15))
  for indices, num in ((few, 6), (many, 15)):
    a, b = indices[:, ::2].ravel(), indices[:, 1::2].ravel()
    for epoch in a.reshape(6, 5):
      np.testing.assert_array_equal(np.sort(epoch), range(5))
    for epoch in b.reshape(-1, num):
      np.testing.assert_array_equal(np.sort(epoch), range(5, 5 + num))
  np.testing.assert_array_equal(few[:, ::2], many[:, ::2])  # whatever the other domain has
  same = find_order('domains', two_domains(5, 5))(0, 0, 10, 3, 10)
  assert (same[:, 1::2] - 5 != same[:, ::2]).any()  # equally many are not drawn alike


@pytest.mark.parametrize('data', ['pairs', 'domains'])
def test_any_cut_of_pairs_gives_the_same_batches(data):
  order = find_order(data, paired())
  whole = order(0, 0, 12, 5, 2 * NUM)
  cut = [order(0, 0, 5, 5, 2 * NUM), order(0, 5, 7, 5, 2 * NUM)]
  np.testing.assert_array_equal(whole, np.concatenate(cut))
  np.testing.assert_array_equal(whole, order(0, 0, 12, 5, 2 * NUM))
  assert (whole != order(1, 0, 12, 5, 2 * NUM)).any()


def test_the_steps_of_a_config_take_twice_as_many():
  config = tiny('pix2pix')
  config.batch_size, config.steps_per_call, config.seed = 5, 3, 4
  order = find_order('pairs', paired())
  indices = step_indices(config, 2, 6, 2 * NUM, order)
  assert indices.shape == (3, 2, 10)
  np.testing.assert_array_equal(indices.reshape(6, 10), order(4, 12, 6, 5, 2 * NUM))
  config.num_seeds = 2
  both = step_indices(config, 2, 6, 2 * NUM, order)
  assert both.shape == (3, 2, 2, 10)
  np.testing.assert_array_equal(both[:, 0], indices)


# A batch


@pytest.mark.parametrize('data', ['pairs', 'domains'])
def test_a_batch_has_both_domains(data):
  dataset = paired()
  spec = dataset.spec
  index = find_order(data, dataset)(0, 0, 6, 4, 2 * NUM).reshape(3, 2, 8)
  batch = make_prepare(spec, flip=False, data=data)((dataset.images, dataset.conditions), index, None)
  assert batch.keys() == {'a', 'b'}
  for name, own in (('a', index[..., ::2]), ('b', index[..., 1::2])):
    np.testing.assert_allclose(batch[name], dataset.images[own] / 127.5 - 1, atol=1e-6)
  expected = {name: leaf.shape for name, leaf in batch_shapes(spec, 4, data).items()}
  assert {name: x[0, 0].shape for name, x in batch.items()} == expected


def is_mirrored(batch, originals):
  """Tells of each image [B] whether it is the mirror image of its original."""
  assert all((image == original).all() or (image[:, ::-1] == original).all()
             for image, original in zip(batch, originals))
  return np.array([(image != original).any() for image, original in zip(batch, originals)])


@pytest.mark.parametrize('data', ['examples', 'pairs', 'domains'])
def test_a_pair_is_mirrored_together_and_domains_apart(data):
  images = np.zeros((128, 2, 2, 1), np.uint8)
  images[:, :, 0] = 255  # on the left
  prepare = make_prepare(Spec((2, 2, 1), 2, paired=True), flip=True, data=data)
  batch = prepare((images, np.zeros(128, np.int32)), np.arange(128), jax.random.key(0))
  flat = {name: is_mirrored(np.asarray(x), images / 127.5 - 1) for name, x in batch.items() if name != 'label'}
  for mirrored in flat.values():
    assert 0.3 < mirrored.mean() < 0.7
  if data != 'examples':
    agree = flat['a'] == flat['b']
    assert agree.all() if data == 'pairs' else 0.3 < agree.mean() < 0.7


def test_an_image_with_attributes_has_them_in_place_of_its_label():
  spec = Spec((2, 2, 1), 0, ('Male', 'Young'))
  attributes = np.array([[0, 1], [1, 1], [1, 0]], np.uint8)
  batch = make_prepare(spec, flip=False)((np.zeros((3, 2, 2, 1), np.uint8), attributes), np.array([2, 0]), None)
  assert batch.keys() == {'image', 'attributes'} == batch_shapes(spec, 2).keys()
  assert batch['attributes'].dtype == jnp.float32
  np.testing.assert_array_equal(batch['attributes'], [[1, 0], [0, 1]])


def read(name: str) -> Algorithm:
  """An algorithm whose loss reads one part of a batch."""
  def loss(play, batch, rng):
    x = batch[name]
    return jnp.mean(play.critic(jnp.zeros((2, 2)), None)) + 0 * jnp.mean(x), {}

  return Algorithm((Update(('critic',), loss),), inputs=None, averaged=())


@pytest.mark.parametrize('name, spec, data, there', [
    ('a', Spec((2, 2, 1), 10), 'examples', r"\['image', 'label'\]"),
    ('label', Spec((2, 2, 1), 0, ('Male', 'Young')), 'examples', r"\['attributes', 'image'\]"),
    ('image', Spec((2, 2, 1), 2), 'domains', r"\['a', 'b'\]")])
def test_a_part_that_a_batch_has_not_is_named(name, spec, data, there):
  with pytest.raises(UserError, match=f"the algorithm reads '{name}' of a batch, which has {there}: those of a data "
                     "set with dataset.attributes have 'attributes' in place of 'label', those of two domains 'a' and"):
    trace_losses(read(name), {'critic': Critic()}, batch_shapes(spec, 2, data))


# Streamed


def save_pairs(path, num: int = 9):
  rng = np.random.default_rng(0)
  path.mkdir()
  for i in range(num):
    Image.fromarray(rng.integers(0, 256, (8, 16, 3), np.uint8)).save(path / f'{i}.png')
  return path


def save_domains(path):
  rng = np.random.default_rng(0)
  for name, num in (('A', 5), ('B', 7)):
    (path / name).mkdir(parents=True)
    for i in range(num):
      Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(path / name / f'{i}.png')
  return path


@pytest.mark.parametrize('data, source, save', [
    ('pairs', 'folder_pairs', save_pairs), ('domains', 'folder', save_domains)])
@pytest.mark.parametrize('num_seeds', [1, 2])
def test_streamed_batches_are_those_in_memory(tmp_path, data, source, save, num_seeds):
  config = tiny('pix2pix')
  config.dataset.update({'name': source, 'path': str(save(tmp_path / 'images'))})
  config.update({'num_steps': 7, 'batch_size': 4, 'steps_per_call': 3, 'sample_every': 7, 'num_seeds': num_seeds})
  found = []
  for device_bytes in (2**30, 0):
    config.dataset.device_bytes = device_bytes
    dataset = load_dataset(config.dataset)
    assert isinstance(dataset.images, OnDisk) == (not device_bytes)
    order = find_order(data, dataset)
    prepare = make_prepare(dataset.spec, flip=True, data=data)

    def pick(step, count=None):
      return step_indices(config, 2, step, len(dataset.images), order, count)

    batches = []
    with open_feed(config, dataset, sharding.make_mesh(4), 2, pick) as take:  # in the middle of a block
      for step, stop in split_into_calls(2, config):
        arrays, indices = take(step)
        for index in indices[:stop - step]:
          by_seed = [index] if num_seeds == 1 else index
          batches.extend(prepare(arrays, each, jax.random.key(step)) for each in by_seed)
    found.append(batches)
  assert len(found[0]) == 5 * num_seeds and found[0][0]['a'].shape == (2, 4, 8, 8, 3)
  jax.tree.map(np.testing.assert_array_equal, *found)


def test_calls_are_shortened_by_both_images_of_a_pair():
  config = tiny('pix2pix')
  config.batch_size, config.steps_per_call = 64, 50
  dataset = Dataset(OnDisk((1000, 64, 64, 3), '', None), np.zeros(1000, np.int32))
  assert shorten_calls(config, 5, dataset).steps_per_call == 2**27 // (64 * 5 * 3 * 64 * 64)
  assert shorten_calls(config, 5 * 2, dataset).steps_per_call == 2**27 // (64 * 5 * 2 * 3 * 64 * 64)


# Devices and seeds


def take_steps(config, devices: int):
  """Takes the steps of one call on so many devices; returns the players, the averages and the metrics."""
  dataset = load_dataset(config.dataset)
  mesh = sharding.make_mesh(config.batch_size, jax.devices()[:devices])
  experiment = build(config, dataset.spec)
  state = build_state(config, experiment, mesh)
  data = sharding.place((dataset.images, dataset.conditions), sharding.replicated(mesh))
  order = find_order(experiment.algorithm.data, dataset)
  indices = step_indices(config, experiment.algorithm.batches_per_step, 0, len(dataset.images), order)
  indices = sharding.place(indices, sharding.over_batch(mesh, indices.ndim - 1))
  state, metrics = build_train_steps(config, experiment, dataset.spec, mesh)(state, data, indices, len(indices))
  return state.players, state.ema, metrics


def compare(one, other):
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(one))
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), one, other)


def gentle(name: str):
  """A tiny config under SGD, as Adam magnifies rounding where a gradient is 0; a penalty's may be a thousand."""
  config = tiny(name)
  config.dataset.flip = True
  set_optimizers(config, learning_rate=2e-4)
  return config


def test_the_second_of_two_seeds_is_its_single_run():
  config = gentle('cyclegan')
  config.num_seeds, config.seed = 2, 5
  players, ema, metrics = take_steps(config, devices=1)
  config.num_seeds, config.seed = 1, 6
  second = each_seed(players, 2)[1], each_seed(ema, 2)[1], jax.tree.map(lambda values: values[:, 1], metrics)
  compare(second, take_steps(config, devices=1))
  pools = players['pool_a'].model_state['memory']
  np.testing.assert_array_equal(pools['count'], [5, 5])
  assert (pools['images'][0] != pools['images'][1]).any()


def test_one_device_equals_eight():
  flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
  subprocess.run([sys.executable, __file__], check=True, timeout=300,
                 env={**os.environ, 'XLA_FLAGS': flags, 'PYTHONPATH': str(ROOT), 'JAX_PLATFORMS': 'cpu'})


def compare_devices():
  """Run where there are eight devices."""
  assert len(jax.devices()) == 8
  for name in ('cyclegan', 'stargan'):
    compare(take_steps(gentle(name), devices=1), take_steps(gentle(name), devices=8))


if __name__ == '__main__':
  compare_devices()
