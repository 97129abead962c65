"""A damaged checkpoint is found, named and set aside; nothing that is not damaged is taken for it."""
import os
import pathlib
import shutil
import stat

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from configs import wgan_gp_toy
from gans.data.dataset import Spec
from gans.errors import UserError
from gans.runs import checksums
from gans.training.loop import train
from tests.conftest import open_workdir
from tests.shrink import shrink

STEPS = (2, 4, 6)  # checkpoints of the run below, which ends with the last


def small_config():
  config = shrink(wgan_gp_toy.get_config())
  config.num_steps, config.checkpoint_every, config.sample_every = 6, 2, 6
  return config


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  """A finished run (folder, final state), not to be altered."""
  folder = tmp_path_factory.mktemp('whole')
  return folder, train(small_config(), folder)


@pytest.fixture
def run(whole, tmp_path):
  """A copy of it, to be damaged."""
  return shutil.copytree(whole[0], tmp_path / 'run')


def checkpoint(run: pathlib.Path, step: int) -> pathlib.Path:
  return run / 'checkpoints' / str(step)


def checked_files(run: pathlib.Path, step: int = STEPS[-1]) -> list[pathlib.Path]:
  folder = checkpoint(run, step) / checksums.ITEM
  return [path for path in sorted(folder.rglob('*'))
          if path.is_file() and path.name not in (checksums.NAME, checksums.EARLIER_NAME, 'commit_success.txt')]


def files_below(folder: pathlib.Path) -> dict[str, bytes]:
  return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def truncate(path):
  path.write_bytes(path.read_bytes()[:-1])


def alter(path):
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 1
  path.write_bytes(data)


FAULTS = {'missing': pathlib.Path.unlink, 'bytes instead of': truncate, 'altered': alter}


def test_a_whole_checkpoint_is_whole(whole):
  assert len(checked_files(whole[0])) >= 5
  assert [checksums.find_damage(checkpoint(whole[0], step)) for step in STEPS] == ['', '', '']


@pytest.mark.parametrize('reason', FAULTS)
def test_any_fault_of_any_file_is_found_and_named(run, reason):
  for path in checked_files(run):
    before = path.read_bytes()
    FAULTS[reason](path)
    damage = checksums.find_damage(checkpoint(run, 6))
    assert path.name in damage and reason in damage
    path.write_bytes(before)
  assert checksums.find_damage(checkpoint(run, 6)) == ''


def test_checksums_under_their_earlier_name_are_compared_too(run):
  folder = checkpoint(run, 6) / checksums.ITEM
  (folder / 'checksums.json').rename(folder / 'seal.json')
  assert checksums.find_damage(checkpoint(run, 6)) == ''
  path = checked_files(run)[0]
  alter(path)
  assert checksums.find_damage(checkpoint(run, 6)) == f'{path.name!r} is altered'


@pytest.mark.parametrize('name, text', [
    ('_CHECKPOINT_METADATA', ''), ('default/checksums.json', ''), ('default/checksums.json', '[]'),
    ('default/checksums.json', 'null'), ('default/checksums.json', '{"files": 3}'),
    ('default/checksums.json', '{"files": {"x": "y"}}')])
def test_what_is_no_longer_the_json_it_was_is_found(run, name, text):
  (checkpoint(run, 6) / name).write_text(text)
  assert checksums.find_damage(checkpoint(run, 6)) == 'its JSON files are not as they were written'
  (checkpoint(run, 6) / '_CHECKPOINT_METADATA').unlink()
  assert checksums.find_damage(checkpoint(run, 6)) == '_CHECKPOINT_METADATA is missing'


def test_the_newest_whole_one_is_used_and_the_others_set_aside(run, whole, capsys):
  faults = {6: 'altered', 4: 'missing'}
  for step, reason in faults.items():
    FAULTS[reason](checked_files(run, step)[-1])
  before = {step: files_below(checkpoint(run, step)) for step in faults}
  state = train(small_config(), run)
  said = capsys.readouterr().out
  assert 'resuming at step 2 of 6' in said
  for step, reason in faults.items():
    line, = (line for line in said.splitlines() if str(checkpoint(run, step)) in line)
    assert reason in line and str(run / 'damaged' / str(step)) in line
    assert files_below(run / 'damaged' / str(step)) == before[step]
  jax.tree.map(np.testing.assert_array_equal, state, whole[1])
  assert [checksums.find_damage(checkpoint(run, step)) for step in STEPS] == ['', '', '']


def test_a_score_that_cannot_be_read_is_no_damage_to_a_state(run, whole):
  """Earlier versions wrote the scores of eval.jsonl into checkpoints as well."""
  for step in (2, 6):
    score = checkpoint(run, step) / 'metrics' / 'metrics'
    score.parent.mkdir(exist_ok=True)
    score.write_text('{')
  config = small_config()
  config.num_steps = 8
  state = train(config, run, resume_with_changes=True)
  assert int(state.step) == 8 and not (run / 'damaged').exists()


