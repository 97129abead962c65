"""Any optimizer of optax that takes a learning rate, with clipping and weight decay."""
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gans.errors import UserError
from gans.optimizers import (
  SCHEDULES,
  check_frozen,
  check_optimizer,
  find_optimizer,
  freeze,
  make_optimizer,
  optimizer_ranges,
)

FIELD = 'critic.optimizer'
PARAMS = {'kernel': jnp.arange(6.0).reshape(2, 3) / 10 + 0.1, 'bias': jnp.ones(3)}
GRADIENTS = jax.tree.map(lambda p: 3.0 * p, PARAMS)
NAMES = [name for name, found in vars(optax).items()
         if inspect.isfunction(found) and 'learning_rate' in inspect.signature(found).parameters]
NOT_ALONE = {'lbfgs', 'polyak_sgd', 'scale_by_learning_rate', 'scale_by_rprop', '_deprecated_dpsgd'}  # they need more
FIELDS = {'noisy_sgd': {'key': 0}}  # without which it warns


def make(name: str, **settings):
  return make_optimizer(FIELD, {'name': name, 'learning_rate': 0.01, 'schedule': 'constant', **settings}, 10)


def take_step(optimizer, gradients=GRADIENTS):
  updates, _ = optimizer.update(gradients, optimizer.init(PARAMS), PARAMS)
  return optax.apply_updates(PARAMS, updates)


@pytest.mark.parametrize('name', sorted(set(NAMES) - NOT_ALONE))
def test_any_of_optax_is_taken_with_its_own_fields(name):
  settings = {'name': name, 'learning_rate': 0.01, 'schedule': 'constant', **FIELDS.get(name, {})}
  optimizer = make_optimizer(FIELD, settings, 10)
  check_optimizer(FIELD, settings, optimizer, PARAMS)
  for parameter in inspect.signature(find_optimizer(FIELD, name)).parameters.values():
    assert parameter.name in optimizer_ranges(FIELD, name)
    if parameter.name != 'learning_rate':
      assert optimizer_ranges(FIELD, name)[parameter.name].holds(parameter.default), parameter


def test_there_are_many_of_them():
  assert len(set(NAMES) - NOT_ALONE) > 20 and {'adam', 'adamw', 'sgd', 'lion', 'rmsprop'} <= set(NAMES)


@pytest.mark.parametrize('settings, message', [
    ({'name': 'lbfgs'}, 'critic.optimizer: optax.lbfgs with'),
    ({'name': 'rprop', 'schedule': 'linear'}, 'critic.optimizer: optax.rprop with'),
    ({'name': 'adam', 'mu_dtype': 'float99'}, 'critic.optimizer: optax.adam with .*float99'),
    ({'name': 'noisy_sgd', 'key': 0, 'eta': 'x'}, 'critic.optimizer: optax.noisy_sgd with'),
])
def test_what_optax_does_not_take_is_one_line(settings, message):
  settings = {'learning_rate': 0.01, 'schedule': 'constant', **settings}
  with pytest.raises(UserError, match=message) as error:
    check_optimizer(FIELD, settings, make_optimizer(FIELD, settings, 10), PARAMS)
  assert len(str(error.value).splitlines()) == 1


def test_the_gradient_of_a_player_is_clipped_by_its_norm():
  norm = optax.global_norm(GRADIENTS)
  clipped = take_step(make('sgd', clip_norm=0.5))
  expected = jax.tree.map(lambda p, g: p - 0.01 * g * 0.5 / norm, PARAMS, GRADIENTS)
  jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-6), clipped, expected)
  unclipped = take_step(make('sgd', clip_norm=float(norm) + 1))
  jax.tree.map(np.testing.assert_array_equal, unclipped, take_step(make('sgd')))


def test_weight_decay_is_added_to_the_gradient():
  decayed = take_step(make('adam', weight_decay=0.1))
  gradients = jax.tree.map(lambda p, g: g + 0.1 * p, PARAMS, GRADIENTS)
  jax.tree.map(np.testing.assert_array_equal, decayed, take_step(make('adam'), gradients))


def test_weight_decay_is_the_optimizers_own_where_it_has_one():
  for settings in ({}, {'weight_decay': 0.5}):
    jax.tree.map(np.testing.assert_array_equal, take_step(make('adamw', **settings)),
                 take_step(optax.adamw(0.01, **settings)))


@pytest.mark.parametrize('name', ['adam', 'rmsprop', 'sgd', 'adamw'])
def test_without_clipping_and_decay_the_state_is_that_of_optax_alone(name):
  expected = jax.tree.structure(getattr(optax, name)(0.01).init(PARAMS))
  off = {} if name == 'adamw' else {'weight_decay': 0.0}
  for settings in ({}, {'clip_norm': 0.0, **off}):
    assert jax.tree.structure(make(name, **settings).init(PARAMS)) == expected


def test_a_schedule_ends_at_zero_where_it_is_one():
  ends = {name: schedule(0.1, 10) for name, schedule in SCHEDULES.items()}
  assert ends['constant'] == 0.1
  for name in ('linear', 'cosine'):
    assert ends[name](0) == pytest.approx(0.1) and ends[name](10) == pytest.approx(0.0, abs=1e-9)


