"""docs/adding-a-gan.md does what it says: it prints the files that it names, and its code is trained from the page."""
import importlib
import re

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.build import build_network
from gans.data.dataset import Spec
from gans.modes.sample import sample
from gans.runs.trained import load
from gans.training.loop import train
from tests.conftest import ROOT
from tests.shrink import shrink

PAGE = ROOT / 'docs' / 'adding-a-gan.md'
ALGORITHM, CONFIG = ROOT / 'gans' / 'algorithms' / 'infogan.py', ROOT / 'configs' / 'infogan.py'


def find_code(beginning: str) -> str:
  """Returns the one block of Python on the page that contains a text."""
  blocks = re.findall(r'```python\n(.*?)```', PAGE.read_text(), re.DOTALL)
  found, = [block for block in blocks if beginning in block]
  return found


def test_the_page_prints_the_files_as_they_are():
  for file, beginning in ((ALGORITHM, 'InfoGAN: Chen'), (CONFIG, "get_config('infogan')")):
    assert find_code(beginning) == file.read_text(), f'copy {file} into the page'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """A folder of the user's own, that Python imports from, with the files of the page in it."""
  folder = tmp_path_factory.mktemp('mine')
  (folder / 'my_infogan.py').write_text(find_code('InfoGAN: Chen'))
  config = find_code("get_config('infogan')").replace("get_config('infogan')", "get_config('my_infogan')")
  (folder / 'my_infogan_config.py').write_text(config)
  (folder / 'my_networks.py').write_text(find_code('class Pair'))
  (folder / 'my_memories.py').write_text(find_code('class Average'))
  with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(folder))
    yield folder


@pytest.fixture(scope='module')
def run(folder, tmp_path_factory):
  """A finished run of the page's InfoGAN."""
  config = shrink(importlib.import_module('my_infogan_config').get_config())
  assert config.algorithm == 'my_infogan'
  path = tmp_path_factory.mktemp('runs') / 'infogan'
  train(config, path)
  return path


def test_infogan_trains_three_players(run):
  generate = load(run)
  assert generate.step == 4 and generate.num_classes == 10  # the codes
  images = generate(jax.random.key(0), 3, [0, 0, 0])
  assert images.shape == (3, 28, 28, 1) and np.isfinite(images).all()
  code_changes_the_image = generate.inputs(jax.random.key(0), 3, [0, 0, 0]) | {'label': np.array([1, 2, 3])}
  assert (generate.from_inputs(code_changes_the_image) != images).any()


def test_the_recogniser_learns_the_code():
  """The bound on the mutual information is log(num_codes) for a recogniser that is always right."""
  algorithm = importlib.import_module('my_infogan')
  fields = algorithm.Fields(num_codes=4, z_dim=2)
  _, update = algorithm.make_algorithm(fields).updates

  class Play:
    generator = staticmethod(lambda latents, label: latents)
    critic = staticmethod(lambda x, label: (x[:, 0], x))
    recogniser = staticmethod(lambda x, label: jnp.concatenate([100 * x[:, 2:], x[:, :2]], axis=-1))

  batch = {'image': np.zeros((6, 6)), 'label': np.zeros(6, np.int32)}
  _, metrics = update.loss(Play, batch, jax.random.PRNGKey(0))
  assert float(metrics['mutual_information']) == pytest.approx(np.log(4), abs=1e-5)


def test_its_samples_are_written(run, tmp_path):
  assert sample(run, num=4, out=tmp_path / 'grid.png').exists()


def test_a_network_of_ones_own_is_found_and_its_fields_are_the_configs(folder):
  config = shrink(importlib.import_module('my_infogan_config').get_config())
  config.critic = {'network': 'my_networks.Pair', 'hidden': (3,), 'optimizer': config.critic.optimizer.to_dict()}
  pair = importlib.import_module('my_networks').Pair
  assert build_network(config, 'critic', Spec((28, 28, 1), 10)) == pair(hidden=(3,))


def test_the_memory_keeps_its_average(folder):
  average = importlib.import_module('my_memories').Average(decay=0.5)
  assert isinstance(average, nn.Module)
  scores = np.array([2.0, 4.0], np.float32)
  variables = average.init(jax.random.key(0), scores, train=True)
  before, variables = average.apply(variables, scores, train=True, mutable=['memory'])
  again, variables = average.apply(variables, scores, train=True, mutable=['memory'])
  assert (float(before), float(again), float(variables['memory']['average'])) == (0.0, 1.5, 2.25)
