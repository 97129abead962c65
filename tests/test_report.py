"""--mode=report: what the page says of runs, that it needs nothing else, and that it takes no text for HTML."""
import base64
import dataclasses
import html
import html.parser
import json
import re
import shutil

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image, ImageSequence
import pytest

from gans.core.sampling import noise
from gans.errors import UserError
from gans.evaluation.evaluator import Evaluation
from gans.modes import report
from gans.runs import trained, workdirs
from gans.runs.evaluations import append_scores
from gans.system import environment, events, pictures, records
from gans.training.reporter import find_grids
from tests.conftest import ROOT

HOSTILE = '''<script>alert("it's")</script>&amp;'''


@pytest.fixture
def run(digits_run, tmp_path):
  """A copy of the run with scores of two steps, and of other settings."""
  path = shutil.copytree(digits_run, tmp_path / 'run')
  for step, distance, num in ((2, 3.0, 10_000), (4, 5.0, 10_000), (4, 1.0, 50)):
    scores = {'mnist_5k_classifier/frechet_distance': [distance], 'mnist_5k_classifier/kernel_distance_std': [0.5]}
    append_scores(path / 'eval.jsonl', step, Evaluation(scores, 'a <classifier>', '5000 of mnist_5k', num, 0))
  return path


def changed_copy(run, path, **changes):
  """A copy of a run with other values for some fields of its config."""
  shutil.copytree(run, path)
  record = json.loads((run / 'config.json').read_text())
  record['config'].update(changes)
  (path / 'config.json').write_text(json.dumps(record))
  return path


def has_row(text: str, name: str, *values) -> bool:
  """Tells whether a page has this row of a table, with its text escaped."""
  cells = ''.join(f'<td>{escape(value)}</td>' for value in values)
  return f'<th>{escape(name)}</th>{cells}</tr>' in text


def escape(value) -> str:
  return html.escape(str(value)).replace('&quot;', '&#34;').replace('&#x27;', '&#39;')


class Elements(html.parser.HTMLParser):
  """What a browser makes of a page: its tags, the names of their attributes, and each piece of text between them."""

  def __init__(self, text: str):
    super().__init__()
    self.tags, self.attributes, self.texts = [], set(), []
    self.feed(text)
    self.close()

  def handle_starttag(self, tag, attrs):
    self.tags.append(tag)
    self.attributes |= {name for name, _ in attrs}

  def handle_data(self, data):
    self.texts.append(data.strip())


def test_the_page_of_a_run(run, capsys):
  target = report.write_report([run])
  text = target.read_text()
  assert target == run / 'report.html' and str(target) in capsys.readouterr().out
  assert re.findall('<h2>(.*?)</h2>', text) == [
      'At a glance', 'Samples over the steps', 'Between samples', 'Losses', 'Scores', 'Environment', 'Config']
  assert has_row(text, 'steps', '4 of 4')
  assert has_row(text, 'best step', '4: mnist_5k_classifier/frechet_distance 5')  # by its own settings, of those kept
  assert has_row(text, 'last mnist_5k_classifier/frechet_distance', 5) and '_std' not in text
  assert has_row(text, 'generator.hidden', '[8]') and '<tr class="differs">' not in text
  last = base64.b64encode((run / 'samples' / 'fake_0000004.png').read_bytes()).decode()
  assert last in text and re.findall(r'data-step="(\d+)"( hidden)?', text) == [('2', ' hidden'), ('4', ''), ('0', '')]


def test_the_page_needs_nothing_else(run):
  text = report.write_report([run]).read_text()
  sources = re.findall(r'(?:src|href|action|data)\s*=\s*"?([^">]{5})', text)
  assert len(sources) > 5 and set(sources) == {'data:'}
  assert not re.search(r'https?:|@import|url\(', text)


