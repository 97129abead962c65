"""gans.load: a trained generator from a workdir alone, as a function."""
import importlib
import json
import pathlib
import re
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
import pytest
from sklearn.neighbors import KNeighborsClassifier

from configs import base, wgan_gp, wgan_gp_toy
import gans
from gans.core.game import variables_of
from gans.data.dataset import Spec
from gans.data.kinds import VOXELS, pixels_to_unit
from gans.data.sources import load_dataset
from gans.errors import UserError
from gans.evaluation.evaluator import Evaluation
from gans.modes.pack import pack_generator
from gans.runs import opening, packed, workdirs
from gans.runs.evaluations import append_scores
from gans.training.loop import train
from tests.conftest import ROOT, open_workdir, save_untrained
from tests.shrink import shrink


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))
    yield tmp_path_factory.mktemp('runs')


@pytest.fixture(scope='module')
def labelled(folder):
  """A run on a folder of images of two classes, which is gone when it has ended: (workdir, final state)."""
  images = np.random.default_rng(0).integers(0, 256, (2, 4, 8, 8), np.uint8)
  for label in (0, 1):
    (folder / 'data' / str(label)).mkdir(parents=True)
    for i, image in enumerate(images[label]):
      Image.fromarray(image).save(folder / 'data' / str(label) / f'{i}.png')
  config = shrink(wgan_gp.get_config())
  config.dataset = {**config.dataset, 'name': 'folder', 'path': str(folder / 'data'), 'image_size': 8}
  adam = base.adam(learning_rate=2e-3, schedule='linear')
  config.generator = {'network': 'mlp.Generator', 'hidden': (8,), 'norm': 'batch', 'label_dim': 2, 'optimizer': adam}
  config.critic = {'network': 'mlp.Critic', 'hidden': (8,), 'norm': 'layer', 'label_dim': 1, 'optimizer': adam}
  config.checkpoint_every = 2
  state = train(config, folder / 'labelled')
  shutil.rmtree(folder / 'data')
  shutil.rmtree(folder / 'labelled' / 'events')
  return folder / 'labelled', state


@pytest.fixture(scope='module')
def points(folder):
  """A run of two seeds on 2-D points, of whose checkpoints step 20 has the best score: (workdir, state)."""
  config = shrink(wgan_gp_toy.get_config())
  config.num_seeds, config.seed = 2, 5
  state = save_untrained(folder / 'points', config, Spec((2,)), 10, 20, 30, 40)
  for step, distance in ((10, 5.0), (20, 1.0), (40, 9.0)):
    score = {'points/sliced_wasserstein': [distance, distance]}
    append_scores(folder / 'points' / 'eval.jsonl', step, Evaluation(score, 'points', '200 of ring8', 200, 0))
  return folder / 'points', state


@pytest.fixture(scope='module')
def generate(labelled):
  return gans.load(labelled[0])


def listing(path) -> dict:
  return {str(file): file.stat().st_mtime_ns for file in pathlib.Path(path).rglob('*')}


def equal(one, other):
  jax.tree.map(np.testing.assert_array_equal, one, other)


def test_a_workdir_is_enough_and_stays_as_it_is(labelled):
  before = listing(labelled[0])
  generate = gans.load(str(labelled[0]))
  assert (generate.z_dim, generate.image_shape, generate.num_classes, generate.step) == (8, (8, 8, 1), 2, 4)
  images = generate(jax.random.key(0), 5, [0, 1, 0, 1, 1])
  assert images.shape == (5, 8, 8, 1) and images.dtype == jnp.float32
  assert 0 < abs(images).max() <= 1
  assert listing(labelled[0]) == before


def test_its_weights_are_the_runs(labelled, generate):
  path, state = labelled
  equal(generate.variables, state.ema)
  raw = gans.load(path, weights='raw')
  equal(raw.variables, {'generator': variables_of(state.players['generator'])})
  earlier = gans.load(path, checkpoint=2)
  assert earlier.step == 2 and gans.load(path, 'latest').step == 4
  key = jax.random.key(0)
  for other in (raw, earlier):
    assert abs(other(key, 3, 0) - generate(key, 3, 0)).max() > 1e-4


