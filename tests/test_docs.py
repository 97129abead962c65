"""What the documents say is there and runs: links, file names, commands with their flags and fields, the notebook.

The code of docs/adding-a-gan.md is run by tests/test_adding_a_gan.py.
"""
import importlib
import json
import pathlib
import re
import shlex
import subprocess
import sys

from absl import flags
from ml_collections import config_flags
import pytest
import yaml

from gans import validate
from gans.system.records import flatten
from tests.conftest import ROOT

DOCUMENTS = sorted([*ROOT.glob('*.md'), *ROOT.glob('docs/*.md'), ROOT / 'gans' / 'zoo' / 'README.md'])
# Its configs and files are the reader's own.
EXAMPLE = ROOT / 'docs' / 'adding-a-gan.md'
COMMANDS = [path for path in DOCUMENTS if path != EXAMPLE]
# Files that start runs on machines that no test has.
CLOUD = [ROOT / 'docs' / 'cloud-tpu.sky.yaml', ROOT / 'docs' / 'cloud-tpu.startup.sh']
FENCED = re.compile(r'^```\w*\n(.*?)^```$', re.DOTALL | re.MULTILINE)
PARSE = '''
import json, sys
from absl import flags
import main
for words in json.load(sys.stdin):
  for name in flags.FLAGS:
    flags.FLAGS[name].unparse()
  sys.argv = ['main.py', *words]  # where config_flags looks for the fields
  main.parse_flags(sys.argv)
'''


def name_of(path: pathlib.Path) -> str:
  return str(path.relative_to(ROOT))


def find_code(text: str) -> list[str]:
  """Returns the lines of a page's code blocks, and its code spans, each in one line."""
  text = text.replace('\\\n', ' ')
  lines = [line for block in FENCED.findall(text) for line in block.splitlines()]
  spans = [span.replace('\n', ' ') for span in re.findall(r'`([^`]+)`', FENCED.sub('', text))]
  return lines + spans


def find_commands(path: pathlib.Path) -> list[list[str]]:
  """Returns the flags of every command of a page that starts main.py."""
  found = []
  for line in find_code(path.read_text()):
    for command in re.findall(r'python main\.py (--.*?)(?= && |$)', line):
      quotes = command.count('"') % 2 or command.count("'") % 2
      command = command.rstrip('\'"') if quotes else command  # the end of what another command is given
      found.append(shlex.split(command, comments=True))
  return found


def split_modes(path: pathlib.Path) -> tuple[list, list]:
  """Returns the commands of a page that train, and those of other modes; --help is neither."""
  commands = [words for words in find_commands(path) if words != ['--help']]
  training = [words for words in commands if not any(word.startswith('--mode=') for word in words)]
  return training, [words for words in commands if words not in training]


def flags_of_main() -> set[str]:
  return set(re.findall(r"DEFINE_\w+\(\s*'([\w.]+)'", (ROOT / 'main.py').read_text()))


def test_the_notebook_runs(capsys):
  cells = json.loads((ROOT / 'docs' / 'using-a-trained-gan.ipynb').read_text())['cells']
  namespace = {}
  for cell in cells:
    if cell['cell_type'] == 'code':
      exec(''.join(cell['source']), namespace)
  start, end = re.search(r'error: ([\d.]+) at the start, ([\d.]+) in the end', capsys.readouterr().out).groups()
  assert float(end) < float(start) / 5


def anchors(path: pathlib.Path) -> set[str]:
  """Returns the anchors that GitHub gives to a page's headings."""
  headings = re.findall(r'^#+ (.*)$', FENCED.sub('', path.read_text()), re.MULTILINE)
  return {re.sub(r'[^\w -]', '', heading).lower().replace(' ', '-') for heading in headings}


@pytest.mark.parametrize('path', DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(path):
  for target, anchor in re.findall(r'\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)', path.read_text()):
    linked = path.parent / target if target else path
    assert linked.exists(), target
    assert not anchor or anchor in anchors(linked), f'{target}#{anchor}'


@pytest.mark.parametrize('path', COMMANDS, ids=name_of)
def test_files_and_benchmarks_that_are_named_are_there(path):
  text = path.read_text()
  for name in re.findall(r'(?<![\w/.])((?:gans|tests|docs|benchmarks)/[\w/.-]*\w\.(?:py|md|png|gif|html))\b', text):
    assert (ROOT / name).exists() or (path.parent / name).exists(), name
  for name in re.findall(r'python -m benchmarks\.(\w+)', text):
    assert (ROOT / 'benchmarks' / f'{name}.py').exists(), name


def test_help_lists_all_flags_of_main():
  import main
  listed = {flag.name for flag in flags.FLAGS.get_key_flags_for_module(main)}
  assert flags_of_main() | {'config'} <= listed


def test_readme_trains_and_tests_with_a_command_each():
  blocks = FENCED.findall((ROOT / 'README.md').read_text())
  assert [block for block in blocks if block.startswith('pip install -r requirements.txt && python main.py --config=')]
  assert 'pip install -r requirements.txt -r requirements-test.txt && pytest\n' in blocks


@pytest.mark.parametrize('path', COMMANDS, ids=name_of)
def test_commands_train_configs_that_are_accepted(path, monkeypatch):
  monkeypatch.chdir(ROOT)  # where --config=configs/... is looked for
  training, _ = split_modes(path)
  for words in training:
    own = [word for word in words if word.startswith('--config')]
    values = flags.FlagValues()
    config = config_flags.DEFINE_config_file('config', flag_values=values)
    monkeypatch.setattr(sys, 'argv', ['main.py', *own])  # where config_flags looks for the fields
    values(sys.argv)
    validate.check_config(config.value)
    others = {word.removeprefix('--').partition('=')[0] for word in words if word not in own}
    assert 'workdir' in others and others <= flags_of_main(), words


@pytest.mark.parametrize('path', COMMANDS, ids=name_of)
def test_commands_of_other_modes_are_parsed(path):
  _, others = split_modes(path)
  if others:
    result = subprocess.run([sys.executable, '-c', PARSE], input=json.dumps(others), cwd=ROOT, text=True,
                            capture_output=True, timeout=120)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize('path', [*COMMANDS, *CLOUD], ids=name_of)
def test_fields_that_commands_set_are_there(path):
  configs = [importlib.import_module(f'configs.{file.stem}') for file in (ROOT / 'configs').glob('*.py')
             if file.stem != 'base']
  fields = {field for config in configs for field in flatten(config.get_config().to_dict())}
  assert set(re.findall(r'--config\.([a-z_.0-9]*[a-z0-9])', path.read_text())) <= fields


@pytest.mark.parametrize('path', CLOUD, ids=name_of)
def test_flags_that_the_cloud_sets_are_there(path):
  given = set(re.findall(r'--(\w+)(?![\w.])', path.read_text().split('main.py')[1])) - {'config'}
  assert 'distributed' in given and given <= flags_of_main()


def test_the_sky_task_fits_its_slice():
  task = yaml.safe_load(CLOUD[0].read_text())
  chips = int(task['resources']['accelerators'].rsplit('-', 1)[1])
  assert int(re.search(r'--config.batch_size=(\d+)', task['run'])[1]) % chips == 0
  assert task['resources']['use_spot'] is True and set(re.findall(r'\$(BUCKET)', task['run'])) <= task['envs'].keys()
