"""The fields that every config shares. An experiment's config starts from these and changes what differs."""
import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Returns the defaults; `generator`, `critic` and `optimizer` are each experiment's own."""
  return ml_collections.ConfigDict({
      # The GAN: a file in gans/algorithms.
      'algorithm': 'wgan_gp',
      # Decides the weights, the noise and the order of the data.
      'seed': 0,
      # Runs that train side by side in one program, with the seeds seed, seed + 1, ...
      'num_seeds': 1,
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
      # Steps between evaluations, the last of which is after the last step; 0: none. The best checkpoint is kept.
      'eval_every': 1000,
      # Devices along which the batch is cut; -1: all that there are.
      'mesh': {'data': -1},
      # Whether the second call of the compiled program is traced, for TensorBoard's profiler and Perfetto.
      'profile': False,
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
          # A data set of more bytes than this, as uint8 of image_size, is streamed from disk instead of being held in
          # memory and on the device whole; 0: whatever its size. See docs/streaming.md.
          'device_bytes': 2 * 2**30,
          # Threads that read and decode what is streamed; 0: one a core.
          'workers': 0,
      },
      'eval': {
          # What samples are compared by: 'classifier', trained on the labelled data set itself; 'inception', whose
          # weights are in a file; 'points', of 2-D data; '': what the data allow, a classifier for up to 32x32 pixels.
          'features': '',
          # The file of 'inception': pytorch-fid's, or the same arrays as .npz.
          'weights': '',
          # Training steps of 'classifier', of 128 images.
          'classifier_steps': 2000,
          # Samples, and at most as many real examples.
          'num_samples': 10_000,
          # Of the samples' noise.
          'seed': 0,
          # The score that decides which checkpoint is best; '': frechet_distance, or sliced_wasserstein of points.
          'best': '',
      },
      'generator': dcgan_generator(),
      'critic': dcgan_critic(),
      # `name` and further fields are optax's; `schedule`: 'constant', or 'linear' or 'cosine' to zero at the end.
      # `microbatches`: parts that a batch is taken in, one after the other, where its gradient needs too much memory;
      # the same updates, but that batch norm has each part's own statistics.
      'optimizer': {'name': 'adam', 'generator_learning_rate': 1e-4, 'critic_learning_rate': 1e-4,
                    'schedule': 'constant', 'b1': 0.5, 'b2': 0.9, 'microbatches': 1},
  })


def get_adversarial_config() -> ml_collections.ConfigDict:
  """Returns the defaults of the game without a penalty: one critic update a step, and a `loss` to choose."""
  config = get_config()
  config.algorithm = 'adversarial'
  # A name in gans/losses.py; for the generator 'non_saturating' is -log D, 'saturating' log(1 - D) as the sources have.
  config.loss = 'non_saturating'
  config.gp_weight = 0.0
  config.n_critic = 1
  return config


# The networks' fields: `family` is a file in gans/networks, the others are the fields of its Generator and its Critic.
# Common to all: `norm` 'batch', 'layer' or 'none'; `label_dim` the size of the label's embedding, 0 for unconditional
# (a critic of images wants 1: a channel); `init_stddev` of the first weights, 0 for LeCun's; `classify` for AC-GAN;
# `remat` computes what is inside layers anew for the gradient instead of keeping it: see docs/scaling.md.


def dcgan_generator(**fields) -> dict:
  """Convolutional after layers of widths `dense`; `kernels`, `strides` and `padding` are one value or one a layer."""
  return {'family': 'dcgan', 'dense': (), 'start': 7, 'hidden': (64, 32), 'kernels': 4, 'strides': 2,
          'padding': 'SAME', 'upsample': 'transposed', 'norm': 'batch', 'label_dim': 0, 'init_stddev': 0.02,
          'remat': False, **fields}


def dcgan_critic(**fields) -> dict:
  """Convolutional; 'layer' norm, as a gradient penalty wants no batch norm, after all layers but the first."""
  return {'family': 'dcgan', 'hidden': (16, 32, 64), 'kernels': 4, 'strides': 2, 'padding': 'SAME', 'norm': 'layer',
          'norm_first': False, 'head': 'dense', 'dense': (), 'dropout': 0.0, 'label_dim': 0, 'classify': False,
          'init_stddev': 0.02, 'remat': False, **fields}


def mlp_generator(**fields) -> dict:
  """Fully connected; `output` 'tanh' for images, 'linear' for points."""
  return {'family': 'mlp', 'hidden': (256,), 'norm': 'none', 'output': 'tanh', 'label_dim': 0, 'init_stddev': 0.0,
          'remat': False, **fields}


def mlp_critic(**fields) -> dict:
  """Fully connected; `leak` is leaky ReLU's slope below zero."""
  return {'family': 'mlp', 'hidden': (128,), 'norm': 'none', 'leak': 0.2, 'dropout': 0.0, 'label_dim': 0,
          'classify': False, 'init_stddev': 0.0, 'remat': False, **fields}


def test_size(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
  """Shrinks a run to seconds, for `configs/NAME.py:test`; the networks' widths are the experiment's to shrink."""
  config.update({'num_steps': 4, 'batch_size': 8, 'n_critic': min(config.n_critic, 2), 'z_dim': 8, 'log_every': 2,
                 'sample_every': 4, 'checkpoint_every': 4, 'eval_every': 0})
  return config


def variant_of(config: ml_collections.ConfigDict, variant: str, **variants) -> ml_collections.ConfigDict:
  """Applies the function named `variant` of `variants` to the config; '' leaves it as it is."""
  if variant and variant not in variants:
    raise ValueError(f'no variant {variant!r}; expected one of {sorted(variants)}')
  return variants[variant](config) if variant else config
