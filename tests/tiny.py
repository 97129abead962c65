"""The systems beyond noise to image, made tiny: convolutions of a few channels on 8x8 pixels, four steps."""
import importlib

from configs import base
from tests.conftest import set_optimizers
from tests.shrink import shrink

ADAM = base.adam(learning_rate=2e-3, b2=0.999)
RESIDUAL = {'width': 4, 'num_downsamplings': 1, 'num_blocks': 1}
PATCHES = {'hidden': (4, 4)}
GROUPS = {  # {name of a config: {player: its fields}}
    'stargan': {'generator': RESIDUAL, 'critic': PATCHES},
    'cyclegan': {'generator_ab': RESIDUAL, 'generator_ba': RESIDUAL, 'critic_a': PATCHES, 'critic_b': PATCHES},
    'pix2pix': {'generator': {'hidden': (4, 4), 'num_dropouts': 1}, 'critic': PATCHES},
    'infogan': {},
    'bigan': {'critic': {'hidden': (4,), 'z_dense': (4,), 'dense': (4,)}},
    'gan_3d': {'generator': {'start': 4, 'hidden': (4,)}, 'critic': {'hidden': (4, 4)}},
}
DENSE = {  # those of images alone, whose networks are fully connected here, which compile sooner
    'infogan': {
        'generator': base.mlp_generator(hidden=(8,)),
        'critic': base.mlp_critic(hidden=(8,), features=True),
        'recogniser': base.mlp_critic(hidden=(8,), outputs=3 + 2),
    },
    'bigan': {
        'generator': base.mlp_generator(hidden=(8,), norm='batch'),
        'encoder': base.mlp_critic(hidden=(8,), outputs=5),
    },
}


def tiny(name: str):
  """Returns configs/NAME.py for four steps on a few channels and pixels."""
  config = shrink(importlib.import_module(f'configs.{name}').get_config())
  config.dataset.image_size = 8
  for player, group in DENSE.get(name, {}).items():
    config[player] = group
  for player, fields in GROUPS[name].items():
    config[player].update(fields)
  if 'num_codes' in config:
    config.num_codes = 3
  if name == 'bigan':
    config.z_dim = 5
  if 'pool_size' in config:
    config.pool_size = 5
  set_optimizers(config, **ADAM)
  return config
