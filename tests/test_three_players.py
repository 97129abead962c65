"""A game that nobody foresaw: three players and a memory, in a folder of its own, through everything that a run can do.

InfoGAN with LeCam's regularisation (Tseng et al. 2021), whose memory holds the average scores of both sides.
"""
import functools
import importlib
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from gans.build import build, build_state, build_train_steps
from gans.core import sharding
from gans.core.game import each_seed
from gans.data.schedule import step_indices
from gans.data.sources import load_dataset
from gans.errors import UserError
from gans.modes.export import export_generator
from gans.modes.sample import sample
from gans.runs.trained import load
from gans.training.loop import train
from tests.conftest import ROOT, set_optimizers
from tests.faults import runs

ALGORITHM = '''
import dataclasses

from flax import linen as nn
import jax
from jax import lax
import jax.numpy as jnp
import optax

from gans.core.game import Algorithm, Update
from gans.core.losses import hinge_critic
from gans.core.penalties import gradient_penalty
from gans.core.sampling import noise


class Averages(nn.Module):
  """The running averages of the real and the fake scores, as they were before these came."""

  @nn.compact
  def __call__(self, real, fake, *, train):
    averages = self.variable('memory', 'averages', jnp.zeros, (2,))
    before = averages.value
    if train and not self.is_initializing():
      averages.value = 0.9 * before + 0.1 * jnp.stack([jnp.mean(real), jnp.mean(fake)])
    return before


@dataclasses.dataclass(frozen=True)
class Fields:
  num_codes: int = 3
  lecam_weight: float = 0.3
  remembers: bool = True
  z_dim: int = 5


def make_algorithm(config):
  def inputs(rng, batch):
    label = batch['label']
    code = jax.random.randint(jax.random.split(rng)[1], (len(label),), 0, config.num_codes)
    return {'z': noise(rng, len(label), config.z_dim), 'code': code, 'label': label}

  def draw(play, inputs):
    one_hot = jax.nn.one_hot(inputs['code'], config.num_codes)
    return play.generator(jnp.concatenate([inputs['z'], one_hot], -1), inputs['label'])

  def critic_loss(play, batch, rng):
    x, label = batch['image'], batch['label']
    real, fake = play.critic(x, label), play.critic(draw(play, inputs(rng, batch)), label)
    value = hinge_critic(real, fake)
    if config.remembers:
      average_real, average_fake = lax.stop_gradient(play.averages(real, fake))
      pull = jnp.mean(nn.relu(real - average_fake) ** 2) + jnp.mean(nn.relu(average_real - fake) ** 2)
      value += config.lecam_weight * pull
    return value, {'critic_loss': value}

  def penalty_loss(play, batch, rng):
    z_rng, eps_rng = jax.random.split(rng)
    x, label = batch['image'], batch['label']
    value = gradient_penalty(lambda x: play.critic(x, label), x, draw(play, inputs(z_rng, batch)), eps_rng)
    return value, {'gradient_penalty': value}

  def generator_loss(play, batch, rng):
    drawn = inputs(rng, batch)
    x_tilde = draw(play, drawn)
    logits = play.recogniser(x_tilde, drawn['label'])
    code_loss = jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, drawn['code']))
    value = code_loss - jnp.mean(play.critic(x_tilde, drawn['label']))
    return value, {'generator_loss': value, 'code_loss': code_loss}

  return Algorithm(
      updates=(Update(('critic',), critic_loss, repeats=2),
               Update(('critic',), penalty_loss, every=3),
               Update(('generator', 'recogniser'), generator_loss)),
      inputs=inputs, draw=draw, memories={'averages': Averages()} if config.remembers else {})
'''
CONFIG = '''
from configs import base
from tests.conftest import set_optimizers


def get_config():
  config = base.get_config('lecam_infogan')
  config.update({'num_steps': 7, 'batch_size': 16, 'steps_per_call': 3, 'log_every': 2, 'sample_every': 7,
                 'checkpoint_every': 3, 'eval_every': 0})
  config.dataset.image_size = 8
  config.generator = base.mlp_generator(hidden=(8,), norm='batch')
  config.critic = base.mlp_critic(hidden=(8,), norm='layer')
  config.recogniser = base.mlp_critic(hidden=(8,), outputs=3)
  set_optimizers(config, learning_rate=0.01)
  return config
'''


@pytest.fixture(scope='module', autouse=True)
def folder(tmp_path_factory):
  """Where the algorithm and its config lie; Python imports from there."""
  folder = tmp_path_factory.mktemp('mine')
  (folder / 'lecam_infogan.py').write_text(ALGORITHM)
  (folder / 'lecam_config.py').write_text(CONFIG)
  with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(folder))
    yield folder


def make_config(**changes):
  config = importlib.import_module('lecam_config').get_config()
  config.update(changes)
  return config


@pytest.fixture(scope='module')
def whole(folder, tmp_path_factory):
  """The uninterrupted run: (its workdir, its final state)."""
  path = tmp_path_factory.mktemp('runs') / 'whole'
  return path, train(make_config(), path)