def test_the_same_step_damaged_again_finds_another_name(run):
  for name in ('6', '6-2', '6-3'):
    shutil.copytree(checkpoint(run, 4), checkpoint(run, 6), dirs_exist_ok=True)
    truncate(checked_files(run)[0])
    checksums.set_damaged_aside(run)
    assert (run / 'damaged' / name).is_dir() and not checkpoint(run, 6).exists()


def test_all_damaged_is_an_error_and_no_fresh_start(run):
  for step in STEPS:
    alter(checked_files(run, step)[0])
  before = files_below(run / 'checkpoints')
  for _ in range(2):
    with pytest.raises(UserError, match=r'no checkpoint in .* is whole(.|\n)*/6: .*altered(.|\n)*/2: .*altered'):
      train(small_config(), run)
  assert files_below(run / 'checkpoints') == before and not (run / 'damaged').exists()


def test_damaged_ones_set_aside_earlier_are_no_fresh_start_either(run):
  alter(checked_files(run)[0])
  checksums.set_damaged_aside(run)
  for step in (2, 4):
    shutil.rmtree(checkpoint(run, step))
  with pytest.raises(UserError, match=r'no checkpoint in .* is whole(.|\n)*damaged/6'):
    train(small_config(), run)


def test_an_unfinished_write_is_named_and_set_aside(run, capsys):
  name = '6.orbax-checkpoint-tmp'
  checkpoint(run, 6).rename(run / 'checkpoints' / name)
  train(small_config(), run)
  said = capsys.readouterr().out
  assert f'{name} is damaged, its writing was cut short' in said and 'resuming at step 4' in said
  assert (run / 'damaged' / name / checksums.ITEM).is_dir() and not (run / 'checkpoints' / name).exists()


def test_killed_before_the_first_checkpoint_starts_over(run, capsys):
  checkpoint(run, 2).rename(run / 'checkpoints' / '2.orbax-checkpoint-tmp')
  for step in (4, 6):
    shutil.rmtree(checkpoint(run, step))
  state = train(small_config(), run)
  assert int(state.step) == 6 and 'resuming' not in capsys.readouterr().out


def test_one_without_checksums_is_whole_if_it_can_be_read(run):
  (checkpoint(run, 6) / checksums.ITEM / checksums.NAME).unlink()
  assert checksums.find_damage(checkpoint(run, 6)) == ''
  truncate(checkpoint(run, 6) / checksums.ITEM / '_METADATA')  # no array: Orbax leaves many reads of these half done
  assert 'cannot be read' in checksums.find_damage(checkpoint(run, 6))
  shutil.rmtree(checkpoint(run, 6) / checksums.ITEM)
  assert 'cannot be read' in checksums.find_damage(checkpoint(run, 6))


@pytest.mark.skipif(not os.geteuid(), reason='root may read everything')
def test_what_may_not_be_read_is_not_damaged(run):
  path = checked_files(run)[0]
  path.chmod(0)
  with pytest.raises(UserError, match='Permission denied'):
    train(small_config(), run)
  path.chmod(stat.S_IRUSR)
  assert checksums.find_damage(checkpoint(run, 6)) == ''


def test_other_arrays_are_not_damaged_but_another_versions(run):
  config = small_config()
  config.generator.hidden = (8, 8, 9)
  shutil.move(run / 'checkpoints', run.parent / 'checkpoints')  # as if this version made other networks of a config
  shutil.rmtree(run)
  open_workdir(run, config, Spec((2,), 8))
  shutil.move(run.parent / 'checkpoints', run / 'checkpoints')
  writer = 'checkpoints/6 does not fit this config: '
  difference = r'ema.generator.params.Dense_2.bias has shape \(8,\) there, \(9,\) now, and \d+ more differ'
  with pytest.raises(UserError, match=writer + difference):
    train(config, run)
  assert not (run / 'damaged').exists()


def test_an_error_of_the_system_is_not_taken_for_damage(run, monkeypatch):
  def restore(*_, **__):
    raise MemoryError
  monkeypatch.setattr(ocp.StandardCheckpointer, 'restore', restore)
  (checkpoint(run, 6) / checksums.ITEM / checksums.NAME).unlink()
  with pytest.raises(MemoryError):
    checksums.find_damage(checkpoint(run, 6))


@pytest.mark.parametrize('name', ['run#1', '50%', 'run%201', 'a|b', 'a b', 'ü'])
def test_what_is_written_is_found_whatever_the_folder_is_called(run, tmp_path, name):
  moved = shutil.move(run, tmp_path / name)
  checksums.check_index(checkpoint(moved, STEPS[-1]) / checksums.ITEM)
