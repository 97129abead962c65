"""Every field of every config has a range, and a value outside it is refused by name before any work."""
import contextlib
import dataclasses
import functools
import importlib
import inspect
import operator
from typing import TYPE_CHECKING, Annotated, Any

from flax import linen as nn
import jax.numpy as jnp
import pytest

from configs import acgan, base, bigan, cgan, cyclegan, dcgan, gan, gan_3d, infogan, pix2pix, stargan, wgan, wgan_gp
from gans import algorithms, networks, validate
from gans.build import build
from gans.data.dataset import Spec
from gans.errors import UserError
from gans.ranges import Anything, Each, Either, Number, OneOf, Text, Truth, Whole, declared_ranges
from gans.system.named import list_modules
from gans.validate import check_config, check_training, list_doubts, list_ranges
from tests.shrink import shrink
from tests.test_configs import EXPERIMENTS, VARIANTS
from tests.tiny import tiny

if TYPE_CHECKING:
  from collections.abc import Sized

DIGITS = Spec((28, 28, 1), 10)
PAIRS = Spec((28, 28, 1), 2, paired=True)
NO_BOUNDS = (Whole(most=None), Number(), Anything())


def fields_of(group: dict, prefix: str = ''):
  for name, value in group.items():
    if isinstance(value, dict):
      yield from fields_of(value, f'{prefix}{name}.')
    else:
      yield prefix + name


def set_field(config, field: str, value):
  *groups, name = field.split('.')
  with config.unlocked(), config.ignore_type():
    for group in groups:
      config = config[group]
    config[name] = value


@pytest.mark.parametrize('name, variant', [*((name, '') for name in EXPERIMENTS), *VARIANTS])
def test_every_field_of_a_config_has_a_range(name, variant):
  config = importlib.import_module(f'configs.{name}').get_config(variant)
  ranges = list_ranges(config)
  for field in fields_of(config.to_dict()):
    assert ranges[field] not in NO_BOUNDS, field


def test_the_shared_fields_are_those_of_base():
  shared = set(fields_of(base.get_config('wgan_gp').to_dict())) - algorithms.default_fields('wgan_gp').keys()
  assert shared == validate.SHARED.keys()


@pytest.mark.parametrize('name', list_modules('gans.algorithms'))
def test_every_field_of_an_algorithm_declares_its_range(name):
  ranges = algorithms.algorithm_ranges(name)
  assert ranges and not any(each in NO_BOUNDS for each in ranges.values())


def test_every_field_of_a_network_declares_its_range():
  found = 0
  for file in list_modules('gans.networks'):
    module = importlib.import_module(f'gans.networks.{file}')
    for name, network in inspect.getmembers(module, inspect.isclass):
      if issubclass(network, nn.Module) and network.__module__ == module.__name__ and file not in ('conv', 'layers'):
        found += 1
        for field, each in networks.network_ranges('player', f'{file}.{name}').items():
          assert each not in NO_BOUNDS, (name, field)
  assert found >= 8


def test_the_defaults_are_within_their_ranges():
  for name in list_modules('gans.algorithms'):
    for field, each in algorithms.algorithm_ranges(name).items():
      default = algorithms.default_fields(name)
      for part in field.split('.'):
        default = default[part]
      assert each.holds(default), (name, field)
  for player, name in (('generator', 'dcgan.Generator'), ('critic', 'translation.PatchCritic')):
    defaults = networks.default_network_fields(player, name)
    assert all(networks.network_ranges(player, name)[field].holds(value) for field, value in defaults.items())


NAN, INF = float('nan'), float('inf')
CONFIGS = {module.__name__.split('.')[1]: module
           for module in (acgan, bigan, cgan, cyclegan, dcgan, gan, gan_3d, infogan, pix2pix, stargan, wgan, wgan_gp)}


