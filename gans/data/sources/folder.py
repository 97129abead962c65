"""A user's own images: every image file below a folder, of any size and mode and of the formats below.

First-level subfolders are labels if all images are in two or more of them. The images are decoded once, in parallel,
and kept in ~/.cache/gans (or $XDG_CACHE_HOME/gans) until a file changes. If a folder is too large for that, its images
are decoded at each use, and only what is known about each file is kept.
"""
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
import os
import pathlib
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps
import tqdm

from gans.data.dataset import Dataset, OnDisk, is_too_large
from gans.data.sources import attributes
from gans.data.sources.square import fit_square
from gans.errors import UserError
from gans.system import cache

# No other decoder is tried, even if a file's name asks for it: that of EPS would start a program, Ghostscript.
FORMATS = ('JPEG', 'PNG', 'WEBP', 'GIF', 'BMP', 'TIFF')
SUFFIXES = ('.jpg', '.jpeg', '.png', '.webp', '.gif', '.bmp', '.tif', '.tiff')
MAX_UNREADABLE = 0.1  # fraction of the files; a folder with more of them is refused
SHOWN = 10  # unreadable files listed by name
AHEAD = 10_000  # files in the thread pool's queue at a time


class Files(NamedTuple):
  """The N image files of a folder that can be read, and what they hold."""
  paths: list[pathlib.Path]
  images: np.ndarray | OnDisk  # [N,...,C] uint8: what was decoded from each
  labels: np.ndarray  # [N] int32, from the subfolders
  num_classes: int


def load_folder(config) -> Dataset:
  """Reads every image below config.path as [N,S,S,C] uint8, S = config.image_size; C is 1 if all are grey, else 3.

  If that is more than config.device_bytes, with C taken as 3, the images stay on disk; each has been decoded once.
  The attributes that config.attributes names come from a list beside the images.

  Raises:
    UserError: no folder, fewer than two images, more than MAX_UNREADABLE of them cannot be read, or no such attributes.
  """
  names = attributes.check_names(config)
  root = pathlib.Path(config.path).expanduser()
  table = None
  if names and config.path and root.is_dir():
    table = attributes.read_table(root, names)  # first, as images take longer
  files = read_files(config, decode_image)
  dataset = Dataset(files.images, files.labels, files.num_classes)
  if table is None:
    return dataset
  return dataset._replace(attributes=attributes.attributes_of(table, root, files.paths), attribute_names=names)


def read_files(config, decode: Callable, leading: tuple[int, ...] = ()) -> Files:
  """Reads every image below config.path; decode(path, size) -> [*leading,S,S,3] uint8, or as str why it cannot be read.

  Raises:
    UserError: no folder, fewer than two images, or more than MAX_UNREADABLE of them cannot be read.
  """
  root = pathlib.Path(config.path).expanduser()
  paths = find_files(config.path, SUFFIXES, 'images')
  shape = (*leading, config.image_size, config.image_size, 3)
  key = (*leading, *cache_key(root, paths, config.image_size))

  def read(path):
    return decode(path, config.image_size)

  if is_too_large(config, (len(paths), *shape)):
    kept = cache.load_or_make('folders', ('checked', *key), lambda: _check_all(root, paths, read))
    shape = (len(kept['good']), *shape[:-1], int(kept['channels']))
    images = _on_disk([str(paths[i]) for i in kept['good']], shape, key, read)
  else:
    kept = cache.load_or_make('folders', key, lambda: _decode_all(root, paths, read))
    images = kept['images']
  return Files([paths[i] for i in kept['good']], images, kept['labels'], int(kept['num_classes']))


def find_files(path: str, suffixes: tuple[str, ...], what: str) -> list[pathlib.Path]:
  """Returns the files of these suffixes below the folder `path`, sorted, without links that lead out of it or nowhere.

  Raises:
    UserError: there is no such folder, or there are fewer than two files; `what` says for people what they hold.
  """
  root = pathlib.Path(path).expanduser()
  if not path or not root.is_dir():
    raise UserError(f'dataset.path={path!r} is not a folder: give the folder that holds the {what}')
  found = list_files(root, suffixes)
  if len(found) < 2:
    raise UserError(f'dataset.path={path!r} holds {len(found)} {what} ({", ".join(suffixes)}): expected 2')
  return found


def list_files(root: pathlib.Path, suffixes: tuple[str, ...]) -> list[pathlib.Path]:
  """Returns the files of these suffixes below a folder, sorted, without links that lead out of it or nowhere."""
  home = root.resolve()
  found = []
  for folder, _, names in os.walk(root):
    candidates = [pathlib.Path(folder) / name for name in names]
    found += [each for each in candidates if each.suffix.lower() in suffixes and _is_file_below(home, each)]
  return sorted(found)


def _is_file_below(home: pathlib.Path, path: pathlib.Path) -> bool:
  target = pathlib.Path(os.path.realpath(path))  # Path.resolve would raise for links in a circle
  return target.is_relative_to(home) and target.is_file()


def cache_key(root: pathlib.Path, paths: list[pathlib.Path], size: int) -> tuple:
  """Returns the key of these files in the cache; another size or a changed file gives another key."""
  files = []
  for path in paths:
    stat = path.stat()
    files.append((str(path.relative_to(root)), stat.st_size, stat.st_mtime_ns))
  return str(root.resolve()), size, files


def _decode_all(root, paths, read: Callable) -> dict[str, np.ndarray]:
  """Decodes the files: {'images', 'good', 'labels', 'num_classes'}."""
  decoded, fields = read_all(root, paths, read, 'images')
  pixels = np.stack(decoded)
  channels = 1 if is_grey(pixels) else 3
  return {'images': pixels[..., :channels]} | fields


