"""A data set that is streamed gives the batches, and the run, of the same one in memory; its threads end with it."""
import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import jax
import numpy as np
from PIL import Image
import pytest

from configs import base
from gans.algorithms import build_algorithm
from gans.core import sharding
from gans.data import feed
from gans.data.dataset import Dataset, OnDisk
from gans.data.schedule import split_into_calls, step_indices
from gans.data.sources import load_dataset
from gans.errors import UserError
from gans.evaluation import classifier
from gans.training.loop import train
from gans.training.reporter import Reporter
from tests.conftest import set_optimizers

IN_MEMORY, STREAMED = 2**30, 0  # device_bytes


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))


def fill(path, count=12, mode='RGB'):
  """Writes labelled images of noise, and one file that is no image."""
  rng = np.random.default_rng(0)
  for i in range(count):
    (path / 'ab'[i % 2]).mkdir(parents=True, exist_ok=True)
    shape = (12, 10, 3) if mode == 'RGB' else (12, 10)
    Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(path / 'ab'[i % 2] / f'{i:03d}.png')
  (path / 'a' / '000.jpg').write_bytes(b'broken')
  return path


def use_folder(config, path, device_bytes=STREAMED):
  """Turns to a folder's images."""
  config.dataset.update({'name': 'folder', 'path': str(path), 'image_size': 8, 'device_bytes': device_bytes})
  config.batch_size = 4
  set_optimizers(config, **base.adam(learning_rate=2e-3))
  return config


def use_blobs(config, path):
  config.dataset.update({'name': 'blobs', 'data_dir': path, 'image_size': 8})
  return config


def load(config, device_bytes):
  config.dataset.device_bytes = device_bytes
  return load_dataset(config.dataset)


@pytest.fixture(params=['tfds', 'folder', 'grey folder'])
def small(request, config, tmp_path):
  """A config of a small data set of each kind."""
  if request.param == 'tfds':
    return use_blobs(config, request.getfixturevalue('tfds_dir'))
  return use_folder(config, fill(tmp_path / 'images', mode='L' if 'grey' in request.param else 'RGB'))


def picker(config, dataset):
  batches_per_step = build_algorithm(config).batches_per_step
  return functools.partial(step_indices, config, batches_per_step, num_examples=len(dataset.images))


@pytest.mark.parametrize('num_seeds', [1, 2])
def test_every_call_is_fed_what_it_would_pick_in_memory(small, num_seeds):
  small.num_seeds, small.batch_size, small.steps_per_call, small.sample_every, small.num_steps = num_seeds, 4, 4, 3, 11
  memory, disk = load(small, IN_MEMORY), load(small, STREAMED)
  assert isinstance(memory.images, np.ndarray) and isinstance(disk.images, OnDisk)
  assert disk.spec == memory.spec and len(disk.images) == len(memory.images) and memory.num_classes == 2
  np.testing.assert_array_equal(disk.images[:], memory.images)
  np.testing.assert_array_equal(disk.images[np.array([3, 1])], memory.images[[3, 1]])
  np.testing.assert_array_equal(disk.labels, memory.labels)
  pick = picker(small, disk)
  with feed.open_feed(small, disk, sharding.make_mesh(4), 2, pick) as take:  # in the middle of a block
    for step, stop in split_into_calls(2, small):
      (images, labels), indices = take(step)
      assert indices.shape == pick(step).shape[:-2]
      wanted = pick(step)[:stop - step]
      np.testing.assert_array_equal(images[indices[:stop - step]], memory.images[wanted])
      np.testing.assert_array_equal(labels[indices[:stop - step]], memory.labels[wanted])


def test_a_streamed_run_is_the_one_in_memory_and_resumes_bit_for_bit(tmp_path, config):
  use_folder(config, fill(tmp_path / 'images'), IN_MEMORY)
  config.num_steps, config.steps_per_call, config.checkpoint_every, config.sample_every = 7, 3, 2, 7
  config.dataset.flip = True
  memory = train(config, tmp_path / 'memory')
  config.dataset.device_bytes = STREAMED
  streamed = train(config, tmp_path / 'streamed')
  config.num_steps = 4  # in the middle of a block
  train(config, tmp_path / 'cut')
  config.num_steps, config.dataset.workers = 7, 1
  resumed = train(config, tmp_path / 'cut')
  jax.tree.map(np.testing.assert_array_equal, memory, streamed)
  jax.tree.map(np.testing.assert_array_equal, streamed, resumed)
  samples = [(tmp_path / run / 'samples' / 'real.png').read_bytes() for run in ('memory', 'streamed')]
  assert samples[0] == samples[1]


def test_two_seeds_stream_side_by_side(tmp_path, config):
  use_folder(config, fill(tmp_path / 'images'), IN_MEMORY)
  config.num_seeds, config.num_steps, config.steps_per_call = 2, 3, 2
  memory = train(config, tmp_path / 'memory')
  config.dataset.device_bytes = STREAMED
  jax.tree.map(np.testing.assert_array_equal, memory, train(config, tmp_path / 'streamed'))


def test_calls_are_shortened_to_a_block(config):
  config.batch_size, config.steps_per_call = 64, 50
  for side, steps in ((64, 34), (256, 2), (1024, 1)):  # 2^27 / (64 * 5 * 3 * side^2), rounded down, but one at least
    dataset = Dataset(OnDisk((1000, side, side, 3), '', None), np.zeros(1000, np.int32))
    assert feed.shorten_calls(config, 5, dataset).steps_per_call == steps
  config.steps_per_call = 20
  assert feed.shorten_calls(config, 5, Dataset(OnDisk((1000, 64, 64, 3), '', None), None)).steps_per_call == 20
  assert feed.shorten_calls(config, 5, Dataset(np.zeros((9, 2), np.float32), None)) is config


