"""The loop: what it calls when, what it leaves behind, and that stopping and resuming changes nothing."""
import re

import jax
import numpy as np
import pytest

from configs import gan, wgan_gp
from gans.build import build, build_state
from gans.core import sharding
from gans.data.schedule import split_into_calls
from gans.data.sources import load_dataset
from gans.errors import UserError
from gans.system.events import read_scalars
from gans.training import health
from gans.training.loop import train
from gans.training.reporter import Reporter
from tests.conftest import set_optimizers
from tests.shrink import shrink


class Interrupted(Exception):
  """Stands for whatever ends a run in the middle."""


def read_losses(workdir, last_step: float = float('inf')) -> dict[int, float]:
  tag = 'train/critic_loss'
  return read_scalars(workdir / 'events', lambda name: name == tag, last_step)[tag]


def test_resumed_equals_uninterrupted_bit_for_bit(tmp_path, config, monkeypatch):
  config.num_steps, config.steps_per_call, config.log_every = 11, 4, 1
  config.checkpoint_every, config.sample_every = 3, 5
  whole = train(config, tmp_path / 'whole')

  write = Reporter.metrics

  def metrics(self, stop, metrics, count):
    write(self, stop, metrics, count)
    if stop == 8:  # the last checkpoint is of step 6, the last sample grid of step 5
      raise Interrupted

  monkeypatch.setattr(Reporter, 'metrics', metrics)
  with pytest.raises(Interrupted):
    train(config, tmp_path / 'cut')
  monkeypatch.undo()
  resumed = train(config, tmp_path / 'cut')

  jax.tree.map(np.testing.assert_array_equal, whole, resumed)
  for grid in (tmp_path / 'whole' / 'samples').iterdir():
    assert grid.read_bytes() == (tmp_path / 'cut' / 'samples' / grid.name).read_bytes()
  losses = read_losses(tmp_path / 'cut', last_step=10)
  assert sorted(losses) == list(range(1, 11)) and np.isfinite(list(losses.values())).all()
  assert read_losses(tmp_path / 'cut') == read_losses(tmp_path / 'whole')


def test_logging_and_the_length_of_calls_change_no_result(tmp_path, config):
  """log_every says which steps a point is the mean of, and steps_per_call how many are taken at a time."""
  config.num_steps, config.sample_every, config.checkpoint_every = 7, 7, 7
  config.steps_per_call, config.log_every = 7, 1
  each = train(config, tmp_path / 'each')
  config.steps_per_call, config.log_every = 3, 4
  some = train(config, tmp_path / 'some')
  jax.tree.map(np.testing.assert_array_equal, each, some)
  losses = read_losses(tmp_path / 'each')
  values = [losses[step] for step in range(1, 8)]
  assert read_losses(tmp_path / 'some') == pytest.approx({4: np.mean(values[:4]), 7: np.mean(values[4:])})


def test_a_finished_run_says_so_and_changes_nothing(tmp_path, config, capsys):
  first = train(config, tmp_path)
  before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*') if path.parent.name == 'samples'}
  again = train(config, tmp_path)
  assert 'already finished' in capsys.readouterr().out
  jax.tree.map(np.testing.assert_array_equal, first, again)
  assert before == {path: path.stat().st_mtime_ns for path in before}


def test_divergence_is_named_and_never_saved(tmp_path, config):
  config.num_steps, config.steps_per_call, config.checkpoint_every = 40, 8, 1
  set_optimizers(config, 'sgd', learning_rate=1.0)
  with pytest.raises(UserError, match=r'diverged in step \d+: .*(=nan|=-?inf|not finite); what usually') as error:
    train(config, tmp_path)
  step = int(re.search(r'step (\d+)', str(error.value))[1])
  saved = sorted(int(path.name) for path in (tmp_path / 'checkpoints').iterdir())
  assert step > 1 and saved[-1] == step - 1  # the last good state is the latest


def test_a_profile_is_written_where_asked_for(tmp_path, config):
  config.num_steps, config.steps_per_call, config.profile = 4, 2, True
  train(config, tmp_path)
  trace, = (tmp_path / 'events' / 'plugins' / 'profile').glob('*/*.xplane.pb')
  events = jax.profiler.ProfileData.from_file(str(trace)).planes
  assert any('train_steps' in event.name for plane in events for line in plane.lines for event in line.events)


def test_calls_end_where_something_is_due(config):
  config.num_steps, config.steps_per_call, config.sample_every, config.checkpoint_every = 23, 10, 6, 15
  config.log_every = 1  # no call ends for it
  assert [stop for _, stop in split_into_calls(0, config)] == [6, 10, 12, 15, 18, 20, 23]
  assert list(split_into_calls(20, config)) == [(20, 23)]
  assert list(split_into_calls(23, config)) == []


def set_field(config, field: str, value):
  """Sets a field by its dotted name, also one that the config has not, or to a value of another type."""
  *parents, name = field.split('.')
  for parent in parents:
    config = config[parent]
  with config.unlocked(), config.ignore_type():
    config[name] = value


