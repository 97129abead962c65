"""What is logged of a run: means over log_every steps, however the steps were cut into calls."""
import numpy as np
import pytest
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator as PluginEventAccumulator

from gans.data.kinds import IMAGES
from gans.data.schedule import split_into_calls
from gans.evaluation.evaluator import Evaluation
from gans.runs.evaluations import append_scores, read_scores
from gans.system.events import read_scalars
from gans.training import reporter as reporting
from gans.training.reporter import Reporter

NUM_STEPS = 23
INTERVALS = {'critic_loss': 1, 'lazy_loss': 4}  # the `every` of the update that a metric is of
CUTS = {'one call': [NUM_STEPS], 'calls of 5': [5, 5, 5, 5, 3], 'calls of 1': [1] * NUM_STEPS}


@pytest.fixture
def values():
  """{metric: its value in each step}, as train_steps returns them: zeros in a step that skips the update."""
  rng = np.random.default_rng(0)
  steps = np.arange(NUM_STEPS)
  return {name: np.where(steps % every == 0, 1 + rng.random(NUM_STEPS), 0) for name, every in INTERVALS.items()}


def expected_means(values: np.ndarray, every: int, log_every: int) -> dict[int, float]:
  """{step: mean of the values that steps took since the point before}, without points that would be of none."""
  points = {}
  for start in range(0, NUM_STEPS, log_every):
    stop = min(start + log_every, NUM_STEPS)
    taken = [values[step] for step in range(start, stop) if step % every == 0]
    if taken:
      points[stop] = np.mean(taken)
  return points


def log(path, config, values: dict, cut: list[int]) -> dict:
  """Reports calls of those lengths; returns what the bar last showed of them."""
  stop = 0
  with Reporter(path, config, INTERVALS, 0) as reporter:
    for count in cut:
      start, stop = stop, stop + count
      # The arrays are as long as the longest call; what is behind the steps that were taken means nothing.
      padded = {name: np.append(array[start:stop], np.full((3, *array.shape[1:]), np.nan), axis=0)
                for name, array in values.items()}
      reporter.metrics(stop, padded, count)
    return dict(shown.split('=') for shown in reporter.bar.postfix.split(', '))


@pytest.mark.parametrize('log_every', [1, 3, 10, 100])
@pytest.mark.parametrize('cut', CUTS.values(), ids=CUTS.keys())
def test_a_point_is_the_mean_of_the_steps_since_the_one_before(tmp_path, config, values, cut, log_every):
  config.num_steps, config.log_every = NUM_STEPS, log_every
  log(tmp_path, config, values, cut)
  written = read_scalars(tmp_path / 'events', lambda tag: tag.startswith('train/'))
  assert written.keys() == {f'train/{name}' for name in INTERVALS}
  for name, every in INTERVALS.items():
    assert written[f'train/{name}'] == pytest.approx(expected_means(values[name], every, log_every))


def test_several_seeds_count_alike(tmp_path, config, values):
  config.num_steps, config.log_every = NUM_STEPS, 10
  both = {name: np.stack([array, 3 * array], axis=1) for name, array in values.items()}
  log(tmp_path, config, both, CUTS['calls of 5'])
  written = read_scalars(tmp_path / 'events', lambda tag: tag == 'train/lazy_loss')
  assert written['train/lazy_loss'] == pytest.approx(expected_means(2 * values['lazy_loss'], 4, 10))


def test_the_bar_shows_means_without_the_steps_that_skip_an_update(tmp_path, config, values):
  config.num_steps, config.log_every = NUM_STEPS, 100
  shown = log(tmp_path, config, values, CUTS['one call'])
  for name, every in INTERVALS.items():
    assert float(shown[name]) == pytest.approx(values[name][::every].mean(), rel=5e-3)


def test_logging_has_no_say_in_where_calls_end(config):
  config.num_steps, config.steps_per_call, config.sample_every, config.checkpoint_every = 23, 10, 6, 15
  config.log_every = 1
  usual = list(split_into_calls(0, config))
  for log_every in (4, 10, 1000):
    config.log_every = log_every
    assert list(split_into_calls(0, config)) == usual


def log_steps(path, config, start: int, stop: int, offset: float = 0):
  """Reports the steps from `start` to `stop` one by one, with the step plus an offset as the loss."""
  with Reporter(path, config, {'critic_loss': 1}, start) as reporter:
    for step in range(start, stop):
      reporter.metrics(step + 1, {'critic_loss': np.array([step + 1 + offset])}, 1)
    return reporter.history


def as_tensorboard_reads_them(path) -> list[int]:
  """The steps of a curve, in the order in which TensorBoard has them."""
  loader = PluginEventAccumulator(str(path / 'events'), size_guidance={'tensors': 0}).Reload()
  return [event.step for event in loader.Tensors('train/critic_loss')]


