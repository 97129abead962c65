"""Flags --config.FIELD=VALUE take whatever a field may be."""
import functools
import operator
import sys

from absl import flags
import pytest

from gans import overrides
from gans.errors import UserError
from gans.validate import check_config
from tests.conftest import ROOT
from tests.test_main import run

WGAN_GP = '--config=configs/wgan_gp.py'
CRITIC = '--config.critic.optimizer'


@pytest.fixture
def parse(monkeypatch):
  """Returns parse(arguments) -> the config that main.py would train."""
  def parse(*arguments):
    values = flags.FlagValues()
    config = overrides.define_config_flag(ROOT, 'help', values)
    monkeypatch.setattr(sys, 'argv', ['main.py', *arguments])  # where config_flags looks for the fields
    values(sys.argv)
    overrides.drop_unread(config.value, values['config'].override_values)
    config.value.lock()
    check_config(config.value)
    return config.value

  monkeypatch.chdir(ROOT)
  return parse


def find(config, field: str):
  return functools.reduce(operator.getitem, field.split('.'), config)


@pytest.mark.parametrize('field, text, value', [
    ('num_steps', '1e5', 100_000),
    ('n_critic', '3', 3),
    ('seed', '1E3', 1000),
    ('dataset.device_bytes', '2.5e3', 2500),
    ('generator.kernels', '(3,4,3)', (3, 4, 3)),
    ('generator.kernels', '5', 5),
    ('critic.strides', '(2,2,1)', (2, 2, 1)),
    ('critic.padding', 'VALID', 'VALID'),
    ('critic.padding', "('SAME','SAME','VALID')", ('SAME', 'SAME', 'VALID')),
    ('generator.hidden', '64', (64,)),
    ('gp_weight', '1', 1.0),
    ('dataset.flip', 'true', True),
    ('critic.optimizer.weight_decay', '1e-4', 1e-4),
    ('critic.optimizer.clip_norm', '1', 1),
    ('critic.optimizer.nesterov', 'True', True),
    ('critic.optimizer.eps', '1e-6', 1e-6),
    ('critic.optimizer.mu_dtype', 'bfloat16', 'bfloat16'),
])
def test_a_flag_takes_what_the_field_may_be(parse, field, text, value):
  found = find(parse(WGAN_GP, f'--config.{field}={text}'), field)
  assert found == value and type(found) is type(value)


def test_one_value_takes_the_place_of_one_for_each_layer(parse):
  config = parse('--config=configs/wgan_gp.py:source', '--config.generator.kernels=4', '--config.critic.head=dense')
  assert config.generator.kernels == 4 and config.generator.strides == (2, 1, 2, 2)


def test_a_number_that_is_written_as_a_whole_one_takes_a_fraction(parse, tmp_path):
  file = tmp_path / 'mine.py'
  file.write_text('from configs import wgan_gp\n\n\ndef get_config():\n  config = wgan_gp.get_config()\n'
                  '  with config.ignore_type():\n    config.gp_weight = 10\n  return config\n')
  assert parse(f'--config={file}').gp_weight == 10
  assert parse(f'--config={file}', '--config.gp_weight=0.5').gp_weight == 0.5


def test_references_still_follow(parse):
  config = parse('--config=configs/bigan.py', '--config.z_dim=7')
  assert config.encoder.outputs == 7
  config = parse('--config=configs/infogan.py', '--config.num_codes=4')
  assert config.recogniser.outputs == 4 + config.num_continuous


@pytest.mark.parametrize('arguments, fields', [
    (['.name=sgd'], {'name', 'learning_rate', 'schedule'}),
    (['.name=sgd', '.momentum=0.9'], {'name', 'learning_rate', 'schedule', 'momentum'}),
    (['.momentum=0.9', '.name=sgd'], {'name', 'learning_rate', 'schedule', 'momentum'}),
    (['.name=adamw', '.weight_decay=0.1'], {'name', 'learning_rate', 'schedule', 'b1', 'b2', 'weight_decay'}),
    (['.name=rmsprop', '.decay=0.9', '.clip_norm=1'],
     {'name', 'learning_rate', 'schedule', 'decay', 'clip_norm'}),
])
def test_another_optimizer_drops_the_fields_of_the_one_before(parse, arguments, fields):
  config = parse(WGAN_GP, *[f'{CRITIC}{argument}' for argument in arguments])
  assert set(config.critic.optimizer) == fields
  assert set(config.generator.optimizer) == {'name', 'learning_rate', 'schedule', 'b1', 'b2'}


