"""The fields that every config shares. An experiment's config starts from these and changes what differs.

gans/validate.py has the range of each; algorithms and networks have those of their own fields beside them.
"""
import ml_collections

from gans.algorithms import algorithm_ranges, default_fields
from gans.overrides import open_fields
from gans.validate import SHARED


def get_config(algorithm: str) -> ml_collections.ConfigDict:
  """Returns the shared fields with their defaults, and those of an algorithm with the defaults that its file gives.

  `algorithm` is a file in gans/algorithms, or a module of your own that Python can import. Each of its players is a
  group of fields that the experiment adds: `config.generator = dcgan_generator(...)`.
  """
  config = ml_collections.ConfigDict({
      'algorithm': algorithm,
      # Decides the weights, the noise and the order of the data.
      'seed': 0,
      # Runs that train in one program, with the seeds seed, seed + 1, ...; side by side, or on a CPU in turn.
      'num_seeds': 1,
      # A run, a packed or a built-in model whose weights to start from, where names and shapes agree; '': random ones.
      'init_from': '',
      # Steps of training. A step takes every update of the algorithm, such as n_critic of the critic and one of the
      # generator.
      'num_steps': 1000,
      # Real examples in one update.
      'batch_size': 64,
      # Parts that a batch is taken in, one after the other, where its gradient needs too much memory. The updates are
      # the same, except that what compares examples with each other does so within a part: batch norm,
      # minibatch_stddev, pack, top_k, feature_matching, relativistic_average, dragan, whose noise is as large as the
      # batch's spread, and StarGAN, whose targets are other images' labels. Algorithms with a memory refuse it.
      'microbatches': 1,
      # Decay of the running average of the generator that samples come from; 0: no average.
      'ema_decay': 0.999,
      # The half-life of that average in images, in place of its decay; 0: the decay. It may be annealed.
      'ema_half_life': 0.0,
      # Real examples, batch_size of them a step, over which annealed fields go from the first of their values to the
      # last, along half a cosine. Those are the fields with a pair (first, last) in place of a number: learning_rate
      # and b2 of an optimizer, penalty.weight, top_k, ada.p and ema_half_life.
      'anneal_images': 0,
      # What the networks compute in, 'float32' or 'bfloat16'; parameters, losses and penalties are float32.
      'dtype': 'float32',
      # Steps in one call of the compiled program, at most. It changes no result, only how often Python takes a turn.
      'steps_per_call': 50,
      # Steps between points in TensorBoard; each point is the mean of the steps before it.
      'log_every': 50,
      # Steps between sample grids.
      'sample_every': 100,
      # Steps between checkpoints.
      'checkpoint_every': 500,
      # Checkpoints that are kept, the latest ones, beside the best; -1: all.
      'keep_checkpoints': 3,
      # Steps between checkpoints that are kept for good, a multiple of checkpoint_every; 0: none.
      'keep_every': 0,
      # Steps between evaluations, the last of which is after the last step; 0: none. The best checkpoint is kept.
      'eval_every': 1000,
      # Devices along which the batch is split; -1: all that there are.
      'mesh': {'data': -1},
      # Trace the second call of the compiled program into events/, for Perfetto and for TensorBoard with its profiler's
      # plugin (tensorboard-plugin-profile).
      'profile': False,
      'dataset': {
          # 'mnist_5k' needs no network; 'folder' is your own images; 'ring8', 'grid25' and 'swiss_roll' are 2-D;
          # 'stacked_mnist' and 'stacked_mnist_5k' have 1,000 modes; any image data set of TFDS goes by its name.
          # Pairs of pictures, or two domains: NAME_edges, NAME_inverted, NAME_rotated and NAME_coloured, where NAME is
          # mnist_5k, folder or of TFDS, such as 'fashion_mnist_edges'; 'folder_pairs' is a folder of images A|B.
          # Voxels: 'voxel_digits', made of mnist_5k, and 'voxel_folder', your own models: .binvox, .npy and .npz files.
          'name': 'mnist_5k',
          # The folder of 'folder', 'folder_pairs' and 'voxel_folder'; of the first two also a .zip, and of the last the
          # one file of all models.
          'path': '',
          # Keep the transparency of the images of 'folder' as a fourth channel, instead of putting them on white.
          'alpha': False,
          # Which attributes of a list beside the images of 'folder' to read, such as ('Male', 'Young') of CelebA's
          # list_attr_celeba.txt or of a CSV, attributes.csv; (): none.
          'attributes': (),
          # The share of a folder's files, or of a file's voxel models, that may be left out because they cannot be read
          # or are empty; 0: none. They are named at the start of a run and in its data.json.
          'max_unreadable': 0.1,
          # Where TFDS finds or puts its data sets; '': ~/tensorflow_datasets.
          'data_dir': '',
          # The split of a TFDS data set, or a part of it, such as 'train[:20000]'.
          'split': 'train',
          # Height and width of images in pixels, one number for both or a pair: a centre crop, resized. Voxels:
          # cells of each side of a cube.
          'image_size': 28,
          # A TFDS feature that holds a bounding box to crop to, such as 'head_bbox'; '': none.
          'crop': '',
          # Mirror each image with a probability of 1/2.
          'flip': False,
          # A data set of more bytes than this, as uint8 of image_size, is streamed from disk instead of being held in
          # memory and on the device; 0: stream whatever its size, if it can be streamed. See docs/streaming.md.
          'device_bytes': 2 * 2**30,
          # Threads that read and decode what is streamed; 0: one a core.
          'workers': 0,
      },
      'eval': {
          # What samples are compared by: 'classifier', trained on the labelled data set itself; 'points', for 2-D data;
          # a public network, whose weights are in a file: 'inception', 'resnet20_cifar10', 'lenet5_mnist' or
          # 'squeezenet_imagenet' (docs/evaluation.md); '': what suits the data, a classifier for up to 32x32 pixels.
          'features': '',
          # The file of a public network: the published one, or the same arrays as .npz.
          'weights': '',
          # Training steps of 'classifier', of 128 images.
          'classifier_steps': 2000,
          # Also measure GAN-train: how often a classifier that learns from samples alone, for as many steps at each
          # evaluation, is right about real examples. For models that are asked for classes.
          'gan_train': False,
          # Samples, and at most as many real examples.
          'num_samples': 10_000,
          # The seed of the samples' noise.
          'seed': 0,
          # The score that decides which checkpoint is best; '': frechet_distance, pair_error where it is
          # known what a translation should be, or sliced_wasserstein for points.
          'best': '',
      },
  })
  config.update(default_fields(algorithm))
  open_fields(config, SHARED | algorithm_ranges(algorithm))
  return config


