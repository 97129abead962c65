"""Streaming: peak memory as the data set grows, and images per second against the data set in memory.

    python -m benchmarks.streaming --write=docs       # --sizes=0.1,1,10 --folder=/tmp/streaming: 2 GB of disk

Makes artificial TFDS data sets (array_record of JPEG files, 64x64 in colour) of so many GB as uint8. Each is then read
in processes of their own, which take the blocks and do nothing with them, or take steps of a GAN. A processor's time
for an image is given too, as other work on the machine alters it less.
"""
import functools
import importlib
import io
import json
import os
import pathlib
import resource
import subprocess
import sys
import time

from absl import app, flags
import jax
import numpy as np
from PIL import Image

from benchmarks import page
from gans.algorithms import build_algorithm
from gans.build import build, build_state, build_train_steps
from gans.core import sharding
from gans.data.feed import open_feed, shorten_calls
from gans.data.schedule import step_indices
from gans.data.sources import load_dataset

SIZES = flags.DEFINE_list('sizes', ['0.1', '1', '10'], 'GB of the data sets, as uint8.')
FOLDER = flags.DEFINE_string('folder', '/tmp/streaming', 'Where the data sets are made, and kept for the next time.')
IN_MEMORY = flags.DEFINE_float('in_memory', 1, 'GB up to which a data set is also read whole.')
MODELS = flags.DEFINE_list('models', ['gan', 'wgan_gp_celeba'], 'Configs to train.')
SECONDS = flags.DEFINE_float('seconds', 30, 'Length of a measurement, about.')
WRITE = flags.DEFINE_string('write', '', 'Folder of streaming.md, such as docs; empty: print only.')
CHILD = flags.DEFINE_string('child', '', 'Of the processes that this one starts: what to do, as JSON.')

SIDE, DISTINCT = 64, 5000
WARMING = 2  # calls that are not timed: the first compiles, and the second finds its block ready


def make_data(gigabytes: float) -> str:
  """Prepares the data set of that size, unless it is there; returns its name."""
  import tensorflow_datasets as tfds
  count = round(gigabytes * 1e9 / (3 * SIDE ** 2))

  class Artificial(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    VERSION = tfds.core.Version('1.0.0')

    def _info(self):
      features = tfds.features.FeaturesDict({
          'image': tfds.features.Image(shape=(SIDE, SIDE, 3)), 'label': tfds.features.ClassLabel(num_classes=10)})
      return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

    def _split_generators(self, dl_manager):
      return {'train': self._generate_examples()}

    def _generate_examples(self):
      files = [jpeg(seed) for seed in range(min(DISTINCT, count))]
      for i in range(count):
        yield i, {'image': io.BytesIO(files[i % len(files)]), 'label': i % 10}

  Artificial.name = f'artificial_{count}'
  Artificial(data_dir=FOLDER.value, file_format='array_record').download_and_prepare()
  return Artificial.name


def jpeg(seed: int) -> bytes:
  """A file of a smooth random picture with some noise, of about the size that a photograph's is."""
  rng = np.random.default_rng(seed)
  smooth = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
  noisy = np.asarray(smooth, np.int16) + rng.integers(-12, 13, (SIDE, SIDE, 3))
  file = io.BytesIO()
  Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(file, 'JPEG', quality=90)
  return file.getvalue()


def make_config(name: str, model: str, device_bytes: int):
  """Returns a config of a model at 64x64 pixels on one of these data sets."""
  config = importlib.import_module(f'configs.{model}').get_config()
  config.dataset.update({'name': name, 'data_dir': FOLDER.value, 'image_size': SIDE, 'device_bytes': device_bytes})
  config.num_steps = 10 ** 6
  config.steps_per_call = 10 if model != 'gan' else 50
  return config


def measure(name: str, model: str, device_bytes: int) -> dict:
  """Reads, or with a model trains, for --seconds: {'images/s', 'ms' of a core an image, 'MiB' at the peak}."""
  config = make_config(name, model or 'gan', device_bytes)
  dataset = load_dataset(config.dataset)
  batches_per_step = build_algorithm(config).batches_per_step
  config = shorten_calls(config, batches_per_step, dataset)
  mesh = sharding.make_mesh(config.batch_size)
  pick = functools.partial(step_indices, config, batches_per_step, num_examples=len(dataset.images))
  if model:
    experiment = build(config, dataset.spec)
    state = build_state(config, experiment, mesh)
    train_steps = build_train_steps(config, experiment, dataset.spec, mesh)
  calls, start = 0, (time.perf_counter(), time.process_time())
  with open_feed(config, dataset, mesh, 0, pick) as take:
    while calls <= WARMING or time.perf_counter() < start[0] + SECONDS.value:
      fed = take(calls * config.steps_per_call)
      if model:
        state, fed = train_steps(state, *fed, config.steps_per_call)
      jax.block_until_ready(fed)
      calls += 1
      if calls == WARMING:
        start = time.perf_counter(), time.process_time()
    seconds, busy = time.perf_counter() - start[0], time.process_time() - start[1]
  images = (calls - WARMING) * config.steps_per_call * batches_per_step * config.batch_size
  return {'images/s': images / seconds, 'ms': 1000 * busy / images,
          'MiB': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** 10}


def measure_apart(**what) -> dict:
  """Measures in a process of its own, whose peak memory is that of this measurement."""
  command = [sys.executable, '-m', 'benchmarks.streaming', f'--child={json.dumps(what)}', f'--folder={FOLDER.value}',
             f'--seconds={SECONDS.value}']
  output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
  return json.loads(output.splitlines()[-1])


def table(rows: list[list[str]]) -> str:
  """A Markdown table of all measurements."""
  columns = ('GB as uint8', 'images', 'GB on disk', 'work', 'data', 'images/s', 'core ms/image', 'peak memory')
  return '\n'.join(f'| {" | ".join(row)} |' for row in [columns, ['---'] * len(columns), *rows])


def main(argv):
  del argv
  if CHILD.value:
    print(json.dumps(measure(**json.loads(CHILD.value))))
    return
  rows = []
  for size in map(float, SIZES.value):
    name = make_data(size)
    images = int(name.split('_')[1])
    on_disk = sum(path.stat().st_size for path in pathlib.Path(FOLDER.value, name).rglob('*') if path.is_file())
    for model in ('', *MODELS.value):
      for kind, device_bytes in (('streamed', 0), ('in memory', 2 ** 40)):
        if kind == 'in memory' and (size > IN_MEMORY.value or not model):
          continue
        found = measure_apart(name=name, model=model, device_bytes=device_bytes)
        rows.append([f'{size:g}', f'{images:,}', f'{on_disk / 1e9:.2g}', model or 'reading alone', kind,
                     f'{found["images/s"]:.0f}', f'{found["ms"]:.2f}', f'{found["MiB"]:.0f} MiB'])
        print(' | '.join(rows[-1]), flush=True)
  text = (f'{page.command()} on {page.machine()}; {os.cpu_count()} threads that decode; load of the machine at the end '
          f'{os.getloadavg()[1]:.1f}.\n\n{table(rows)}')
  print(text)
  if WRITE.value:
    page.write_section(pathlib.Path(WRITE.value) / 'streaming.md', 'Measured', text)


if __name__ == '__main__':
  app.run(main)
