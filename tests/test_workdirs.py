"""A workdir is taken up only by the config that made it, and nothing else in the world is touched."""
import json
import os
import re
import stat
import subprocess
import sys

from etils import epath
import ml_collections
import pytest

from gans.data.dataset import Spec
from gans.data.inventory import take_inventory
from gans.data.sources import load_dataset
from gans.errors import UserError
from gans.runs import layouts, workdirs
from gans.runs.layouts import UNSET
from tests.conftest import ROOT, open_workdir, set_optimizers

SPEC = Spec((28, 28, 1), 10)


def test_config_comes_back_as_it_was(tmp_path, config):
  made = open_workdir(tmp_path / 'new' / 'run', config, SPEC)
  assert workdirs.differences(workdirs.read_config(made).to_dict(), {**config.to_dict()}).keys() == {
      'critic.hidden', 'dataset.attributes', 'generator.hidden'}  # tuples come back as lists, which linen takes as well
  open_workdir(made, config, SPEC)  # the same again is welcome


def test_another_config_is_refused_and_the_difference_printed(tmp_path, config):
  made = open_workdir(tmp_path, config, SPEC)
  before = (made / 'config.json').read_text()
  config.batch_size, config.generator.norm = 4, 'none'
  with pytest.raises(UserError, match=r"batch_size: 8 there, 4 now\n.*generator.norm: 'batch' there, 'none' now"):
    open_workdir(tmp_path, config, SPEC)
  assert (made / 'config.json').read_text() == before


def test_what_alters_no_step_may_change_or_be_new(tmp_path, config):
  old = config.copy_and_resolve_references()
  del old.profile  # as a workdir from before that field has it
  open_workdir(tmp_path, old, SPEC)
  config.profile, config.log_every, config.steps_per_call, config.mesh.data = True, 7, 3, 2
  config.critic = {**config.critic, 'remat': True}
  open_workdir(tmp_path, config, SPEC)
  assert workdirs.read_config(tmp_path).log_every == 7


def test_a_longer_run_is_welcome_unless_its_learning_rates_change(tmp_path, config):
  set_optimizers(config, schedule='constant')
  open_workdir(tmp_path / 'constant', config, SPEC)
  config.num_steps *= 2
  open_workdir(tmp_path / 'constant', config, SPEC)
  config.critic.optimizer.schedule = 'linear'  # of one player alone
  open_workdir(tmp_path / 'linear', config, SPEC)
  config.num_steps *= 2
  with pytest.raises(UserError, match='num_steps'):
    open_workdir(tmp_path / 'linear', config, SPEC)


def test_a_longer_run_without_one_of_the_players_is_another_config(tmp_path, config):
  config.encoder = config.critic.copy_and_resolve_references()
  set_optimizers(config, schedule='constant')
  open_workdir(tmp_path, config, SPEC)
  del config.encoder
  config.num_steps *= 2
  with pytest.raises(UserError, match=r'encoder\.*: .* there, None now'):
    open_workdir(tmp_path, config, SPEC)


def test_somebody_elses_files_are_left_alone(tmp_path, config):
  (tmp_path / 'thesis.tex').write_text('years of work')
  with pytest.raises(UserError, match='something else'):
    open_workdir(tmp_path, config, SPEC)
  assert [path.name for path in tmp_path.iterdir()] == ['thesis.tex']


def test_a_folder_that_cannot_be_written_is_named(tmp_path, config):
  (tmp_path / 'file').write_text('')
  with pytest.raises(UserError, match='file/run cannot be written'):
    open_workdir(tmp_path / 'file' / 'run', config, SPEC)
  if os.geteuid():  # root may write everywhere
    tmp_path.chmod(stat.S_IREAD | stat.S_IEXEC)
    with pytest.raises(UserError, match='cannot be written'):
      open_workdir(tmp_path / 'run', config, SPEC)


@pytest.mark.parametrize('name', workdirs.LEFT_BY_SYSTEMS)
def test_what_a_system_leaves_in_a_folder_is_nothing(tmp_path, config, name):
  (tmp_path / name).write_text('')
  open_workdir(tmp_path, config, SPEC)


def test_somebody_elses_data_json_stays(tmp_path, config):
  (tmp_path / 'data.json').write_text('{"my": "annotations"}')
  with pytest.raises(UserError, match='files of something else'):
    workdirs.check_workdir(tmp_path, config)


def test_what_a_killed_first_start_leaves_is_nothing(tmp_path, config):
  (tmp_path / 'checkpoints').mkdir()
  inventory = take_inventory(config.dataset, load_dataset(config.dataset))
  (tmp_path / 'data.json').write_text(json.dumps(inventory))
  (tmp_path / 'data.json.new').write_text('{')
  (tmp_path / 'lock').write_text('')
  workdirs.check_workdir(tmp_path, config)
  (tmp_path / 'checkpoints' / '20').mkdir()
  with pytest.raises(UserError, match='something else'):
    workdirs.check_workdir(tmp_path, config)