# Optimizers: any of optax that takes a learning rate, with its own fields, which a config need not name.
# `schedule` is 'constant', or 'linear' or 'cosine' to zero at the end of the run, or 'late_linear', in its second half.
# Every optimizer also takes `clip_norm`, the most that the norm of a player's whole gradient may be (0: any), and
# `weight_decay`: the optimizer's own where it has one, as adamw; with any other, that multiple of the weights is added
# to the gradient.
# --config.critic.optimizer.name=sgd drops the fields that SGD lacks and keeps the others; its own may be given beside
# it, such as --config.critic.optimizer.momentum=0.9.


def adam(learning_rate: float = 1e-4, schedule: str = 'constant', b1: float = 0.5, b2: float = 0.9, **fields) -> dict:
  """Adam; the defaults are those of WGAN-GP (Gulrajani et al. 2017)."""
  return {'name': 'adam', 'learning_rate': learning_rate, 'schedule': schedule, 'b1': b1, 'b2': b2, **fields}


def rmsprop(learning_rate: float = 5e-5, schedule: str = 'constant', decay: float = 0.99, **fields) -> dict:
  """RMSProp; the defaults are those of WGAN (Arjovsky et al. 2017), with the decay of its released code.

  optax adds its epsilon of 1e-8 to the mean square, inside the root, so that gradients below 1e-4 make smaller steps;
  with eps_in_sqrt=False it is added to the root, as in that code.
  """
  return {'name': 'rmsprop', 'learning_rate': learning_rate, 'schedule': schedule, 'decay': decay, **fields}


