"""Whether a run is still worth going on with: nothing that is not a finite number is logged as a success or saved."""
import jax
import jax.numpy as jnp
import numpy as np

from gans.errors import UserError
from gans.state import GANState

HELP = ('what usually helps: lower optimizer.generator_learning_rate and optimizer.critic_learning_rate, '
        "dtype='float32', a gradient penalty or another loss")


def check_finite(step: int, metrics: dict, count: int, state: GANState):
  """Raises UserError at the first of `count` steps after `step` with a NaN or infinity; metrics are {name: [T,...]}.

  A state that is bad after the last of them is found too, although only the next step's metrics would show it.
  """
  bad = {name: int(np.argwhere(~finite)[0, 0]) for name, values in metrics.items()
         if not (finite := np.isfinite(np.asarray(values)[:count])).all()}
  if bad:
    name = min(bad, key=bad.get)
    raise UserError(f'diverged in step {step + bad[name] + 1}: {name}={metrics[name][bad[name]]}; {HELP}')
  for player in ('generator', 'critic'):
    if not all_finite(getattr(state, player)):
      raise UserError(f'diverged in step {step + count}: the {player} has parameters that are not finite; {HELP}')


@jax.jit
def all_finite(tree):
  """Tells whether all numbers in a tree are finite."""
  return jnp.all(jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]))
