"""What the documents say runs: the example GAN of docs/adding-a-gan.md, the notebook, and the links."""
import json
import pathlib
import re
import types

import jax
import numpy as np
import pytest

from configs import wgan_gp
from gans import algorithms, train

DOCUMENTS = sorted([*pathlib.Path('.').glob('*.md'), *pathlib.Path('docs').glob('*.md')])


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
  state = train.train(config, tmp_path / 'run')
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