def test_pictures_of_the_page_are_whole(run):
  text = report.write_report([run]).read_text()
  drawn = re.findall('src="data:image/(.*?);base64,(.*?)"', text)
  pngs = [base64.b64decode(contents) for kind, contents in drawn if kind == 'png']
  svgs = [base64.b64decode(contents) for kind, contents in drawn if kind == 'svg+xml']
  files = [(run / 'samples' / name).read_bytes() for name in ('fake_0000002.png', 'fake_0000004.png', 'real.png')]
  between = pictures.encode_png(report.interpolate_samples(run))
  assert pngs == [*files, between]
  assert len(svgs) == 4 and all(svg.rstrip().endswith(b'</svg>') for svg in svgs)  # three losses and a score


def test_the_losses_are_whatever_the_run_reported(run):
  writer = events.EventWriter(run / 'events')
  writer.write_scalars(4, {'train/encoder_loss': 1.0, 'train/accuracy': 0.5, 'eval/other_loss': 2.0})
  writer.close()
  page = report.make_page([report.read_run(run)], [])
  assert [curve.name for curve in page.losses] == [
      'train/critic_loss', 'train/encoder_loss', 'train/generator_loss', 'train/wasserstein_estimate']


def test_the_environment_of_each_start_is_kept(run):
  start, = records.read_records(run / 'starts.jsonl')
  assert start['step'] == 0 and start['jax'] == jax.__version__ and 'cpu' in start['devices']
  assert re.fullmatch('([0-9a-f]{40}(-dirty)?)?', start['commit'])  # none outside of a checkout
  assert environment.ROOT == ROOT  # where a checkout has its .git
  text = report.render(report.make_page([report.read_run(run)], []))
  assert has_row(text, 'jax', jax.__version__) and has_row(text, 'command', start['command'])


def test_what_was_read_and_what_was_changed_on_the_way_is_shown(run):
  starts = [{'step': 0}, {'step': 2, 'changes': ['loss: 1 -> 2', 'gp_weight: 3 -> 4']}, {'step': 3}]
  records.write_records(run / 'starts.jsonl', starts)
  text = report.render(report.make_page([report.read_run(run)], []))
  assert has_row(text, 'changes', 'from step 2: loss: 1 -> 2, gp_weight: 3 -> 4')
  assert 'data: mnist_5k, 5,000 examples of 8x8x1; 10 classes: 0 (500), 1 (500)' in text


@pytest.mark.parametrize('contents', ['{', '[]', '{}', '{"name": 3}'])
def test_an_altered_inventory_is_named(run, contents):
  (run / 'data.json').write_text(contents)
  with pytest.raises(UserError, match='data.json is not as it was written'):
    report.read_run(run)


def test_text_is_not_taken_for_html(run, tmp_path):
  hostile = changed_copy(run, tmp_path / '<b>&"run', algorithm='<script>alert(1)</script>')
  text = report.write_report([hostile]).read_text()
  assert text.count('<script>') == 1 and '&lt;script&gt;alert(1)' in text
  assert '<b>' not in text and '&lt;b&gt;&amp;&#34;run' in text and 'a &lt;classifier&gt;' in text


def test_text_of_every_source_stays_text(run, tmp_path):
  def render(path, between):
    return Elements(report.render(report.make_page([report.read_run(path)], between)))

  dataset = {**workdirs.read_config(run).dataset, 'split': f'{HOSTILE} split', HOSTILE: 'a field'}
  path = changed_copy(run, tmp_path / HOSTILE.replace('/', ':'), dataset=dataset)
  records.write_records(path / 'starts.jsonl', [{'step': 0, 'command': f'{HOSTILE} command', HOSTILE: 'a name'}])
  score = f'{HOSTILE}_classifier/score'
  append_scores(path / 'eval.jsonl', 4, Evaluation({score: [1.0]}, HOSTILE, HOSTILE, 10_000, 0))
  writer = events.EventWriter(path / 'events')
  writer.write_scalars(4, {f'train/{HOSTILE}_loss': 1.0})
  writer.close()
  page = render(path, [report.Between(f'{HOSTILE} picture', 'AAAA', ''), report.Between('', '', f'{HOSTILE} reason')])
  for text in (
      str(path), f'{path} step 4', f'{HOSTILE} picture', f'{HOSTILE} reason', f'{HOSTILE} split', f'dataset.{HOSTILE}',
      f'{HOSTILE} command', HOSTILE, score, f'last {score}', f'train/{HOSTILE}_loss'):
    assert text in page.texts
  assert any(text.endswith(f'{HOSTILE}; 10000 samples, {HOSTILE} real') for text in page.texts)
  plain = render(run, [report.Between('run', 'AAAA', ''), report.Between('', '', 'reason')])
  assert set(page.tags) == set(plain.tags) and page.tags.count('script') == 1
  assert page.attributes == plain.attributes


