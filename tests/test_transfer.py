"""Transfer: what agrees is taken and named, what is frozen stays, and a run resumes without its source."""
import pathlib
import re
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base, wgan, wgan_gp
from gans.build import build, build_shapes, build_state, build_train_step
from gans.core import sharding
from gans.core.game import NO_WEIGHTS, each_seed, variables_of
from gans.data.batches import batch_shapes
from gans.data.dataset import Spec
from gans.errors import UserError
from gans.modes.pack import pack_generator
from gans.runs import packed, transfer, workdirs
from gans.runs.opening import open_run
from gans.training.loop import train
from gans.validate import check_config
from tests.conftest import open_workdir, save_untrained, set_optimizers
from tests.shrink import shrink
from tests.tiny import tiny

DIGITS = Spec((8, 8, 1), 10)
equal = np.testing.assert_array_equal


def make_config(**fields):
  """The config of `digits_run`, but for fields of the config itself."""
  config = shrink(wgan_gp.get_config())
  config.dataset.image_size, config.checkpoint_every = 8, 2
  adam = base.adam(learning_rate=2e-3)
  config.generator = base.mlp_generator(hidden=(8,), norm='batch', label_dim=2, optimizer=adam)
  config.critic = base.mlp_critic(hidden=(8,), norm='layer', optimizer=adam)
  config.update(fields)
  return config


@pytest.fixture(scope='module')
def source(digits_run):
  """The state of the source's last step."""
  with open_run(digits_run) as run:
    return jax.device_get(run.restore(4))


def take(folder, config, spec=DIGITS):
  """Returns the weights that a run of a config takes of a folder, and the lines about them."""
  return transfer.take_weights(str(folder), build(config, spec))


def create(config, weights=NO_WEIGHTS, spec=DIGITS):
  """Returns the state of step 0."""
  return build_state(config, build(config, spec), sharding.make_mesh(1, jax.local_devices()[:1]), weights)


def contents(folder: pathlib.Path) -> dict:
  return {path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None) for path in folder.rglob('*')}


def test_a_run_starts_from_weights_averages_and_model_state_and_from_nothing_else(digits_run, source):
  config = make_config(seed=1)
  weights, lines = take(digits_run, config)
  state, fresh = create(config, weights), create(config)
  for name, player in source.players.items():
    jax.tree.map(equal, variables_of(state.players[name]), variables_of(player))
    jax.tree.map(equal, state.players[name].opt_state, fresh.players[name].opt_state)
  jax.tree.map(equal, state.ema, source.ema)
  equal(state.rng, fresh.rng)
  assert int(state.step) == 0
  assert lines == [f'weights of step 4 of {digits_run}, seed 0:', '  generator: 9 of 9 arrays',
                   '  critic: 6 of 6 arrays']


def test_an_optimizer_that_remembers_where_it_started_does_so_from_what_was_taken(digits_run, source):
  config = make_config()
  set_optimizers(config, 'schedule_free_sgd')
  weights, _ = take(digits_run, config)
  state = create(config, weights)
  jax.tree.map(equal, state.players['critic'].opt_state.z, source.players['critic'].params)


def test_arrays_of_another_shape_or_name_stay_random_and_are_named(digits_run, source):
  config = make_config(seed=1)
  config.generator.hidden, config.critic.hidden = (6,), (8, 4)
  weights, (_, *lines) = take(digits_run, config)
  state, fresh = create(config, weights), create(config)
  taken, random = source.players['critic'].params, fresh.players['critic'].params
  expected = {**random, 'Dense_0': taken['Dense_0'], 'LayerNorm_0': taken['LayerNorm_0']}
  jax.tree.map(equal, state.players['critic'].params, expected)
  embedding = source.players['generator'].params['Embed_0']['embedding']
  equal(state.players['generator'].params['Embed_0']['embedding'], embedding)
  equal(state.ema['generator']['params']['Dense_0']['kernel'], fresh.players['generator'].params['Dense_0']['kernel'])
  assert lines == [
      '  generator: 2 of 9 arrays; random: batch_stats/BatchNorm_0/mean (6,), there (8,); '
      'batch_stats/BatchNorm_0/var (6,), there (8,); params/BatchNorm_0/bias (6,), there (8,); '
      'params/BatchNorm_0/scale (6,), there (8,) and 3 more',
      '  critic: 4 of 10 arrays; random: params/Dense_1/bias (4,), there (1,); params/Dense_1/kernel (8, 4), there '
      '(8, 1); params/Dense_2/bias (1,), not there; params/Dense_2/kernel (4, 1), not there and 2 more']