@pytest.mark.parametrize('name', ['a[1]b', 'a*', 'what?', 'back\\slash'])
def test_a_path_that_is_a_pattern_is_refused_before_anything_is_written(tmp_path, config, name):
  with pytest.raises(UserError, match='pattern'):
    workdirs.check_workdir(tmp_path / name / 'run', config)
  assert not list(tmp_path.iterdir())


def test_a_path_that_is_not_utf8_is_refused_before_anything_is_written(tmp_path, config):
  with pytest.raises(UserError, match='is not UTF-8'):
    open_workdir(tmp_path / 'run\udcff', config, SPEC)
  assert not list(tmp_path.iterdir())


def test_changes_of_a_run_that_there_is_not_are_refused(tmp_path, config):
  """As of a mistyped path, which would train from scratch."""
  with pytest.raises(UserError, match='/typo holds no run that --resume_with_changes could resume'):
    workdirs.check_workdir(tmp_path / 'typo', config, resume_with_changes=True)


def test_a_schedule_is_named_where_it_forbids_a_longer_run(tmp_path, config):
  open_workdir(tmp_path, config, SPEC)
  config.num_steps *= 2
  with pytest.raises(UserError, match=r'critic\.optimizer\.schedule=linear(.|\n)*--resume_with_changes'):
    workdirs.check_workdir(tmp_path, config)
  assert workdirs.check_workdir(tmp_path, config, resume_with_changes=True) == epath.Path(tmp_path)
  assert workdirs.changed_fields(epath.Path(tmp_path), config) == {'num_steps': (4, 8)}


@pytest.mark.parametrize('text', [None, '', '{}', '[1]', '{"version": 1}', '{"version": 1, "config": [2]}',
                                  '{"version": 1, "config": {"__class__": 3}}'])
def test_what_is_no_workdir_is_said_to_be_none(tmp_path, text):
  if text is not None:
    (tmp_path / 'config.json').write_text(text)
  with pytest.raises(UserError, match='not the folder of a run'):
    workdirs.read_config(tmp_path)


def test_a_later_layout_is_named(tmp_path):
  (tmp_path / 'config.json').write_text('{"version": 99, "config": {}}')
  with pytest.raises(UserError, match='layout 99'):
    workdirs.read_config(tmp_path)


def test_a_second_run_is_refused_but_not_after_a_killed_one(tmp_path):
  hold = ('import sys, time; from etils import epath; from gans.runs import workdirs\n'
          'with workdirs.locked(epath.Path(sys.argv[1])):\n  print("held", flush=True); time.sleep(60)')
  with subprocess.Popen([sys.executable, '-c', hold, tmp_path], cwd=ROOT, stdout=subprocess.PIPE) as other:
    assert other.stdout.readline() == b'held\n'
    with pytest.raises(UserError, match='another run is at work'), workdirs.locked(epath.Path(tmp_path)):
      pass
    other.kill()
  with workdirs.locked(epath.Path(tmp_path)):
    pass


def test_a_config_read_back_is_data_whatever_it_says(tmp_path):
  """No value is evaluated, imported or looked up."""
  text = '__import__("os").system("touch PATH")'.replace('PATH', str(tmp_path / 'ran'))
  hostile = {**layouts.NEW, 'algorithm': text, 'generator': {'network': f'!!python/object/apply:os.system [{text!r}]'},
             'py/object': 'os.system', 'dataset': {**UNSET, 'name': '../../etc'}}
  (tmp_path / 'config.json').write_text(json.dumps({'version': workdirs.VERSION, 'config': hostile}))
  read = workdirs.read_config(tmp_path)
  assert read.to_dict() == hostile and type(read) is ml_collections.ConfigDict
  assert not (tmp_path / 'ran').exists()


def test_nothing_here_unpickles_or_evaluates():
  """This project calls nothing that can turn a file's bytes into running code.

  The exception is what reads torch's files of weights, an unpickler that builds tensors only: tests/test_inception.py.
  """
  files = [ROOT / 'main.py', *(path for path in (ROOT / 'gans').rglob('*.py') if path.name != 'weights_file.py')]
  harmless = 'allow_pickle=False|never a pickle|def _unpickle|return _unpickle|be pickled'  # words, and __reduce__
  code = re.sub(harmless, '', '\n'.join(path.read_text() for path in files))
  assert not re.findall(r'\b(?:pickle|dill|shelve|marshal|joblib|yaml|eval\(|exec\(|allow_pickle)', code)