def test_runs_stand_side_by_side_and_what_differs_is_marked(run, tmp_path):
  other = changed_copy(run, tmp_path / 'other', batch_size=16, gp_weight=1.0)
  target = report.write_report([run, other])
  assert target == run / 'comparison.html' and not target.with_suffix('.gif').exists()
  text = target.read_text()
  config = text.split('<h2>Config</h2>')[1]
  marked = re.findall(r'<tr class="differs"><th>([\w.]+)</th><td>(.*?)</td><td>(.*?)</td></tr>', config)
  read = [workdirs.read_config(path).to_dict() for path in (run, other)]
  assert {name: (a, b) for name, a, b in marked} == {
      name: tuple(map(str, values)) for name, values in workdirs.differences(*read).items()} == {
          'batch_size': ('8', '16'), 'gp_weight': ('10.0', '1.0')}
  colours = re.findall(r'<i style="background: (.*?)"></i>(.*?)<', config)
  assert colours == [(report.COLOURS[0], str(run)), (report.COLOURS[1], str(other))]
  assert text.count('<figcaption>training data</figcaption>') == 1  # the same of both


def test_seeds_stand_side_by_side(run):
  for step in (2, 4):
    grid = run / 'samples' / f'fake_{step:07d}.png'
    for seed in (9, 10):
      shutil.copy(grid, run / 'samples' / f'fake_{step:07d}_{seed}.png')
    grid.unlink()
  samples = report.make_samples([report.read_run(run)])
  assert [[grid.caption for grid in series] for series in samples.series] == [
      [f'{run} seed 9 step 2', f'{run} seed 9 step 4'], [f'{run} seed 10 step 2', f'{run} seed 10 step 4'],
      ['training data']]


def test_grids_are_in_the_order_of_their_steps(tmp_path):
  for step in (10_000_000, 9_999_999, 5):
    (tmp_path / f'fake_{step:07d}.png').touch()
  (tmp_path / 'fake_mine.png').touch()
  assert list(find_grids(tmp_path)['']) == [5, 9_999_999, 10_000_000]


def test_training_is_a_gif_that_ends_on_the_last_grid(run):
  with Image.open(report.write_report([run]).with_suffix('.gif')) as gif:
    frames = [(np.asarray(frame.convert('L')), frame.info['duration']) for frame in ImageSequence.Iterator(gif)]
  assert [milliseconds for _, milliseconds in frames] == [report.MILLISECONDS, report.MILLISECONDS * (1 + report.HOLD)]
  for (pixels, _), step in zip(frames, (2, 4), strict=True):
    np.testing.assert_array_equal(pixels, pictures.read_png(run / 'samples' / f'fake_{step:07d}.png')[..., 0])


def test_grids_are_thinned_evenly():
  picked = list(report.thinned({step: step for step in range(100, 10_100, 100)}))
  assert len(picked) == report.GRIDS and (picked[0], picked[-1]) == (100, 10_000)
  assert set(np.diff(picked)) <= {400, 500}
  assert list(report.thinned({1: 1, 2: 2})) == [1, 2]


