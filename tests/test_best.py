"""Which step is best: one answer from eval.jsonl, for sampling, reports, packed models and --mode=evaluate alike."""
import json
import pathlib
import shutil

import numpy as np
import pytest

from configs import wgan_gp_toy
import gans
from gans.data.dataset import Spec
from gans.errors import UserError
from gans.evaluation.evaluator import Evaluation
from gans.modes import report
from gans.modes.evaluate import evaluate
from gans.modes.pack import pack_generator
from gans.runs import evaluations, workdirs
from gans.runs.evaluations import append_scores, find_best, pick_best, read_scores
from gans.runs.opening import open_run
from tests.conftest import save_untrained
from tests.shrink import shrink

POINTS = Spec((2,), 8)  # as ring8's
IMAGES = Spec((28, 28, 1), 10)


@pytest.fixture(scope='module')
def kept(tmp_path_factory):
  """The workdir of a run on points with the checkpoints 10, 20, 30, which has not been measured."""
  config = shrink(wgan_gp_toy.get_config())
  config.eval.num_samples = 200
  path = tmp_path_factory.mktemp('runs') / 'run'
  save_untrained(path, config, POINTS, 10, 20, 30)
  return path


@pytest.fixture
def run(kept, tmp_path):
  return shutil.copytree(kept, tmp_path / 'run')


def measured(value: float, num_samples: int = 200, seed: int = 0, score='points/sliced_wasserstein', about='points',
             reference='200 of ring8, train') -> Evaluation:
  return Evaluation({score: [value]}, about, reference, num_samples, seed)


def write_score(path, step: int, text: str) -> pathlib.Path:
  """Writes the score that earlier versions kept in a checkpoint; returns its file."""
  file = path / 'checkpoints' / str(step) / 'metrics' / 'metrics'
  file.parent.mkdir(exist_ok=True)
  file.write_text(text)
  return file


def best_everywhere(path, tmp_path) -> int:
  """The step that is best, after checking that all who ask get the same answer."""
  own = report.read_run(path)
  packed = pack_generator(path, out=tmp_path / 'packed')
  with open_run(path) as run:
    answers = {own.best.step, gans.load(path).step, gans.load(packed).step, run.pick_step('best')}
  assert len(answers) == 1
  assert report.glance([own])['best step'] == [f'{own.best.step}: {own.best.score} {own.best.value:.4g}']
  return answers.pop()


def test_whoever_measured_the_answer_is_the_same(run, tmp_path):
  for step, value in ((30, 6.387), (10, 0.4949), (20, 3.0)):
    append_scores(run / 'eval.jsonl', step, measured(value))
  append_scores(run / 'eval.jsonl', 20, measured(0.1, seed=1))  # which says nothing about the others
  append_scores(run / 'eval.jsonl', 40, measured(0.0))  # whose checkpoint is gone
  assert best_everywhere(run, tmp_path) == 10


def test_what_evaluate_measures_counts_at_once(run, capsys):
  found = evaluate(run, {})
  assert len(found) == 3
  scores = {step: each.scores['points/sliced_wasserstein'][0] for step, each in found.items()}
  best = pick_best(scores, 'min')
  assert gans.load(run).step == best
  said = f'best of the checkpoints is step {best}: points/sliced_wasserstein {scores[best]:.4g}'
  assert said in capsys.readouterr().out


def test_a_run_without_an_eval_file_has_the_scores_of_its_checkpoints(run, tmp_path):
  """As earlier versions wrote them."""
  (run / 'samples').mkdir()
  shutil.copy(run / 'config.json', run / 'samples' / 'fake_0000030.png')  # so that there is something to report
  saved = write_score(run, 30, '{"points/sliced_wasserstein": 6.387}')
  write_score(run, 20, '{"points/sliced_wasserstein": 7.5}')
  assert best_everywhere(run, tmp_path) == 30
  saved.write_text('[]')
  write_score(run, 20, '[]')
  assert evaluations.find_best(run, workdirs.read_config(run).to_dict(), POINTS) is None


def best(path, scores: list[tuple[int, Evaluation]], spec: Spec = IMAGES, **asked):
  """The answer for evaluations in that order, of a config with those fields in its group `eval`."""
  config = {'eval': {'features': '', 'weights': '', 'num_samples': 200, 'seed': 0, 'best': '', **asked}}
  records = [json.dumps({'step': step, **each._asdict()}) for step, each in scores]
  (path / 'eval.jsonl').write_text('\n'.join(records))
  found = find_best(path, config, spec)
  return found and (found.step, found.score)


def fid(value: float, **means) -> Evaluation:
  return measured(value, score='mnist_5k_classifier/frechet_distance', **means)


