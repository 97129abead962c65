"""Any image data set of TensorFlow Datasets, through `tfds.data_source` (array_record; no TensorFlow in the loop)."""
from collections.abc import Callable, Iterator
import socket

from etils import epath
import numpy as np
import tqdm

from gans.data.dataset import Dataset, OnDisk, is_too_large
from gans.data.sources.square import fit_square
from gans.errors import UserError
from gans.system import cache

CONNECT_SECONDS = 3
READ = 1000  # examples per request; the source reads lists of them three times as fast as single ones


def load_tfds(config) -> Dataset:
  """Reads config.split of the TFDS data set config.name, prepared under config.data_dir ('' for TFDS's default).

  Images become [N,S,S,C] uint8, S = config.image_size: the centre of the image, or of its bounding box in the feature
  config.crop ('' for none). A 'label' feature becomes the labels. Images of more than config.device_bytes stay on
  disk. A data set that is not prepared yet is downloaded if there is a network.

  Raises:
    UserError: unknown name or split, no images in it, or not prepared and no network.
  """
  import tensorflow_datasets as tfds  # here, as the import takes a second that other data sets need not wait for
  builder = _prepared_builder(tfds, config)
  features = builder.info.features
  if 'image' not in features:
    raise UserError(f"dataset.name={config.name!r} has no feature 'image'; it has {sorted(features)}")
  try:
    source = builder.as_data_source(split=config.split)
  except (ValueError, KeyError) as error:
    raise UserError(f'dataset.split={config.split!r}: {config.name} has {sorted(builder.info.splits)}') from error
  num_classes = features['label'].num_classes if 'label' in features else 0
  crop = _make_crop(config.crop, features)

  def fit(examples: list) -> list[np.ndarray]:
    return [fit_square(crop(example), config.image_size) for example in examples]

  read = _make_read(config, source, fit)
  first, = read([0])
  shape = (len(source), *first.shape)
  if is_too_large(config, shape):
    return _on_disk(tfds, builder, config, read, shape, num_classes)
  images, labels = [], []
  for chunk in _read_in_order(source, f'reading {config.name}'):
    images += fit(chunk)
    labels += [example['label'] if num_classes else 0 for example in chunk]
  return Dataset(np.stack(images), np.asarray(labels, np.int32), num_classes)


def _read_in_order(source, description: str) -> Iterator[list]:
  """Yields all examples, READ at a time, and shows the progress."""
  with tqdm.tqdm(total=len(source), desc=description, unit=' images', disable=None) as progress:
    for start in range(0, len(source), READ):
      stop = min(start + READ, len(source))
      chunk = source.__getitems__(list(range(start, stop)))
      yield chunk
      progress.update(len(chunk))


def _make_read(config, source, fit: Callable) -> Callable:
  """Returns read(positions) -> images, which reads and fits examples and raises UserError for a damaged one."""
  def read(positions: list[int]) -> list[np.ndarray]:
    try:
      return fit(source.__getitems__(positions))
    except (OSError, ValueError, RuntimeError) as error:
      if len(positions) > 1:  # one by one, to name the damaged one
        return [read([position])[0] for position in positions]
      raise UserError(f'dataset.name={config.name!r}: example {positions[0]} of {config.split!r} cannot be read: '
                      f'{error}; prepare the data set again') from error

  return read


def _on_disk(tfds, builder, config, read: Callable, shape: tuple, num_classes: int) -> Dataset:
  """Returns images that are read from disk at each use; only the labels are read now, and kept."""
  written = (builder.data_path / 'dataset_info.json').stat().mtime
  key = (str(builder.data_path), written, config.split, config.crop, shape)

  def read_labels() -> dict[str, np.ndarray]:
    without_images = builder.as_data_source(split=config.split, decoders={'image': tfds.decode.SkipDecoding()})
    labels = []
    for chunk in _read_in_order(without_images, f'reading labels of {config.name}'):
      labels += [example['label'] for example in chunk]
    return {'labels': np.array(labels, np.int32)}

  labels = np.zeros(shape[0], np.int32)
  if num_classes:
    labels = cache.load_or_make('labels', key, read_labels)['labels']
  return Dataset(OnDisk(shape, cache.digest(key), read), labels, num_classes)


def _make_crop(feature: str, features) -> Callable:
  """Returns crop(example) -> its image, cut to the bounding box in `feature`, or whole if that is ''."""
  if not feature:
    return lambda example: example['image']
  if feature not in features:
    raise UserError(f'dataset.crop={feature!r} is not a feature of the data set; it has {sorted(features)}')

  def crop(example):
    height, width = example['image'].shape[:2]
    top, left, bottom, right = example[feature]  # as fractions of the height and width
    rows = _pixels_between(top, bottom, height)
    columns = _pixels_between(left, right, width)
    return example['image'][rows, columns]

  return crop


def _pixels_between(low: float, high: float, length: int) -> slice:
  """Returns the pixels of an axis between two fractions of its length: at least one."""
  start = int(low * length)
  stop = int(high * length)
  return slice(start, max(stop, start + 1))


def _prepared_builder(tfds, config):
  """Returns the builder of a prepared data set; it downloads one only if a connection opens within seconds."""
  data_dir = epath.Path(config.data_dir).expanduser() if config.data_dir else None
  try:
    builder = tfds.builder(config.name, data_dir=data_dir, file_format='array_record')
  except tfds.core.DatasetNotFoundError as error:
    from gans.data.sources import describe_names
    raise UserError(f'dataset.name={config.name!r} is not a data set: expected {describe_names()}') from error
  if not builder.is_prepared():
    if not _online():
      raise UserError(
          f'dataset.name={config.name!r} is not prepared in {builder.data_path}, and there is no network to get it: '
          f'run `tfds build {config.name} --file_format=array_record` on a machine that has one and give the folder as '
          '--config.dataset.data_dir, or train on digits that need no download: --config.dataset.name=mnist_5k')
    builder.download_and_prepare(file_format='array_record')
  return builder


def _online() -> bool:
  """Tells whether TFDS's server can be reached, within CONNECT_SECONDS."""
  try:
    socket.create_connection(('storage.googleapis.com', 443), CONNECT_SECONDS).close()
    return True
  except OSError:
    return False
