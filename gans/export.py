"""--mode=export: the generator as one file that needs JAX, but not this code."""
import datetime

from etils import epath
import jax
from jax import export
import jax.numpy as jnp

from gans import outputs, trained

PLATFORMS = ('cpu', 'cuda', 'tpu')
FILE, SCRIPT = 'generator.jaxexport', 'run.py'

PROGRAM = '''\
"""Draws 16 {kind} from {file}: python {script}. Needs `pip install jax flatbuffers` and nothing else.

Made with jax {version} on {date}. JAX promises that its versions of up to six months later, and of up to three weeks
earlier, can read it; with jax {version} itself it stays readable.
"""
import pathlib

import jax
from jax import export
import numpy as np

here = pathlib.Path(__file__).parent
generator = export.deserialize(bytearray((here / '{file}').read_bytes()))
z = jax.random.normal(jax.random.key(0), (16, {z_dim}))  # any number of them
label = np.arange(16, dtype=np.int32) % {classes}  # classes; 0 where there are none
images = generator.call(z, label)
np.save(here / 'samples.npy', images)
print('samples.npy:', images.shape, images.dtype, 'from', images.min(), 'to', images.max())
'''


def write(path, *, out=None, **choice) -> epath.Path:
  """Writes a trained generator as one file, and beside it a program that draws from it.

  Args:
    path: whatever gans.load takes; `choice` is its checkpoint, weights and training_seed.
    out: a new folder; None: `export` in the workdir.

  Returns:
    The folder.

  Raises:
    UserError: as gans.load, or `out` exists or cannot be written.
  """
  generate = trained.load(path, **choice)
  folder = outputs.choose(path, out, 'export')
  program = PROGRAM.format(
      kind='images' if len(generate.image_shape) == 3 else 'points', file=FILE, script=SCRIPT, version=jax.__version__,
      date=datetime.date.today(), z_dim=generate.z_dim, classes=max(generate.num_classes, 1))
  contents = serialize(generate)
  with outputs.explained(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_bytes(contents)
    (folder / SCRIPT).write_text(program)
  print(f'{folder / FILE}: {len(contents) / 2 ** 20:.1f} MiB, of step {generate.step}, for {", ".join(PLATFORMS)}')
  print(f'{folder / SCRIPT}: draws from it where there are jax and flatbuffers alone; JAX promises to read it for six '
        'months of its own later versions')
  return folder


def serialize(generate: trained.TrainedGenerator) -> bytes:
  """Returns the function (z [B,z_dim] float32, label [B] int32) -> [B, *image_shape] float32 as the bytes of a file.

  B is free, the weights are constants inside, and the program is there for each of PLATFORMS, as StableHLO. What reads
  it is `jax.export.deserialize`.
  """
  batch, = export.symbolic_shape('batch')
  z = jax.ShapeDtypeStruct((batch, generate.z_dim), jnp.float32)
  label = jax.ShapeDtypeStruct((batch,), jnp.int32)
  draw = jax.jit(lambda z, label: generate.module.apply(generate.variables, z, label, train=False))
  return bytes(export.export(draw, platforms=PLATFORMS)(z, label).serialize())
