"""Resuming: what is owed is made up for, changes are recorded, and a refusal leaves a folder as it was."""
import ast
import contextlib
import functools
import inspect
import json
import operator
import pathlib
import shutil
import signal

from etils import epath
import numpy as np
from PIL import Image
import pytest

from configs import gan, wgan_gp_toy
from gans.data.dataset import Spec
from gans.errors import UserError
from gans.evaluation.evaluator import Evaluation
from gans.modes.nearest import show_nearest
from gans.runs import checkpoints
from gans.runs.evaluations import append_scores
from gans.runs.opening import open_run
from gans.system import signals
from gans.system.records import read_records
from gans.training import loop
from gans.training.loop import train
from tests.conftest import set_optimizers
from tests.shrink import shrink


def small_config():
  config = shrink(wgan_gp_toy.get_config())
  config.num_steps, config.checkpoint_every, config.sample_every = 6, 2, 6
  set_optimizers(config, 'adam', b1=0.5, b2=0.9)
  return config


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
  """The folder of a finished run of small_config, not to be altered."""
  folder = tmp_path_factory.mktemp('finished')
  train(small_config(), folder)
  return folder


@pytest.fixture
def run(finished, tmp_path):
  """A copy of it."""
  return shutil.copytree(finished, tmp_path / 'run')


def contents(folder: pathlib.Path) -> dict[str, bytes | None]:
  """Returns {path: contents} of all below a folder; None for a folder."""
  return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob('*')}


def kept_steps(folder: pathlib.Path) -> list[int]:
  return sorted(int(path.name) for path in (folder / 'checkpoints').iterdir())


def evaluations(folder: pathlib.Path) -> dict[int, dict]:
  return {record['step']: record for record in read_records(folder / 'eval.jsonl')}


def test_an_evaluation_that_a_signal_prevented_is_made_at_the_next_start(tmp_path, monkeypatch):
  """Ctrl-C during the steps at whose end it is due: in the middle of a run, and at its end."""
  config = small_config()
  config.steps_per_call, config.eval_every, config.eval.num_samples = 3, 3, 50
  config.checkpoint_every = 6
  train(config, tmp_path / 'whole')

  @contextlib.contextmanager
  def watched():
    yield lambda: signal.SIGINT  # comes with the first call, which ends at a multiple of 3

  monkeypatch.setattr(signals, 'watched', watched)
  for step in (3, 6):
    with pytest.raises(SystemExit):
      train(config, tmp_path / 'cut')
    assert step not in evaluations(tmp_path / 'cut')
  monkeypatch.undo()
  train(config, tmp_path / 'cut')
  assert evaluations(tmp_path / 'cut') == evaluations(tmp_path / 'whole')
  before = contents(tmp_path / 'cut')
  train(config, tmp_path / 'cut')  # finished, and nothing is owed
  assert contents(tmp_path / 'cut') == before


def test_a_run_that_starts_over_forgets_its_scores(run):
  """Its checkpoints were deleted, or it was killed in its first evaluation."""
  append_scores(run / 'eval.jsonl', 40, Evaluation({'points/sliced_wasserstein': [1.0]}, 'points', '', 50, 0))
  shutil.rmtree(run / 'checkpoints')
  train(small_config(), run)
  assert evaluations(run) == {}


def test_a_checkpoint_that_training_deleted_meanwhile_is_named_so(run):
  with open_run(run) as opened:
    shutil.rmtree(run / 'checkpoints' / '4')
    with pytest.raises(UserError, match='checkpoints/4 was deleted meanwhile by the run'):
      opened.restore(4)


def test_a_signal_during_the_last_evaluation_ends_the_program_after_it(tmp_path, monkeypatch):
  """So a benchmark of many runs does not go on to the next."""
  config = small_config()
  config.eval_every, config.eval.num_samples = config.num_steps, 50
  report = loop.Reporter.scores

  def interrupted(*args):
    signal.raise_signal(signal.SIGINT)
    report(*args)

  monkeypatch.setattr(loop.Reporter, 'scores', interrupted)
  with pytest.raises(SystemExit, match='130'):
    train(config, tmp_path)
  assert [*evaluations(tmp_path)] == [config.num_steps]
  assert config.num_steps in kept_steps(tmp_path)


