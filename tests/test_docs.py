"""What the documents say runs: the example GAN of docs/adding-a-gan.md, the notebook, the links, the flags."""
import importlib
import json
import pathlib
import re
import types

import jax
import numpy as np
import pytest
import yaml

from configs import wgan_gp
from gans import algorithms
from gans.training import loop, reporter

DOCUMENTS = sorted([*pathlib.Path('.').glob('*.md'), *pathlib.Path('docs').glob('*.md')])


# Files that start runs on machines that no test has.
CLOUD = [pathlib.Path('docs/cloud-tpu.sky.yaml'), pathlib.Path('docs/cloud-tpu.startup.sh')]


def blocks(path: str) -> list[str]:
  return re.findall(r'```python\n(.*?)```', pathlib.Path(path).read_text(), re.DOTALL)


def test_the_example_gan_trains(tmp_path, monkeypatch):
  algorithm, config_file = blocks('docs/adding-a-gan.md')
  (tmp_path / 'foo.py').write_text(algorithm)
  monkeypatch.setattr(algorithms, '__path__', [*algorithms.__path__, str(tmp_path)])
  module = types.ModuleType('configs.foo')
  exec(config_file, module.__dict__)
  config = module.get_config('test')
  small = wgan_gp.get_config('test')
  config.generator, config.critic = small.generator, small.critic
  state = loop.train(config, tmp_path / 'run')
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))


def test_the_notebook_runs(capsys):
  cells = json.loads(pathlib.Path('docs/using-a-trained-gan.ipynb').read_text())['cells']
  namespace = {}
  for cell in cells:
    if cell['cell_type'] == 'code':
      exec(''.join(cell['source']), namespace)
  start, end = re.search(r'error: ([\d.]+) at the start, ([\d.]+) in the end', capsys.readouterr().out).groups()
  assert float(end) < float(start) / 5


@pytest.mark.parametrize('path', DOCUMENTS, ids=str)
def test_links_and_commands_lead_somewhere(path):
  text = path.read_text()
  targets = re.findall(r'\]\((?!https?:)([^)#]+)', text) + re.findall(r'--config=(configs/\w+\.py)', text)
  for target in targets:
    base = pathlib.Path('.') if target.startswith('configs/') and path.parent.name == 'docs' else path.parent
    assert (base / target).exists() or (path.parent / target).exists() or target == 'configs/foo.py', target


@pytest.mark.parametrize('path', [*DOCUMENTS, *CLOUD], ids=str)
def test_fields_that_commands_set_are_there(path):
  configs = (importlib.import_module(f'configs.{name.stem}') for name in pathlib.Path('configs').glob('[!b]*.py'))
  fields = {field for config in configs for field in reporter.flatten(config.get_config().to_dict())}
  assert set(re.findall(r'--config\.([a-z_.0-9]*[a-z0-9])', path.read_text())) <= fields


@pytest.mark.parametrize('path', CLOUD, ids=str)
def test_flags_that_the_cloud_sets_are_there(path):
  defined = set(re.findall(r"DEFINE_\w+\(\s*'([\w.]+)'", pathlib.Path('main.py').read_text()))
  given = set(re.findall(r'--(\w+)(?![\w.])', path.read_text().split('main.py')[1])) - {'config'}
  assert 'distributed' in given and given <= defined


def test_the_sky_task_fits_its_slice():
  task = yaml.safe_load(CLOUD[0].read_text())
  chips = int(task['resources']['accelerators'].rsplit('-', 1)[1])
  assert int(re.search(r'--config.batch_size=(\d+)', task['run'])[1]) % chips == 0
  assert task['resources']['use_spot'] is True and set(re.findall(r'\$(BUCKET)', task['run'])) <= task['envs'].keys()
