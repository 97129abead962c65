"""A check that numbers are finite."""
import jax
import jax.numpy as jnp


@jax.jit
def all_finite(tree):
  """Tells whether all numbers in a tree are finite."""
  finite = [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]
  return jnp.all(jnp.stack(finite)) if finite else jnp.array(True)
