"""What is timed: configs as they stand, on random data of their shapes."""
import importlib

import ml_collections
import numpy as np

# name: (config, fields that differ). On random data no field changes the work but these.
CASES = {
    'gan': ('gan', {}),
    'wgan_gp_28': ('wgan_gp', {}),
    'wgan_gp_64': ('wgan_gp_celeba', {'batch_size': 32}),
    'wgan_gp_64 batch 64': ('wgan_gp_celeba', {'batch_size': 64}),
    'wgan_gp_128': ('wgan_gp_pokemon', {'critic.dropout': 0.0}),  # torch.compile refuses it under torch.func
    'toy': ('wgan_gp_toy', {}),
}


def make_config(case: str, fields: dict) -> ml_collections.ConfigDict:
  """Returns the config of a case, with further {'dotted.field': value}; rates are constant and nothing is flipped."""
  name, changed = CASES[case]
  config = importlib.import_module(f'configs.{name}').get_config()
  config.update_from_flattened_dict({'optimizer.schedule': 'constant', 'dataset.flip': False, **changed, **fields})
  return config


def image_shape(config) -> tuple[int, ...]:
  """Shape of one example of a case."""
  size = config.dataset.image_size
  channels = 1 if config.dataset.name == 'mnist_5k' else 3
  return (2,) if config.generator.get('output') == 'linear' else (size, size, channels)


def make_images(config, num: int = 1024) -> np.ndarray:
  """Random uint8 images [num,H,W,C], or points [num,2] float32."""
  rng, shape = np.random.default_rng(0), (num, *image_shape(config))
  return rng.standard_normal(shape, np.float32) if len(shape) == 2 else rng.integers(0, 256, shape, np.uint8)
