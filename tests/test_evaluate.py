"""Evaluation of runs: what is measured, how it is told, and that the best checkpoint stays."""
import json
import shutil

from etils import epath
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import pix2pix, wgan_gp, wgan_gp_toy
from gans.build import Experiment, build
from gans.core.sampling import noise
from gans.data.dataset import Dataset, Spec
from gans.data.sources import load_dataset
from gans.errors import UserError
from gans.evaluation import classifier, evaluator
from gans.evaluation.scores import Measured, compare_points, find_mixture_modes, find_stacked_modes
from gans.modes.evaluate import evaluate
from gans.modes.pack import pack_generator
from gans.runs import checkpoints
from gans.runs.evaluations import means_of
from gans.runs.opening import open_run
from gans.system.events import read_scalars
from gans.training import loop
from gans.training.loop import train
from tests.conftest import open_workdir
from tests.shrink import shrink


@pytest.fixture(scope='module', autouse=True)
def cache_home(tmp_path_factory):
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))
    yield


@pytest.fixture
def toy():
  config = shrink(wgan_gp_toy.get_config())
  config.eval_every, config.eval.num_samples = 3, 400
  return config


@pytest.fixture
def small_digits():
  config = shrink(wgan_gp.get_config())
  config.dataset.image_size, config.generator.start = 12, 3
  config.eval_every, config.eval.num_samples, config.eval.classifier_steps = 4, 300, 40
  config.generator.label_dim = 2
  return config


def game_on(dataset: Dataset) -> Experiment:
  """A game without labels on a data set, whatever the shape of its examples."""
  return build(shrink(wgan_gp_toy.get_config()), dataset.spec)


def draw_given(images, inputs):
  """Stands for a generator: its variables are the images that it draws."""
  return images[:len(inputs['z'])]


def records(workdir) -> list[dict]:
  return [json.loads(line) for line in (workdir / 'eval.jsonl').read_text().splitlines()]


def test_a_run_measures_itself_and_says_by_what(tmp_path, toy, capsys):
  train(toy, tmp_path / 'run')
  first, last = records(tmp_path / 'run')
  assert (first['step'], last['step']) == (3, 4)
  assert set(last['scores']) == {
      f'points/{name}' for name in ('modes', 'high_quality', 'reverse_kl', 'sliced_wasserstein')}
  assert (last['num_samples'], last['reference'], last['seed']) == (400, '400 of ring8, train', 0)
  distance, = last['scores']['points/sliced_wasserstein']
  assert 0 < distance < np.inf
  output = capsys.readouterr().out
  assert f'sliced_wasserstein {distance:.4g}' in output and '400 samples, 400 of ring8, train real' in output
  written = read_scalars(tmp_path / 'run' / 'events', lambda tag: tag.endswith('/sliced_wasserstein'))
  assert written['eval/points/sliced_wasserstein'] == pytest.approx(
      {r['step']: r['scores']['points/sliced_wasserstein'][0] for r in (first, last)})


def test_a_workdir_is_measured_as_the_run_measured_itself(tmp_path, toy, capsys):
  train(toy, tmp_path)
  before = records(tmp_path)
  found = evaluate(tmp_path, {})
  assert {step: each.scores for step, each in found.items()} == {r['step']: r['scores'] for r in before}
  assert records(tmp_path) == before  # in the place of the run's own
  evaluate(tmp_path, {'eval.seed': 1})
  assert [r['seed'] for r in records(tmp_path)] == [0, 0, 1, 1]
  assert records(tmp_path)[-1]['scores'] != before[-1]['scores']


def test_digits_are_measured_by_a_classifier_of_theirs_that_is_trained_once(tmp_path, small_digits, monkeypatch):
  train(small_digits, tmp_path / 'run')
  record, = records(tmp_path / 'run')
  names = {name.removeprefix('mnist_5k_classifier/') for name in record['scores']}
  assert {'frechet_distance', 'kernel_distance', 'precision', 'coverage', 'classifier_score'} <= names
  assert record['features'].startswith('a classifier of mnist_5k, ')
  assert 'right on 834 held-out images' in record['features']
  monkeypatch.setattr(classifier, 'fit', None)
  again, = evaluate(tmp_path / 'run', {}).values()
  assert again.scores == record['scores']


def test_real_images_score_better_than_noise(small_digits):
  digits = load_dataset(small_digits.dataset)
  experiment = build(small_digits, digits.spec)
  config = evaluator.settle(small_digits, digits, experiment)
  found = []
  for images in (digits.images[:300], np.random.default_rng(0).integers(0, 256, (300, 12, 12, 1), np.uint8)):
    measured = evaluator.make_evaluate(config, digits, experiment, draw_given)
    found.append(measured([images]).scores)
  real, noise = ({name.split('/')[1]: values[0] for name, values in each.items()} for each in found)
  assert real['frechet_distance'] < noise['frechet_distance'] / 3
  assert real['kernel_distance'] < noise['kernel_distance'] / 3
  assert all(real[name] > noise[name] for name in ('precision', 'density', 'coverage'))