def test_it_trains_from_a_run_that_stays_as_it_is_and_resumes_bit_for_bit_when_that_is_gone(
    tmp_path, capsys, digits_run, source):
  there = shutil.copytree(digits_run, tmp_path / 'source')
  before = contents(there)
  config = make_config(seed=3, init_from=str(there))
  config.critic.freeze = ('Dense_0',)
  config.critic.optimizer.update({'weight_decay': 0.1, 'clip_norm': 1.0})
  whole = train(config, tmp_path / 'whole')
  assert 'seed 0:\n  generator: 9 of 9 arrays\n  critic: 6 of 6 arrays\n' in capsys.readouterr().out
  config.num_steps = 2
  train(config, tmp_path / 'cut')
  assert contents(there) == before
  shutil.rmtree(there)
  capsys.readouterr()
  config.num_steps = 4
  resumed = train(config, tmp_path / 'cut')
  said = capsys.readouterr().out
  assert 'resuming at step 2 of 4' in said and 'arrays' not in said and 'doubtful' not in said
  jax.tree.map(equal, resumed, whole)
  start, end = source.players['critic'].params, whole.players['critic'].params
  jax.tree.map(equal, end['Dense_0'], start['Dense_0'])
  assert np.all(start['Dense_1']['kernel'] != end['Dense_1']['kernel'])
  assert workdirs.read_config(tmp_path / 'cut').init_from == str(there)
  before = contents(tmp_path / 'cut')
  config.init_from = str(digits_run)
  with pytest.raises(UserError, match=f"init_from: '{there}' there, '{digits_run}' now"):
    train(config, tmp_path / 'cut')
  with pytest.raises(UserError, match=f"init_from='{digits_run}': the run in .* has weights of its own by now; exp"):
    train(config, tmp_path / 'cut', resume_with_changes=True)
  assert contents(tmp_path / 'cut') == before


def test_a_start_that_saved_nothing_reads_its_source_again(tmp_path, digits_run):
  config = make_config(init_from=str(digits_run))
  whole = train(config, tmp_path / 'whole')
  for folder in ('checkpoints', 'events', 'samples'):
    shutil.rmtree(tmp_path / 'whole' / folder)
  (tmp_path / 'whole' / 'checkpoints' / '2.orbax-checkpoint-tmp').mkdir(parents=True)  # a write that was cut short
  jax.tree.map(equal, train(config, tmp_path / 'whole'), whole)


def test_every_seed_starts_from_the_first_of_a_source_of_several(tmp_path):
  config = make_config(num_seeds=2, seed=5)
  saved = save_untrained(tmp_path / 'source', config, DIGITS, 1)
  weights, lines = take(tmp_path / 'source', config)
  state = create(make_config(num_seeds=2, seed=8), weights)
  first = each_seed(saved.players, 2)[0]
  for own in each_seed(state.players, 2):
    jax.tree.map(equal, own['critic'].params, first['critic'].params)
  assert np.any(state.rng[0] != state.rng[1])
  assert lines[0] == f'weights of step 1 of {tmp_path / "source"}, seed 5:'
  single = create(make_config(seed=8), weights)
  jax.tree.map(equal, single.ema, each_seed(saved.ema, 2)[0])


def test_a_packed_model_gives_the_players_that_it_has(tmp_path, capsys, digits_run):
  folder = pack_generator(digits_run, out=tmp_path / 'packed')
  _, variables = packed.read_generator(folder)
  config = make_config(seed=1, init_from=str(folder))
  weights, lines = take(folder, config)
  state, fresh = create(config, weights), create(config)
  jax.tree.map(equal, variables_of(state.players['generator']), variables['generator'])
  jax.tree.map(equal, state.ema['generator'], variables['generator'])
  jax.tree.map(equal, state.players['critic'], fresh.players['critic'])
  assert lines == [f'weights of step 4 of the packed model {folder}:', '  generator: 9 of 9 arrays',
                   '  critic: random, as there is no such player']
  config.critic.freeze = ('Dense_0',)
  train(config, tmp_path / 'run')  # each buffer of the first state is its own, as donation needs
  assert ("doubtful: critic.freeze=('Dense_0',) keeps weights that are random and not of init_from: Dense_0/bias; "
          'Dense_0/kernel\n') in capsys.readouterr().out


def test_a_built_in_model_is_found_by_its_name():
  _, lines = take('wgan_gp_mnist_5k', wgan_gp.get_config(), Spec((28, 28, 1), 10))
  assert 'gans/zoo/wgan_gp_mnist_5k' in lines[0] and lines[1] == '  generator: 32 of 32 arrays'


def name_of(path) -> str:
  return jax.tree_util.keystr(path, simple=True, separator='/')


