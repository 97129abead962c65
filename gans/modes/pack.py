"""--mode=pack: writes a run's generator, without its checkpoints, to a small folder that gans.load takes as well."""
from etils import epath
import jax

import gans
from gans.modes import outputs
from gans.runs import packed, workdirs
from gans.runs.layouts import VERSION
from gans.runs.trained import find_model


def pack_generator(path, *, out=None, weights: str = 'ema', **choice) -> epath.Path:
  """Writes the generator of a workdir to a new folder `out`, by default `packed` in the workdir; returns the folder.

  `weights` and `choice` are as in gans.load. Matrices are rounded, see packed.shrink.

  Raises:
    UserError: as gans.load, or `out` exists or cannot be written.
  """
  folder = find_model(path)
  generate = gans.load(path, weights=weights, **choice)
  target = outputs.choose(path, out, 'packed')  # in `path`: the `folder` of a built-in model is in gans/zoo
  outputs.refuse_existing(target)
  config = workdirs.read_config(folder).to_dict()
  record = {'version': VERSION, 'data': generate.spec._asdict(), 'config': config}
  made = {'step': generate.step, 'weights': weights, 'training_seed': generate.training_seed,
          'gans': gans.__version__, 'jax': jax.__version__}
  with outputs.explain_errors(target):
    packed.write_generator(target, record, made, generate.variables)
  size = (target / packed.NAME).stat().length
  print(f'{target}: the generator of step {generate.step}, {size} bytes')
  return target