def test_the_classifier_of_the_built_in_digits_ships(monkeypatch, tmp_path):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  monkeypatch.setattr(classifier, 'fit', None)
  config = wgan_gp.get_config()
  digits = load_dataset(config.dataset)
  fitted = classifier.fit_cached(digits, config.eval.classifier_steps)
  assert fitted.accuracy > 0.98 and fitted.held_out == 834
  _, probabilities = classifier.classify(fitted.variables, digits.images[::50], digits.spec)
  assert (probabilities.argmax(1) == digits.labels[::50]).mean() > 0.98
  assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(fitted.variables))


@pytest.mark.parametrize('shift', [0, 1])
def test_gan_train_is_what_samples_teach_about_real_images(small_digits, shift):
  """Samples are real images of the class that is asked for, or of the next one: which teaches what is always wrong."""
  small_digits.eval.gan_train, small_digits.eval.classifier_steps = True, 120
  digits = load_dataset(small_digits.dataset)
  experiment = build(small_digits, digits.spec)

  def draw(images, inputs):
    rows = [images[digits.labels == (label + shift) % 10] for label in inputs['label'].tolist()]
    return np.stack([row[i % len(row)] for i, row in enumerate(rows)])

  config = evaluator.settle(small_digits, digits, experiment)
  scores = evaluator.make_evaluate(config, digits, experiment, draw)([digits.images]).scores
  value, = scores['mnist_5k_classifier/gan_train']
  assert value < 0.1 if shift else value > 0.6, value


def test_samples_without_classes_teach_nothing(small_digits):
  small_digits.eval.gan_train, small_digits.generator.label_dim = True, 0
  digits = load_dataset(small_digits.dataset)
  with pytest.raises(UserError, match='eval.gan_train=True.*expected False'):
    evaluator.settle(small_digits, digits, build(small_digits, digits.spec))


def test_samples_are_of_the_noise_of_their_seed_and_come_in_bounded_pieces(toy):
  ring = load_dataset(toy.dataset)
  toy.eval.num_samples, toy.eval.seed = 1001, 3
  toy.z_dim = 8
  experiment = build(toy, ring.spec)
  drawn = []

  def draw(variables, inputs):
    drawn.append(np.asarray(inputs['z']))
    return draw_given(variables, inputs)

  config = evaluator.settle(toy, ring, experiment)
  evaluator.make_evaluate(config, ring, experiment, draw)([ring.images])
  assert max(map(len, drawn)) <= evaluator.CHUNK
  np.testing.assert_array_equal(np.concatenate(drawn), noise(jax.random.key(3), 1001, 8))


def test_a_broken_generator_is_not_measured(toy):
  ring = load_dataset(toy.dataset)
  experiment = build(toy, ring.spec)
  measured = evaluator.make_evaluate(evaluator.settle(toy, ring, experiment), ring, experiment, None)
  with pytest.raises(UserError, match='not finite'):
    measured([{'generator': {'params': {'kernel': jnp.array([1.0, jnp.nan])}}}])


def test_the_steps_before_an_evaluation_that_fails_are_saved(tmp_path, toy, monkeypatch):
  monkeypatch.setattr(loop.Reporter, 'scores', lambda *_: 1 / 0)
  with pytest.raises(ZeroDivisionError):
    train(toy, tmp_path)
  with open_run(tmp_path) as run:
    assert run.manager.all_steps() == [3]


def test_the_scores_of_several_seeds_stand_side_by_side(tmp_path, toy, capsys):
  toy.num_seeds = 2
  train(toy, tmp_path)
  both = records(tmp_path)[-1]['scores']['points/sliced_wasserstein']
  assert len(both) == 2 and both[0] != both[1]
  assert f'sliced_wasserstein {np.mean(both):.4g} +- {np.std(both, ddof=1):.2g}' in capsys.readouterr().out
  assert evaluate(tmp_path, {})[4].scores['points/sliced_wasserstein'] == both


def test_the_best_checkpoint_stays_beside_the_last(tmp_path):
  scores = dict(zip(range(10, 90, 10), (5.0, 1.0, 9.0, 2.0, 3.0, 4.0, 2.0, 2.0)))

  def find_best(steps):
    return min(steps, key=scores.get)

  with checkpoints.open_manager(epath.Path(tmp_path), find_best, keep=3) as manager:
    for step in scores:
      checkpoints.save(manager, step, {'w': jnp.zeros(3)})
  with checkpoints.open_manager(epath.Path(tmp_path)) as manager:
    assert manager.all_steps() == [20, 60, 70, 80]


