"""The systems beyond noise to image, made tiny: four steps on 8x8 pixels, of networks that compile at once."""
import importlib
from typing import Any

from flax import linen as nn
import jax.numpy as jnp

from configs import base
from gans.networks.layers import as_weights
from tests.conftest import set_optimizers
from tests.shrink import shrink

NUM_CODES, CONTINUOUS, Z_DIM, POOL_SIZE = 3, 2, 5, 5


class Translator(nn.Module):
  """A generator of images from images, and from targets if it is given any, that looks at each pixel alone."""
  image_shape: tuple[int, ...]
  num_classes: int = 0
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, image, target=None, *, train):
    x = nn.Dense(self.image_shape[-1])(image)
    if target is not None:
      weights = as_weights(target, self.num_classes)
      x += nn.Dense(self.image_shape[-1], use_bias=False)(weights)[:, None, None]
    return jnp.tanh(x)


class Judge(nn.Module):
  """A critic of images that scores each pixel alone: (scores [B,H,W], class logits [B,K]) if it is to classify."""
  classify: bool = False
  num_classes: int = 0

  @nn.compact
  def __call__(self, *images, train):
    x = nn.leaky_relu(nn.Dense(2)(jnp.concatenate(images, axis=-1)))
    scores = nn.Dense(1)(x)[..., 0]
    if not self.classify:
      return scores
    return scores, nn.Dense(self.num_classes)(x.mean((1, 2)))


def translator() -> dict:
  return {'network': 'tests.tiny.Translator', 'optimizer': base.adam()}


def judge(**fields) -> dict:
  return {'network': 'tests.tiny.Judge', 'optimizer': base.adam(), **fields}


PLAYERS = {  # {name of a config: {player: what it is in place of the config's own}}
    'stargan': {'generator': translator(), 'critic': judge(classify=True)},
    'cyclegan': {'generator_ab': translator(), 'generator_ba': translator(), 'critic_a': judge(), 'critic_b': judge()},
    'pix2pix': {'generator': base.unet_generator(hidden=(4, 4), num_dropouts=1), 'critic': judge()},
    'infogan': {
        'generator': base.mlp_generator(hidden=(8,)),
        'critic': base.mlp_critic(hidden=(8,), features=True),
        'recogniser': base.mlp_critic(hidden=(8,), outputs=NUM_CODES + CONTINUOUS),
    },
    'bigan': {
        'generator': base.mlp_generator(hidden=(8,), norm='batch'),
        'encoder': base.mlp_critic(hidden=(8,), outputs=Z_DIM),
        'critic': base.joint_critic(hidden=(4,), z_dense=(4,), dense=(4,)),
    },
    'gan_3d': {
        'generator': base.dcgan_generator(start=4, hidden=(4,)),
        'critic': base.mlp_critic(hidden=(8,)),
    },
}


def tiny(name: str):
  """Returns configs/NAME.py for four steps on 8x8 pixels, with tiny players."""
  config = shrink(importlib.import_module(f'configs.{name}').get_config())
  config.dataset.image_size = 8
  for field, value in {'num_codes': NUM_CODES, 'z_dim': Z_DIM, 'pool_size': POOL_SIZE}.items():
    if field in config:
      config[field] = value
  for player, group in PLAYERS[name].items():
    config[player] = group
  set_optimizers(config, **base.adam(learning_rate=2e-3, b2=0.999))
  return config