@pytest.mark.parametrize('keep, keep_every, expected', [(3, 0, [4, 6, 8]), (1, 0, [8]), (1, 4, [4, 8]),
                                                        (checkpoints.ALL, 0, [2, 4, 6, 8])])
def test_as_many_checkpoints_are_kept_as_the_config_says(tmp_path, keep, keep_every, expected):
  with checkpoints.open_manager(epath.Path(tmp_path), None, keep, keep_every) as manager:
    for step in (2, 4, 6, 8):
      checkpoints.save(manager, step, {'x': np.zeros(1)})
  assert kept_steps(tmp_path) == expected


def test_changes_are_taken_up_from_the_latest_checkpoint_and_recorded(run, capsys):
  config = small_config()
  config.num_steps = 8
  config.critic.optimizer.learning_rate = 1e-5
  with pytest.raises(UserError, match='--resume_with_changes trains on'):
    train(config, run)
  assert int(train(config, run, resume_with_changes=True).step) == 8
  assert 'resuming at step 6 of 8\nwith changes:\n  critic.optimizer.learning_rate' in capsys.readouterr().out
  *_, last = read_records(run / 'starts.jsonl')
  assert last['step'] == 6 and last['changes'] == ['critic.optimizer.learning_rate: 0.02 -> 1e-05']
  train(config, run)  # the changed config is the run's from here on
  assert 'already finished' in capsys.readouterr().out


@pytest.mark.parametrize('eval_every', [0, 6])  # with 6, an evaluation of the last step is owed
def test_a_finished_run_takes_up_no_changes(run, capsys, eval_every):
  config = small_config()
  config.ema_decay, config.eval_every = 0.5, eval_every
  before = contents(run)
  train(config, run, resume_with_changes=True)
  assert 'the changes were not made: they need a larger num_steps' in capsys.readouterr().out
  assert contents(run) == before


def test_changes_are_not_the_runs_before_a_step_was_taken_with_them(run, monkeypatch):
  config = small_config()
  config.num_steps, config.ema_decay = 8, 0.5

  def fail(*_):
    raise MemoryError

  before = {name: (run / name).read_bytes() for name in ('config.json', 'data.json', 'starts.jsonl')}
  monkeypatch.setattr(loop, 'build_train_steps', fail)
  with pytest.raises(MemoryError):
    train(config, run, resume_with_changes=True)
  assert {name: (run / name).read_bytes() for name in before} == before


def test_a_run_that_came_between_is_not_overwritten(run, tmp_path, monkeypatch):
  """Another process trains in the new folder while this one reads its data and compiles."""
  build_state, other = loop.build_state, small_config()
  other.seed = 1

  def build_late(*arguments):
    shutil.copytree(run, tmp_path / 'new')
    return build_state(*arguments)

  monkeypatch.setattr(loop, 'build_state', build_late)
  with pytest.raises(UserError, match='was made with another config(.|\n)*seed: 0 there, 1 now'):
    train(other, tmp_path / 'new')
  assert contents(tmp_path / 'new').keys() - {'lock'} == contents(run).keys() - {'lock'}


def test_an_evaluation_by_other_means_is_not_the_one_that_is_owed(tmp_path):
  config = small_config()
  config.eval_every, config.eval.num_samples, config.eval.features = 2, 100, 'points'
  record = {'scores': {'points/sliced_wasserstein': [1.0]}, 'features': 'points', 'reference': '', 'num_samples': 50,
            'seed': 0}
  for num_samples, is_owed in [(50, True), (100, False)]:
    line = {'step': 2, **record, 'num_samples': num_samples}
    (tmp_path / 'eval.jsonl').write_text(json.dumps(line) + '\n')
    assert loop.is_unmeasured(config, Spec((2,)), epath.Path(tmp_path), 2) == is_owed


def test_another_optimizer_fits_no_state_and_changes_nothing(run):
  before = contents(run)
  config = small_config()
  config.num_steps = 8
  set_optimizers(config, 'sgd')
  with pytest.raises(UserError, match='does not fit this config'):
    train(config, run, resume_with_changes=True)
  assert contents(run) == before