FREEZE = {  # {game: (config, {player: what is frozen})}
    'wgan, whose clip would move them': (shrink(wgan.get_config()), {
        'critic': ('Conv_0',), 'generator': ('Dense_0', 'BatchNorm_0/scale')}),
    'bigan, of two players in one update': (tiny('bigan'), {'encoder': ('Dense_0',)}),
    'gan_3d, with a gate': (tiny('gan_3d'), {'critic': ('Dense_0',)}),
    'cyclegan, with memories': (tiny('cyclegan'), {'critic_a': ('Dense_0',), 'generator_ab': ('Dense_0',)}),
}


@pytest.mark.parametrize('config, frozen', FREEZE.values(), ids=FREEZE)
def test_what_is_frozen_stays_bit_for_bit_and_all_else_moves(config, frozen):
  config = config.copy_and_resolve_references()
  config.dataset.image_size = 8
  if config.algorithm == 'wgan':
    config.microbatches, config.generator.start, config.generator.hidden = 2, 4, (4,)
  set_optimizers(config, 'adamw', weight_decay=0.5, clip_norm=1.0)
  with config.unlocked():
    for player, names in frozen.items():
      config[player].freeze = names
  check_config(config)
  spec = Spec((8, 8, 8, 1), 10) if config.algorithm == 'gan_3d' else Spec((8, 8, 3), 2)
  experiment = build(config, spec)
  start = create(config, spec=spec)
  before = jax.tree.map(lambda x: x + 1e-3 if x.dtype == jnp.float32 else x, start)  # so that even zeros decay
  rng = np.random.default_rng(0)
  shapes = batch_shapes(spec, config.batch_size, experiment.algorithm.data)
  batch = {name: rng.uniform(-1, 1, (experiment.algorithm.batches_per_step, *each.shape)).astype(each.dtype)
           for name, each in shapes.items()}
  after, _ = jax.jit(build_train_step(config, experiment))(before, batch)
  for player in experiment.algorithm.networks:
    are_same = jax.tree.map(np.array_equal, before.players[player].params, after.players[player].params)
    for path, is_same in jax.tree.leaves_with_path(are_same):
      assert is_same == name_of(path).startswith(frozen.get(player, 'nothing')), (player, path)


def test_a_run_that_freezes_nothing_compiles_the_same_program():
  config = make_config()
  with_field = build(config, DIGITS)
  del config.critic['freeze']
  without = build(config, DIGITS)
  state = build_shapes(config, without)
  batch = jax.tree.map(lambda x: jax.ShapeDtypeStruct((2, *x.shape), x.dtype), batch_shapes(DIGITS, 8))
  texts = [jax.jit(build_train_step(config, each)).lower(state, batch).as_text() for each in (with_field, without)]
  assert texts[0] == texts[1]


def test_what_cannot_be_started_from_is_refused_before_anything_is_written(tmp_path, digits_run):
  config = make_config()
  open_workdir(tmp_path / 'empty', config, DIGITS)
  save_untrained(tmp_path / 'pictures', tiny('cyclegan'), Spec((8, 8, 3), 2), 1)
  wide = make_config()
  wide.generator = base.dcgan_generator(start=4, hidden=(4,), norm='none')
  wide.critic = base.dcgan_critic(hidden=(4,), norm='none')
  refusals = [
      (config, 'no_such_model', "init_from='no_such_model': no_such_model is neither the folder of a run"),
      (config, tmp_path / 'empty', f"init_from='{tmp_path}/empty': {tmp_path}/empty has no checkpoint yet"),
      (config, tmp_path / 'pictures', "seed 0, which has the players ['critic_a', 'critic_b', 'generator_ab', "
       "'generator_ba', 'pool_a', 'pool_b'], has the name and the shape of one here:\n  generator: random, as there is "
       'no such player'),
      (wide, digits_run, "which has the players ['critic', 'generator'], has the name and the shape of one here:\n  "
       'generator: 0 of 4 arrays; random: params/ConvTranspose_0/bias (1,), not there; '),
  ]
  for refused, source, message in refusals:
    refused.init_from = str(source)
    with pytest.raises(UserError, match=re.escape(message)):
      train(refused, tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_names_that_cannot_be_frozen_are_refused():
  config = make_config()
  config.critic.freeze = ('Dense_0', 'Dense_7')
  with pytest.raises(UserError, match=r"critic.freeze=\('Dense_0', 'Dense_7'\): the player has no parameters "
                                      r"'Dense_7'; it has those of \['Dense_0', 'Dense_1', 'LayerNorm_0'\]"):
    build(config, DIGITS)
  config.critic.freeze = (0,)
  with pytest.raises(UserError, match=r'critic.freeze=\(0,\): expected a tuple, each a text'):
    check_config(config)