@pytest.mark.parametrize('name, field, values', [
    ('gan', 'generator.optimizer.learning_rate', (-1e-4, 0, NAN, INF, '1e-4', None)),
    ('gan', 'critic.optimizer.b1', (-3, 1.5, 1.0, NAN)),
    ('gan', 'critic.optimizer.b2', (-0.1, 1.0)),
    ('gan', 'critic.optimizer.eps', (0.0, -1e-8, INF)),
    ('wgan', 'critic.optimizer.decay', (-0.1, 1.0)),
    ('gan', 'critic.optimizer.clip_norm', (-1.0, NAN)),
    ('gan', 'critic.optimizer.weight_decay', (-1.0, INF)),
    ('gan', 'critic.optimizer.schedule', ('step', '', None)),
    ('gan', 'critic.optimizer.name', ('adamm', 'scale_by_adam', 'chain', 'linear_schedule', '__name__', '', 3)),
    ('wgan', 'clip', (-0.01, 0, 0.0, NAN)),
    ('cgan', 'critic.dropout', (1.5, 1.0, -0.1)),
    ('pix2pix', 'generator.dropout', (1.0, -0.1)),
    ('pix2pix', 'generator.num_dropouts', (-1, 1.5)),
    ('acgan', 'class_weight.critic', (-5, INF)),
    ('acgan', 'class_weight.generator', (-5, NAN)),
    ('acgan', 'penalty.weight', (-1.0,)),
    ('acgan', 'penalty.every', (0, 1.5)),
    ('acgan', 'n_critic', (0, -1, 2.5, True)),
    ('infogan', 'info_weight', (-1,)),
    ('infogan', 'num_codes', (1, 0)),
    ('infogan', 'num_continuous', (-1, 17)),
    ('cyclegan', 'pool_size', (-1, 1.5)),
    ('cyclegan', 'cycle_weight', (-1.0,)),
    ('gan_3d', 'max_accuracy', (0, 1.1)),
    ('dcgan', 'generator.init_stddev', (-1, NAN)),
    ('gan', 'generator.output', ('tanhh', '', None)),
    ('gan', 'critic.leak', (-0.1, 1.5)),
    ('gan', 'generator.label_dim', (-1, 1.0)),
    ('gan', 'generator.hidden', ((0,), (-8,), (8.5,), (True,), 'wide', 8, None)),
    ('dcgan', 'generator.hidden', ((),)),
    ('dcgan', 'critic.dense', ((0,),)),
    ('dcgan', 'critic.kernels', (0, (4, 0), 4.5, (), 10**9)),
    ('dcgan', 'critic.strides', (0, -1)),
    ('dcgan', 'critic.padding', ('same', ('SAME', 'FULL'), 3)),
    ('dcgan', 'critic.norm', ('batchnorm', None)),
    ('dcgan', 'critic.norm_first', (1, 'yes')),
    ('dcgan', 'critic.head', ('convolution',)),
    ('dcgan', 'critic.outputs', (-1,)),
    ('dcgan', 'generator.start', (0,)),
    ('dcgan', 'generator.upsample', ('cubic',)),
    ('dcgan', 'generator.dtype', ('float99',)),
    ('dcgan', 'generator.name', ('g',)),
    ('stargan', 'generator.num_downsamplings', (-1,)),
    ('bigan', 'critic.z_dense', ((0,),)),
    ('gan', 'z_dim', (0, -1, 1.5)),
    ('gan', 'loss', ('hinged', '', None)),
    ('gan', 'dataset.image_size', (0, -28, 28.5, 10**6)),
    ('gan', 'dataset.flip', (1, 'yes')),
    ('gan', 'dataset.device_bytes', (-1,)),
    ('gan', 'dataset.attributes', ((1,), 'Male')),
    ('gan', 'batch_size', (0, -1, 2.5, 2**40)),
    ('gan', 'num_steps', (0, 2**31, 1e5)),
    ('gan', 'seed', (-1, 2**31)),
    ('gan', 'dtype', ('float16', 'float32 ')),
    ('gan', 'ema_decay', (1.0, -0.1, NAN)),
    ('gan', 'steps_per_call', (0, 10**9)),
    ('gan', 'profile', (1,)),
    ('gan', 'mesh.data', (0, -2)),
    ('gan', 'eval.features', ('clasifier', None)),
    ('gan', 'eval.best', ('fid',)),
    ('gan', 'eval.num_samples', (1,)),
    ('gan', 'eval.seed', (-1,)),
])
def test_a_value_out_of_range_is_refused_by_name(name, field, values):
  for value in values:
    config = CONFIGS[name].get_config()
    check_config(config)
    set_field(config, field, value)
    with pytest.raises(UserError) as error:
      check_config(config)
    given = functools.reduce(operator.getitem, field.split('.'), config)  # ml_collections makes a float of -5
    assert str(error.value).startswith(f'{field}={given!r}: '), (value, error.value)


