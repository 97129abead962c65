"""The mathematics of a game, read first: players, updates, losses, penalties, the step; jax, flax and optax alone."""
