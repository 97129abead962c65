"""Configs made small for tests: the same GAN, a run of seconds."""
import ml_collections

WIDTH, Z_DIM = 8, 8


def shrink(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
  """Shrinks any config in place, and returns it: few steps, small batches, networks of at most WIDTH."""
  config.update({'num_steps': 4, 'batch_size': 8, 'steps_per_call': 2, 'log_every': 2, 'sample_every': 4,
                 'checkpoint_every': 4, 'eval_every': 0})
  if 'n_critic' in config:
    config.n_critic = min(config.n_critic, 2)
  if 'z_dim' in config:
    config.z_dim = min(config.z_dim, Z_DIM)
  for group in config.values():
    if isinstance(group, ml_collections.ConfigDict) and 'network' in group:
      for field in ('hidden', 'dense'):
        if field in group:
          group[field] = tuple(min(width, WIDTH) for width in group[field])
  return config