@pytest.mark.parametrize('field, value, message', [
    ('generator.kernels', (3, 4, 3), r'^generator.kernels=\(3, 4, 3\) has 3 entries for 2 layers'),
    ('critic.padding', ('SAME',) * 3, r"^critic.padding=\('SAME', 'SAME', 'SAME'\) has 3 entries for 2 layers"),
    ('critic.strides', (2, 2, 2), r'^critic.strides=\(2, 2, 2\) has 3 entries for 2 layers'),
    ('generator.start', 6, r'^generator.start=6: it makes examples of the shape \(24, 24, 1\), the data have \(28, 28'),
    ('critic.padding', 'VALID', r"^critic.padding='VALID': a kernel of 16 does not fit into a map of \(7, 7\)"),
    ('critic.head', 'conv', r"^critic.head='conv': it needs a last map of \(1, 1\)"),
    ('critic.classify', True, '^critic.classify or critic.features=True: the critic of this game returns scores alone'),
])
def test_what_does_not_fit_together_is_named_with_its_player(field, value, message):
  config = shrink(dcgan.get_config())
  if value == 'VALID':
    config.critic.kernels = 16
  set_field(config, field, value)
  check_config(config)
  with pytest.raises(UserError, match=message):
    build(config, DIGITS)


@pytest.mark.parametrize('name, field, message', [
    ('infogan', 'num_continuous', '^recogniser.outputs=5: expected num_codes=3 and num_continuous=1 together'),
    ('bigan', 'z_dim', r'^encoder.outputs: a code has the shape \(5,\); expected \(1,\), of z_dim'),
])
def test_what_a_player_returns_is_of_the_size_that_the_algorithm_needs(name, field, message):
  config = tiny(name)
  config[field] = 1
  with pytest.raises(UserError, match=message):
    build(config, DIGITS)


def test_a_norm_that_leaves_nothing_is_refused():
  config = shrink(gan.get_config())
  config.critic.update({'hidden': (1,), 'norm': 'layer'})
  with pytest.raises(UserError, match="^critic.norm='layer': it subtracts the mean"):
    build(config, DIGITS)


@pytest.mark.parametrize('module, spec, batch_size, microbatches', [
    (cgan, DIGITS, 1, 1),
    (cgan, DIGITS, 4, 4),
    (pix2pix, PAIRS, 1, 1),
])
def test_batch_norm_wants_more_than_one_example(module, spec, batch_size, microbatches):
  config = shrink(module.get_config())
  config.update({'batch_size': batch_size, 'microbatches': microbatches})
  with pytest.raises(UserError, match=f'^batch_size={batch_size}.* has batch norm, .* at least two examples'):
    check_training(config, build(config, spec))
  config.batch_size *= 2
  check_training(config, build(config, spec))


def test_batch_norm_wants_more_than_one_pack():
  config = shrink(dcgan.get_config())
  config.batch_size = config.pack = 4
  with pytest.raises(UserError, match='^batch_size=4 and pack=4: the critic has batch norm'):
    check_training(config, build(config, Spec((28, 28, 1), 10)))
  config.pack = 2
  check_training(config, build(config, Spec((28, 28, 1), 10)))


class Spectral(nn.Module):
  """A critic whose spectral norm keeps what linen also calls batch_stats."""
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, image, label, *, train):
    return nn.SpectralNorm(nn.Dense(1))(image.reshape(len(image), -1), update_stats=train)[:, 0]


