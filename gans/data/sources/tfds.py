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
READ = 1000  # examples a request; the source reads lists of them at three times the speed of single ones


def load_tfds(config) -> Dataset:
  """Reads config.split of the TFDS data set config.name, prepared under config.data_dir ('' for TFDS's own place).

  Images become [N,S,S,C] uint8, S = config.image_size: the centre of the image, or of its bounding box in the feature
  config.crop ('' for none). A 'label' feature becomes the labels. Images of more than config.device_bytes stay on
  disk. A data set that is not prepared yet is downloaded, where there is a network.

  Raises:
    UserError: unknown name or split, no images in it, or not prepared and no network.
  """
  import tensorflow_datasets as tfds  # here, as it takes a second that other data sets need not
  builder = _prepared_builder(tfds, config)
  features = builder.info.features
  if 'image' not in features:
    raise UserError(f"dataset.name={config.name!r} has no feature 'image'; it has {sorted(features)}")
  try:
    source = builder.as_data_source(split=config.split)
  except (ValueError, KeyError) as error:
    raise UserError(f'dataset.split={config.split!r}: {config.name} has {sorted(builder.info.splits)}') from error
  num_classes = features['label'].num_classes if 'label' in features else 0
  crop = _cropper(config.crop, features)
  fit = lambda examples: [fit_square(crop(example), config.image_size) for example in examples]
  read = _reader(config, source, fit)
  shape = (len(source), *read([0])[0].shape)
  if is_too_large(config, shape):
    return _on_disk(tfds, builder, config, read, shape, num_classes)
  fitted, labels = [], []
  for chunk in _in_order(source, f'reading {config.name}'):
    fitted += fit(chunk)
    labels += [example['label'] if num_classes else 0 for example in chunk]
  return Dataset(np.stack(fitted), np.asarray(labels, np.int32), num_classes)


def _in_order(source, doing: str) -> Iterator[list]:
  """Yields all examples, READ at a time, and shows how far it is."""
  with tqdm.tqdm(total=len(source), desc=doing, unit=' images', disable=None) as progress:
    for start in range(0, len(source), READ):
      chunk = source.__getitems__(list(range(start, min(start + READ, len(source)))))
      yield chunk
      progress.update(len(chunk))


def _reader(config, source, fit: Callable) -> Callable:
  """Returns read(positions) -> images, which reads and fits examples; it raises UserError for one that is damaged."""
  def read(positions: list[int]) -> list[np.ndarray]:
    try:
      return fit(source.__getitems__(positions))
    except (OSError, ValueError, RuntimeError) as error:
      if len(positions) > 1:  # one by one, to name it
        return [image for position in positions for image in read([position])]
      raise UserError(f'dataset.name={config.name!r}: example {positions[0]} of {config.split!r} cannot be read: '
                      f'{error}; prepare the data set anew') from error

  return read


def _on_disk(tfds, builder, config, read: Callable, shape: tuple, num_classes: int) -> Dataset:
  """Returns the images as examples to be read at each use; only the labels are read at once, and kept."""
  written = (builder.data_path / 'dataset_info.json').stat().mtime
  key = str(builder.data_path), written, config.split, config.crop, shape

  def read_labels() -> dict[str, np.ndarray]:
    bare = builder.as_data_source(split=config.split, decoders={'image': tfds.decode.SkipDecoding()})
    chunks = _in_order(bare, f'reading labels of {config.name}')
    return {'labels': np.array([example['label'] for chunk in chunks for example in chunk], np.int32)}

  labels = cache.load_or_make('labels', key, read_labels)['labels'] if num_classes else np.zeros(shape[0], np.int32)
  return Dataset(OnDisk(shape, cache.digest(key), read), labels, num_classes)


def _cropper(feature: str, features):
  """Returns a function of an example that cuts its image to the bounding box in `feature`, or takes it whole."""
  if not feature:
    return lambda example: example['image']
  if feature not in features:
    raise UserError(f'dataset.crop={feature!r} is no feature of the data set; it has {sorted(features)}')

  def crop(example):
    height, width = example['image'].shape[:2]
    top, left, bottom, right = example[feature]  # shares of the height and width
    rows = slice(int(top * height), max(int(bottom * height), int(top * height) + 1))
    columns = slice(int(left * width), max(int(right * width), int(left * width) + 1))
    return example['image'][rows, columns]

  return crop


def _prepared_builder(tfds, config):
  """Returns the builder of a prepared data set: looks first, downloads only where a connection opens in seconds."""
  data_dir = epath.Path(config.data_dir).expanduser() if config.data_dir else None
  try:
    builder = tfds.builder(config.name, data_dir=data_dir, file_format='array_record')
  except tfds.core.DatasetNotFoundError as error:
    from gans.data.sources import SOURCES
    raise UserError(f'dataset.name={config.name!r} is no data set: expected one of {sorted(SOURCES)} or a name from '
                    'https://www.tensorflow.org/datasets/catalog') from error
  if not builder.is_prepared():
    if not _online():
      raise UserError(
          f'dataset.name={config.name!r} is not prepared in {builder.data_path} and there is no network to get it: '
          f'run `tfds build {config.name} --file_format=array_record` on a machine that has one and give the folder as '
          '--config.dataset.data_dir, or train on the digits that need no download: --config.dataset.name=mnist_5k')
    builder.download_and_prepare(file_format='array_record')
  return builder


def _online() -> bool:
  """Tells whether TFDS's server can be reached, within CONNECT_SECONDS."""
  try:
    socket.create_connection(('storage.googleapis.com', 443), CONNECT_SECONDS).close()
    return True
  except OSError:
    return False
