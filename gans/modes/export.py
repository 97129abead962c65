"""--mode=export: writes the generator as one file that needs JAX, but not this code."""
import datetime
import io

from etils import epath
import jax
from jax import export
import numpy as np

import gans
from gans.modes import outputs
from gans.runs.drawing import choose_drawing, refuse_inputs
from gans.runs.trained import TrainedGenerator
from gans.system import disk

PLATFORMS = ('cpu', 'cuda', 'tpu')
FILE = 'generator.jaxexport'
SCRIPT = 'run.py'
INPUTS = 'inputs.npz'
NUM = 16  # samples that the program draws

PROGRAM = '''\
"""Draws {num} {kind} from {file}: python {script}. Needs `pip install jax flatbuffers` and nothing else.

Made with jax {version} on {date}. JAX promises that its versions of up to six months later, and of up to three weeks
earlier, can read it; with jax {version} itself it stays readable.
"""
import pathlib

import jax
from jax import export
import numpy as np

here = pathlib.Path(__file__).parent
generator = export.deserialize(bytearray((here / '{file}').read_bytes()))
{inputs}
samples = generator.call({arguments})
np.save(here / 'samples.npy', samples)
print('samples.npy:', samples.shape, samples.dtype, 'from', samples.min(), 'to', samples.max())
'''
NOISE_AND_LABEL = '''\
num = {num}  # any number of samples
z_rng, _ = jax.random.split(jax.random.key(0))  # the noise of --mode=sample --seed=0
z = jax.random.normal(z_rng, (num, {z_dim}))
label = (np.arange(num) * {classes} // num).astype(np.int32)  # class by class; 0 where there are none'''
FROM_FILE = '''\
inputs = np.load(here / '{inputs}')  # those of --mode=sample --seed=0; any number of rows'''


def export_generator(path, *, inputs=None, out=None, **choice) -> epath.Path:
  """Writes a trained generator as one file, and a program beside it that draws from it.

  The program draws the samples of --mode=sample --seed=0 --num=16. If they are not made from noise and a label alone,
  their inputs are written beside it, as inputs.npz.

  Args:
    path: whatever gans.load takes; `choice` is its checkpoint, weights and training_seed.
    inputs: the images that the program of a model that translates does so with, as in --mode=sample.
    out: a new folder; None: `export` in the workdir.

  Returns:
    The folder.

  Raises:
    UserError: as gans.load, or `out` exists or cannot be written.
  """
  generate = gans.load(path, **choice)
  refuse_inputs(generate, inputs)
  folder = outputs.choose(path, out, 'export')
  contents = serialize(generate)
  contents_of_inputs = b'' if generate.is_from_noise else pack_inputs(path, generate, inputs)
  with outputs.explain_errors(folder):
    folder.mkdir(parents=True, exist_ok=True)
    disk.write_whole(folder / FILE, contents)
    (folder / SCRIPT).write_text(write_program(generate))
    if not generate.is_from_noise:
      disk.write_whole(folder / INPUTS, contents_of_inputs)
  print(f'{folder / FILE}: {len(contents) / 2**20:.1f} MiB, of step {generate.step}, for {", ".join(PLATFORMS)}')
  print(f'{folder / SCRIPT}: draws from it with jax and flatbuffers alone; JAX promises that its versions of the next '
        'six months can read it')
  return folder


def write_program(generate: TrainedGenerator) -> str:
  """Returns the program that draws from the file."""
  names = list(generate.input_shapes)
  if generate.is_from_noise:
    inputs = NOISE_AND_LABEL.format(num=NUM, z_dim=generate.z_dim, classes=max(generate.num_classes, 1))
    arguments = ', '.join(names)
  else:
    inputs = FROM_FILE.format(inputs=INPUTS)
    arguments = ', '.join(f"inputs['{name}']" for name in names)
  return PROGRAM.format(num=NUM, kind=generate.spec.kind.name, file=FILE, script=SCRIPT, version=jax.__version__,
                        date=datetime.date.today(), inputs=inputs, arguments=arguments)


def pack_inputs(path, generate: TrainedGenerator, images) -> bytes:
  """Returns the inputs of the program's samples, {name: [NUM,...]}, as the contents of an .npz file."""
  drawing = choose_drawing(path, generate, num=None, seed=0, labels=None, images=images, at_least=NUM)
  arrays = {name: np.asarray(values)[:NUM] for name, values in drawing.inputs.items()}
  buffer = io.BytesIO()
  np.savez(buffer, **arrays)
  return buffer.getvalue()


def serialize(generate: TrainedGenerator) -> bytes:
  """Returns a function of the algorithm's inputs, in their order, as the contents of a file.

  For most games it is (z [B,z_dim] float32, label [B] int32) -> [B, *image_shape] float32. B is free, the weights are
  constants of the function, and it has a StableHLO program for each of PLATFORMS. `jax.export.deserialize` reads it.
  """
  batch, = export.symbolic_shape('batch')
  names = list(generate.input_shapes)
  shapes = []
  for name in names:
    one = generate.input_shapes[name]
    shapes.append(jax.ShapeDtypeStruct((batch, *one.shape[1:]), one.dtype))

  def draw(*values):
    inputs = dict(zip(names, values))
    return generate.from_inputs(inputs)

  export_draw = export.export(jax.jit(draw), platforms=PLATFORMS)
  exported = export_draw(*shapes)
  return bytes(exported.serialize())
