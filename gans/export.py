"""--mode=export: the generator as one file that needs JAX, but not this code."""
import datetime

from etils import epath
import jax
from jax import export
import jax.numpy as jnp

PLATFORMS = ('cpu', 'cuda', 'tpu')
FILE, SCRIPT = 'generator.jaxexport', 'run.py'

RUN = '''\
"""Draws 16 {kind} from {file}: python {script}. Needs `pip install jax flatbuffers` and nothing else.

Made with jax {version} on {date}. JAX promises that versions of up to six months later read such a file, and those of
up to three weeks earlier; load it with a jax of about {version} and it stays readable.
"""
import pathlib

import jax
from jax import export
import numpy as np

here = pathlib.Path(__file__).parent
generator = export.deserialize(bytearray((here / '{file}').read_bytes()))
z = jax.random.normal(jax.random.key(0), (16, {z_dim}))  # any number
label = np.arange(16, dtype=np.int32) % {classes}
images = generator.call(z, label)
np.save(here / 'samples.npy', images)
print('samples.npy:', images.shape, images.dtype, 'from', images.min(), 'to', images.max())
'''


def serialize(generator, variables, z_dim: int) -> bytes:
  """Returns generate(z [B,z_dim] float32, label [B] int32) -> images [B,H,W,C] or points [B,D] float32 as a file.

  B is free, the weights are constants inside, and the program is there for each of PLATFORMS, as StableHLO. What reads
  it is `jax.export.deserialize`.
  """
  batch, = export.symbolic_shape('batch')
  z, label = jax.ShapeDtypeStruct((batch, z_dim), jnp.float32), jax.ShapeDtypeStruct((batch,), jnp.int32)
  generate = jax.jit(lambda z, label: generator.apply(variables, z, label, train=False))
  return bytes(export.export(generate, platforms=PLATFORMS)(z, label).serialize())
