"""Any image data set of TensorFlow Datasets, through `tfds.data_source` (array_record; no TensorFlow in the loop)."""
from collections.abc import Callable
import contextlib
import difflib
import os
import re
import socket
import zlib

from etils import epath
import filelock
import numpy as np

from gans.data.dataset import Dataset, OnDisk, is_too_large
from gans.data.inventory import COMPARED_ON_DISK, checksum_of, spaced_positions
from gans.data.sources.fit import fit
from gans.errors import UserError, first_line
from gans.system import cache, disk, progress

CONNECT_SECONDS = 3
READ = 1000  # examples per request; the source reads lists of them three times as fast as single ones
# TensorFlow, where TFDS imports it, says on stderr which processor it finds; it computes nothing here.
QUIET = {'TF_CPP_MIN_LOG_LEVEL': '3', 'TF_ENABLE_ONEDNN_OPTS': '0'}
PREPARE = '''python -c "import tensorflow_datasets as t; t.builder({name!r}, data_dir='FOLDER').download_and_prepare(\
file_format='array_record')"'''


def load_tfds(config) -> Dataset:
  """Reads config.split of the TFDS data set config.name, prepared under config.data_dir ('' for TFDS's default).

  Images become [N,H,W,C] uint8, as config.image_size says: the centre of the image, or of its bounding box in the
  feature config.crop ('' for none). A ClassLabel 'label' becomes the labels. Images of more than config.device_bytes
  stay on disk. A data set that is not prepared yet is downloaded if there is a network.

  Raises:
    UserError: unknown name or split, no images in it that can be used, not prepared and no network, or anything else
      that TFDS raises.
  """
  for name, value in QUIET.items():
    os.environ.setdefault(name, value)
  import tensorflow_datasets as tfds  # here, as the import takes a second that other data sets need not wait for
  builder = _prepared_builder(tfds, config)
  features = builder.info.features
  _check_image(config, features)
  crop = _make_crop(tfds, config.crop, features)
  label, note = _find_label(tfds, features)
  source = _open_source(builder, config)
  without_pixels = _open_source(builder, config, {'image': tfds.decode.SkipDecoding()})

  def crop_and_fit(example) -> np.ndarray:
    return fit(crop(example), config.image_size)

  read = _make_read(config, source, crop_and_fit)
  first, = read([0])
  shape = (len(source), *first.shape)
  if is_too_large(config, shape):
    key = _key(builder, config, shape)
    images = OnDisk(shape, cache.digest(key), read)
    labels = _keep_labels(config, without_pixels, key) if label else np.zeros(len(source), np.int32)
  else:
    read_both = _make_read(config, source, lambda example: (crop_and_fit(example), example['label'] if label else 0))
    pairs = _read_in_order(read_both, len(source), f'reading {config.name}')
    images = np.stack([image for image, _ in pairs])
    labels = np.array([each for _, each in pairs], np.int32)
  num_unlabelled = int((labels < 0).sum())
  if num_unlabelled:
    label, labels = None, np.zeros_like(labels)
    note = f'no classes: {num_unlabelled:,} of its examples have no label'
  names = tuple(label.names) if label else ()
  return Dataset(images, labels, len(names), class_names=names, checksums=_find_checksums(config, without_pixels),
                 notes=(note,) if note else ())


def _check_image(config, features):
  """Raises UserError unless each example has one picture of 8 bits in 1 or 3 channels."""
  if 'image' not in features:
    raise UserError(f"dataset.name={config.name!r} has no feature 'image'; it has {sorted(features)}")
  shape, dtype = features['image'].shape, features['image'].dtype
  is_picture = isinstance(shape, tuple) and len(shape) == 3 and shape[-1] in (1, 3)
  if not is_picture or dtype != np.uint8:
    raise UserError(f"dataset.name={config.name!r}: its feature 'image' is {shape} of {dtype}: expected one picture "
                    '(height, width, 1 or 3) of uint8')


def _find_label(tfds, features) -> tuple:
  """Returns the ClassLabel of the examples, or None and what is to be said of that."""
  if 'label' not in features:
    return None, ''
  label = features['label']
  if not isinstance(label, tfds.features.ClassLabel):
    return None, f"no classes: its feature 'label' is {type(label).__name__} and not ClassLabel"
  return (label, '') if (label.num_classes or 0) > 1 else (None, '')


def _open_source(builder, config, decoders: dict | None = None):
  try:
    source = builder.as_data_source(split=config.split, decoders=decoders)
    count = len(source)
  except Exception as error:
    raise UserError(f'dataset.split={config.split!r} of {config.name!r} cannot be read: {first_line(error)}; it has '
                    f'{sorted(builder.info.splits)}') from error
  if count < 2:
    raise UserError(f'dataset.split={config.split!r} of {config.name!r} has {count} examples: expected at least 2')
  return source


def _make_read(config, source, convert: Callable) -> Callable:
  """Returns read(positions) -> [convert(example)], which raises UserError for a damaged example."""
  def read(positions: list[int]) -> list:
    try:
      return [convert(example) for example in source.__getitems__(positions)]
    except Exception as error:
      if len(positions) > 1:  # one by one, to name the damaged one
        return [read([position])[0] for position in positions]
      raise UserError(f'dataset.name={config.name!r}: example {positions[0]} of {config.split!r} cannot be read: '
                      f'{first_line(error)}; prepare the data set again') from error

  return read


def _read_in_order(read: Callable, total: int, description: str) -> list:
  """Returns read(positions) of all examples, READ at a time, and shows the progress."""
  found = []
  with progress.bar(total=total, desc=description, unit=' images') as shown:
    for start in range(0, total, READ):
      found += read(list(range(start, min(start + READ, total))))
      shown.update(len(found) - shown.n)
  return found


