"""Random weights of public networks, as their files hold them."""
import math
import re

import numpy as np

from gans.evaluation.public_networks import Network, variables_by_name


def draw_weights(network: Network) -> dict[str, np.ndarray]:
  """Draws weights under the published names and in their layout, such that signals neither vanish nor grow."""
  random = np.random.RandomState(0)  # its numbers are the same for ever

  def draw(name, shape):
    if re.search(r'(running_var|bn\d?\.weight)$', name):
      return random.uniform(0.5, 1.5, shape)
    noise = random.standard_normal([shape[axis] for axis in network.layout.axes[len(shape)]])
    return noise * (math.sqrt(2 / math.prod(shape[:-1])) if noise.ndim > 1 else 0.1)

  return {name: draw(name, shape).astype(np.float32)
          for name, (_, shape) in sorted(variables_by_name(network).items())}