def test_other_norms_do_not():
  config = shrink(gan.get_config())
  config.batch_size = 1
  config.critic = {'network': f'{__name__}.Spectral', 'optimizer': base.adam()}
  config.generator.norm = 'layer'
  experiment = build(config, DIGITS)
  check_training(config, experiment)
  assert list_doubts(config, experiment) == []


def test_batch_norm_under_a_penalty_is_doubtful():
  config = shrink(wgan_gp.get_config('source'))  # as its source has it
  doubt, = list_doubts(config, build(config, DIGITS))
  assert 'the critic has batch norm under a penalty' in doubt
  config.critic.norm = 'instance'
  config.critic.norm_first = False
  assert list_doubts(config, build(config, DIGITS)) == []


def test_a_layer_that_mixes_examples_is_refused_under_a_penalty_of_norm_1():
  config = shrink(wgan_gp.get_config())
  config.critic.minibatch_stddev = 4
  with pytest.raises(UserError, match='critic.minibatch_stddev=4: .*; expected 0$'):  # it has no penalty.name
    check_training(config, build(config, DIGITS))
  config = shrink(gan.get_config())
  config.critic = base.dcgan_critic(hidden=(4,), minibatch_stddev=4)
  for name, is_refused in {'none': False, 'r1': False, 'r1_r2': False, 'dragan': True}.items():
    config.penalty.name = name
    refused = pytest.raises(UserError, match=r"=4: .*; expected 0, or penalty.name one of \('r1'")
    with refused if is_refused else contextlib.nullcontext():
      check_training(config, build(config, DIGITS))


def test_the_wasserstein_loss_without_a_bound_is_doubtful():
  config = shrink(gan.get_config())
  config.loss = 'wasserstein'
  doubt, = list_doubts(config, build(config, DIGITS))
  assert "loss='wasserstein'" in doubt
  for bound in ({'penalty': {'name': 'gradient_penalty'}}, {'critic': {'spectral': True}}):
    bounded = config.copy_and_resolve_references()
    bounded.update(bound)
    assert list_doubts(bounded, build(bounded, DIGITS)) == []


@dataclasses.dataclass(frozen=True)
class Group:
  share: float = 0.5


@dataclasses.dataclass(frozen=True)
class Fields:
  """Those of somebody's own algorithm."""
  count: int = 3
  rate: float = 1
  flag: bool = False
  name: str = 'x'
  widths: tuple[int, ...] = ()
  one_or_each: int | tuple[int, ...] = 3
  some: float | None = None
  bounded: Annotated[int, Whole(2, 4)] = 3
  other: Any = None
  group: Group = Group()


def test_a_plain_type_is_a_range_without_bounds():
  whole = Whole(most=None)
  ranges = declared_ranges(Fields)
  assert ranges == {
      'count': whole, 'rate': Number(), 'flag': Truth(), 'name': Text(), 'widths': Each(whole),
      'one_or_each': Either((whole, Each(whole))), 'some': Either((Number(), OneOf((None,)))), 'bounded': Whole(2, 4),
      'other': Anything(), 'group.share': Number()}
  assert ranges['count'].holds(-2**40) and not ranges['count'].holds(1.0) and not ranges['count'].holds(True)
  assert ranges['rate'].holds(-3) and not ranges['rate'].holds(NAN) and not ranges['rate'].holds('3')
  assert ranges['widths'].holds([1, 2]) and not ranges['widths'].holds('12')


@dataclasses.dataclass(frozen=True)
class ForTypeCheckers:
  items: 'Sized' = ()
  count: int = 3


def test_types_that_are_imported_for_type_checkers_alone_are_no_obstacle():
  assert declared_ranges(ForTypeCheckers)['count'] == Whole(most=None)


@pytest.mark.parametrize('range, text', [
    (Whole(1), 'a whole number of at least 1, below 2^31'),
    (Whole(1, 9, others=(-1,)), 'a whole number of at least 1, at most 9, or -1'),
    (Number(least=0, below=1), 'a finite number of at least 0, below 1'),
    (Number(), 'a finite number'),
    (Each(Whole(1, 9), 1), 'a tuple of at least 1, each a whole number of at least 1, at most 9'),
])
def test_a_range_says_what_it_expects(range, text):
  assert str(range) == text