def _key(builder, config, shape: tuple[int, ...]) -> tuple:
  written = (builder.data_path / 'dataset_info.json').stat().mtime
  return str(builder.data_path), written, config.split, config.crop, shape


def _keep_labels(config, without_pixels, key: tuple) -> np.ndarray:
  """Returns the labels of images that stay on disk [N] int32; they are read once, and kept."""
  def read_labels() -> dict[str, np.ndarray]:
    read = _make_read(config, without_pixels, lambda example: example['label'])
    labels = _read_in_order(read, len(without_pixels), f'reading labels of {config.name}')
    return {'labels': np.array(labels, np.int32)}

  return cache.load_or_make('labels', key, read_labels)['labels']


def _find_checksums(config, without_pixels) -> np.ndarray:
  """Returns the checksums of evenly spaced images as they are stored, which no other version of a decoder changes."""
  def find_checksum(example) -> int:
    stored = example['image']
    return zlib.crc32(stored) if isinstance(stored, bytes) else checksum_of(np.asarray(stored))

  total = len(without_pixels)
  positions = spaced_positions(min(total, COMPARED_ON_DISK), total)
  return np.array(_make_read(config, without_pixels, find_checksum)(positions.tolist()), np.uint32)


def _make_crop(tfds, feature: str, features) -> Callable:
  """Returns crop(example) -> its image, cut to the bounding box in `feature`, or whole if that is ''."""
  if not feature:
    return lambda example: example['image']
  boxes = sorted(name for name, each in features.items() if isinstance(each, tfds.features.BBoxFeature))
  if feature not in boxes:
    raise UserError(f'dataset.crop={feature!r} is no feature with one bounding box; such are {boxes}')

  def crop(example):
    height, width = example['image'].shape[:2]
    top, left, bottom, right = example[feature]  # as fractions of the height and width
    rows = _pixels_between(top, bottom, height)
    columns = _pixels_between(left, right, width)
    return example['image'][rows, columns]

  return crop


def _pixels_between(low: float, high: float, length: int) -> slice:
  """Returns the pixels of an axis between two fractions of its length: at least one."""
  start = min(int(low * length), length - 1)
  stop = int(high * length)
  return slice(start, max(stop, start + 1))


def _prepared_builder(tfds, config):
  """Returns the builder of a prepared data set; it downloads one only if a connection opens within seconds."""
  data_dir = epath.Path(config.data_dir).expanduser() if config.data_dir else None

  def make_builder():
    return tfds.builder(config.name, data_dir=data_dir, file_format='array_record')

  try:
    builder = make_builder()
    is_prepared = builder.is_prepared()
  except Exception as error:
    raise _explain(tfds, config, error) from error
  prepare = PREPARE.format(name=config.name)
  if not is_prepared and not _online():
    raise UserError(
        f'dataset.name={config.name!r} is not prepared in {builder.data_path}, and there is no network to get it: run '
        f'`{prepare}` on a machine that has one and give the FOLDER as dataset.data_dir, or train on digits '
        'that need no download: --config.dataset.name=mnist_5k')
  if not is_prepared:
    try:
      builder = prepare_once(make_builder)
    except Exception as error:
      raise UserError(f'dataset.name={config.name!r} cannot be prepared in {builder.data_path}: {first_line(error)} '
                      f'Once it can be had, the same command prepares it; or run `{prepare}` and give the FOLDER as '
                      'dataset.data_dir') from error
  return builder


def prepare_once(make_builder: Callable):
  """Returns a builder of TFDS whose data set is prepared, by this process or by another that was there first."""
  builder = make_builder()
  with contextlib.ExitStack() as stack:
    if not disk.is_remote(builder.data_path):
      folder = builder.data_path.parent
      folder.mkdir(parents=True, exist_ok=True)
      stack.enter_context(filelock.FileLock(folder / 'gans.lock'))  # TFDS itself has none
      builder = make_builder()  # which sees what was prepared meanwhile
    if not builder.is_prepared():
      builder.download_and_prepare(file_format='array_record')
  return builder


def _explain(tfds, config, error: Exception) -> UserError:
  """Returns what to say where TFDS makes no builder."""
  name = config.name
  if re.search('file format', str(error), re.IGNORECASE):
    where = config.data_dir or '~/tensorflow_datasets'
    prepare = PREPARE.format(name=name)
    return UserError(f'dataset.name={name!r} is prepared in {where!r} in another format than array_record, such as '
                     f'tfrecord, and only that can be read in any order: run `{prepare}` with another FOLDER and give '
                     'it as dataset.data_dir, or convert it with `tfds convert_format`')
  if isinstance(error, tfds.core.DatasetNotFoundError) or not re.fullmatch(r'\w+([/:].*)?', name):
    from gans.data.sources import SOURCES, describe_names
    hint = ''
    near = difflib.get_close_matches(re.sub(r'\W', '_', name.lower()), [*SOURCES, *tfds.list_builders()])
    if os.path.isdir(os.path.expanduser(name)):
      hint = f'a folder of your own is --config.dataset.name=folder --config.dataset.path={name}; '
    elif near:
      hint = f'did you mean {" or ".join(near)}? '
    return UserError(f'dataset.name={name!r} is not a data set: {hint}expected {describe_names()}')
  return UserError(f'dataset.name={name!r} cannot be had from TFDS: {first_line(error)}')


def _online() -> bool:
  """Tells whether TFDS's server can be reached, within CONNECT_SECONDS."""
  try:
    socket.create_connection(('storage.googleapis.com', 443), CONNECT_SECONDS).close()
    return True
  except OSError:
    return False