def test_the_key_alone_decides(generate):
  draw = lambda seed: generate(jax.random.key(seed), 4, 1)
  np.testing.assert_array_equal(draw(0), draw(0))
  assert abs(draw(0) - draw(1)).max() > 1e-3
  np.testing.assert_array_equal(generate(jax.random.PRNGKey(0), 4, 1), draw(0))


def test_it_works_inside_jit_vmap_and_grad(generate):
  keys, labels = jax.random.split(jax.random.key(1), 2), jnp.array([0, 1, 1])
  eager = np.stack([generate(key, 3, labels) for key in keys])
  inside = jax.jit(jax.vmap(lambda key, labels: generate(key, 3, labels), in_axes=(0, None)))(keys, labels)
  np.testing.assert_allclose(inside, eager, atol=1e-6)
  np.testing.assert_allclose(jax.jit(lambda key: generate(key, 3, [0, 1, 1]))(keys[0]), eager[0], atol=1e-6)
  z = generate.latents(keys[0], 3)
  np.testing.assert_array_equal(generate.from_latents(z, labels), eager[0])
  loss = lambda z: jnp.sum(generate.from_latents(z, labels) ** 2)
  direction = jax.random.normal(keys[1], z.shape)
  slope = float(loss(z + 1e-2 * direction) - loss(z - 1e-2 * direction)) / 2e-2
  assert abs(slope) > 1e-3
  assert float(jnp.vdot(jax.jit(jax.grad(loss))(z), direction)) == pytest.approx(slope, rel=0.02)


def test_labels_not_given_are_drawn_evenly(generate):
  key, num = jax.random.key(2), 400
  images, z = generate(key, num), generate.latents(key, num)
  zeros, ones = ((images == generate.from_latents(z, label)).all((1, 2, 3)) for label in (0, 1))
  assert (zeros ^ ones).all() and 150 < ones.sum() < 250


def test_truncated_noise_stays_within(generate):
  key = jax.random.key(3)
  z = generate.latents(key, 1000, truncation=0.5)
  assert abs(z).max() <= 0.5 and z.std() == pytest.approx(0.2828, abs=0.01)  # of a normal cut off at 0.5
  np.testing.assert_array_equal(generate.latents(key, 4, truncation=0), generate.latents(key, 4))
  np.testing.assert_array_equal(generate(key, 4, 0, truncation=0.5),
                                generate.from_latents(generate.latents(key, 4, truncation=0.5), 0))


@pytest.mark.parametrize('arguments, message', [
    ((4, [0, 1, 2, 1]), 'labels: there is 2 among them; expected 4 whole numbers from 0 to 1, or one for all'),
    ((4, -1), 'labels: there is -1 among them'),
    ((4, [0, 1]), r'labels=\[0 1\] of type int64 and shape \(2,\): expected 4 whole numbers'),
    ((4, 0.5), 'labels=0.5 of type float64'),
    ((0, 1), 'n=0: expected a whole number of at least 1'),
    ((4, 1, -2.0), 'truncation=-2.0: expected a number above 0'),
])
def test_what_cannot_be_drawn_is_named(generate, arguments, message):
  with pytest.raises(UserError, match=message):
    generate(jax.random.key(0), *arguments)


def test_noise_of_another_size_or_without_labels_is_named(generate):
  with pytest.raises(UserError, match=r'z of shape \(2, 3\): expected \(n, 8\)'):
    generate.from_latents(jnp.zeros((2, 3)), 0)
  with pytest.raises(UserError, match='labels=None'):
    generate.from_latents(jnp.zeros((2, 8)))


def test_points_and_seeds(points):
  path, state = points
  generate = gans.load(path, 'latest')
  assert generate.training_seed == 5 and generate(jax.random.key(0), 7).shape == (7, 2)
  equal(generate.variables, jax.tree.map(lambda leaf: leaf[0], state.ema))
  equal(gans.load(path, 'latest', training_seed=6).variables, jax.tree.map(lambda leaf: leaf[1], state.ema))
  with pytest.raises(UserError, match=r'training_seed=7: .* was trained with the seeds \[5, 6\]'):
    gans.load(path, training_seed=7)
  with pytest.raises(UserError, match='labels=3: this model was trained without labels'):
    generate(jax.random.key(0), 1, 3)


def test_the_best_is_by_the_runs_score_or_else_the_latest(points, labelled):
  assert gans.load(points[0]).step == 20 and gans.load(points[0], 'latest').step == 40
  assert gans.load(points[0], '30').step == 30
  assert gans.load(labelled[0]).step == 4  # never measured


