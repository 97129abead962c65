"""The mathematics of a game, read first: players, updates, losses, penalties, the step; jax, flax, optax, numpy only."""
