"""What the config.json of a workdir or a packed model describes, built again, although somebody may have changed it."""
from etils import epath

from gans import validate
from gans.build import Experiment, build
from gans.data.dataset import Spec
from gans.errors import UserError, first_line
from gans.runs.layouts import shapes_of


def build_kept(config, spec: Spec, folder: epath.Path) -> Experiment:
  """Builds what the config in a folder names, for data of the shape that is written there.

  Raises:
    UserError: its config.json describes nothing that can be built.
  """
  validate.check_kept(config, folder)
  try:
    return build(config, spec)
  except UserError as error:
    raise UserError(f'{folder}/config.json: {error}') from error
  except Exception as error:  # whatever networks make of values that no config of theirs has
    raise UserError(f'{folder}/config.json describes networks that cannot be built: {type(error).__name__}: '
                    f'{first_line(error)}') from error


def check_same_shapes(folder: epath.Path, variables, expected):
  """Raises UserError if variables {player: ...} do not have the shapes of those that the folder's config describes."""
  found = shapes_of(variables)
  described = shapes_of(expected)
  for name in sorted(found.keys() | described.keys()):
    if found.get(name) != described.get(name):
      raise UserError(f'{folder}/config.json does not describe the weights beside it: {name} has the shape '
                      f'{found.get(name)}, and by config.json {described.get(name)}')