def test_stacked_digits_are_looked_at_channel_by_channel(small_digits):
  small_digits.dataset.name, small_digits.eval.num_samples = 'stacked_mnist_5k', 500
  stacked = load_dataset(small_digits.dataset)
  experiment = build(small_digits, stacked.spec)
  config = evaluator.settle(small_digits, stacked, experiment)
  measured = evaluator.make_evaluate(config, stacked, experiment, draw_given)
  found = [{name: values[0] for name, values in measured([images]).scores.items()}
           for images in (stacked.images[:500], np.repeat(stacked.images[:1], 500, axis=0))]
  assert found[0]['mnist_5k_classifier/modes'] > 200 and found[1]['mnist_5k_classifier/modes'] == 1
  assert found[1]['mnist_5k_classifier/mode_kl'] == pytest.approx(np.log(1000))


def test_a_stacked_digit_is_the_mode_of_its_three():
  probabilities = np.eye(10)[np.array([[1, 2, 3], [1, 2, 3], [0, 0, 7]])]
  found = dict(find_stacked_modes(None, None, Measured(None, probabilities)))
  assert found['modes'] == 2
  assert found['mode_kl'] == pytest.approx(np.log(1000) + 2 / 3 * np.log(2 / 3) + 1 / 3 * np.log(1 / 3))


def images(size: int, classes: int, num: int = 200) -> Dataset:
  return Dataset(np.zeros((num, size, size, 1), np.uint8), np.zeros(num, np.int32), classes)


@pytest.mark.parametrize('fields, dataset, message', [
    ({'features': 'vgg'}, images(28, 10), r"eval.features='vgg': expected one of \['classifier', 'inception'"),
    ({'features': 'points'}, images(28, 10), "eval.features='points': mnist_5k has images; expected 'classifier' or"),
    ({'features': 'classifier'}, images(28, 0),
     r"mnist_5k has no labels; expected one of \['inception', 'lenet5_mnist'"),
    ({'features': 'classifier'}, Dataset(np.zeros((200, 8, 8, 8, 1), np.uint8), np.zeros(200, np.int32)),
     'mnist_5k has no labels; expected eval_every=0'),
    ({'features': 'inception'}, images(28, 0), "eval.features='inception' needs eval.weights"),
    ({'features': 'resnet20_cifar10'}, images(28, 10), 'mnist_5k has images of 28x28x1; expected 32x32x1 or 32x32x3'),
    ({'features': 'lenet5_mnist'}, images(28, 10), "'lenet5_mnist' needs eval.weights, a file: lenet.pth"),
    ({'weights': 'README.md'}, images(28, 0), 'eval.weights: README.md cannot be read as weights'),
    ({'best': 'fid'}, images(28, 10), r"eval.best='fid': expected one of \['classifier_score'"),
    ({'best': 'modes'}, images(28, 10), r"eval.best='modes': expected one of \['classifier_score'"),
    ({'features': 'classifier'}, images(28, 10, num=128), 'examples in mnist_5k=128: '),
    ({'num_samples': 100}, images(28, 10), 'eval.num_samples=100: '),
])
def test_what_cannot_be_measured_is_said_at_the_start(fields, dataset, message):
  config = wgan_gp.get_config()
  config.eval.update(fields)
  with pytest.raises(UserError, match=message):
    evaluator.settle(config, dataset, game_on(dataset))


def test_what_is_measured_follows_from_the_data():
  config = wgan_gp.get_config()

  def settle(dataset: Dataset):
    return evaluator.settle(config, dataset, game_on(dataset))

  settled = settle(images(28, 10))
  assert (settled.eval.features, settled.eval.best, settled.eval_every) == ('classifier', 'frechet_distance', 2000)
  assert settle(images(28, 0)).eval_every == 0
  assert settle(images(64, 10)).eval_every == 0
  assert settle(images(28, 10, num=128)).eval_every == 0
  settled = settle(Dataset(np.zeros((9, 2), np.float32), np.zeros(9, np.int32)))
  assert (settled.eval.features, settled.eval.best) == ('points', 'sliced_wasserstein')


def test_a_workdir_without_a_checkpoint_is_named(tmp_path, toy):
  with pytest.raises(UserError, match='neither the folder of a run'):
    evaluate(tmp_path, {})
  open_workdir(tmp_path / 'new', toy, Spec((2,)))
  with pytest.raises(UserError, match='has no checkpoint yet'):
    evaluate(tmp_path / 'new', {})
  assert not (tmp_path / 'new' / 'checkpoints').exists()


