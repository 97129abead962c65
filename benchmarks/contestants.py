"""One contestant in a process of its own, so that memory, threads and compilers do not meet.

    python -m benchmarks.contestants --case=wgan_gp_28 --contestant='torch eager'

Takes one step, which compiles, and says how long that took; then for every number of steps that it reads it says how
long those took; at the end of its input, how much memory it had. All as JSON lines.
"""
from concurrent.futures import ProcessPoolExecutor
import json
import multiprocessing
import pathlib
import re
import resource
import sys
import time

from absl import app, flags

from benchmarks import cases

CASE = flags.DEFINE_enum('case', None, list(cases.CASES), 'A name in benchmarks/cases.py.', required=True)
CONTESTANT = flags.DEFINE_string(
    'contestant', 'gans', "'gans', 'gans convolutions' or 'torch NAME' of benchmarks/torch_gans.py.")
FIELDS = flags.DEFINE_string('fields', '{}', 'Further config fields, as JSON.')
NUM_IMAGES = flags.DEFINE_integer('num_images', cases.NUM_IMAGES, 'Images in the data set.')


def make_config():
  """Returns the config, made in another process: configs import JAX, whose memory is none of PyTorch's."""
  with ProcessPoolExecutor(1, multiprocessing.get_context('spawn')) as pool:
    return pool.submit(cases.make_config, CASE.value, json.loads(FIELDS.value)).result()


def make_gans(config, images, name: str):
  """Returns run(n), which takes n steps of this project's own compiled train_steps and waits, and memory() in bytes.

  With the name 'convolutions', these are XLA's own, whatever the device.
  """
  import jax

  from benchmarks import ours
  if name == 'convolutions':
    jax.lax.platform_dependent = lambda *args, default, **_: default(*args)
  run = ours.Run(config, images)
  return run.advance, lambda: (jax.devices()[0].memory_stats() or {}).get('peak_bytes_in_use')


def make_torch(config, images, name: str):
  """Returns run(n) and memory() of PyTorch's contestant `name`."""
  import torch

  from benchmarks import torch_gans
  device = 'cuda' if torch.cuda.is_available() else 'cpu'
  contestants = {**torch_gans.CPU, **torch_gans.CPU_BFLOAT16} if device == 'cpu' else {
      **torch_gans.CUDA, **torch_gans.CUDA_BFLOAT16}
  game = torch_gans.Game(config, images.shape[1:], cases.NUM_CLASSES, device, contestants[name])
  step = game.make_step(torch_gans.channels_first(images).to(device),
                        torch.tensor(cases.make_labels(len(images)), device=device))

  def run(n: int):
    for _ in range(n):
      step()
    if device == 'cuda':
      torch.cuda.synchronize()

  return run, lambda: torch.cuda.max_memory_allocated() if device == 'cuda' else None


def main(argv):
  del argv
  config = make_config()
  images = cases.make_images(config, NUM_IMAGES.value)
  start = time.perf_counter()
  kind, _, name = CONTESTANT.value.partition(' ')
  run, device_memory = make_gans(config, images, name) if kind == 'gans' else make_torch(config, images, name)
  run(1)
  print(json.dumps({'first_step': time.perf_counter() - start}), flush=True)
  for line in sys.stdin:
    start = time.perf_counter()
    run(int(line))
    print(json.dumps({'seconds': time.perf_counter() - start}), flush=True)
  print(json.dumps({'memory': device_memory() or peak_memory()}), flush=True)


def peak_memory() -> int:
  """Bytes that this process had at most; getrusage would count what its parent had before it started this one."""
  status = pathlib.Path('/proc/self/status')
  if not status.exists():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  return int(re.search(r'VmHWM:\s+(\d+) kB', status.read_text())[1]) * 1024


if __name__ == '__main__':
  app.run(main)