def test_another_network_drops_the_fields_of_the_one_before(parse):
  config = parse(WGAN_GP, '--config.critic.network=mlp.Critic', '--config.critic.leak=0.1')
  assert config.critic.leak == 0.1 and 'kernels' not in config.critic and config.critic.hidden == (16, 32, 64)


def test_another_network_keeps_what_every_player_has(parse, tmp_path):
  (tmp_path / 'mine.py').write_text('''from configs import dcgan

def get_config():
  config = dcgan.get_config()
  config.critic.augment = ('flip',)
  return config
''')
  config = parse(f'--config={tmp_path / "mine.py"}', '--config.critic.network=mlp.Critic')
  assert config.critic.augment == ('flip',) and 'kernels' not in config.critic


def test_of_a_field_given_twice_the_last_counts(parse):
  config = parse(WGAN_GP, '--config.generator.hidden=(8,16)', '--config.z_dim=3', '--config.generator.hidden=(4,)',
                 '--config.z_dim=5')
  assert config.generator.hidden == (4,) and config.z_dim == 5


def test_a_field_may_follow_from_another(parse, tmp_path):
  (tmp_path / 'mine.py').write_text('''from configs import wgan_gp

def get_config():
  config = wgan_gp.get_config()
  config.critic.optimizer.learning_rate = config.generator.optimizer.get_ref('learning_rate')
  return config
''')
  config = parse(f'--config={tmp_path / "mine.py"}', '--config.generator.optimizer.learning_rate=0.25')
  assert config.critic.optimizer.learning_rate == 0.25


@pytest.mark.parametrize('arguments, message', [
    ([f'{CRITIC}.name=sgd', f'{CRITIC}.b1=0.5'], r'critic.optimizer.b1=0.5: there is no such field; .* optax.sgd are'),
    ([f'{CRITIC}.name=adamm'], "critic.optimizer.name='adamm': optax has no optimizer of that name"),
    ([f'{CRITIC}.momentum=0.9'], 'critic.optimizer.momentum=0.9: there is no such field; those of optax.adam are'),
    ([f'{CRITIC}.clip_norm=-1'], 'critic.optimizer.clip_norm=-1: expected'),
    ([f'{CRITIC}.learning_rate=nan'], "critic.optimizer.learning_rate='nan': expected a finite number above 0"),
    (['--config.generator.kernels=(3,4.5)'], r'generator.kernels=\(3, 4.5\): expected a whole number'),
    (['--config.generator.hidden=(8.5,)'], r'generator.hidden=\(8.5,\): expected a tuple'),
    (['--config.generator.hiden=3'], r'generator.hiden=3: there is no such field; those of dcgan.Generator are'),
    (['--config.hidden=3'], "hidden=3: the algorithm 'wgan_gp' does not read it; its fields are"),
    (['--config.batch_szie=3'], r"batch_szie=3: .* its players \['generator', 'critic'\]; did you mean batch_size\?"),
    (['--config.dataset.name=ring8', '--config.dataset.split=test'],
     "dataset.split='test': dataset.name='ring8' does not read it"),
    (['--config.critic.network=mlp.Critc'], "critic.network='mlp.Critc': .* has no linen module"),
])
def test_a_flag_that_cannot_be_is_refused_by_name(parse, arguments, message):
  with pytest.raises(UserError, match=message):
    parse(WGAN_GP, *arguments)


@pytest.mark.parametrize('text', ['many', '1.5', 'inf', 'nan', ''])
def test_what_is_no_whole_number_is_refused(parse, text):
  with pytest.raises(flags.IllegalFlagValueError, match=r'config.num_steps=.*: expected a whole number, such as 5000'):
    parse(WGAN_GP, f'--config.num_steps={text}')


def test_a_config_of_the_program_is_found_from_any_folder(parse, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert parse(WGAN_GP).algorithm == 'wgan_gp'
  assert parse('--config=configs/wgan_gp.py:source').batch_size == 128
  (tmp_path / 'configs').mkdir()
  (tmp_path / 'configs' / 'wgan_gp.py').write_text('from configs import wgan\n\nget_config = wgan.get_config\n')
  assert parse(WGAN_GP).algorithm == 'wgan'  # the one that is here comes first


@pytest.mark.parametrize('arguments, message', [
    (['--config.generator.hidden.x=3'], 'a --config flag names no field'),
    (['--config.generator.a-b=3'], 'a --config flag names no field'),
    (['--config.critic.optimiser.b1=0.5'], "the config has no field 'optimiser'"),
])
def test_no_flag_ends_in_a_traceback(tmp_path, arguments, message):
  result = run(WGAN_GP, *arguments, f'--workdir={tmp_path / "run"}')
  assert result.returncode == 1 and message in result.stderr and 'Traceback' not in result.stderr
