"""Transfer: what agrees is taken and named, what is frozen stays, and a run resumes without its source."""
import copy
import json
import pathlib
import shutil

from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import base, wgan_gp
from gans.build import build, build_state, build_train_step
from gans.core import sharding
from gans.core.game import Weights, each_seed, variables_of
from gans.data.dataset import Spec
from gans.errors import UserError
from gans.modes.pack import pack_generator
from gans.optimizers import freeze, is_below, make_optimizer
from gans.runs import packed, transfer, workdirs
from gans.runs.opening import open_run
from gans.training.loop import train
from gans.validate import check_config
from tests.conftest import ROOT, save_untrained, set_optimizers
from tests.shrink import shrink
from tests.tiny import PLAYERS, tiny

DIGITS = Spec((8, 8, 1), 10)
equal = np.testing.assert_array_equal


def make_config(**fields):
  """The config of `digits_run`, with labels in the generator alone."""
  config = shrink(wgan_gp.get_config())
  config.dataset.image_size = 8
  adam = base.adam(learning_rate=2e-3, schedule='linear')
  config.generator = base.mlp_generator(hidden=(8,), norm='batch', label_dim=2, optimizer=adam)
  config.critic = base.mlp_critic(hidden=(8,), norm='layer', optimizer=adam)
  config.update(fields)
  return config


@pytest.fixture(scope='module')
def source(digits_run):
  """The state of the source's last step."""
  with open_run(digits_run) as run:
    return jax.device_get(run.restore(4))


def start(config, weights=None, spec=DIGITS):
  """Returns the state of step 0."""
  experiment = build(config, spec)
  mesh = sharding.make_mesh(1, jax.local_devices()[:1])
  return build_state(config, experiment, mesh, *([weights] if weights else []))


def listing(folder) -> dict:
  return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
          for path in pathlib.Path(folder).rglob('*')}


def flat(tree) -> dict:
  return traverse_util.flatten_dict(tree, sep='/')


def test_a_run_starts_from_another_runs_weights_averages_and_state_and_from_nothing_else(digits_run, source):
  config = make_config(seed=1)
  weights, lines = transfer.take_weights(str(digits_run), build(config, DIGITS))
  state, fresh = start(config, weights), start(config)
  for name, player in source.players.items():
    jax.tree.map(equal, variables_of(state.players[name]), variables_of(player))
    jax.tree.map(equal, state.players[name].opt_state, fresh.players[name].opt_state)
  jax.tree.map(equal, state.ema, source.ema)
  assert int(state.step) == 0
  equal(state.rng, fresh.rng)
  assert lines == [f'weights of step 4 of {digits_run}, seed 0:', '  generator: 9 of 9 arrays', '  critic: 6 of 6 arrays']


def test_what_has_another_shape_or_name_is_drawn_and_named(digits_run, source):
  config = make_config(seed=1)
  config.generator.hidden, config.critic.hidden = (6,), (8, 4)
  weights, lines = transfer.take_weights(str(digits_run), build(config, DIGITS))
  state, fresh = start(config, weights), start(config)
  before, random = source.players['critic'].params, fresh.players['critic'].params
  expected = {'Dense_0': before['Dense_0'], 'LayerNorm_0': before['LayerNorm_0'], 'LayerNorm_1': random['LayerNorm_1'],
              'Dense_1': random['Dense_1'], 'Dense_2': random['Dense_2']}
  jax.tree.map(equal, state.players['critic'].params, expected)
  equal(state.players['generator'].params['Embed_0']['embedding'],
        source.players['generator'].params['Embed_0']['embedding'])
  _, generator, critic = lines
  print(lines)
