"""The rooms of gans/: who may import whom, and what each file is called there."""
import ast
import pathlib
import sys

import pytest

from tests.conftest import ROOT

# From the bottom up: a room imports itself and those before it.
FLOORS = (
    ('errors', 'ranges'),
    ('core', 'networks', 'system', 'optimizers'),
    ('algorithms', 'data'),
    ('build', 'evaluation'),
    ('validate',),
    ('overrides',),
    ('runs',),
    ('training',),
    ('modes',),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted((ROOT / 'gans').rglob('*.py'))
# What everybody abbreviates alike.
USUAL_ALIASES = {'flax.linen': 'nn', 'jax.numpy': 'jnp', 'numpy': 'np', 'orbax.checkpoint': 'ocp', 'tensorflow': 'tf',
                 'tensorflow_datasets': 'tfds'}


def imports(path: pathlib.Path):
  """Yields (module, name, alias) of every import in a file, wherever it stands."""
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      for alias in node.names:
        yield alias.name, None, alias.asname
    elif isinstance(node, ast.ImportFrom):
      for alias in node.names:
        yield node.module, alias.name, alias.asname


def room_of(path: pathlib.Path) -> str:
  return path.relative_to(ROOT / 'gans').with_suffix('').parts[0]


def rooms_imported(path: pathlib.Path) -> set[str]:
  """Returns the rooms of gans/ that a file imports."""
  rooms = set()
  for module, name, _ in imports(path):
    if module == 'gans' and name:
      rooms.add(name)
    elif module.startswith('gans.'):
      rooms.add(module.split('.')[1])
  return rooms & FLOOR.keys()


def test_every_file_has_a_room():
  assert {room_of(path) for path in FILES} - {'__init__'} == FLOOR.keys()
  assert len(list((ROOT / 'gans').glob('*.py'))) <= 8


@pytest.mark.parametrize('path', FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path):
  room = room_of(path)
  if room == '__init__':
    return
  for other in rooms_imported(path):
    assert FLOOR[other] <= FLOOR[room], f'{path} imports gans.{other}, which lies above it'


def test_core_imports_jax_flax_and_optax_only():
  allowed = {'jax', 'flax', 'optax', 'numpy', 'gans'}
  for path in (ROOT / 'gans' / 'core').glob('*.py'):
    used = {module.split('.')[0] for module, _, _ in imports(path)}
    third_party = {name for name in used if name not in sys.stdlib_module_names}
    assert third_party <= allowed, path



def test_no_import_needs_an_alias():
  for path in (*FILES, ROOT / 'main.py', *(ROOT / 'configs').glob('*.py')):
    for module, name, alias in imports(path):
      assert alias is None or alias == USUAL_ALIASES.get(module if name is None else f'{module}.{name}'), path


def test_no_shared_code_names_a_player_or_an_algorithm():
  """Only algorithms, configs and the layouts of earlier versions know who plays."""
  free = {'core/step.py', 'core/microbatches.py', 'core/sharding.py', 'training/loop.py', 'training/health.py',
          'training/reporter.py', 'runs/checkpoints.py', 'runs/packed.py', 'runs/trained.py', 'runs/opening.py',
          'runs/drawing.py', 'runs/transfer.py', 'modes/export.py', 'modes/report.py', 'modes/pack.py',
          'modes/sample.py', 'modes/interpolate.py', 'data/feed.py', 'data/batches.py', 'data/order.py',
          'data/shown.py', 'evaluation/evaluator.py', 'evaluation/requests.py', 'evaluation/scores.py',
          'build.py', 'validate.py'}
  for name in free:
    tree = ast.parse((ROOT / 'gans' / name).read_text())
    words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    players = {'generator', 'critic', 'encoder', 'recogniser', 'wgan', 'wgan_gp', 'acgan', 'adversarial',
               'infogan', 'bigan', 'pix2pix', 'cyclegan', 'stargan', 'gan_3d'}
    assert not (words | attributes) & players, name