def test_what_was_written_is_read_back(tmp_path):
  """Orbax itself writes a checkpoint without its arrays where it takes the path for a pattern."""
  folder = epath.Path(tmp_path / 'a[1]b')
  with pytest.raises(UserError, match='was written and cannot be read back: 1 of 1 arrays are not there, such as x'), \
       checkpoints.open_manager(folder) as manager:
    checkpoints.save(manager, 2, {'x': np.zeros(1)})
  assert not (folder / 'checkpoints' / '2').exists()


REFUSALS = {  # {what: (field: value of the config, what the message says)}
    'another seed': ({'seed': 1}, 'seed: 0 there, 1 now'),
    'a shorter run': ({'num_steps': 4}, 'num_steps: 6 there, 4 now'),
    'another loss': ({'gp_weight': 3.0}, 'gp_weight'),
    'no such field': ({'gp_weigth': 3.0}, 'gp_weigth=3.0'),
    'no such algorithm': ({'algorithm': 'wgan_qp'}, 'wgan_qp'),
    'no such data': ({'dataset.name': 'no_such_data'}, 'no_such_data'),
    'other data': ({'dataset.name': 'grid25'}, 'dataset.name'),
    'no such mesh': ({'mesh.data': 3}, 'mesh'),
    'a score that is none': ({'eval_every': 2, 'eval.best': 'beauty'}, 'eval.best'),
}


