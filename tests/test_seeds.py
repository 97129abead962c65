"""Several seeds in one program: each is its own single run."""
import jax
import numpy as np

from gans.build import build, build_state, build_train_steps
from gans.core import sharding, step
from gans.core.game import each_seed
from gans.data.schedule import step_indices
from gans.data.sources import load_dataset
from gans.training.loop import train
from tests.conftest import set_optimizers


def take_three_steps(config):
  digits = load_dataset(config.dataset)
  arrays, mesh = (digits.images, digits.labels), sharding.make_mesh(config.batch_size)
  experiment = build(config, digits.spec)
  train_steps = build_train_steps(config, experiment, digits.spec, mesh)
  indices = step_indices(config, experiment.algorithm.batches_per_step, 0, len(digits.images))
  return train_steps(build_state(config, experiment, mesh), arrays, indices, 3)


def assert_close(one, other):
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), one, other)


def test_seeds_in_one_program_are_their_single_runs(config):
  config.steps_per_call = 3
  set_optimizers(config, 'sgd', learning_rate=0.02)  # Adam magnifies rounding where a gradient is 0
  results = []
  for config.seed, config.num_seeds in ((5, 2), (5, 1), (6, 1)):
    results.append(take_three_steps(config))
  (both, both_metrics), *singles = results
  assert int(both.step) == 3 and both.players.keys() == {'generator', 'critic'}
  for i, (single, metrics) in enumerate(singles):
    assert_close(each_seed(both.players, 2)[i], single.players)
    assert_close(each_seed(both.ema, 2)[i], single.ema)
    assert_close(jax.tree.map(lambda m, i=i: m[:, i], both_metrics), metrics)
  assert abs(singles[0][1]['critic_loss'] - singles[1][1]['critic_loss']).max() > 0.01  # two runs, not one twice


def test_seeds_that_are_vectorised_are_the_seeds_in_turn(config, monkeypatch):
  """On an accelerator they go side by side: what that program computes, computed here."""
  config.steps_per_call, config.num_seeds, config.seed = 3, 2, 5
  set_optimizers(config, 'sgd', learning_rate=0.02)
  in_turn = take_three_steps(config)
  monkeypatch.setattr(step.lax, 'platform_dependent', lambda *args, default, **_: default(*args))
  assert_close(in_turn, take_three_steps(config))


def test_a_run_of_two_seeds_resumes_and_shows_both(tmp_path, config):
  config.num_seeds, config.sample_every, config.checkpoint_every = 2, 2, 2
  config.generator.optimizer.schedule = config.critic.optimizer.schedule = 'constant'
  whole = train(config, tmp_path / 'whole')
  config.num_steps = 2
  train(config, tmp_path / 'cut')
  config.num_steps = 4
  resumed = train(config, tmp_path / 'cut')
  jax.tree.map(np.testing.assert_array_equal, whole, resumed)
  grids = [(tmp_path / 'whole' / 'samples' / f'fake_0000004_{seed}.png').read_bytes() for seed in (0, 1)]
  assert grids[0] != grids[1]
