"""What libraries print on the way to an error that is told anyway."""
import asyncio
import subprocess
import sys
import tempfile
import time

import numpy as np

from gans.system import streams


def fail_amid_writes():
  """Writes with TensorStore as Orbax does, in an event loop that ends with the first error."""
  import tensorstore

  async def write_and_fail(path):
    kvstore = {'driver': 'file', 'path': path}
    metadata = {'shape': [2000, 2000], 'dtype': '<f4', 'chunks': [100, 100]}
    store = await tensorstore.open({'driver': 'zarr', 'kvstore': kvstore, 'metadata': metadata}, create=True)
    writes = [store[100 * i:100 * i + 100].write(np.full((100, 2000), i, np.float32)) for i in range(20)]
    tasks = [asyncio.ensure_future(_wait_for(write)) for write in writes]
    await asyncio.sleep(0)
    raise OSError(f'{len(tasks)} writes, of which one failed')

  loop = asyncio.new_event_loop()
  with tempfile.TemporaryDirectory() as path:
    try:
      loop.run_until_complete(write_and_fail(path))
    except OSError as error:
      print(error)
    loop.close()
    time.sleep(1)


async def _wait_for(write):
  await write


def run(*lines: str) -> subprocess.CompletedProcess:
  program = ['from tests import test_streams', 'from gans.system import streams', *lines]
  return subprocess.run([sys.executable, '-c', '\n'.join(program)], capture_output=True, text=True, check=True)


def test_writes_that_end_after_one_has_failed_say_nothing():
  fail = 'test_streams.fail_amid_writes()'
  assert streams.ORPHANED in run(fail).stderr  # what there is to hide
  result = run('streams.hide_orphaned_writes()', fail)
  assert streams.ORPHANED not in result.stderr and 'of which one failed' in result.stdout


def test_other_errors_that_nobody_catches_are_shown(monkeypatch):
  shown = []
  monkeypatch.setattr(sys, 'unraisablehook', shown.append)
  streams.hide_orphaned_writes()

  class Broken:
    def __del__(self):
      raise RuntimeError('another')

  Broken()
  assert str(shown[0].exc_value) == 'another'


def test_characters_that_a_stream_lacks_are_written_as_their_codes(monkeypatch):
  monkeypatch.setenv('PYTHONIOENCODING', 'ascii')
  assert run('streams.outlive_readers()', "print('caf\u00e9')").stdout == 'caf\\xe9\n'