@pytest.mark.parametrize('changes, message', REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_leaves_every_byte_as_it_was(run, changes, message):
  before = contents(run)
  config = small_config()
  with config.unlocked():
    for field, value in changes.items():
      *groups, name = field.split('.')
      functools.reduce(operator.getitem, groups, config)[name] = value
  with pytest.raises(UserError, match=message):
    train(config, run)
  assert contents(run) == before


def list_checks() -> list[str]:
  """Names all functions of gans that train() calls in one process before it writes its record."""
  prepare, = ast.parse(inspect.getsource(loop.prepare)).body
  whole, = ast.parse(inspect.getsource(loop.train)).body
  calls = [node for node in ast.walk(whole) if isinstance(node, ast.Call)]
  last, = (call.lineno for call in calls if ast.unparse(call.func) == 'training.record')
  early = [call for call in calls if call.lineno < last]
  early += [node for node in ast.walk(prepare) if isinstance(node, ast.Call)]
  found = {ast.unparse(call.func) for call in early}
  names = {name for name in found if inspect.isfunction(resolve(name)) and resolve(name).__module__.startswith('gans')}
  return sorted(names - {'prepare', 'fingerprint', 'cache.fingerprint'})  # two are for several processes


def resolve(name: str):
  """Returns what a dotted name is in the loop's file; None where it is local to a function."""
  owner, *rest = name.split('.')
  return functools.reduce(lambda found, part: getattr(found, part, None), rest, vars(loop).get(owner))


def test_the_checks_are_found():
  expected = {'validate.check_config', 'load_dataset', 'build_state', 'workdirs.check_data', 'validate.check_training',
              'checkpoints.set_damaged_aside', 'checkpoints.restore_latest', 'evaluator.settle'}
  assert expected <= set(list_checks())


@pytest.mark.parametrize('check', list_checks())
def test_whatever_refuses_leaves_every_byte_as_it_was(run, monkeypatch, check):
  """Each function that runs before the record is written refuses in its turn."""
  def refuse(*_, **__):
    raise UserError('refused by this test')

  config = small_config()
  config.num_steps = 8
  monkeypatch.setattr(f'gans.training.loop.{check}', refuse)
  before = contents(run)
  with pytest.raises(UserError, match='refused by this test'):
    train(config, run)
  assert contents(run) == before


def test_a_damaged_checkpoint_is_not_moved_where_the_whole_one_does_not_fit(run):
  newest = run / 'checkpoints' / '6' / '_CHECKPOINT_METADATA'
  newest.unlink()
  before = contents(run)
  config = small_config()
  set_optimizers(config, 'sgd')
  with pytest.raises(UserError, match='checkpoints/4 does not fit this config'):
    train(config, run, resume_with_changes=True)
  assert contents(run) == before
  train(small_config(), run)
  assert (run / 'damaged' / '6').is_dir()


@pytest.fixture(scope='module')
def on_pictures(tmp_path_factory):
  """(the folder of a finished run, its config) on 20 grey pictures in two classes; not to be altered."""
  pictures = tmp_path_factory.mktemp('pictures')
  for i in range(20):
    folder = pictures / ('cats' if i % 2 else 'dogs')
    folder.mkdir(exist_ok=True)
    Image.new('L', (8, 8), 10 * i).save(folder / f'{i:02}.png')
  config = shrink(gan.get_config())
  config.num_steps = 2
  config.dataset.update({'name': 'folder', 'path': str(pictures), 'image_size': 8})
  folder = tmp_path_factory.mktemp('on_pictures')
  train(config, folder)
  return folder, config


@pytest.fixture
def moved(on_pictures, tmp_path):
  """(a copy of the run, its config, a copy of the pictures that the config now names)."""
  folder, config = on_pictures
  config = config.copy_and_resolve_references()
  pictures = shutil.copytree(config.dataset.path, tmp_path / 'pictures', copy_function=shutil.copyfile)
  config.dataset.path = str(pictures)
  return shutil.copytree(folder, tmp_path / 'run'), config, pictures


def test_moved_data_are_the_same_data(moved):
  run, config, _ = moved
  training, _ = loop.prepare(config, run, resume_with_changes=False)
  assert not training.changes


def add_red(pictures):
  Image.new('RGB', (8, 8), 'red').save(pictures / 'cats' / 'red.png')


def swap_classes(pictures):
  (pictures / 'cats').rename(pictures / 'x')
  (pictures / 'dogs').rename(pictures / 'cats')
  (pictures / 'x').rename(pictures / 'dogs')


def rename_class(pictures):
  (pictures / 'cats').rename(pictures / 'kittens')


def repaint(pictures):
  Image.new('L', (8, 8), 255).save(pictures / 'dogs' / '04.png')


def remove(pictures):
  (pictures / 'dogs' / '06.png').unlink()


@pytest.mark.parametrize('change, message', [
    (add_red, 'red.png'), (swap_classes, 'trained on other data'), (rename_class, "'cats'.*'kittens'"),
    (repaint, 'dogs/04.png'), (remove, 'dogs/06.png')])
def test_changed_data_are_refused_with_what_changed(moved, change, message):
  run, config, pictures = moved
  change(pictures)
  before = contents(run)
  with pytest.raises(UserError, match=message):
    train(config, run)
  assert contents(run) == before
  training, _ = loop.prepare(config, run, resume_with_changes=True)
  assert training.changes


def test_scores_on_data_that_a_run_has_no_more_are_not_compared(moved):
  """Else the best step could be one that never saw the new data."""
  run, config, pictures = moved
  config.eval.num_samples, config.num_steps = 50, 4

  def measured(distance):
    return Evaluation({'classifier/frechet_distance': [distance]}, 'a classifier', '20 of folder, train', 50, 0)

  append_scores(run / 'eval.jsonl', 2, measured(1.0))
  repaint(pictures)
  train(config, run, resume_with_changes=True)
  assert evaluations(run)[2]['reference'] == '20 of folder, train, before its data were changed'
  append_scores(run / 'eval.jsonl', 4, measured(9.0))
  with open_run(run) as opened:
    assert opened.find_best().step == 4
  config.num_steps = 6
  train(config, run, resume_with_changes=True)  # on the same data
  assert evaluations(run)[4]['reference'] == '20 of folder, train'


def test_a_run_says_what_it_read(on_pictures, tmp_path, capsys):
  folder, config = on_pictures
  assert json.loads((folder / 'data.json').read_text())['classes'] == {'cats': 10, 'dogs': 10}
  train(config, folder)  # finished
  assert "data: folder, 20 examples of 8x8x1\n  2 classes: 0 = 'cats' (10), 1 = 'dogs' (10)" in capsys.readouterr().out


def test_moved_data_of_a_run_are_found_by_a_flag_and_changed_ones_refused(moved):
  run, config, pictures = moved
  gone = {'dataset.path': str(pictures.parent / 'nowhere')}
  with pytest.raises(UserError, match='is not a folder'):
    show_nearest(run, num=2, moved=gone)
  show_nearest(run, num=2, moved={'dataset.path': str(pictures)})
  assert (run / 'nearest.png').exists()
  rename_class(pictures)
  with pytest.raises(UserError, match="trained on other data.*\n.*'kittens'"):
    show_nearest(run, num=2, moved={'dataset.path': str(pictures)}, out=run / 'again.png')