def test_the_package_itself_is_light():
  code = 'import sys, gans; sys.exit("jax" in sys.modules)'
  assert subprocess.run([sys.executable, '-c', code], cwd=ROOT).returncode == 0


@pytest.mark.parametrize('choice, message', [
    ({'checkpoint': 3}, r"checkpoint=3: .*checkpoints has the steps \[2, 4\]; expected one of them, 'best'"),
    ({'checkpoint': 'newest'}, r"checkpoint='newest': .* has the steps \[2, 4\]"),
    ({'weights': 'mean'}, r"weights='mean': expected one of \('ema', 'raw'\)"),
])
def test_what_a_run_has_not_is_named(labelled, choice, message):
  with pytest.raises(UserError, match=message):
    gans.load(labelled[0], **choice)


def test_what_is_no_run_is_named(tmp_path, config):
  for source in (tmp_path, tmp_path / 'nowhere', 'wgan_gp_mnits'):
    with pytest.raises(UserError, match=f'{source} is neither the folder of a run.* built-in model.*dcgan_mnist_5k'):
      gans.load(source)
  open_workdir(tmp_path / 'new', config, Spec((28, 28, 1), 10))
  with pytest.raises(UserError, match='has no checkpoint yet'):
    gans.load(tmp_path / 'new')


def test_a_path_may_be_relative(tmp_path, config, monkeypatch):
  monkeypatch.chdir(tmp_path)
  save_untrained('run', config, Spec((28, 28, 1), 10), 4)
  assert gans.load('run').step == 4 and (tmp_path / 'run' / 'checkpoints' / '4').is_dir()


@pytest.mark.parametrize('field, value, message', [
    ('num_steps', None, 'copy/config.json: num_steps is missing from the config'),
    ('generator', None, 'copy/config.json: generator is missing from the config'),
    ('z_dim', None, 'copy/config.json: z_dim is missing from the config'),
    ('generator', 'big', "copy/config.json: generator='big': expected a group of fields"),
    ('batch_size', 'big', "copy/config.json: batch_size='big': expected a whole number"),
])
def test_a_config_that_was_changed_by_hand_is_named(labelled, tmp_path, field, value, message):
  copy = shutil.copytree(labelled[0], tmp_path / 'copy')
  record = json.loads((copy / 'config.json').read_text())
  record['config'] |= {field: value}
  if value is None:
    del record['config'][field]
  (copy / 'config.json').write_text(json.dumps(record))
  with pytest.raises(UserError, match=message):
    gans.load(copy)


def test_a_workdir_of_an_earlier_version_is_asked_for_its_data(capsys):
  generate = gans.load(ROOT / 'tests' / 'workdirs' / 'layout_2')
  assert generate.image_shape == (2,) and generate.step == 3
  assert 'by an earlier version' in capsys.readouterr().out


def test_a_packed_generator_is_the_same_within_rounding(labelled, generate, tmp_path, capsys):
  target = pack_generator(labelled[0], out=tmp_path / 'small', checkpoint=4)
  assert sorted(file.name for file in target.iterdir()) == ['config.json', 'generator.npz']
  small = gans.load(target)
  assert (small.step, small.spec, small.z_dim, small.training_seed) == (4, generate.spec, 8, 0)
  key = jax.random.key(0)
  assert abs(small(key, 50) - generate(key, 50)).max() < 1 / 255
  for choice, message in (({'checkpoint': 2}, r"checkpoint='2': .* expected one of \['best', 'latest', '4'\]"),
                          ({'weights': 'raw'}, "weights='raw': .* is packed"),
                          ({'training_seed': 1}, 'training_seed=1: .* is packed')):
    with pytest.raises(UserError, match=message):
      gans.load(target, **choice)
  with pytest.raises(UserError, match='small exists; give another name'):
    pack_generator(labelled[0], out=target)
  whole = (target / packed.NAME).read_bytes()
  needed = whole.index(b'PK\x01\x02') + 6  # the version of zip that the first array needs, of which there is no 17.3
  for damaged in (whole[:-100], whole[:needed] + bytes([173]) + whole[needed + 1:]):
    (target / packed.NAME).write_bytes(damaged)
    with pytest.raises(UserError, match='small is no packed generator, or is damaged'):
      gans.load(target)


