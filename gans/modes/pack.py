"""--mode=pack: keeps a run's generator without its checkpoints, in a small folder that gans.load takes as well."""
from etils import epath
import jax

import gans
from gans.modes import outputs
from gans.runs import packed, workdirs
from gans.runs.layouts import VERSION
from gans.runs.trained import find_model, load


def pack(path, *, out=None, weights: str = 'ema', **choice) -> epath.Path:
  """Writes the generator of a workdir to a new folder `out`, default: `packed` in the workdir; returns it.

  `weights` and `choice` are gans.load's. Matrices are rounded, see packed.shrink.

  Raises:
    UserError: as gans.load, or `out` exists or cannot be written.
  """
  folder = find_model(path)
  generate = load(path, weights=weights, **choice)
  target = outputs.choose(path, out, 'packed')  # not in gans/zoo, where `folder` of a built-in model is
  outputs.refuse_existing(target)
  config = workdirs.read_config(folder).to_dict()
  record = {'version': VERSION, 'data': generate.spec._asdict(), 'config': config}
  made = {'step': generate.step, 'weights': weights, 'training_seed': generate.training_seed,
          'gans': gans.__version__, 'jax': jax.__version__}
  with outputs.explain_errors(target):
    packed.write_generator(target, record, made, generate.variables)
  print(f'{target}: the generator of step {generate.step}, {(target / packed.NAME).stat().length} bytes')
  return target
