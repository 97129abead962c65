"""Networks are linen modules, called as (*inputs, train=...); a config names one as FILE.CLASS: 'dcgan.Generator'.

FILE is a file here, or any module that Python can import. The class's fields are the fields of the player's group in
the config; those that the data determine, `image_shape` and `num_classes`, are filled in where a class has them.

In dcgan, mlp, resnet and r3gan, a `Generator` is (z [B,Z] float, label, *, train) -> images [B,...] float32, and a
`Critic` is (image [B,...] float, label, *, train) -> scores [B] float32; they use the label if their `label_dim` is
above 0. translation has generators of images from images, and critics of patches; joint has a `Critic` of (image, z). A
label is [B] int, or weights of the classes [B,K] float, such as attributes.
"""
import dataclasses

from flax import linen as nn

from gans.errors import UserError
from gans.ranges import Range, declared_ranges
from gans.system.named import import_named

DECIDED_BY_DATA = ('image_shape', 'num_classes', 'dtype')
LINEN = ('parent', 'name')  # the fields of every linen module


def find_network(player: str, name: str) -> type[nn.Module]:
  """Returns the class that config.PLAYER.network names; raises UserError where there is none."""
  field = f'{player}.network'
  file, _, class_name = str(name).rpartition('.')
  if not file:
    raise UserError(f"{field}={name!r}: expected FILE.CLASS, such as 'dcgan.Generator'")
  module = import_named(__name__, field, file)
  network = getattr(module, class_name, None)
  if not (isinstance(network, type) and issubclass(network, nn.Module)):
    raise UserError(f'{field}={name!r}: {module.__file__} has no linen module {class_name!r}')
  return network


def network_ranges(player: str, name: str) -> dict[str, Range]:
  """Returns {field: range} of the class that config.PLAYER.network names, less the fields that the data determine."""
  ranges = declared_ranges(find_network(player, name))
  return {field: each for field, each in ranges.items() if field not in (*DECIDED_BY_DATA, *LINEN)}


def default_network_fields(player: str, name: str) -> dict:
  """Returns {field: default} of the class that config.PLAYER.network names, less the fields that the data determine."""
  defaults = {}
  for field in dataclasses.fields(find_network(player, name)):
    is_in_config = field.name not in (*DECIDED_BY_DATA, *LINEN)
    if is_in_config and field.default is not dataclasses.MISSING:
      defaults[field.name] = field.default
  return defaults
