"""Mistakes in an algorithm of one's own are named at the start, in a line, before anything is compiled or written."""
import dataclasses
import importlib
import inspect
import pathlib
import sys
import types
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
import pytest

from gans import algorithms
from gans.build import build
from gans.core.game import Algorithm, Update, create_player
from gans.core.sampling import noise, noise_and_label
from gans.core.tracing import trace_losses, trace_reconstructions, trace_samples
from gans.data.dataset import Spec
from gans.errors import UserError
from gans.networks import mlp
from tests.shrink import shrink

MODULES = {'generator': mlp.Generator((2,), (4,), output='linear'), 'critic': mlp.Critic((4,))}
BATCH = {'image': jax.ShapeDtypeStruct((8, 2), jnp.float32), 'label': jax.ShapeDtypeStruct((8,), jnp.int32)}


def loss(play, batch, rng):
  x_tilde = play.generator(noise(rng, 8, 3), batch['label'])
  return jnp.mean(play.critic(x_tilde, batch['label'])), {'loss': jnp.zeros(())}


def make_algorithm(**changes):
  fields = {'updates': (Update(('critic', 'generator'), loss),), 'inputs': noise_and_label(3)}
  return Algorithm(**fields | changes)


def trace(algorithm, modules=None):
  modules = MODULES if modules is None else modules
  traced = trace_losses(algorithm, modules, BATCH)
  trace_samples(algorithm, modules, traced, BATCH)
  trace_reconstructions(algorithm, modules, traced, BATCH)


def test_a_right_one_passes():
  algorithm = make_algorithm(reconstruct=lambda play, batch: (batch['image'], batch['image']))
  algorithms.check_algorithm(algorithm, 'mine')
  trace(algorithm)


def returning(value):
  """A loss that calls the players and returns something."""
  def wrong_loss(play, batch, rng):
    loss(play, batch, rng)
    return value

  return (Update(('critic', 'generator'), wrong_loss),)


def only_the_generator(play, batch, rng):
  return jnp.mean(play.generator(noise(rng, 8, 3), batch['label'])), {}


def by_name(play, batch, rng):
  return jnp.mean(play.critic(batch['image'], label=batch['label'])), {}


def in_two_sizes(play, batch, rng):
  wider = jnp.pad(batch['image'], ((0, 0), (0, 1)))
  return jnp.mean(play.critic(batch['image'], batch['label']) + play.critic(wider, batch['label'])), {}


@pytest.mark.parametrize('changes, message', [
    ({'updates': returning(None)}, r'the loss of critic and generator returns NoneType: expected \(scalar, {metric'),
    ({'updates': returning((jnp.zeros(()), None))}, 'returns tuple: expected'),
    ({'updates': returning((jnp.zeros(3), {}))}, r'has the shape \(3,\): expected a scalar'),
    ({'updates': returning((jnp.zeros((), int), {}))}, 'is of type int32: expected a float'),
    ({'updates': returning((jnp.zeros(()), {'x': jnp.zeros(2)}))}, r"the metric 'x' has the shape \(2,\)"),
    ({'updates': (Update(('critic', 'generator'), loss, project=lambda params: None),)},
     'project of the update of critic and generator does not return the parameters'),
    ({'updates': (Update(('critic', 'generator'), loss), Update(('critic',), only_the_generator))},
     "the loss of critic does not call the player 'critic', which would learn nothing"),
    ({'updates': (Update(('critic', 'generator'), by_name),)}, r'play.critic is called with label=...: expected'),
    ({'updates': (Update(('critic', 'generator'), in_two_sizes),)},
     r"the player 'critic' is first called with inputs of the shapes \[\(8, 2\), \(8,\)\], and then with \[\(8, 3\)"),
    ({'inputs': lambda rng, batch: noise(rng, 8, 3)}, r'inputs of the algorithm returns .*: expected a dict of arrays'),
    ({'inputs': lambda rng, batch: {'z': noise(rng, 5, 3)}}, r'expected a dict of arrays \[8,...\]'),
    ({'draw': lambda play, inputs: play.generator(inputs['z'], inputs['label'])[:, :1]},
     r'makes samples of the shape \(1,\): expected \(2,\), that of the data'),
    ({'draw': lambda play, inputs: play.critic(inputs['z'], inputs['label'])},
     r"no player 'critic' here: expected one of \['generator'\], the averaged players"),
    ({'draw': lambda play, inputs: inputs['x']}, r"test_contract.py:\d+: KeyError: 'x'"),
    ({'inputs': lambda rng, batch: {'z': noise(rng, batch['label'], 3)}}, r'test_contract.py:\d+: TypeError: Shapes'),
    ({'reconstruct': lambda play, batch: batch['image']}, r'reconstruct .* of the shapes \[\(8, 2\)\]: expected \(im'),
    ({'reconstruct': lambda play, batch: (batch['image'], batch['image'][:1])}, r'\[\(8, 2\), \(1, 2\)\]: expected'),
    ({'reconstruct': lambda play, batch: (play.critic(batch['image'], None),) * 2}, "no player 'critic' here"),
])
def test_what_a_loss_or_a_sample_should_be_is_said(changes, message):
  with pytest.raises(UserError, match=message):
    trace(make_algorithm(**changes))


class WithoutTrain(nn.Module):
  """A network that does not take `train`."""

  @nn.compact
  def __call__(self, x, label):
    return nn.Dense(1)(x)[:, 0]


def test_a_network_that_cannot_be_called_so_is_named():
  message = r"the player 'critic' is called with 2 inputs and train=True, .*WithoutTrain takes \(x, label\)"
  with pytest.raises(UserError, match=message):
    trace(make_algorithm(), MODULES | {'critic': WithoutTrain()})


