"""The fields that every config shares. An experiment's config starts from these and changes what differs."""
import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Returns the defaults; `generator`, `critic` and `optimizer` are each experiment's own."""
  return ml_collections.ConfigDict({
      # The GAN: a file in gans/algorithms.
      'algorithm': 'wgan_gp',
      # Decides the weights, the noise and the order of the data.
      'seed': 0,
      # Generator updates.
      'num_steps': 1000,
      # Real images in one update of either player.
      'batch_size': 64,
      # Critic updates before each generator update.
      'n_critic': 5,
      # Weight of the gradient penalty, the paper's lambda.
      'gp_weight': 10.0,
      # Size of the noise z.
      'z_dim': 64,
      # Decay of the running average of the generator that samples come from; 0: no average.
      'ema_decay': 0.999,
      # What the networks compute in, 'float32' or 'bfloat16'; parameters, losses and penalties are float32.
      'dtype': 'float32',
      # Steps between points in TensorBoard, and at most in one call of the compiled program.
      'log_every': 50,
      # Steps between sample grids.
      'sample_every': 100,
      # Steps between checkpoints.
      'checkpoint_every': 500,
      'dataset': {
          # 'mnist_5k' needs no network; 'folder' is your own images; 'ring8', 'grid25' and 'swiss_roll' are 2-D;
          # 'stacked_mnist' and 'stacked_mnist_5k' have 1,000 modes; any image data set of TFDS goes by its name.
          'name': 'mnist_5k',
          # The folder of 'folder'.
          'path': '',
          # Where TFDS finds or puts its data sets; '': ~/tensorflow_datasets.
          'data_dir': '',
          'split': 'train',
          # Height and width in pixels: a centre crop, resized.
          'image_size': 28,
          # A TFDS feature that holds a bounding box to crop to, such as 'head_bbox'; '': none.
          'crop': '',
          # Whether every second image is mirrored, at random.
          'flip': False,
      },
      # `family` is a file in gans/networks; the other fields are those of its Generator and its Critic.
      'generator': {'family': 'dcgan'},
      'critic': {'family': 'dcgan'},
      # `name` and further fields are optax's; `schedule`: 'constant', or 'linear' or 'cosine' to zero at the end.
      'optimizer': {'name': 'adam', 'generator_learning_rate': 1e-4, 'critic_learning_rate': 1e-4,
                    'schedule': 'constant', 'b1': 0.5, 'b2': 0.9},
  })


def test_size(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
  """Shrinks a run to seconds, for `configs/NAME.py:test`; the networks' widths are the experiment's to shrink."""
  config.update({'num_steps': 4, 'batch_size': 8, 'n_critic': min(config.n_critic, 2), 'z_dim': 8, 'log_every': 2,
                 'sample_every': 4, 'checkpoint_every': 4})
  return config


def variant_of(config: ml_collections.ConfigDict, variant: str, **variants) -> ml_collections.ConfigDict:
  """Applies the function named `variant` of `variants` to the config; '' leaves it as it is."""
  if variant and variant not in variants:
    raise ValueError(f'no variant {variant!r}; expected one of {sorted(variants)}')
  return variants[variant](config) if variant else config