def test_only_what_is_measured_alike_is_compared(tmp_path):
  own = [(1, fid(3.0)), (2, fid(5.0))]
  classified = 'mnist_5k_classifier/frechet_distance'
  others = [fid(1.0, num_samples=50), fid(1.0, seed=3), measured(1.0, score='inception_v3/frechet_distance')]
  for other in others:
    assert best(tmp_path, [*own, (2, other)]) == (1, classified)
    assert best(tmp_path, [(2, other), *own]) == (1, classified)
  another = [fid(1.0, reference='9 of others'), fid(1.0, about='another classifier')]
  for other in another:  # as the config says too: the last way counts
    assert best(tmp_path, [*own, (2, other)]) == (2, classified)
    assert best(tmp_path, [(2, other), *own]) == (1, classified)


def test_a_run_that_never_measured_itself_is_judged_as_it_was_measured_last(tmp_path):
  inception = [(step, measured(value, 50, score='inception_v3/frechet_distance')) for step, value in ((1, 3.), (2, 2.))]
  assert best(tmp_path, [(1, fid(0.0, num_samples=90)), *inception]) == (2, 'inception_v3/frechet_distance')
  assert best(tmp_path, []) is None


def test_the_score_is_the_configs_or_the_default_of_what_was_measured(tmp_path):
  def scored(step, **scores):
    return step, Evaluation({f'classifier/{name}': [value] for name, value in scores.items()}, '', '', 200, 0)

  both = [scored(1, precision=0.25, frechet_distance=3.0), scored(2, precision=0.5, frechet_distance=5.0)]
  assert best(tmp_path, both) == (1, 'classifier/frechet_distance')
  assert best(tmp_path, both, best='precision') == (2, 'classifier/precision')
  assert best(tmp_path, both, best='no_such') == (1, 'classifier/frechet_distance')
  pairs = [scored(1, pair_error=0.5, frechet_distance=3.0), scored(2, pair_error=0.4, frechet_distance=5.0)]
  assert best(tmp_path, pairs) == (2, 'classifier/pair_error')
  points = [(1, measured(2.0)), (2, measured(1.0))]
  assert best(tmp_path, points, POINTS) == best(tmp_path, points, None) == (2, 'points/sliced_wasserstein')


def test_what_is_no_number_is_never_best_and_of_equal_ones_the_last_is():
  assert pick_best({1: np.nan, 2: 3.0, 3: -np.inf, 4: 2.0}, 'min') == 4
  assert pick_best({1: np.nan}, 'max') is None
  assert pick_best({1: 8.0, 2: 8.0, 3: 7.0}, 'max') == 2


@pytest.mark.parametrize('damage', ['metadata', 'all'])
def test_a_damaged_checkpoint_keeps_nobody_from_the_others(run, damage):
  append_scores(run / 'eval.jsonl', 10, measured(1.0))
  append_scores(run / 'eval.jsonl', 30, measured(2.0))
  checkpoint = run / 'checkpoints' / '30'
  if damage == 'metadata':
    (checkpoint / '_CHECKPOINT_METADATA').unlink()
  else:
    shutil.rmtree(checkpoint)
    checkpoint.mkdir()
  assert gans.load(run).step == 10 and gans.load(run, 20).step == 20
  for asked in (30, 'latest'):
    with pytest.raises(UserError, match=r'checkpoints/30 is damaged, .*; the steps \[10, 20\] are whole$'):
      gans.load(run, asked)


def test_the_latest_needs_no_scores(run):
  (run / 'eval.jsonl').write_text('{')
  assert gans.load(run, 'latest').step == 30
  with pytest.raises(UserError, match='line 1 of .*eval.jsonl is not as it was written'):
    gans.load(run)


@pytest.mark.parametrize('text, message', [
    ('[]', 'line 1 of .*eval.jsonl is not as it was written: expected'),
    ('\n\n{"step": 3', 'line 3 of .*eval.jsonl is not as it was written'),
    ('{"step": 3}', 'eval.jsonl is not as it was written'),
    ('{"step": "x", "scores": {}, "features": "", "reference": "", "num_samples": 1, "seed": 0}', 'not as it was'),
    ('{"step": 3, "scores": {"a": 5}, "features": "", "reference": "", "num_samples": 1, "seed": 0}', 'not as it was'),
])
def test_an_altered_file_is_refused(tmp_path, text, message):
  (tmp_path / 'eval.jsonl').write_text(text)
  with pytest.raises(UserError, match=message):
    evaluations.read_scores(tmp_path / 'eval.jsonl')


def test_empty_lines_are_no_records(tmp_path):
  path = tmp_path / 'eval.jsonl'
  append_scores(path, 1, measured(1.0))
  path.write_text('\n' + path.read_text().replace('\n', '\r\n') + '  \n\n')
  append_scores(path, 2, measured(2.0))
  assert [step for step, _ in evaluations.read_scores(path)] == [1, 2]
  assert len(path.read_text().splitlines()) == 2


def test_scores_that_were_not_measured_again_stay(tmp_path):
  path = tmp_path / 'eval.jsonl'
  append_scores(path, 1, measured(1.0, score='classifier/gan_train'))
  append_scores(path, 1, measured(2.0))
  append_scores(path, 1, measured(3.0))
  (step, evaluation), = read_scores(path)
  assert step == 1 and evaluation.scores == {'classifier/gan_train': [1.0], 'points/sliced_wasserstein': [3.0]}