def test_annealed_rates_and_b2_are_those_of_the_moment():
  """Adam by hand, its bias corrected by the present b2, as PyTorch's whose b2 is changed between steps."""
  rates, betas, num = (0.1, 0.02), (0.9, 0.99), 4
  settings = {'name': 'adam', 'learning_rate': rates, 'schedule': 'constant', 'b1': 0.5, 'b2': betas}
  optimizer = make_optimizer(FIELD, settings, num_updates=100, anneal_updates=num)
  state, x, mean, square = optimizer.init(jnp.zeros(())), jnp.zeros(()), 0.0, 0.0
  expected = 0.0
  for t in range(6):
    cosine = (1 + np.cos(np.pi * min(t / num, 1))) / 2
    rate, b2 = (last + (first - last) * cosine for first, last in (rates, betas))
    gradient = 1.0 + t
    mean, square = 0.5 * mean + 0.5 * gradient, b2 * square + (1 - b2) * gradient**2
    expected -= rate * mean / (1 - 0.5**(t + 1)) / (np.sqrt(square / (1 - b2**(t + 1))) + 1e-8)
    updates, state = optimizer.update(jnp.array(gradient), state, x)
    x = optax.apply_updates(x, updates)
    assert float(x) == pytest.approx(expected, rel=1e-5)


def test_late_linear_waits_for_the_second_half():
  rate = SCHEDULES['late_linear'](0.1, 10)
  np.testing.assert_allclose([rate(count) for count in (0, 4, 5, 6, 10, 12)], [0.1, 0.1, 0.1, 0.08, 0, 0], atol=1e-8)


def test_an_annealed_rate_has_no_other_schedule():
  with pytest.raises(UserError, match=r"schedule='linear': learning_rate=\(0.1, 0.01\) has a schedule of its own"):
    make('adam', learning_rate=(0.1, 0.01), schedule='linear')


def test_what_is_frozen_neither_moves_nor_decays_nor_counts_for_the_norm():
  params = {'Conv_0': {'kernel': jnp.array([1.0, 2.0])}, 'Conv_1': {'kernel': jnp.array([3.0, 4.0])}}
  gradients = {'Conv_0': {'kernel': jnp.array([1e6, 1e6])}, 'Conv_1': {'kernel': jnp.array([6.0, 8.0])}}
  optimizer = freeze(make('sgd', learning_rate=0.5, clip_norm=5, weight_decay=0.1), ['Conv_0'])
  updates, _ = optimizer.update(gradients, optimizer.init(params), params)
  moved = optax.apply_updates(params, updates)
  np.testing.assert_array_equal(moved['Conv_0']['kernel'], params['Conv_0']['kernel'])
  # The norm of what moves is 10, so that [6, 8] becomes [3, 4], and [0.3, 0.4] is added to it.
  np.testing.assert_allclose(moved['Conv_1']['kernel'], [3.0 - 0.5 * 3.3, 4.0 - 0.5 * 4.4], rtol=1e-6)


@pytest.mark.parametrize('name', ['adam', 'adamw', 'rmsprop', 'lion', 'lamb', 'schedule_free_sgd'])
def test_the_state_of_an_optimizer_has_nothing_of_what_is_frozen(name):
  optimizer = make(name, clip_norm=1.0)
  whole, part, none = (freeze(optimizer, names) for names in (['kernel', 'bias'], ['kernel'], []))
  sizes = [sum(leaf.size for leaf in jax.tree.leaves(each.init(PARAMS)) if leaf.ndim) for each in (whole, part, none)]
  assert 0 == sizes[0] < sizes[1] == sizes[2] / 3  # of nine numbers, the bias has three
  jax.tree.map(np.testing.assert_array_equal, take_step(whole), PARAMS)
  settings = {'name': name, 'learning_rate': 0.01, 'schedule': 'constant'}
  check_optimizer(FIELD, settings, part, PARAMS)


def test_frozen_names_are_whole_parts_of_a_path_from_its_start():
  params = {'Conv_1': {'kernel': 0.0}, 'Conv_10': {'kernel': 0.0}, 'Block_0': {'Conv_1': {'kernel': 0.0, 'bias': 0.0}}}
  optimizer = freeze(make('sgd'), ['Conv_1', 'Block_0/Conv_1/bias'])
  updates, _ = optimizer.update(jax.tree.map(lambda p: 1.0, params), optimizer.init(params), params)
  moved = [jax.tree_util.keystr(path, simple=True, separator='/') for path, update in jax.tree.leaves_with_path(updates)
           if update != 0]
  assert moved == ['Block_0/Conv_1/kernel', 'Conv_10/kernel']
  check_frozen('critic.freeze', ['Conv_1', 'Block_0'], params)
  for name in ('Conv_2', 'Conv', 'kernel', ''):
    with pytest.raises(UserError, match=rf"critic.freeze=\('{name}',\): the player has no parameters '{name}'; it has "
                                        r"those of \['Block_0/Conv_1', 'Conv_1', 'Conv_10'\]"):
      check_frozen('critic.freeze', [name], params)
