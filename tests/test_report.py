"""--mode=report: what the page says of runs, that it needs nothing else, and that it takes no text for HTML."""
import base64
import json
import re
import shutil

import jax
import numpy as np
from PIL import Image, ImageSequence
import pytest

from gans.errors import UserError
from gans.evaluation.evaluator import Evaluation
from gans.modes import report
from gans.runs import workdirs
from gans.system import pictures
from gans.training import reporter


@pytest.fixture
def run(digits_run, tmp_path):
  """A copy of the run with scores of two steps, and of other settings."""
  path = shutil.copytree(digits_run, tmp_path / 'run')
  for step, distance, num in ((2, 3.0, 10_000), (4, 5.0, 10_000), (4, 1.0, 50)):
    scores = {'mnist_5k_classifier/frechet_distance': [distance], 'mnist_5k_classifier/kernel_distance_std': [0.5]}
    reporter.append_scores(path / 'eval.jsonl', step, Evaluation(scores, 'a <classifier>', '5000 of mnist_5k', num, 0))
  return path


def changed_copy(run, path, **changes):
  """A copy of a run with other values for some fields of its config."""
  shutil.copytree(run, path)
  record = json.loads((run / 'config.json').read_text())
  record['config'].update(changes)
  (path / 'config.json').write_text(json.dumps(record))
  return path


def test_the_page_of_a_run(run, capsys):
  target = report.write([run])
  text = target.read_text()
  assert target == run / 'report.html' and str(target) in capsys.readouterr().out
  assert re.findall('<h2>(.*?)</h2>', text) == [
      'At a glance', 'Samples over the steps', 'Between samples', 'Losses', 'Scores', 'Environment', 'Config']
  assert '<td>4 of 4</td>' in text and '2: mnist_5k_classifier/frechet_distance 3' in text  # best, of its own settings
  assert '<th>last mnist_5k_classifier/frechet_distance</th><td>5</td>' in text and '_std' not in text
  assert '<th>generator.hidden</th><td>[8]</td>' in text and '<tr class=differs>' not in text
  last = base64.b64encode((run / 'samples' / 'fake_0000004.png').read_bytes()).decode()
  assert last in text and re.findall(r'data-step=(\d+)( hidden)?', text) == [('2', ' hidden'), ('4', ''), ('0', '')]


def test_the_page_needs_nothing_else(run):
  text = report.write([run]).read_text()
  sources = re.findall(r'(?:src|href|action|data)\s*=\s*"?([^">]{5})', text)
  assert len(sources) > 5 and set(sources) == {'data:'}
  assert not re.search(r'https?:|@import|url\(', text)


def test_the_environment_of_each_start_is_kept(run):
  start, = reporter.read_records(run / 'starts.jsonl')
  assert start['step'] == 0 and start['jax'] == jax.__version__ and 'cpu' in start['devices']
  assert re.fullmatch('([0-9a-f]{40}(-dirty)?)?', start['commit'])  # none outside of a checkout
  text = report.render([report.read(run)], [''])
  assert f'<th>jax</th><td>{jax.__version__}</td>' in text and f'<td>{report.escape(start["command"])}</td>' in text


def test_text_is_not_taken_for_html(run, tmp_path):
  hostile = changed_copy(run, tmp_path / '<b>&"run', algorithm='<script>alert(1)</script>')
  text = report.write([hostile]).read_text()
  assert text.count('<script>') == 1 and '&lt;script&gt;alert(1)' in text
  assert '<b>' not in text and '&lt;b&gt;&amp;&quot;run' in text and 'a &lt;classifier&gt;' in text


def test_runs_stand_side_by_side_and_what_differs_is_marked(run, tmp_path):
  other = changed_copy(run, tmp_path / 'other', batch_size=16, gp_weight=1.0)
  target = report.write([run, other])
  assert target == run / 'comparison.html' and not target.with_suffix('.gif').exists()
  config = target.read_text().split('<h2>Config</h2>')[1]
  marked = re.findall(r'<tr class=differs><th>([\w.]+)</th><td>(.*?)</td><td>(.*?)</td>', config)
  read = [workdirs.read_config(path).to_dict() for path in (run, other)]
  assert {name: (a, b) for name, a, b in marked} == {
      name: tuple(map(str, values)) for name, values in workdirs.differences(*read).items()} == {
          'batch_size': ('8', '16'), 'gp_weight': ('10.0', '1.0')}


def test_training_is_a_gif_that_ends_on_the_last_grid(run):
  with Image.open(report.write([run]).with_suffix('.gif')) as gif:
    frames = [(np.asarray(frame.convert('L')), frame.info['duration']) for frame in ImageSequence.Iterator(gif)]
  assert [milliseconds for _, milliseconds in frames] == [page.MILLISECONDS, page.MILLISECONDS * (1 + page.HOLD)]
  for (pixels, _), step in zip(frames, (2, 4), strict=True):
    np.testing.assert_array_equal(pixels, pictures.read(run / 'samples' / f'fake_{step:07d}.png')[..., 0])


def test_grids_are_thinned_evenly():
  picked = list(report.thinned({step: step for step in range(100, 10_100, 100)}))
  assert len(picked) == report.GRIDS and (picked[0], picked[-1]) == (100, 10_000)
  assert set(np.diff(picked)) <= {400, 500}
  assert list(report.thinned({1: 1, 2: 2})) == [1, 2]


def test_what_is_no_run_is_refused(run, tmp_path):
  (tmp_path / 'empty').mkdir()
  for path in ('empty', 'missing'):
    with pytest.raises(UserError, match=f'{path} is not the folder of a run'):
      report.write([run, tmp_path / path])
  (tmp_path / 'new').mkdir()
  shutil.copy(run / 'config.json', tmp_path / 'new')
  with pytest.raises(UserError, match='new has nothing to report yet'):
    report.write([tmp_path / 'new'])
  with pytest.raises(UserError, match='--sample.out=x.pdf: expected NAME.html'):
    report.write([run], out='x.pdf')
  (tmp_path / 'old.gif').write_text('')
  (tmp_path / 'there.html').write_text('')
  with pytest.raises(UserError, match='--sample.out=.*there.html exists'):
    report.write([run], out=tmp_path / 'there.html')
  with pytest.raises(UserError, match='--sample.out=.*old.gif exists'):
    report.write([run], out=tmp_path / 'old.html')
  for text in ('{', '{"step": 3}', '[]'):
    (run / 'eval.jsonl').write_text(text)
    with pytest.raises(UserError, match='eval.jsonl is not as it was written'):
      report.write([run])


def test_a_run_without_a_checkpoint_has_a_page_too(run):
  shutil.rmtree(run / 'checkpoints')
  assert 'has no checkpoint yet' in report.write([run]).read_text()
