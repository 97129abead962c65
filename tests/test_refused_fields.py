"""A field that the algorithm or the data set does not read is refused, with the fields there are, before any work."""
import importlib
import itertools
import re

import pytest

from configs import acgan, bigan, cyclegan, dcgan, gan_3d, infogan, pix2pix, stargan, wgan, wgan_gp
from gans.algorithms import default_fields
from gans.data.sources import OPTIONAL, SOURCES, TFDS, check_fields_read, find_source
from gans.errors import UserError
from gans.training.loop import train
from gans.validate import check_config
from tests.shrink import shrink

CONFIGS = {'acgan': acgan, 'adversarial': dcgan, 'bigan': bigan, 'cyclegan': cyclegan, 'gan_3d': gan_3d,
           'infogan': infogan, 'pix2pix': pix2pix, 'stargan': stargan, 'wgan': wgan, 'wgan_gp': wgan_gp}


def set_field(config, field: str, value):
  *groups, name = field.split('.')
  with config.unlocked(), config.ignore_type():
    for group in groups:
      config = config[group]
    config[name] = value


@pytest.mark.parametrize('name, changes, message', [
    ('wgan', {'gp_weight': 10.0},
     r"gp_weight=10.0: the algorithm 'wgan' does not read it; its fields are \['clip', 'n_critic', 'z_dim'\] and "
     r"its players \['generator', 'critic'\]"),
    ('wgan_gp', {'algorithm': 'wgan'},
     r"clip is missing from the config: the algorithm 'wgan' reads it; its fields are \['clip', 'n_critic', 'z_dim'\]"),
    ('wgan_gp', {'algorithm': 'wgan', 'clip': 0.01},
     r"gp_weight=10.0: the algorithm 'wgan' does not read it; its fields are \['clip', 'n_critic', 'z_dim'\]"),
    ('wgan_gp', {'encoder': {'network': 'mlp.Critic'}},
     r"encoder: the algorithm 'wgan_gp' does not read it; .* its players \['generator', 'critic'\]"),
    ('wgan_gp', {'optimizer': {'name': 'adam'}}, "optimizer: the algorithm 'wgan_gp' does not read it"),
    ('dcgan', {'penalty.gp_weight': 3.0},
     r"penalty.gp_weight=3.0: there is no such field; those of penalty are \['every', 'name', 'weight'\]"),
    ('dcgan', {'penalty': 'none'}, "penalty='none': expected a group of fields"),
    ('acgan', {'class_weight.encoder': 1.0},
     r"class_weight.encoder=1.0: there is no such field; those of class_weight are \['critic', 'generator'\]"),
    ('wgan_gp', {'critic.family': 'mlp'}, r"critic.family='mlp': there is no such field; those of dcgan.Critic are"),
    ('wgan_gp', {'critic.optimizer.beta1': 0.5}, r"critic.optimizer.beta1=0.5: there is no such field; those of"),
    ('wgan_gp', {'eval.samples': 3}, r"eval.samples=3: there is no such field; those of eval are \['best', "),
    ('wgan_gp', {'mesh.model': 2}, r"mesh.model=2: there is no such field; those of mesh are \['data'\]"),
    ('wgan_gp', {'dataset.path': '/data'},
     r"dataset.path='/data': dataset.name='mnist_5k' does not read it; its fields are "
     r"\['device_bytes', 'flip', 'image_size', 'name', 'workers'\]; it is for folder, folder_pairs, voxel_folder$"),
    ('wgan_gp', {'dataset.data_dir': '/data'},
     r"dataset.data_dir='/data': dataset.name='mnist_5k' does not read it; its fields are .*; it is for "
     'stacked_mnist, a data set of TFDS$'),
    ('wgan_gp', {'dataset.name': 'folder', 'dataset.path': '/data', 'dataset.split': 'test'},
     r"dataset.split='test': dataset.name='folder' does not read it; its fields are \[.*'path', 'workers'\]"),
    ('wgan_gp', {'dataset.attributes': ('Male',)},
     r"dataset.attributes=\('Male',\): dataset.name='mnist_5k' does not read it; its fields are .*; it is for folder$"),
    ('wgan_gp', {'dataset.name': 'mnist_5k_edges', 'dataset.split': 'test'},
     r"dataset.split='test': dataset.name='mnist_5k_edges' does not read it; its fields are \[.*'image_size', .*\]"),
    ('wgan_gp', {'dataset.size': 32},
     r"dataset.size=32: dataset.name='mnist_5k' does not read it; its fields are \[.*'image_size', .*\]$"),
])
def test_what_is_not_read_is_refused_and_nothing_is_written(tmp_path, name, changes, message):
  config = shrink(importlib.import_module(f'configs.{name}').get_config())
  for field, value in changes.items():
    set_field(config, field, value)
  with pytest.raises(UserError, match=message):
    train(config, tmp_path / 'run')
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('algorithm, other', itertools.permutations(CONFIGS, 2))
def test_no_algorithm_takes_the_fields_of_another(algorithm, other):
  check_config(CONFIGS[algorithm].get_config())
  for field in default_fields(other).keys() - default_fields(algorithm).keys():
    config = CONFIGS[algorithm].get_config()
    set_field(config, field, default_fields(other)[field])
    with pytest.raises(UserError, match=f"^{field}.*: the algorithm '{algorithm}' does not read it; its fields are"):
      check_config(config)


@pytest.mark.parametrize('name', [*SOURCES, 'cifar10', 'folder_edges', 'cifar10_edges'])
def test_no_data_set_takes_the_fields_of_another(name):
  given = {'path': '/data', 'data_dir': '/data', 'split': 'test', 'crop': 'head_bbox', 'image_size': 8,
           'alpha': True, 'attributes': ('Male',), 'max_unreadable': 0.5}
  assert given.keys() == OPTIONAL.keys()
  source = find_source(name)
  assert (source is TFDS) == (name == 'cifar10')
  for field, value in given.items():
    config = wgan_gp.get_config().dataset
    config.name = name
    check_fields_read(config, source)
    config[field] = value
    if field in source.reads:
      check_fields_read(config, source)
      continue
    message = f"dataset.{field}={value!r}: dataset.name='{name}' does not read it"
    with pytest.raises(UserError, match=re.escape(message)):
      check_fields_read(config, source)
