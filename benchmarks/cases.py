"""What is timed: configs as they stand, on random data of their shapes.

The configs are imported where they are needed: they bring JAX, which a process of PyTorch does without.
"""
import importlib

import ml_collections
import numpy as np

# torch.compile refuses dropout under torch.func, and without torch.func it is slower than eager.
NO_DROPOUT = {'critic.dropout': 0.0}
# As these were first timed.
NO_DENSE = {'critic.dense': ()}
ONE_DENSE = {'generator.dense': (512,)}
# name: (config, fields that differ). On random data no field changes the work but these.
CASES = {
    'gan': ('gan', NO_DROPOUT),
    'dcgan': ('dcgan', NO_DENSE),
    'cgan': ('cgan', NO_DROPOUT),
    'acgan': ('acgan', {}),
    'wgan': ('wgan', {}),
    'dcgan, spectral': ('dcgan', NO_DENSE | {'loss': 'hinge', 'critic.norm': 'none', 'critic.spectral': True}),
    'wgan_gp_28': ('wgan_gp', ONE_DENSE | {'n_critic': 5, 'critic.norm': 'layer'}),  # as the paper has it
    'wgan_gp_64': ('wgan_gp_celeba', {'batch_size': 32}),
    'wgan_gp_64 batch 64': ('wgan_gp_celeba', {'batch_size': 64}),
    'wgan_gp_128': ('wgan_gp_pokemon', NO_DROPOUT),
    'toy': ('wgan_gp_toy', {}),
}
NUM_IMAGES = 1024  # of a data set, unless it is said
NUM_CLASSES = 10  # of the labels, which a network without label_dim ignores


def make_config(case: str, fields: dict) -> ml_collections.ConfigDict:
  """Returns the config of a case, with further {'dotted.field': value}; rates are constant and nothing is flipped."""
  name, changed = CASES[case]
  config = importlib.import_module(f'configs.{name}').get_config()
  unscheduled = {f'{player}.optimizer.schedule': 'constant' for player in players(config)}
  config.update_from_flattened_dict({**unscheduled, 'dataset.flip': False, **changed, **fields})
  return config


def game(case: str) -> str:
  """What a case computes, whatever its batch: the losses and gradients of two cases with the same game are the same."""
  name, changed = CASES[case]
  return str((name, {field: value for field, value in changed.items() if field != 'batch_size'}))


def players(config) -> list[str]:
  """Names of the players that a config describes."""
  groups = [name for name, value in config.items() if isinstance(value, ml_collections.ConfigDict)]
  return [name for name in groups if 'network' in config[name]]


def image_shape(config) -> tuple[int, ...]:
  """Shape of one example of a case."""
  size = config.dataset.image_size
  channels = 1 if config.dataset.name == 'mnist_5k' else 3
  return (2,) if config.generator.get('output') == 'linear' else (size, size, channels)


def make_images(config, num: int = NUM_IMAGES) -> np.ndarray:
  """Random uint8 images [num,H,W,C], or points [num,2] float32."""
  rng, shape = np.random.default_rng(0), (num, *image_shape(config))
  return rng.standard_normal(shape, np.float32) if len(shape) == 2 else rng.integers(0, 256, shape, np.uint8)


def make_labels(num: int) -> np.ndarray:
  """Random labels [num] int32 of NUM_CLASSES classes."""
  return np.random.default_rng(1).integers(0, NUM_CLASSES, num, np.int32)
