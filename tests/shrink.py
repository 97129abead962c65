"""Configs made small for tests: the same GAN, a run of seconds."""
import ml_collections

WIDTH, Z_DIM = 8, 8
# The most of other whole numbers, of the config and of a player.
OF_CONFIG = {'n_critic': 2, 'z_dim': Z_DIM, 'pool_size': 4}
OF_PLAYER = {'width': 4, 'num_downsamplings': 1, 'num_blocks': 1}


def shrink(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
  """Shrinks any config in place, and returns it: few steps, small batches, networks of at most WIDTH."""
  config.update({'num_steps': 4, 'batch_size': 8, 'steps_per_call': 2, 'log_every': 2, 'sample_every': 4,
                 'checkpoint_every': 4, 'eval_every': 0})
  limit(config, OF_CONFIG)
  for group in config.values():
    if isinstance(group, ml_collections.ConfigDict) and 'network' in group:
      limit(group, OF_PLAYER)
      for field in ('hidden', 'dense', 'z_dense'):
        if field in group:
          group[field] = tuple(min(width, WIDTH) for width in group[field])
  return config


def limit(group: ml_collections.ConfigDict, most: dict[str, int]):
  """Lowers the fields of a group to at most {field: value}."""
  for field, value in most.items():
    if field in group:
      group[field] = min(group[field], value)