@pytest.mark.parametrize('saved', [0, 6])
def test_a_killed_run_goes_on_where_it_was_saved_in_tensorboard_too(tmp_path, config, saved):
  """It had reported step 10 when it was killed, and its checkpoint is older; the next start reports every fourth."""
  config.num_steps, config.log_every = 20, 1
  log_steps(tmp_path, config, 0, 10)
  config.log_every = 4
  history = log_steps(tmp_path, config, saved, 16, offset=0.5)
  expected = [*range(1, saved + 1), *range(saved - saved % 4 + 4, 17, 4)]
  assert as_tensorboard_reads_them(tmp_path) == expected
  found = read_scalars(tmp_path / 'events', lambda tag: tag == 'train/critic_loss')['train/critic_loss']
  assert list(found) == expected  # as the report plots them
  assert list(history['critic_loss']) == expected  # and losses.png


def test_scores_of_steps_that_are_taken_again_are_forgotten(tmp_path, config):
  for step in (3, 6, 9):
    append_scores(tmp_path / 'eval.jsonl', step, Evaluation({'points/modes': [1.0]}, '', '', 10, 0))
  log_steps(tmp_path, config, 6, 7)
  assert [step for step, _ in read_scores(tmp_path / 'eval.jsonl')] == [3, 6]


def grids_left(path, config, steps: range) -> list[int]:
  """The steps of the sample grids that a run leaves, which draws them in these steps."""
  with Reporter(path, config, INTERVALS, 0) as reporter:
    reporter.real(np.zeros((4, 2, 2, 1), np.uint8), IMAGES)
    for step in steps:
      reporter.fake(step, {0: np.zeros((4, 2, 2, 1), np.uint8)})
  return list(reporting.find_grids(path / 'samples')[''])


def test_of_many_sample_grids_some_stay_evenly_spaced_and_the_last(tmp_path, config, monkeypatch):
  monkeypatch.setattr(reporting, 'KEPT_GRIDS', 5)
  config.sample_every, config.num_steps = 10, 230
  (tmp_path / 'samples').mkdir()
  (tmp_path / 'samples' / 'fake_my_own.png').touch()
  assert grids_left(tmp_path, config, range(10, 60, 10)) == [10, 20, 30, 40, 50]
  assert grids_left(tmp_path, config, range(60, 240, 10)) == [80, 160, 230]
  assert (tmp_path / 'samples' / 'fake_my_own.png').exists()


def test_grids_of_a_shorter_interval_before_are_thinned_too(tmp_path, config, monkeypatch):
  monkeypatch.setattr(reporting, 'KEPT_GRIDS', 5)
  config.sample_every, config.num_steps = 10, 200
  assert grids_left(tmp_path, config, range(10, 60, 10)) == [10, 20, 30, 40, 50]
  config.sample_every = 50
  assert grids_left(tmp_path, config, range(100, 250, 50)) == [50, 100, 150, 200]


def test_few_grids_of_a_shorter_interval_before_stay(tmp_path, config):
  config.sample_every, config.num_steps = 10, 200
  grids_left(tmp_path, config, range(10, 60, 10))
  config.sample_every = 100
  assert grids_left(tmp_path, config, range(100, 300, 100)) == [10, 20, 30, 40, 50, 100, 200]


def test_an_interrupted_run_leaves_the_same_sample_grids(tmp_path, config, monkeypatch):
  monkeypatch.setattr(reporting, 'KEPT_GRIDS', 5)
  config.sample_every, config.num_steps = 10, 130
  whole = grids_left(tmp_path / 'whole', config, range(10, 140, 10))
  grids_left(tmp_path / 'killed', config, range(10, 70, 10))
  assert grids_left(tmp_path / 'killed', config, range(50, 140, 10)) == whole


def test_compilation_and_evaluations_count_neither_in_the_speed_nor_in_the_time_left(tmp_path, config, monkeypatch):
  now = [0.0]
  monkeypatch.setattr(reporting.time, 'monotonic', lambda: now[0])
  config.num_steps, config.log_every = 1000, 100
  with Reporter(tmp_path, config, {'critic_loss': 1}, 0) as reporter:
    reporter.bar._time = lambda: now[0]
    reporter.bar.start_t = reporter.bar.last_print_t = 0.0
    for stop in range(100, 600, 100):
      now[0] += 500  # a program is compiled, or samples are measured
      reporter.leave_out()
      now[0] += 20
      reporter.metrics(stop, {'critic_loss': np.ones(100)}, 100)
    rate, seconds_left = reporter.bar.format_dict['rate'], (1000 - 500) / reporter.bar.format_dict['rate']
  assert (rate, seconds_left) == pytest.approx((5, 100))
  speeds = read_scalars(tmp_path / 'events', lambda tag: tag == 'steps_per_second')['steps_per_second']
  assert set(speeds.values()) == {5}