def _check_all(root, paths, read: Callable) -> dict[str, np.ndarray]:
  """Decodes the files without keeping their pixels: {'channels', 'good', 'labels', 'num_classes'}."""
  def check(path):
    image = read(path)
    return image if isinstance(image, str) else is_grey(image)

  greys, fields = read_all(root, paths, check, 'images')
  channels = 1 if all(greys) else 3
  return {'channels': np.array(channels)} | fields


def read_all(root, paths, read: Callable, what: str) -> tuple[list, dict[str, np.ndarray]]:
  """Calls read(path) -> a result, or an error as str, for all files, and skips those that cannot be read.

  Returns the results and the arrays {'good', 'labels', 'num_classes'}; 'good' are the results' positions in `paths`.
  `what` says for people what the files hold. Raises UserError if too many cannot be read.
  """
  results = _call_in_parallel(read, paths, f'reading {root.name!r}', unit=f' {what}')
  good, errors = [], {}
  for i, result in enumerate(results):
    if isinstance(result, str):
      errors[paths[i]] = result
    else:
      good.append(i)
  _report_unreadable(root, errors, len(paths), what)
  labels, num_classes = folder_labels(root, [paths[i] for i in good])
  fields = {'good': np.array(good), 'labels': labels, 'num_classes': np.array(num_classes)}
  return [results[i] for i in good], fields


def _call_in_parallel(read: Callable, paths, description: str, unit: str) -> list:
  """Returns read(path) of each path, computed on all cores: Pillow decodes and resizes without the GIL."""
  results = []
  progress = tqdm.tqdm(total=len(paths), disable=None, desc=description, unit=unit)
  with progress, ThreadPoolExecutor(os.cpu_count()) as pool:
    for start in range(0, len(paths), AHEAD):
      for result in pool.map(read, paths[start:start + AHEAD]):
        results.append(result)
        progress.update()
  return results


def _on_disk(files: list[str], shape: tuple[int, ...], key: tuple, read: Callable) -> OnDisk:
  """Returns images of this shape that are decoded at each use: the same images as those of _decode_all."""
  def read_images(positions: list[int]) -> list[np.ndarray]:
    return [image[..., :shape[-1]] for image in read_again(files, positions, read)]

  return OnDisk(shape, cache.digest(key), read_images)


def read_again(files: list[str], positions: list[int], read: Callable) -> list[np.ndarray]:
  """Returns read(files[i]) for each position; raises UserError for a file that could be read before."""
  results = {i: read(files[i]) for i in positions}
  for i, result in results.items():
    if isinstance(result, str):
      raise UserError(f'dataset.path: {files[i]!r} could be read before and cannot be now: {result!r}; restore it, '
                      'and the same command resumes')
  return [results[i] for i in positions]


def is_grey(pixels: np.ndarray) -> bool:
  """Tells whether all channels of [...,C] are the same."""
  return bool((pixels == pixels[..., :1]).all())


def decode_image(path: pathlib.Path | str, size: int) -> np.ndarray | str:
  """Decodes a file, or the first frame of an animation, to [size,size,3] uint8, or returns why it cannot be read."""
  def decode(image):
    image.draft('RGB', (2 * size, 2 * size))  # lets JPEG decode at a fraction of its size
    return fit_square(upright_pixels(image), size)

  return decode_file(path, decode)


def decode_file(path: pathlib.Path | str, decode: Callable) -> np.ndarray | str:
  """Returns decode(opened image), or why the file cannot be read: a ValueError of `decode` too."""
  try:
    with Image.open(path, formats=FORMATS) as image:
      return decode(image)
  except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
    return str(error)


def upright_pixels(image: Image.Image) -> np.ndarray:
  """Returns an opened image as [h,w,3] uint8, turned as its EXIF data say."""
  return np.asarray(to_rgb(ImageOps.exif_transpose(image)))


def to_rgb(image: Image.Image) -> Image.Image:
  """Converts any mode to RGB: 16-bit grey by its high byte, transparent pixels on white."""
  if image.mode.startswith('I;16') or image.mode == 'I':
    high_bytes = np.asarray(image).astype(np.uint32) >> 8
    return Image.fromarray(high_bytes.astype(np.uint8)).convert('RGB')
  if image.has_transparency_data:
    white = Image.new('RGBA', image.size, 'white')
    return Image.alpha_composite(white, image.convert('RGBA')).convert('RGB')
  return image.convert('RGB')


def folder_labels(root: pathlib.Path, paths: list[pathlib.Path]) -> tuple[np.ndarray, int]:
  """Labels each file by its first-level subfolder, in the order of their names: ([N] int32, number of classes)."""
  unlabelled = np.zeros(len(paths), np.int32)
  if any(path.parent == root for path in paths):
    return unlabelled, 0
  folders = [path.relative_to(root).parts[0] for path in paths]
  names = sorted(set(folders))
  if len(names) < 2:
    return unlabelled, 0
  labels = [names.index(folder) for folder in folders]
  return np.array(labels, np.int32), len(names)


def _report_unreadable(root: pathlib.Path, errors: dict, total: int, what: str):
  """Lists the files that cannot be read, with their names quoted safely; raises UserError if they are too many."""
  if not errors:
    return
  lines = [f'{len(errors)} of {total} {what} in {str(root)!r} cannot be read:']
  for path, reason in list(errors.items())[:SHOWN]:
    name = str(path.relative_to(root))
    lines.append(f'  {name!r}: {reason!r}')
  if len(errors) > SHOWN:
    lines.append(f'  and {len(errors) - SHOWN} more')
  message = '\n'.join(lines)
  if len(errors) > MAX_UNREADABLE * total or total - len(errors) < 2:
    raise UserError(f'dataset.path: {message}\nat most {MAX_UNREADABLE:.0%} are skipped: repair or remove them')
  print(f'{message}\nskipped')
