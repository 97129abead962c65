"""Scores of codes, translations, reconstructions and voxels: by hand, and of tiny generators through an evaluation."""
import json

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
import pytest

from configs import base
import gans
from gans.build import build, build_state
from gans.core.sampling import make_sampler
from gans.core.sharding import make_mesh
from gans.data.dataset import Spec
from gans.data.sources import load_dataset
from gans.errors import UserError
from gans.evaluation import evaluator, reconstructions, scores
from gans.evaluation.requests import make_request
from gans.modes import interpolate
from gans.training.loop import train
from tests.shrink import shrink
from tests.tiny import tiny

NAMES = ('Male', 'Young')
PAIRS = 'mnist_5k_inverted'


@pytest.fixture(scope='module', autouse=True)
def cache_home(tmp_path_factory):
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))
    patch.setattr(reconstructions, 'NUM', 100)
    yield


def found(judge, config=None, real=None, **measured) -> dict:
  """Returns {score: value} of samples of which this is known."""
  features = np.zeros((1, 1))  # which these scores do not read
  return dict(judge(config, real, scores.Measured(**{'features': features, 'probabilities': None} | measured)))


# By hand


def said(classes, num_classes: int) -> np.ndarray:
  """The probabilities of a classifier that is fairly sure."""
  return 0.9 * np.eye(num_classes)[classes] + 0.1 / num_classes


def test_codes_that_are_permuted_classes_agree():
  code = np.arange(40) % 10
  permuted = np.array([3, 7, 1, 0, 9, 2, 8, 4, 5, 6])
  assert found(scores.judge_codes, probabilities=said(permuted[code], 10), condition=code) == {'code_agreement': 1}


def test_no_two_codes_stand_for_one_class():
  code = np.repeat([0, 1], 10)
  assert found(scores.judge_codes, probabilities=said(np.zeros(20, int), 10), condition=code) == {'code_agreement': 0.5}


def test_the_codes_stand_for_the_classes_that_suit_all_of_them_best():
  """Code 0 is class 0 six times of ten, but code 1 is so nine times, and code 0 class 1 in the other four."""
  code = np.repeat([0, 1], 10)
  classes = np.array([0] * 6 + [1] * 4 + [0] * 9 + [2])
  value = found(scores.judge_codes, probabilities=said(classes, 3), condition=code)['code_agreement']
  assert value == (4 + 9) / 20


@pytest.mark.parametrize('num_codes', [2, 5])
def test_there_may_be_fewer_codes_than_classes_or_more(num_codes):
  code = np.arange(30) % num_codes
  value = found(scores.judge_codes, probabilities=said(code % 3, 3), condition=code)['code_agreement']
  assert value == pytest.approx(min(num_codes, 3) / num_codes)


def test_class_accuracy_is_told_for_each_target():
  values = found(scores.judge_conditions, probabilities=said([0, 0, 1, 5], 10), condition=np.array([0, 0, 1, 1]))
  assert values == {'class_accuracy': 0.75, 'class_accuracy_0': 1, 'class_accuracy_1': 0.5}


def test_the_distance_within_each_class_does_not_see_the_others():
  features = np.random.default_rng(0).normal(size=(40, 3))
  label = np.arange(40) % 2
  shift = np.where(label == 1, 3, 0)[:, None] * [1, 0, 0]
  real = scores.Measured(features, None, condition=label)
  values = found(scores.compare_each_class, real=real, features=features + shift, condition=label)
  assert values == pytest.approx({
      'intra_class_distance': 4.5, 'intra_class_distance_0': 0, 'intra_class_distance_1': 9}, abs=1e-6)
  swapped = found(scores.compare_each_class, real=real, features=features, condition=1 - label)
  assert swapped['intra_class_distance'] > 0.01  # though all features are there


def test_nothing_is_said_of_classes_of_too_few_samples():
  label = np.array([0, 0, 0, 0, 1, 1, 1])
  real = scores.Measured(np.eye(7)[:, :3], None, condition=label)
  assert not found(scores.compare_each_class, real=real, features=real.features, condition=label)


def test_attribute_accuracy_is_told_for_each_attribute():
  config = tiny('stargan')
  config.dataset.attributes = NAMES
  probabilities = np.array([[0.9, 0.1], [0.6, 0.7], [0.2, 0.6], [0.1, 0.4]])
  values = found(scores.judge_attributes, config, probabilities=probabilities,
                 condition=np.array([[1, 0], [1, 1], [1, 0], [0, 0]], np.float32))
  assert values == {'attribute_accuracy': 6 / 8, 'attribute_accuracy_Male': 0.75, 'attribute_accuracy_Young': 0.75}


