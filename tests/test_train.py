"""The loop: what it calls when, what it leaves behind, and that stopping and going on changes nothing."""
import re

import jax
import numpy as np
import pytest

from configs import wgan_gp
from gans import data
from gans.core import sharding
from gans.errors import UserError
from gans.training import health, loop, reporter


class Interrupted(Exception):
  """Stands for whatever ends a run in the middle."""


def test_resumed_equals_uninterrupted_bit_for_bit(tmp_path, config, monkeypatch):
  config.num_steps, config.log_every, config.checkpoint_every, config.sample_every = 11, 4, 3, 5
  whole = loop.train(config, tmp_path / 'whole')

  write = reporter.Reporter.metrics

  def metrics(self, step, metrics, count):
    write(self, step, metrics, count)
    if step == 8:  # the last checkpoint is of step 6, the last sample grid of step 5
      raise Interrupted

  monkeypatch.setattr(reporter.Reporter, 'metrics', metrics)
  with pytest.raises(Interrupted):
    loop.train(config, tmp_path / 'cut')
  monkeypatch.undo()
  resumed = loop.train(config, tmp_path / 'cut')

  jax.tree.map(np.testing.assert_array_equal, whole, resumed)
  for grid in (tmp_path / 'whole' / 'samples').iterdir():
    assert grid.read_bytes() == (tmp_path / 'cut' / 'samples' / grid.name).read_bytes()
  losses = reporter.read_scalars(tmp_path / 'cut' / 'events', ['critic_loss'], last_step=10)['critic_loss']
  assert sorted(losses) == [3, 4, 5, 6, 8, 9, 10] and np.isfinite(list(losses.values())).all()


def test_a_finished_run_says_so_and_changes_nothing(tmp_path, config, capsys):
  first = loop.train(config, tmp_path)
  before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*') if path.parent.name == 'samples'}
  again = loop.train(config, tmp_path)
  assert 'already finished' in capsys.readouterr().out
  jax.tree.map(np.testing.assert_array_equal, first, again)
  assert before == {path: path.stat().st_mtime_ns for path in before}


def test_divergence_is_named_and_never_saved(tmp_path, config):
  config.num_steps, config.log_every, config.checkpoint_every = 40, 8, 1
  config.optimizer = {'name': 'sgd', 'generator_learning_rate': 1.0, 'critic_learning_rate': 1.0,
                      'schedule': 'constant'}
  with pytest.raises(UserError, match=r'diverged in step \d+: .*(=nan|=-?inf|not finite); what usually') as error:
    loop.train(config, tmp_path)
  step = int(re.search(r'step (\d+)', str(error.value))[1])
  saved = sorted(int(path.name) for path in (tmp_path / 'checkpoints').iterdir())
  assert step > 1 and saved[-1] == step - 1  # the last good state is the latest


def test_a_profile_is_written_where_asked_for(tmp_path, config):
  config.num_steps, config.log_every, config.profile = 4, 2, True
  loop.train(config, tmp_path)
  trace, = (tmp_path / 'events' / 'plugins' / 'profile').glob('*/*.xplane.pb')
  events = jax.profiler.ProfileData.from_file(str(trace)).planes
  assert any('train_steps' in event.name for plane in events for line in plane.lines for event in line.events)


def test_calls_end_where_something_is_due(config):
  config.num_steps, config.log_every, config.sample_every, config.checkpoint_every = 23, 10, 6, 15
  assert [stop for _, stop in loop.calls(0, config)] == [6, 10, 12, 15, 18, 20, 23]
  assert list(loop.calls(20, config)) == [(20, 23)]
  assert list(loop.calls(23, config)) == []


@pytest.mark.parametrize('field, value, message', [
    ('n_critic', 0, 'n_critic=0: expected'),
    ('gp_weight', -1.0, 'gp_weight=-1.0: expected'),
    ('gp_weight', float('nan'), 'gp_weight=nan: expected'),
    ('batch_size', 5001, 'batch_size=5001: expected at most 5000, the size of mnist_5k'),
    ('num_steps', 0, 'num_steps=0'),
    ('log_every', 0, 'log_every=0'),
    ('ema_decay', 1.0, 'ema_decay=1.0'),
    ('dtype', 'float16', "dtype='float16': expected 'float32' or 'bfloat16'"),
    ('algorithm', 'wgan-gp', r"algorithm='wgan-gp': expected one of \[.*'wgan_gp'"),
    ('generator.family', 'resnet', r"generator.family='resnet': expected one of"),
    ('critic', {'family': 'mlp', 'width': 3}, "critic of family 'mlp'.*'width'"),
    ('optimizer.microbatches', 0, 'optimizer.microbatches=0: expected a whole number of at least 1'),
    ('optimizer.microbatches', 3, r'batch_size=8 does not divide .* optimizer.microbatches=3; .*\[6, 9\]'),
    ('optimizer.name', 'adamm', "optimizer.name='adamm'"),
    ('optimizer.schedule', 'step', "optimizer.schedule='step': expected one of"),
])
def test_bad_input_is_named_before_anything_is_written(tmp_path, config, field, value, message):
  with config.unlocked():
    *parents, name = field.split('.')
    target = config
    for parent in parents:
      target = target[parent]
    target[name] = value
  with pytest.raises(UserError, match=message):
    loop.train(config, tmp_path / 'run')
  assert not (tmp_path / 'run').exists()


def test_an_image_size_that_the_network_cannot_make_is_named(tmp_path):
  config = wgan_gp.get_config('test')
  config.dataset.image_size = 30
  with pytest.raises(UserError, match=r'of \(28, 28, 1\), the data have \(30, 30, 1\): change dataset.image_size'):
    loop.train(config, tmp_path / 'run')
  assert not (tmp_path / 'run').exists()


def test_a_bad_state_is_found_before_any_metric_shows_it(config):
  digits = data.load(config.dataset)
  experiment = loop.build(config, digits.spec)
  state = loop.create_state(config, experiment, digits.spec, sharding.make_mesh(config.batch_size))
  metrics = {'critic_loss': np.array([1.0, 2.0, np.nan])}  # the third was not taken
  health.check_finite(4, metrics, 2, state)
  params = jax.tree.map(lambda p: p.at[(0,) * p.ndim].set(np.inf), state.critic.params)
  with pytest.raises(UserError, match='diverged in step 6: the critic has parameters that are not finite'):
    health.check_finite(4, metrics, 2, state._replace(critic=state.critic._replace(params=params)))
  with pytest.raises(UserError, match='diverged in step 7: critic_loss=nan'):
    health.check_finite(4, metrics, 3, state)