class Broken(nn.Module):
  """A network with a mistake in it."""

  @nn.compact
  def __call__(self, x, label, *, train):
    return nn.no_such_layer(x)


def test_a_mistake_in_a_network_is_placed_there():
  place = rf"the player 'critic', called with inputs of the shapes \[\(8, 2\), \(8,\)\]: {__file__}:"
  line = inspect.getsourcelines(Broken)[1] + 5
  with pytest.raises(UserError, match=rf"{place}{line}: AttributeError: .*no_such_layer'"):
    trace(make_algorithm(), MODULES | {'critic': Broken()})


class Memory(nn.Module):
  """Starts with a value and keeps another one, or what is learnt."""
  first: Any
  then: Any = None

  @nn.compact
  def __call__(self, *, train):
    kept = self.variable('memory', 'k', lambda: self.first) if self.then else None
    if kept and not self.is_initializing():
      kept.value = self.then(kept.value)
    return kept.value if kept else self.param('k', nn.initializers.zeros, ())


@pytest.mark.parametrize('memory, message', [
    (Memory(1, lambda k: k + 0.5), r"'memory' starts with memory/k as int32\[\], and a call leaves float32\[\] there"),
    (Memory(1.0, lambda k: k + jnp.ones(3)), r'as float32\[\], and a call leaves float32\[3\] there; expected'),
    (Memory(1.0), "the memory 'memory' has parameters, which no update would change")])
def test_a_memory_that_cannot_be_kept_is_refused(memory, message):
  def remember(play, batch, rng):
    return loss(play, batch, rng)[0] + play.memory(), {}

  with pytest.raises(UserError, match=message):
    trace(make_algorithm(updates=(Update(('critic', 'generator'), remember),), memories={'memory': memory}),
          MODULES | {'memory': memory})


def test_a_memory_that_starts_as_a_number_of_pythons_is_as_one_of_jaxs():
  """Else the second call of a compiled step would be compiled again."""
  player = jax.jit(lambda rng: create_player(Memory(1.0, lambda k: k), None, rng, ()))(jax.random.PRNGKey(0))
  assert not player.model_state['memory']['k'].weak_type


@pytest.mark.parametrize('algorithm, message', [
    (None, 'make_algorithm returns NoneType; expected an Algorithm'),
    (make_algorithm(updates=(loss,)), 'updates has function in it'),
    (make_algorithm(updates=(Update('critic', loss),)), r"the players 'critic'; expected a tuple of names"),
    (make_algorithm(averaged='generator'), r"the players 'generator'; expected a tuple of names"),
    (make_algorithm(updates=(Update(('critic',), loss, every=0),)), 'every=0 of an Update; expected at least 1'),
    (make_algorithm(updates=(Update(('critic',), loss, repeats=0),)), 'repeats=0 of an Update; expected at least 1'),
    (make_algorithm(memories={'pool': 50}), "the memory 'pool' is 50; expected a linen module"),
    (make_algorithm(memories={'critic': MODULES['critic']}), "the memory 'critic' learns in an update"),
    (make_algorithm(averaged=('generator', 'pool'), memories={'pool': MODULES['critic']}),
     "averaged names the memory 'pool'; expected players that learn"),
])
def test_what_an_algorithm_should_be_is_said(algorithm, message):
  with pytest.raises(UserError, match=f"algorithm='mine': .*{message}"):
    algorithms.check_algorithm(algorithm, 'mine')


@dataclasses.dataclass
class WithoutDefault:
  """Fields of which one has no default."""
  z_dim: int


@pytest.mark.parametrize('attributes, message', [
    ({}, 'has no Fields'),
    ({'Fields': WithoutDefault}, 'has no make_algorithm'),
    ({'Fields': dict, 'make_algorithm': make_algorithm}, 'is no dataclass whose fields all have defaults'),
    ({'Fields': WithoutDefault, 'make_algorithm': make_algorithm}, 'is no dataclass whose fields all have defaults'),
])
def test_a_module_that_is_no_algorithm_is_named(monkeypatch, attributes, message):
  module = types.ModuleType('mine')
  module.__dict__.update(attributes, __file__='mine.py')
  monkeypatch.setitem(sys.modules, 'mine', module)
  with pytest.raises(UserError, match=f"algorithm='mine': .*mine.py {message}"):
    algorithms.find_algorithm('mine')


def test_an_error_in_a_users_own_module_is_not_called_a_missing_one(tmp_path, monkeypatch):
  (tmp_path / 'broken.py').write_text("int('a')")
  monkeypatch.syspath_prepend(str(tmp_path))
  with pytest.raises(ValueError, match='invalid literal'):
    algorithms.find_algorithm('broken')
  with pytest.raises(UserError, match=r"algorithm='brokn': expected one of .*'wgan_gp'\], or a module of your own"):
    algorithms.find_algorithm('brokn')


@pytest.mark.parametrize('algorithm, field, value, line', [
    ('infogan', 'critic.features', False, 'real, _ = play.critic'),
    ('stargan', 'critic.classify', False, 'real, logits = play.critic'),
])
def test_a_network_that_returns_other_things_is_named_by_the_line_that_takes_them(algorithm, field, value, line):
  config = shrink(importlib.import_module(f'configs.{algorithm}').get_config())
  config.update_from_flattened_dict({field: value})
  file = importlib.import_module(f'gans.algorithms.{algorithm}').__file__
  with pytest.raises(UserError, match='too many values to unpack.*the fields of the players') as raised:
    build(config, Spec((28, 28, 1), 10))
  named, number, _ = str(raised.value).split(':', 2)
  assert named == file and line in pathlib.Path(file).read_text().splitlines()[int(number) - 1]