def test_a_damaged_checkpoint_is_left_out_by_name_and_stays_where_it_is(tmp_path, toy, capsys):
  toy.checkpoint_every, toy.eval_every = 2, 0
  train(toy, tmp_path)
  metadata = tmp_path / 'checkpoints' / '4' / '_CHECKPOINT_METADATA'
  metadata.write_text('')
  assert list(evaluate(tmp_path, {})) == [2] and metadata.exists()
  output = capsys.readouterr().out
  assert 'checkpoints/4 is damaged, its JSON files are not as they were written: it is left out' in output
  assert 'the best of the checkpoints is step 2: points/sliced_wasserstein ' in output
  (tmp_path / 'checkpoints' / '2' / '_CHECKPOINT_METADATA').unlink()
  with pytest.raises(UserError, match='checkpoints/2 is damaged, _CHECKPOINT_METADATA is missing\n.*checkpoints/4'):
    evaluate(tmp_path, {})


def test_an_altered_eval_file_is_refused_before_the_work(tmp_path, toy, monkeypatch):
  toy.eval_every = 0
  train(toy, tmp_path)
  (tmp_path / 'eval.jsonl').write_text('\n{"step": 3}\n')
  monkeypatch.setattr(evaluator, 'make_evaluate', None)
  with pytest.raises(UserError, match='eval.jsonl is not as it was written'):
    evaluate(tmp_path, {})


def test_points_of_the_data_themselves_have_all_modes(toy):
  ring = load_dataset(toy.dataset)
  real, fake = Measured(ring.images[:1000], None), Measured(ring.images[1000:2000], None)
  found = dict(compare_points(toy, real, fake)) | dict(find_mixture_modes(toy, real, fake))
  assert found['modes'] == 8 and found['high_quality'] > 0.98 and found['sliced_wasserstein'] < 0.1


def test_a_packed_model_is_measured_as_the_run_that_it_was_packed_from(digits_run, tmp_path, capsys):
  changes = {'eval.num_samples': 300, 'eval.classifier_steps': 40, 'eval.seed': 2}
  run = shutil.copytree(digits_run, tmp_path / 'run')
  packed = pack_generator(run, out=tmp_path / 'small')
  before = {path.name: path.read_bytes() for path in packed.iterdir()}
  (step, whole), = evaluate(run, changes).items()
  printed = capsys.readouterr().out
  (packed_step, small), = evaluate(packed, changes).items()
  assert step == packed_step == 4 and means_of(whole) == means_of(small)
  assert f'step {step}: frechet_distance ' in printed and f'step {step}: frechet_distance ' in capsys.readouterr().out
  for name, values in whole.scores.items():
    np.testing.assert_allclose(small.scores[name], values, rtol=0.05, atol=0.05, err_msg=name)
  assert {path.name: path.read_bytes() for path in packed.iterdir()} == before


def test_raw_weights_and_other_features_are_measured_and_other_classes_refused(digits_run, tmp_path):
  changes = {'eval.num_samples': 300, 'eval.classifier_steps': 40}
  packed = pack_generator(digits_run, weights='raw', out=tmp_path / 'small')
  record = json.loads((packed / 'config.json').read_text())
  for own, change in (({'best': 'modes'}, {'eval.features': 'classifier'}),  # which do not measure the run's best score
                      ({'best': 'gan_train', 'gan_train': True}, {'eval.gan_train': False})):
    record['config']['eval'].update(own)
    (packed / 'config.json').write_text(json.dumps(record))
    (evaluation,) = evaluate(packed, {**changes, **change}).values()
    assert 'mnist_5k_classifier/frechet_distance' in evaluation.scores
  record['data']['class_names'] = [*'123456789', '0']
  (packed / 'config.json').write_text(json.dumps(record))
  with pytest.raises(UserError, match=r"trained on other data(.|\n)*the classes \('1', .* there, \('0', "):
    evaluate(packed, {**changes, 'eval.best': ''})


def test_of_pairs_half_are_there_to_compare_with():
  config = shrink(pix2pix.get_config())
  dataset = load_dataset(config.dataset)
  few = np.r_[:100, 5000:5100]
  dataset = dataset._replace(images=dataset.images[few], labels=dataset.labels[few],
                             partners=np.roll(np.arange(200, dtype=np.int32), 100), checksums=None, names=())
  experiment = build(config, dataset.spec)
  assert not evaluator.settle(config, dataset, experiment).eval_every
  config.eval_every, config.eval.features = 4, 'classifier'
  with pytest.raises(UserError, match='examples in mnist_5k_edges=100: '):
    evaluator.settle(config, dataset, experiment)


def test_a_built_in_model_goes_by_its_name():
  with pytest.raises(UserError, match="eval.features='points': mnist_5k has images"):
    evaluate('dcgan_mnist_5k', {'eval.features': 'points', 'eval.best': ''})
