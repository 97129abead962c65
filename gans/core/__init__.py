"""The mathematics of a game, read first: players, updates, losses, penalties, step; jax, flax, optax, numpy alone."""
