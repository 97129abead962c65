"""Whatever a field's value, a config is built and trains, or is refused by a UserError that names the field."""
import copy

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
import jax
import numpy as np
import pytest

from configs import acgan, cgan, dcgan, gan, wgan, wgan_gp
from gans.build import build, build_state, build_train_step
from gans.core import sharding
from gans.data.dataset import Spec
from gans.errors import UserError
from gans.ranges import Each, Either, Number, OneOf, Truth, Whole
from gans.training import health
from gans.validate import check_config, check_training, list_ranges
from tests.shrink import shrink
from tests.test_ranges import set_field
from tests.tiny import PLAYERS, tiny

DIGITS, PAIRS = Spec((8, 8, 1), 10), Spec((8, 8, 1), 2, paired=True)
JUNK = [None, True, False, '', 'x', 'tanh', 0, 1, -1, 2, 3, 10**12, -2**40, 0.0, -0.0, 0.5, 1.0, -1e-4, 1e-9, 1e30,
        float('nan'), float('inf'), -float('inf'), (), (0,), (1,), (3, 2), (2.5,), ('SAME',), [4, 4], {}, b'x']
SOON = ('configs.gan', 'configs.cgan')  # which compile soonest
# Changing these asks for another run, not for another value.
NAMES = ('algorithm', 'network', 'name', 'mesh.data')


def small(module):
  config = shrink(module.get_config())
  config.dataset.image_size = 8
  for player in ('generator', 'critic'):
    config[player].hidden = config[player].hidden[:2]
    if 'start' in config[player]:
      config[player].start = 4
      config[player].hidden = (4,)
  return config


CONFIGS = {module.__name__: small(module) for module in (gan, cgan, dcgan, wgan, wgan_gp, acgan)}
CONFIGS |= {name: tiny(name) for name in PLAYERS if name != 'gan_3d'}


def values_within(each):
  """Draws values from a range, of the size that a test can afford."""
  if isinstance(each, Whole):
    return st.integers(each.least or 0, (each.least or 0) + 4)
  if isinstance(each, Number):
    least = each.least if each.least is not None else each.above if each.above is not None else -1
    most = each.most if each.most is not None else each.below if each.below is not None else 3
    return st.floats(least, most, exclude_min=each.above is not None, exclude_max=each.below is not None)
  if isinstance(each, OneOf):
    return st.sampled_from(each.values)
  if isinstance(each, Truth):
    return st.booleans()
  if isinstance(each, Each):
    return st.lists(values_within(each.range), min_size=each.least, max_size=3).map(tuple)
  if isinstance(each, Either):
    return st.one_of(*map(values_within, each.ranges))
  return st.text(max_size=4)


@st.composite
def changes(draw, names=tuple(CONFIGS), num=2, junk=True):
  """Draws (name of a config, {field: value}): of each field within its range or, with `junk`, anywhere."""
  name = draw(st.sampled_from(names))
  ranges = list_ranges(CONFIGS[name])
  fields = [field for field in ranges if not field.endswith(NAMES) and not field.startswith('dataset.')]
  changed = {}
  for field in draw(st.lists(st.sampled_from(sorted(fields)), min_size=1, max_size=num, unique=True)):
    values = values_within(ranges[field])
    changed[field] = draw(st.one_of(values, st.sampled_from(JUNK)) if junk else values)
  return name, changed


def changed_config(name: str, changed: dict):
  config = copy.deepcopy(CONFIGS[name])
  for field, value in changed.items():
    set_field(config, field, value)
  return config


def build_or_refuse(name: str, changed: dict):
  """Returns the config and what is built of it, or None where a UserError names one of the fields."""
  config = changed_config(name, changed)
  try:
    check_config(config)
    sharding.make_mesh(config.batch_size, microbatches=config.microbatches)
    experiment = build(config, PAIRS if name in ('pix2pix', 'cyclegan') else DIGITS)
    check_training(config, experiment)
  except UserError as error:
    assert any(field.split('.')[-1] in str(error) for field in changed), (changed, error)
    return None
  for field, value in changed.items():
    assert list_ranges(config)[field].holds(value)
  return config, experiment


def train_or_refuse(name: str, changed: dict):
  """Takes a step, after which all is finite, or a UserError says what is not."""
  built = build_or_refuse(name, changed)
  if not built:
    return
  config, experiment = built
  state = build_state(config, experiment, sharding.make_mesh(1, jax.devices()[:1]))
  if config.num_seeds > 1:
    return
  rng = np.random.default_rng(0)
  shape = (experiment.algorithm.batches_per_step, config.batch_size)
  batch = {'image': rng.uniform(-1, 1, (*shape, *experiment.spec.shape)).astype(np.float32),
           'label': rng.integers(0, experiment.spec.num_classes, shape).astype(np.int32)}
  if experiment.algorithm.data != 'examples':
    batch = {'a': batch['image'], 'b': -batch['image']}
  after, metrics = jax.jit(build_train_step(config, experiment))(state, batch)
  try:
    health.check_finite(0, {metric: np.asarray(value)[None] for metric, value in metrics.items()}, 1, after)
  except UserError as error:
    assert 'diverged' in str(error)
    return
  assert int(after.step) == 1


def quiet(num: int, **options) -> settings:
  return settings(max_examples=num, deadline=None, database=None, suppress_health_check=list(HealthCheck), **options)


@quiet(40, derandomize=True)
@given(changes())
def test_any_value_is_built_or_refused_by_name(drawn):
  build_or_refuse(*drawn)


@quiet(3, derandomize=True)
@given(changes(SOON, num=4, junk=False))
def test_values_within_their_ranges_train(drawn):
  train_or_refuse(*drawn)


@pytest.mark.soak
@quiet(3000)
@given(changes(num=3))
def test_any_value_is_built_or_refused_by_name_at_length(drawn):
  build_or_refuse(*drawn)


@pytest.mark.soak
@quiet(200)
@given(changes(num=4, junk=False))
def test_values_within_their_ranges_train_at_length(drawn):
  train_or_refuse(*drawn)