# Players: `network` is a class of a file in gans/networks, `optimizer` as above, and the others are the fields of the
# network.
# Common to many networks: `norm` is 'batch', 'layer', 'instance' or 'none', and a critic under a gradient penalty
# should not have the first; `label_dim` is the size of the label's embedding, 0 for an unconditional network (a
# critic of images wants 1: a channel); `use_bias` is that of the convolutions; `init_stddev` is that of the first
# weights, 0 for LeCun's initialisation; `remat` is gradient checkpointing: see docs/scaling.md; `spectral` divides
# each kernel, but not a norm's scales, by its largest singular value; `attention_at` is the side of the map, its
# height, after which self-attention comes, 0 for none. A generator's norm may also be 'conditional_batch', whose scales
# and shifts are each class's own.
# Common to critics: `projection` adds the product of features and an embedding of the label to the score;
# `minibatch_stddev` shows each example how much a group of so many differs, 0 for none; `classify` adds class logits to
# the scores, for AC-GAN; `outputs` above 0 returns so many numbers in place of a score, for an encoder or a recogniser;
# `features` adds the inputs of the last layer to the scores: see docs/layers.md. `augment` names random changes of all
# images that the critic sees in training, of 'color', 'translation', 'cutout' and 'flip': see docs/your-own-images.md.
# Common to all: `freeze` names layers whose parameters stay as they are, such as ('Conv_0', 'Conv_1'), for a run that
# starts from another's weights.


def dcgan_generator(**fields) -> dict:
  """A convolutional generator, `dense` layers first; `kernels`, `strides`, `padding` are one value or one per layer."""
  return {'network': 'dcgan.Generator', 'dense': (), 'start': 7, 'hidden': (64, 32), 'kernels': 4, 'strides': 2,
          'padding': 'SAME', 'use_bias': True, 'upsample': 'transposed', 'norm': 'batch', 'spectral': False,
          'attention_at': 0, 'label_dim': 0, 'init_stddev': 0.02, 'remat': False, 'optimizer': adam(), **fields}


def dcgan_critic(**fields) -> dict:
  """A convolutional critic, with layer norm after all layers but the first, as suits a gradient penalty."""
  return {'network': 'dcgan.Critic', 'hidden': (16, 32, 64), 'kernels': 4, 'strides': 2, 'padding': 'SAME',
          'use_bias': True, 'norm': 'layer', 'norm_first': False, 'spectral': False, 'attention_at': 0,
          'minibatch_stddev': 0, 'head': 'dense', 'dense': (), 'dropout': 0.0, 'label_dim': 0, 'projection': False,
          'classify': False, 'outputs': 0, 'features': False, 'init_stddev': 0.02, 'remat': False, 'augment': (),
          'freeze': (), 'optimizer': adam(), **fields}


def r3gan_generator(**fields) -> dict:
  """R3GAN's generator: a stage of `num_blocks` residual blocks for each width of `hidden`, at sides from `start` on."""
  return {'network': 'r3gan.Generator', 'hidden': (64, 64, 32), 'num_blocks': 2, 'start': 7, 'expansion': 2,
          'group_width': 16, 'label_dim': 0, 'remat': False, 'optimizer': adam(), **fields}


def r3gan_critic(**fields) -> dict:
  """R3GAN's critic, the generator's mirror image; `label_dim` is the size of the projection on the label."""
  return {'network': 'r3gan.Critic', 'hidden': (32, 64, 64), 'num_blocks': 2, 'expansion': 2, 'group_width': 16,
          'label_dim': 0, 'remat': False, 'augment': (), 'freeze': (), 'optimizer': adam(), **fields}


def resnet_generator(**fields) -> dict:
  """A residual generator: hidden[0] is the width of its first map, and a block for each other doubles the sides."""
  return {'network': 'resnet.Generator', 'hidden': (64, 64, 64), 'start': 7, 'norm': 'batch', 'spectral': False,
          'attention_at': 0, 'skip_z': False, 'label_dim': 0, 'initializer': 'glorot', 'remat': False,
          'optimizer': adam(), **fields}


def resnet_critic(**fields) -> dict:
  """A residual critic: a block for each width, which halves the sides where `strides` is 2; `pool` 'sum' or 'mean'."""
  return {'network': 'resnet.Critic', 'hidden': (64, 64, 64), 'strides': (2, 2, 1), 'norm': 'none', 'spectral': False,
          'attention_at': 0, 'minibatch_stddev': 0, 'pool': 'sum', 'label_dim': 0, 'projection': False,
          'classify': False, 'outputs': 0, 'features': False, 'initializer': 'glorot', 'remat': False,
          'augment': (), 'freeze': (), 'optimizer': adam(), **fields}