def test_errors_are_shares_of_a_pixels_range():
  ones = np.ones((2, 4, 4, 1), np.uint8)
  assert found(scores.judge_translations, examples=0 * ones, expected=255 * ones) == {'pair_error': 1}
  values = found(scores.judge_reconstructions, reconstructed=(200 * ones, 149 * ones))
  assert values == {'reconstruction_error': pytest.approx(0.2)}  # 51 of 255, either way
  assert found(scores.judge_reconstructions, reconstructed=(149 * ones, 200 * ones)) == values
  voxels = np.ones((2, 4, 4, 4, 1), np.uint8)
  assert found(scores.judge_reconstructions, reconstructed=(voxels, 0 * voxels)) == {'reconstruction_error': 1}
  points = np.array([[0.9, -0.9], [0.1, 0.2]], np.float32)  # which have a unit of their own
  assert found(scores.judge_reconstructions, reconstructed=(points, -points)) == {
      'reconstruction_error': pytest.approx(1.05)}
  assert found(scores.judge_reconstructed_classes, kept=np.array([True, False, True, True])) == {
      'reconstruction_class_kept': 0.75}


def test_voxels_are_counted_beside_real_ones():
  half, ends = np.zeros((2, 4, 4, 4, 1), np.uint8), np.zeros((2, 4, 4, 4, 1), np.uint8)
  half[:, :2] = 1
  ends[0, [0, 3]] = 1
  ends[1, 0] = 1
  real = scores.Measured(np.zeros((2, 1)), None, examples=ends, training=ends)
  assert found(scores.compare_voxels, real=real, examples=half) == {
      'occupied': 1 / 2, 'occupied_real': 3 / 8, 'components': 1, 'components_real': 1.5,
      'nearest_iou': 1 / 2, 'nearest_iou_real': 1 / 2}  # one slice of two is the same


def test_a_copy_of_a_training_shape_is_found_wherever_it_lies():
  training = np.stack([make_blob(seed) for seed in range(5)])
  measured = scores.Measured(np.zeros((2, 1)), None, examples=training[:2], training=training)
  assert found(scores.compare_voxels, real=measured, examples=training[3:])['nearest_iou'] == 1


def make_blob(seed: int) -> np.ndarray:
  """Random voxels [4,4,4,1]."""
  return np.random.default_rng(seed).integers(0, 2, (4, 4, 4, 1), np.uint8)


# Through an evaluation


def tiny_evaluation(name: str):
  """Returns (config, data set, experiment) of a tiny config that is to be evaluated."""
  config = tiny(name)
  config.eval_every = 4
  if name in ('cyclegan', 'pix2pix'):
    config.dataset.name = PAIRS  # one classifier serves all
  config.eval.update({'num_samples': 150, 'classifier_steps': 2})
  dataset = load_dataset(config.dataset)
  return config, dataset, build(config, dataset.spec)


def evaluate_start(config, dataset, experiment) -> dict:
  """Evaluates a generator that has learnt nothing yet: {score: value}."""
  config = evaluator.settle(config, dataset, experiment)
  sample = make_sampler(experiment.algorithm, experiment.modules, dataset.spec.kind.encode)
  state = build_state(config, experiment, make_mesh(1, jax.local_devices()[:1]))
  values = evaluator.make_evaluate(config, dataset, experiment, sample)([state.ema]).scores
  assert values.keys() and all(name.startswith(f'{config.dataset.name}_classifier/') for name in values)
  assert scores.directions(config, experiment).keys() <= {name.split('/')[1] for name in values}
  return {name.split('/')[1]: value for name, (value,) in values.items()}


OF_IMAGES = {'frechet_distance', 'kernel_distance', 'kernel_distance_std', 'precision', 'recall', 'density', 'coverage'}
OF_CLASSES = {'classifier_score', 'classifier_score_std'}


def of_targets(num: int) -> set[str]:
  return {'class_accuracy', *(f'class_accuracy_{i}' for i in range(num))}


@pytest.mark.parametrize('name, own', [
    ('stargan', {'reconstruction_error', *of_targets(10)}),
    ('cyclegan', {'reconstruction_error', 'pair_error', *of_targets(2)}),  # of digits whose counterparts are known
    ('pix2pix', {'pair_error'}),
    ('infogan', {'code_agreement'}),
    ('bigan', {'reconstruction_error', 'reconstruction_class_kept'}),
    ('gan_3d', {f'{score}{of}' for score in ('occupied', 'components', 'nearest_iou') for of in ('', '_real')})])
