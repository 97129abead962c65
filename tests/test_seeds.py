"""Several seeds in one program: each is its own single run."""
import jax
import numpy as np

from gans import data
from gans.core import sharding
from gans.core.game import each_seed
from gans.training import loop


def test_seeds_side_by_side_are_their_single_runs(config):
  config.log_every, config.num_seeds, config.seed = 3, 2, 5
  config.optimizer = {'name': 'sgd', 'schedule': 'constant', 'generator_learning_rate': 0.02,
                      'critic_learning_rate': 0.02}  # Adam magnifies rounding where a gradient is 0
  digits = data.load(config.dataset)
  arrays, mesh = (digits.images, digits.labels), sharding.make_mesh(config.batch_size)
  results = []
  for seed, num_seeds in ((5, 2), (5, 1), (6, 1)):
    config.seed, config.num_seeds = seed, num_seeds
    experiment = loop.build(config, digits.spec)
    state = loop.create_state(config, experiment, digits.spec, mesh)
    train_steps = loop.build_train_steps(config, experiment, mesh)
    results.append(train_steps(state, arrays, loop.step_indices(config, 0, len(digits.images)), 3))
  (both, both_metrics), *singles = results
  assert int(both.step) == 3
  for i, (single, metrics) in enumerate(singles):
    for name in ('generator', 'critic', 'ema'):
      assert_close(each_seed(getattr(both, name), 2)[i], getattr(single, name))
    assert_close(jax.tree.map(lambda m, i=i: m[:, i], both_metrics), metrics)
  assert abs(singles[0][1]['critic_loss'] - singles[1][1]['critic_loss']).max() > 0.01  # two runs, not one twice


def assert_close(one, other):
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), one, other)


def test_a_run_of_two_seeds_resumes_and_shows_both(tmp_path, config):
  config.num_seeds, config.sample_every, config.checkpoint_every, config.optimizer.schedule = 2, 2, 2, 'constant'
  whole = loop.train(config, tmp_path / 'whole')
  config.num_steps = 2
  loop.train(config, tmp_path / 'cut')
  config.num_steps = 4
  resumed = loop.train(config, tmp_path / 'cut')
  jax.tree.map(np.testing.assert_array_equal, whole, resumed)
  grids = [(tmp_path / 'whole' / 'samples' / f'fake_0000004_{seed}.png').read_bytes() for seed in (0, 1)]
  assert grids[0] != grids[1]