def test_a_classifier_learns_from_disk_and_is_kept(config, tfds_dir, monkeypatch):
  disk = load(use_blobs(config, tfds_dir), STREAMED)
  first = classifier.fit_cached(disk, steps=1)
  assert first.held_out == 4
  monkeypatch.setattr(disk.images, 'read', lambda _: pytest.fail('read again'))
  again = classifier.fit_cached(disk, steps=1)
  assert again.accuracy == first.accuracy
  jax.tree.map(np.testing.assert_array_equal, first.variables, again.variables)


def end_of_threads():
  """Returns Grain's threads that are alive when what they do has had time to end."""
  deadline = time.monotonic() + 10
  while (alive := [t for t in threading.enumerate() if 'grain' in t.name]) and time.monotonic() < deadline:
    time.sleep(0.01)
  return alive


def spoil(file):
  """Overwrites a file with what is no image, so that its size and time do not show it."""
  stat = file.stat()
  file.write_bytes(bytes(stat.st_size))
  os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def after_each_call(monkeypatch, act):
  """Lets act() happen where a run writes the metrics of a call."""
  write = Reporter.metrics

  def metrics(self, step, metrics, count):
    write(self, step, metrics, count)
    act()

  monkeypatch.setattr(Reporter, 'metrics', metrics)


def test_a_file_that_goes_bad_is_named_and_the_threads_end(tmp_path, config, monkeypatch):
  use_folder(config, fill(tmp_path / 'images'))
  config.num_steps = 10_000
  after_each_call(monkeypatch, lambda: spoil(tmp_path / 'images' / 'b' / '003.png'))
  with pytest.raises(UserError, match=r"dataset.path: '.*003.png' could be read before.*cannot identify"):
    train(config, tmp_path / 'run')
  assert end_of_threads() == []


def test_an_example_of_tfds_that_goes_bad_is_named(tmp_path, config, tfds_dir):
  use_blobs(config, shutil.copytree(tfds_dir, tmp_path / 'tfds').as_posix())
  load(config, STREAMED)  # the labels are kept
  file, = (tmp_path / 'tfds').rglob('*array_record*')
  records = file.read_bytes()
  middle = len(records.split(bytes(1000))[0]) // 2  # of the examples, before the padding and the index
  file.write_bytes(records[:middle] + bytes(50) + records[middle + 50:])
  with pytest.raises(UserError, match=r"dataset.name='blobs': example \d+ of 'train' cannot be read: Corrupted"):
    load(config, STREAMED).images[np.arange(23)]


def test_ctrl_c_saves_and_ends_the_threads(tmp_path, config, monkeypatch):
  use_folder(config, fill(tmp_path / 'images'))
  config.num_steps = 100_000
  after_each_call(monkeypatch, lambda: os.kill(os.getpid(), signal.SIGINT))
  with pytest.raises(SystemExit, match='130'):
    train(config, tmp_path / 'run')
  assert end_of_threads() == [] and (tmp_path / 'run' / 'checkpoints' / '2').is_dir()


@pytest.mark.parametrize('field', ['device_bytes', 'workers'])
def test_a_negative_number_is_refused(tmp_path, config, field):
  config.dataset[field] = -1
  with pytest.raises(UserError, match=f'dataset.{field}=-1: expected'):
    train(config, tmp_path)


def read_share(process: int, port: int, path: str):
  """One of two processes with two devices each: saves the examples it read and what its devices hold of a block."""
  jax.config.update('jax_num_cpu_devices', 2)
  jax.distributed.initialize(f'localhost:{port}', num_processes=2, process_id=process)
  read = []

  def decode(positions):
    read.extend(positions)
    return [np.full((1, 1, 1), position, np.uint8) for position in positions]

  dataset = Dataset(OnDisk((60, 1, 1, 1), '', decode), np.arange(60, dtype=np.int32))
  pick = lambda block: np.arange(24).reshape(3, 1, 8) + 24 * block
  with feed.open_blocks(dataset, sharding.make_mesh(8), pick, 2) as stream:
    held = [{shard.device.id: np.asarray(shard.data) for shard in part.addressable_shards}
            for block in stream for part in block]
  parts = [np.concatenate([shards[device] for device in sorted(shards)], axis=2) for shards in held]
  np.savez(path, read=np.sort(read), images=np.stack(parts[::2]), labels=np.stack(parts[1::2]))


def test_each_process_reads_its_share_and_the_shares_are_the_batch(tmp_path):
  with socket.socket() as free:
    free.bind(('localhost', 0))
    port = free.getsockname()[1]
  paths = [tmp_path / f'{process}.npz' for process in range(2)]
  processes = [subprocess.Popen([sys.executable, __file__, str(process), str(port), path],
                                env={**os.environ, 'PYTHONPATH': os.getcwd(), 'JAX_PLATFORMS': 'cpu'})
               for process, path in enumerate(paths)]
  assert [process.wait(timeout=120) for process in processes] == [0, 0]
  shares = [np.load(path) for path in paths]
  batches = np.arange(48).reshape(2, 3, 1, 8)
  np.testing.assert_array_equal(np.concatenate([share['labels'] for share in shares], axis=-1), batches)
  np.testing.assert_array_equal(np.concatenate([share['images'] for share in shares], axis=3)[..., 0, 0, 0], batches)
  for share, half in zip(shares, np.split(batches, 2, axis=-1)):
    np.testing.assert_array_equal(share['read'], np.sort(half.ravel()))


if __name__ == '__main__':
  read_share(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