def test_each_has_its_scores(name, own):
  values = evaluate_start(*tiny_evaluation(name))
  assert values.keys() == OF_IMAGES | OF_CLASSES | own
  assert all(np.isfinite(value) for value in values.values())
  for score in own - {'components', 'components_real'}:
    assert 0 <= values[score] <= 1, score


def leave(play, inputs):
  """Draws the images that are to be translated, as they are."""
  del play
  return inputs['image']


def test_images_that_are_left_as_they_are_have_the_errors_of_the_data():
  config, dataset, experiment = tiny_evaluation('pix2pix')
  algorithm = experiment.algorithm._replace(draw=leave)
  values = evaluate_start(config, dataset, experiment._replace(algorithm=algorithm))
  request = make_request(config, dataset, experiment)
  a, b = (dataset.images[positions].astype(int) for positions in (request.sources, dataset.partners[request.sources]))
  assert values['pair_error'] == pytest.approx(np.abs(a - b).mean() / 255)


def test_what_is_exactly_right_has_no_error():
  """Inverted digits: translated by a change of sign, there and back."""
  config, dataset, experiment = tiny_evaluation('cyclegan')
  algorithm = experiment.algorithm._replace(
      draw=lambda play, inputs: -inputs['image'],
      reconstruct=lambda play, batch: (jnp.concatenate([batch['a'], batch['b']]),) * 2)
  values = evaluate_start(config, dataset, experiment._replace(algorithm=algorithm))
  assert values['pair_error'] == values['reconstruction_error'] == 0


def test_a_translation_to_its_own_domain_is_compared_with_the_image_itself():
  """StarGAN may be asked for either class of a data set of pairs."""
  config, _, _ = tiny_evaluation('stargan')
  config.dataset.name = PAIRS
  dataset = load_dataset(config.dataset)
  experiment = build(config, dataset.spec)

  def draw(play, inputs):  # dark pictures are of class 0
    is_inverted = inputs['image'].mean((1, 2, 3)) > 0
    sign = jnp.where(is_inverted == (inputs['label'] == 1), 1, -1)
    return sign[:, None, None, None] * inputs['image']

  algorithm = experiment.algorithm._replace(draw=draw)
  values = evaluate_start(config, dataset, experiment._replace(algorithm=algorithm))
  assert values['pair_error'] == 0


# What is asked for


def request_of(name: str):
  config, dataset, experiment = tiny_evaluation(name)
  return dataset, make_request(config, dataset, experiment)


def test_each_domain_is_translated_to_the_other():
  dataset, request = request_of('cyclegan')
  assert len(request.condition) == len(request.sources) == 150
  np.testing.assert_array_equal(request.condition, 1 - dataset.labels[request.sources])
  assert set(request.condition) == {0, 1}
  inputs = request.inputs(slice(10, 30))
  np.testing.assert_array_equal(inputs['label'], request.condition[10:30])
  np.testing.assert_allclose(inputs['image'], dataset.images[request.sources[10:30]] / 127.5 - 1, atol=1e-6)


def test_pairs_are_translated_from_the_first_class_and_compared_with_the_second():
  dataset, request = request_of('pix2pix')
  assert (dataset.labels[request.sources] == 0).all() and (dataset.labels[request.real] == 1).all()
  assert request.inputs(slice(0, 5)).keys() == {'image'}


def test_any_class_is_the_target_of_a_translation():
  _, request = request_of('stargan')
  assert set(request.condition) == set(range(10))


def test_codes_are_asked_for_equally_often():
  _, request = request_of('infogan')
  np.testing.assert_array_equal(np.bincount(request.condition), [50, 50, 50])
  np.testing.assert_array_equal(request.inputs(slice(3, 9))['label'], request.condition[3:9])


def save_faces(path, num: int = 140):
  rng = np.random.default_rng(0)
  path.mkdir()
  lines = [','.join(('file', *NAMES))]
  for i in range(num):
    Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(path / f'{i}.png')
    lines.append(f'{i}.png,{i % 2},{int(i % 3 == 0)}')
  (path / 'attributes.csv').write_text('\n'.join(lines))
  return str(path)