def test_what_is_no_run_is_refused(run, tmp_path):
  (tmp_path / 'empty').mkdir()
  for path in ('empty', 'missing'):
    with pytest.raises(UserError, match=f'{path} is not the folder of a run'):
      report.write_report([run, tmp_path / path])
  (tmp_path / 'new').mkdir()
  shutil.copy(run / 'config.json', tmp_path / 'new')
  with pytest.raises(UserError, match='new has nothing to report yet'):
    report.write_report([tmp_path / 'new'])
  with pytest.raises(UserError, match='--out=x.pdf: expected NAME.html'):
    report.write_report([run], out='x.pdf')
  (tmp_path / 'old.gif').write_text('')
  (tmp_path / 'there.html').write_text('')
  with pytest.raises(UserError, match='--out=.*there.html exists'):
    report.write_report([run], out=tmp_path / 'there.html')
  with pytest.raises(UserError, match='--out=.*old.gif exists'):
    report.write_report([run], out=tmp_path / 'old.html')
  evaluated = workdirs.read_config(run).eval.to_dict()
  del evaluated['best']
  for changes, field in (({'eval': {}}, 'eval.features'), ({'eval': evaluated}, 'eval.best'), ({'eval': 1}, 'eval.')):
    altered = changed_copy(run, tmp_path / 'altered', **changes)
    with pytest.raises(UserError, match=f'altered/config.json is not as it was written: {field}.* is missing'):
      report.write_report([altered])
    shutil.rmtree(altered)
  for text in ('{', '{"step": 3}', '[]'):
    (run / 'eval.jsonl').write_text(text)
    with pytest.raises(UserError, match='eval.jsonl is not as it was written'):
      report.write_report([run])


def test_a_run_without_a_checkpoint_has_a_page_too(run):
  shutil.rmtree(run / 'checkpoints')
  assert 'has no checkpoint yet' in report.write_report([run]).read_text()


def draw_between_with(run, monkeypatch, translates: bool = False, **parts) -> report.Between:
  """Draws the ways of a run whose algorithm has other parts."""
  generate = trained.load(run)
  other = dataclasses.replace(generate, algorithm=generate.algorithm._replace(**parts), translates=translates)
  monkeypatch.setattr(trained, 'load', lambda path: other)
  between = report.draw_between(run)
  monkeypatch.undo()
  assert between.name == str(run)
  return between


def test_samples_of_other_than_noise_have_their_ways_too(run, monkeypatch):
  def noise_and_code(rng, batch):
    z = noise(rng, len(batch['label']), 8)
    return {'z': z, 'code': z, 'label': batch['label']}

  def image_and_label(rng, batch):
    return {'image': batch['image'], 'label': batch['label']}

  def shade(play, inputs):
    return inputs['image'] * inputs['label'][:, :1, None, None]

  for parts in ({'inputs': noise_and_code}, {'inputs': image_and_label, 'draw': shade, 'translates': True}):
    between = draw_between_with(run, monkeypatch, **parts)
    assert between.png and not between.reason


def test_samples_without_such_ways_have_a_reason_in_place_of_a_picture(run, tmp_path, monkeypatch):
  def draw_of_whole_classes(play, inputs):
    return play.generator(inputs['z'], jnp.arange(10)[inputs['label']])

  def images_alone(rng, batch):
    return {'image': batch['image']}

  dataset = {**workdirs.read_config(run).dataset, 'name': 'folder', 'path': 'gone'}
  without_data = changed_copy(run, tmp_path / 'without_data', dataset=dataset)
  for path, parts, reason in (
      (run, {'draw': draw_of_whole_classes}, 'a label, but no weights of the classes'),
      (without_data, {'inputs': images_alone, 'translates': True}, "dataset.path='gone' is not a folder")):
    between = draw_between_with(path, monkeypatch, **parts)
    assert between.png == '' and reason in between.reason


@pytest.mark.parametrize('layout', [1, 2, 3, 4])
def test_runs_of_every_layout_have_a_page(run, tmp_path, layout):
  path = shutil.copytree(ROOT / 'tests' / 'workdirs' / f'layout_{layout}', tmp_path / 'old')
  shutil.copytree(run / 'samples', path / 'samples')
  text = report.write_report([path]).read_text()
  assert 'makes points; expected a model that makes images' in text  # its generator was loaded
  assert has_row(text, 'generator.network', workdirs.read_config(path).generator.network)


def test_a_workdir_may_have_commas(run, tmp_path):
  other = shutil.copytree(run, tmp_path / 'lr=1,b1=0')
  assert report.split_paths(str(other)) == [str(other)]
  assert report.split_paths(f'{run},{other},{run}') == [str(run), str(other), str(run)]
  assert report.split_paths('no,such,') == ['no', 'such', '']
  assert report.write_report(report.split_paths(str(other))) == other / 'report.html'