@pytest.mark.parametrize('field, value, message', [
    ('n_critic', 0, 'n_critic=0: expected'),
    ('gp_weight', -1.0, 'gp_weight=-1.0: expected'),
    ('gp_weight', float('nan'), 'gp_weight=nan: expected'),
    ('batch_size', 5001, 'batch_size=5001: expected at most 5000, the size of mnist_5k'),
    ('num_steps', 0, 'num_steps=0'),
    ('log_every', 0, 'log_every=0'),
    ('steps_per_call', 0, 'steps_per_call=0'),
    ('ema_decay', 1.0, 'ema_decay=1.0'),
    ('dtype', 'float16', r"dtype='float16': expected one of \['float32', 'bfloat16'\]"),
    ('algorithm', 'wgan-gp', r"algorithm='wgan-gp': expected one of \[.*'wgan_gp'"),
    ('generator.network', 'vgg.Generator', r"generator.network='vgg': expected one of \[.*'dcgan'"),
    ('generator.network', 'mlp', "generator.network='mlp': expected FILE.CLASS"),
    ('generator.network', 'mlp.Encoder', "generator.network='mlp.Encoder': .* no linen module 'Encoder'"),
    ('critic.width', 3, r"critic.width=3: there is no such field; those of mlp.Critic are \['augment', 'classify', "),
    ('critic', 3, 'critic=3: expected a group of fields'),
    ('microbatches', 0, 'microbatches=0: expected a whole number of at least 1'),
    ('microbatches', 3, r'batch_size=8 does not divide .* microbatches=3; .*\[6, 9\]'),
    ('critic.optimizer.name', 'adamm', "critic.optimizer.name='adamm'"),
    ('critic.optimizer.schedule', 'step', "critic.optimizer.schedule='step': expected one of"),
    ('generator.optimizer.momentum', 0.9, r"generator.optimizer.momentum=0.9: there is no such field; those of"),
    ('clip', 0.1, "clip=0.1: the algorithm 'wgan_gp' does not read it; its fields are .*'gp_weight'"),
    ('dataset.path', '/data', "dataset.path='/data': dataset.name='mnist_5k' does not read it"),
])
def test_bad_input_is_named_before_anything_is_written(tmp_path, config, field, value, message):
  set_field(config, field, value)
  with pytest.raises(UserError, match=message):
    train(config, tmp_path / 'run')
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('field, value, message', [
    ('loss', 'hinged', r"loss='hinged': expected one of \['hinge'"),
    ('penalty.name', 'r3', r"penalty.name='r3': expected one of \['none', 'gradient_penalty'"),
    ('penalty.weight', -1.0, 'penalty.weight=-1.0: expected a finite number of at least 0'),
    ('penalty.every', 0, 'penalty.every=0: expected a whole number of at least 1'),
    ('gp_weight', 10.0, "gp_weight=10.0: the algorithm 'adversarial' does not read it; its fields are .*'penalty'"),
])
def test_bad_input_of_the_adversarial_game_is_named_too(tmp_path, field, value, message):
  config = shrink(gan.get_config())
  set_field(config, field, value)
  with pytest.raises(UserError, match=message):
    train(config, tmp_path / 'run')
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('field, message', [
    ('gp_weight', "gp_weight is missing from the config: the algorithm 'wgan_gp' reads"),
    ('critic', r"critic is missing from the config: .* has the players \['generator', 'critic'\]"),
    ('microbatches', 'microbatches is missing from the config: start from base.get_config'),
])
def test_a_field_that_is_missing_is_named(tmp_path, config, field, message):
  with config.unlocked():
    del config[field]
  with pytest.raises(UserError, match=message):
    train(config, tmp_path / 'run')
  assert not (tmp_path / 'run').exists()


def test_an_image_size_that_the_network_cannot_make_is_named(tmp_path):
  config = shrink(wgan_gp.get_config())
  config.dataset.image_size = 30
  message = r'of the shape \(28, 28, 1\), the data have \(30, 30, 1\): change dataset.image_size'
  with pytest.raises(UserError, match=message):
    train(config, tmp_path / 'run')
  assert not (tmp_path / 'run').exists()


def test_a_bad_state_is_found_before_any_metric_shows_it(config):
  digits = load_dataset(config.dataset)
  experiment = build(config, digits.spec)
  state = build_state(config, experiment, sharding.make_mesh(config.batch_size))
  metrics = {'critic_loss': np.array([1.0, 2.0, np.nan])}  # the third was not taken
  health.check_finite(4, metrics, 2, state)
  critic = state.players['critic']
  params = jax.tree.map(lambda p: p.at[(0,) * p.ndim].set(np.inf), critic.params)
  bad = state._replace(players=state.players | {'critic': critic._replace(params=params)})
  with pytest.raises(UserError, match='diverged in step 6: the critic has parameters that are not finite'):
    health.check_finite(4, metrics, 2, bad)
  with pytest.raises(UserError, match='diverged in step 7: critic_loss=nan'):
    health.check_finite(4, metrics, 3, state)