def test_samples_with_attributes_have_no_class_whatever_the_features():
  config, spec = tiny('stargan'), Spec((8, 8, 3), attributes=NAMES)
  for features in ('classifier', 'squeezenet_imagenet'):
    config.eval.features = features
    experiment = build(config, spec)
    assert not scores.has_conditions(config, experiment) and not scores.teaches(config, experiment)
    assert 'intra_class_distance' not in scores.directions(config, experiment)


def test_a_run_on_attributes_is_evaluated_by_each_and_keeps_the_best(tmp_path):
  config = tiny('stargan')
  config.dataset.update({'name': 'folder', 'path': save_faces(tmp_path / 'images'), 'attributes': NAMES})
  config.update({'eval_every': 4})
  config.eval.update({'num_samples': 150, 'classifier_steps': 2, 'best': 'attribute_accuracy'})
  train(config, tmp_path / 'run')
  record, = [json.loads(line) for line in (tmp_path / 'run' / 'eval.jsonl').read_text().splitlines()]
  names = {name.split('/')[1] for name in record['scores']}
  assert names == OF_IMAGES | {'reconstruction_error', 'attribute_accuracy', 'attribute_accuracy_Male',
                               'attribute_accuracy_Young'}
  assert record['features'].startswith('a classifier of Male, Young in folder, ')


def test_samples_from_noise_are_asked_for_attributes_and_go_from_one_to_the_next(tmp_path):
  config = base.get_config('tests.attribute_gan')
  config.generator = base.mlp_generator(hidden=(8,), label_dim=3, init_stddev=1.0)
  config.critic = base.mlp_critic(hidden=(8,), label_dim=3)
  config = shrink(config)
  config.dataset.update({'name': 'folder', 'path': save_faces(tmp_path / 'images'), 'attributes': NAMES})
  config.update({'eval_every': 4})
  config.eval.update({'features': 'classifier', 'num_samples': 150, 'classifier_steps': 2})
  train(config, tmp_path / 'run')
  record, = [json.loads(line) for line in (tmp_path / 'run' / 'eval.jsonl').read_text().splitlines()]
  assert {'folder_classifier/attribute_accuracy_Male', 'folder_classifier/frechet_distance'} <= set(record['scores'])
  generate = gans.load(tmp_path / 'run')
  inputs = interpolate.choose_inputs(tmp_path / 'run', generate, 2, seed=0, label=0)
  there, _ = interpolate.through_classes(generate, inputs, np.array([0, 1]))
  same_noise = inputs | {'z': np.asarray(inputs['z'])[[0, 0]], 'attributes': np.eye(2, dtype=np.float32)}
  np.testing.assert_array_equal(there[[0, -1]], np.asarray(generate.draw(same_noise)))
  assert (there[0] != there[-1]).any()


@pytest.mark.parametrize('num, shown', [(40, 42), (41, 2)])
def test_scores_of_each_of_many_classes_are_not_shown(num, shown):
  names = ['c/recall', 'c/class_accuracy', *(f'c/class_accuracy_{label}' for label in range(num))]
  assert len(scores.without_many(names)) == shown


# Which names eval.best may have


def best_of(name: str, best: str):
  config, dataset, experiment = tiny_evaluation(name)
  config.eval.best = best
  settled = evaluator.settle(config, dataset, experiment)
  return settled.eval.best, evaluator.directions(settled, experiment)[settled.eval.best]


@pytest.mark.parametrize('name, best, direction', [
    ('stargan', 'class_accuracy', 'max'), ('stargan', 'reconstruction_error', 'min'),
    ('cyclegan', 'pair_error', 'min'), ('pix2pix', 'pair_error', 'min'), ('infogan', 'code_agreement', 'max'),
    ('bigan', 'reconstruction_class_kept', 'max'), ('gan_3d', 'frechet_distance', 'min')])
def test_checkpoints_are_compared_by_a_score_that_there_is(name, best, direction):
  assert best_of(name, best) == (best, direction)


@pytest.mark.parametrize('name, best', [
    ('stargan', 'pair_error'), ('stargan', 'code_agreement'), ('stargan', 'reconstruction_class_kept'),
    ('pix2pix', 'reconstruction_error'), ('pix2pix', 'class_accuracy'), ('infogan', 'class_accuracy'),
    ('bigan', 'pair_error'), ('gan_3d', 'occupied'), ('stargan', 'class_accuracy_3')])
def test_one_that_there_is_not_is_refused(name, best):
  with pytest.raises(UserError, match=f"eval.best='{best}': expected one of .*'frechet_distance'"):
    best_of(name, best)