def test_every_player_learns_and_the_memory_remembers(whole):
  _, state = whole
  assert state.players.keys() == {'generator', 'critic', 'recogniser', 'averages'}
  start = build_state(make_config(), *start_of(make_config()))
  for name in ('generator', 'critic', 'recogniser'):
    before, after = start.players[name].params, state.players[name].params
    assert (before['Dense_1']['kernel'] != after['Dense_1']['kernel']).all(), name
  memory = state.players['averages']
  assert not memory.params and not memory.opt_state
  assert (np.abs(memory.model_state['memory']['averages']) > 0).all()


def start_of(config):
  """Returns (experiment, mesh) of a config on its data."""
  experiment = build(config, load_dataset(config.dataset).spec)
  return experiment, sharding.make_mesh(config.batch_size, jax.devices()[:1])


def test_killed_and_resumed_it_ends_as_if_nobody_had(whole, folder, tmp_path):
  """Killed after its first checkpoint, in a process of its own."""
  environment = os.environ | {'PYTHONPATH': os.pathsep.join([str(folder), str(ROOT)])}
  length = ('--config.num_steps=120', '--config.checkpoint_every=12', '--config.sample_every=120')
  finals = []
  for name in ('cut', 'uncut'):
    start = functools.partial(runs.Run, tmp_path / name, *length, config=folder / 'lecam_config.py', env=environment)
    if name == 'cut':
      with start() as run:
        run.wait_until(lambda run=run: run.stepping and runs.saved_steps(run.workdir))
        run.process.kill()
        run.finish()
      assert runs.saved_steps(tmp_path / name)[-1] < 120
    with start() as run:
      assert run.finish() == 0, run.output
    assert ('resuming at step' in run.output) == (name == 'cut')
    finals.append(tmp_path / name / 'checkpoints' / '120')
  runs.assert_same(*finals)


def test_two_seeds_side_by_side_are_their_single_runs(whole, tmp_path):
  _, single = whole
  both = train(make_config(num_seeds=2), tmp_path / 'both')
  first, second = each_seed(both.players, 2)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), first, single.players)
  remembered = [each['averages'].model_state['memory']['averages'] for each in (first, second)]
  assert (remembered[0] != remembered[1]).all()


def test_it_is_sampled_and_exported(whole, tmp_path):
  path, state = whole
  generate = load(path)
  assert sorted(generate.input_shapes) == ['code', 'label', 'z'] and generate.step == 7
  drawn = tmp_path / 'samples.npz'
  sample(path, num=16, out=drawn)
  folder = export_generator(path, out=tmp_path / 'export')
  subprocess.run([sys.executable, folder / 'run.py'], check=True, timeout=120)
  exported = np.load(folder / 'samples.npy')
  np.testing.assert_allclose(exported, generate(jax.random.key(0), 16), atol=1e-5)
  pixels = np.clip(np.round((exported + 1) * 127.5), 0, 255)
  assert np.abs(pixels - np.load(drawn)['images'].astype(int)).max() <= 1


def test_microbatches_refuse_the_memory_and_work_without_it():
  config = make_config(microbatches=2)
  with pytest.raises(UserError, match="microbatches=2: the player 'averages' remembers what it saw"):
    start_of(config)
  results = []
  for parts in (1, 2):
    config = make_config(microbatches=parts, remembers=False)
    config.generator.norm = 'none'  # batch norm has each part's own statistics
    results.append(take_steps(config, devices=1))
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), *results)


def take_steps(config, devices: int):
  """Takes the steps of one call on so many devices; returns the players, the average and the metrics."""
  dataset = load_dataset(config.dataset)
  mesh = sharding.make_mesh(config.batch_size, jax.devices()[:devices])
  experiment = build(config, dataset.spec)
  state = build_state(config, experiment, mesh)
  data = sharding.place((dataset.images, dataset.labels), sharding.replicated(mesh))
  indices = step_indices(config, experiment.algorithm.batches_per_step, 0, len(dataset.images))
  indices = sharding.place(indices, sharding.over_batch(mesh, indices.ndim - 1))
  state, metrics = build_train_steps(config, experiment, dataset.spec, mesh)(state, data, indices, len(indices))
  return state.players, state.ema, metrics


def test_one_device_equals_eight(folder):
  flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
  paths = os.pathsep.join([str(folder), str(ROOT)])
  subprocess.run([sys.executable, __file__], check=True, timeout=300,
                 env={**os.environ, 'XLA_FLAGS': flags, 'PYTHONPATH': paths, 'JAX_PLATFORMS': 'cpu'})


def compare_devices():
  """Run where there are eight devices."""
  assert len(jax.devices()) == 8
  config = make_config()
  set_optimizers(config, learning_rate=0.005)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
               take_steps(config, devices=1), take_steps(config, devices=8))


if __name__ == '__main__':
  compare_devices()
