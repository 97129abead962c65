"""What comes along: gans.load imports neither the loop nor TensorFlow, so that a script or a notebook starts soon."""
import subprocess
import sys

import pytest

from tests.conftest import ROOT

HEAVY = ('tensorflow', 'tensorboard', 'tensorflow_datasets', 'clu.metric_writers', 'grain', 'matplotlib', 'sklearn',
         'scipy')
ABOVE = ('gans.training', 'gans.modes', 'main')  # the rooms that stand on gans.runs
CHECKPOINTS = ('orbax', 'tensorstore')  # which a packed model has none of

COUNT = '''
import sys
{code}
print([name for name in {names} if name in sys.modules])
'''


def imported(code: str, names: tuple[str, ...]) -> str:
  """Runs code in a process of its own; returns which of the modules it has imported then, as a list prints."""
  result = subprocess.run([sys.executable, '-c', COUNT.format(code=code, names=names)], cwd=ROOT, capture_output=True,
                          text=True, timeout=120)
  assert result.returncode == 0, result.stderr
  return result.stdout.splitlines()[-1]


def load_and_draw(source) -> str:
  return f'import gans, jax; gans.load({str(source)!r})(jax.random.key(0), 2)'


@pytest.mark.parametrize('source, names', [
    ('dcgan_mnist_5k', HEAVY + ABOVE + CHECKPOINTS),
    (ROOT / 'tests' / 'workdirs' / 'packed_3', HEAVY + ABOVE + CHECKPOINTS),
    (ROOT / 'tests' / 'workdirs' / 'layout_3', HEAVY + ABOVE),
    (ROOT / 'tests' / 'workdirs' / 'layout_4', HEAVY + ABOVE),
])
def test_to_load_and_draw_takes_jax_and_flax_and_little_else(source, names):
  assert imported(load_and_draw(source), names) == '[]'


def test_the_count_sees_what_is_imported():
  assert imported('from gans.training.loop import train', ('jax', 'gans.training', 'orbax', 'sys')) == (
      "['jax', 'gans.training', 'orbax', 'sys']")


def test_the_loop_itself_waits_with_what_takes_seconds():
  assert imported('from gans.training.loop import train', HEAVY) == '[]'