def mlp_generator(**fields) -> dict:
  """A fully connected generator; `output` is 'tanh' for images, 'linear' for points."""
  return {'network': 'mlp.Generator', 'hidden': (256,), 'norm': 'none', 'spectral': False, 'output': 'tanh',
          'label_dim': 0, 'init_stddev': 0.0, 'remat': False, 'optimizer': adam(), **fields}


def mlp_critic(**fields) -> dict:
  """A fully connected critic; `leak` is leaky ReLU's slope below zero; `maxout` k takes the largest of k instead."""
  return {'network': 'mlp.Critic', 'hidden': (128,), 'norm': 'none', 'spectral': False, 'leak': 0.2, 'maxout': 0,
          'dropout': 0.0, 'label_dim': 0, 'projection': False, 'classify': False, 'outputs': 0, 'features': False,
          'init_stddev': 0.0, 'remat': False, 'augment': (), 'freeze': (), 'optimizer': adam(), **fields}


def residual_generator(**fields) -> dict:
  """A generator of images from images, StarGAN's or with `kernel=3` CycleGAN's; `takes_target`: a class or weights."""
  return {'network': 'translation.ResidualGenerator', 'width': 64, 'num_downsamplings': 2, 'num_blocks': 6, 'kernel': 4,
          'outer_kernel': 7, 'norm': 'instance', 'spectral': False, 'takes_target': False, 'init_stddev': 0.02,
          'remat': False, 'optimizer': adam(), **fields}


def unet_generator(**fields) -> dict:
  """A generator of images from images with skip connections, pix2pix's: `hidden` are the widths of its encoder."""
  return {'network': 'translation.UNet', 'hidden': (64, 128, 256), 'kernel': 4, 'norm': 'batch', 'spectral': False,
          'dropout': 0.5, 'num_dropouts': 3, 'init_stddev': 0.02, 'remat': False, 'optimizer': adam(), **fields}


def patch_critic(**fields) -> dict:
  """A critic that scores each patch of one image or several; its last convolution has `head_kernel` and stride 1."""
  return {'network': 'translation.PatchCritic', 'hidden': (64, 128, 256), 'kernels': 4, 'strides': 2, 'padding': 'SAME',
          'norm': 'none', 'spectral': False, 'leak': 0.2, 'head_kernel': 4, 'head_bias': True, 'classify': False,
          'init_stddev': 0.02, 'remat': False, 'augment': (), 'freeze': (), 'optimizer': adam(), **fields}


def joint_critic(**fields) -> dict:
  """A critic of an image and its code z: `dense` layers join the convolutions of the one and `z_dense` of the other."""
  return {'network': 'joint.Critic', 'hidden': (32, 64), 'kernels': 4, 'strides': 2, 'padding': 'SAME',
          'use_bias': True, 'norm': 'layer', 'norm_first': False, 'spectral': False, 'attention_at': 0,
          'z_dense': (128,), 'dense': (128,), 'dropout': 0.0, 'init_stddev': 0.02, 'remat': False, 'augment': (),
          'freeze': (), 'optimizer': adam(), **fields}


def train_on_cifar10(config: ml_collections.ConfigDict, num_steps: int, z_dim: int):
  """Sets CIFAR-10 at 32x32, mirrored, and how often a long run on a GPU is looked at."""
  config.dataset.update({'name': 'cifar10', 'image_size': 32, 'flip': True})
  config.num_steps, config.z_dim = num_steps, z_dim
  config.sample_every, config.checkpoint_every, config.eval_every = 500, 1000, 10_000


def variant_of(config: ml_collections.ConfigDict, variant: str, **variants) -> ml_collections.ConfigDict:
  """Applies the function `variants[variant]` to the config; for '' the config is returned unchanged."""
  if variant and variant not in variants:
    expected = f'expected one of {sorted(variants)}' if variants else 'this config has none'
    raise ValueError(f'no variant {variant!r}; {expected}')
  return variants[variant](config) if variant else config