def test_large_matrices_are_rounded_by_column():
  values = np.random.default_rng(0).normal(size=(1024, 300)).astype(np.float32) * np.geomspace(1e-6, 1e3, 300)
  values[:, 7] = 0
  kept = packed.shrink('kernel', values.astype(np.float32))
  assert kept['kernel'].dtype == np.int8
  error = abs(kept['kernel'] * kept['kernel' + packed.SCALE] - values)
  assert (error <= abs(values).max(0) / 127 * 0.5001).all()
  assert packed.shrink('bias', values[0])['bias'].dtype == values.dtype


def test_a_packed_generator_has_no_checkpoints_to_resume_or_to_open():
  folder = ROOT / 'gans' / 'zoo' / 'wgan_gp_mnist_5k'
  with pytest.raises(UserError, match='wgan_gp_mnist_5k is a packed generator, which cannot be trained'):
    workdirs.check_workdir(folder, workdirs.read_config(folder))
  with pytest.raises(UserError, match='is a packed generator, without checkpoints'), opening.open_run(folder):
    pass


def models() -> list[str]:
  return sorted(path.parent.name for path in (ROOT / 'gans' / 'zoo').glob('*/config.json'))


def command_of(name: str) -> str:
  """The command under a built-in model's name in gans/zoo/README.md, in a line."""
  section = (ROOT / 'gans' / 'zoo' / 'README.md').read_text().split(f'## {name}\n')[1]
  return section.split('```')[1].replace('\\\n', ' ')


LARGER = ('r3gan_mnist_5k', 'wgan_gp_mnist', 'wgan_gp_mnist_5k')  # of 2.2 million parameters, a byte each


@pytest.mark.parametrize('name', models())
def test_a_built_in_model_is_small_and_of_the_command_beside_it(name):
  folder = ROOT / 'gans' / 'zoo' / name
  largest = 2_200_000 if name in LARGER else 2_000_000
  assert sum(file.stat().st_size for file in folder.iterdir()) < largest
  module = re.search(r'--config=configs/(\w+)\.py ', command_of(name))[1]
  changes = dict(re.findall(r'--config\.([\w.]+)=(\S+)', command_of(name)))
  committed = importlib.import_module(f'configs.{module}').get_config().to_dict()
  kept = workdirs.read_config(folder).to_dict()
  found = workdirs.differences(workdirs.fill_defaults(committed), workdirs.fill_defaults(kept))
  alters = lambda field: field not in workdirs.MAY_CHANGE and not field.startswith('eval.')
  assert {field: str(value) for field, (_, value) in found.items() if alters(field)} == {
      field: value for field, value in changes.items() if alters(field)}
  assert kept['eval']['weights'] == kept['dataset']['path'] == kept['dataset']['data_dir'] == ''  # of one machine


@pytest.mark.parametrize('name', models())
def test_a_built_in_model_draws_digits(name, real, digits):
  """A nearest neighbour among real digits sees all classes, and the labels where there are some."""
  generate = gans.load(name)
  labels = np.arange(200) % 10 if generate.num_classes else None
  if generate.translates:
    images = generate.translate(pixels_to_unit(real.images[::25]), labels)
  else:
    images = generate(jax.random.key(0), 200, labels)
  if generate.spec.kind is VOXELS:
    images = seen_from_the_front(images)
  found = digits.predict(np.asarray(images).reshape(200, -1))
  assert len(set(found)) >= 8
  if generate.algorithm.classes:  # the labels are codes, some of which share a class
    assert max((found[labels == code] == digit).mean() for code in range(10) for digit in range(10)) > 0.8
  elif labels is not None:
    assert (found == labels).mean() > 0.8


def seen_from_the_front(voxels):
  """[N,24,24,24,1] -> [N,28,28]: the outlines, with the size and the margins of MNIST."""
  outlines = np.asarray(voxels).max(axis=2)[..., 0]
  pictures = np.flip(outlines.swapaxes(1, 2), axis=1)
  return np.pad(pictures, ((0, 0), (2, 2), (2, 2)), constant_values=-1)


@pytest.fixture(scope='module')
def real():
  return load_dataset(wgan_gp.get_config().dataset)


@pytest.fixture(scope='module')
def digits(real):
  return KNeighborsClassifier(1).fit(pixels_to_unit(real.images).reshape(len(real.images), -1), real.labels)
