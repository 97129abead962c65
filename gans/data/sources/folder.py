"""A user's own images: every image file below a folder, whatever its format, size or mode.

First-level subfolders are labels where all images lie in two or more of them. Decoded once, in parallel, and kept in
~/.cache/gans (or $XDG_CACHE_HOME/gans) until a file changes; of a folder too large for that, what each file is is kept.
"""
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
import itertools
import os
import pathlib

import numpy as np
from PIL import Image, ImageOps
import tqdm

from gans.data.dataset import Dataset, OnDisk, is_too_large
from gans.data.sources.square import fit_square
from gans.errors import UserError
from gans.system import cache

# Whatever a file's name says, no other decoder sees it: that of EPS would start a program, Ghostscript.
FORMATS = ('JPEG', 'PNG', 'WEBP', 'GIF', 'BMP', 'TIFF')
SUFFIXES = ('.jpg', '.jpeg', '.png', '.webp', '.gif', '.bmp', '.tif', '.tiff')
MAX_UNREADABLE = 0.1  # share of the files; more, and the folder is refused
SHOWN = 10  # unreadable files listed by name
AHEAD = 10_000  # files that are looked at at once


def load_folder(config) -> Dataset:
  """Reads every image below config.path as [N,S,S,C] uint8, S = config.image_size; C is 1 where all are grey, else 3.

  Where that is more than config.device_bytes, with C taken as 3, the images stay on disk; each has been decoded once.

  Raises:
    UserError: no folder, fewer than two images, or more than MAX_UNREADABLE of them cannot be read.
  """
  root = pathlib.Path(config.path).expanduser()
  if not config.path or not root.is_dir():
    raise UserError(f'dataset.path={config.path!r} is no folder: give the folder that holds the images')
  paths = find_images(root)
  if len(paths) < 2:
    raise UserError(f'dataset.path={config.path!r} holds {len(paths)} images ({", ".join(SUFFIXES)}): expected 2')
  key = _as_they_are(root, paths, config.image_size)
  if is_too_large(config, (len(paths), config.image_size, config.image_size, 3)):
    return _on_disk(root, paths, config.image_size, key)
  decoded = cache.load_or_make('folders', key, lambda: _decode_all(root, paths, config.image_size))
  return Dataset(decoded['images'], decoded['labels'], int(decoded['num_classes']))


def find_images(root: pathlib.Path) -> list[pathlib.Path]:
  """Lists the image files below `root`, sorted; links that lead out of it are left out."""
  home = root.resolve()
  found = (pathlib.Path(folder) / name for folder, _, names in os.walk(root) for name in names)
  return sorted(path for path in found
                if path.suffix.lower() in SUFFIXES and path.resolve().is_relative_to(home) and path.is_file())


def _as_they_are(root: pathlib.Path, paths: list[pathlib.Path], size: int) -> tuple:
  """The key of these files' cache: another size, or a file changed, gives another one."""
  stats = [(str(path.relative_to(root)), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
  return str(root.resolve()), size, stats


def _decode_all(root, paths, size: int) -> dict[str, np.ndarray]:
  """Decodes the files: {'images', 'good', 'labels', 'num_classes'}."""
  decoded, fields = _look_at_all(root, paths, lambda path: decode(path, size))
  pixels = np.stack(decoded)
  return {'images': pixels[..., :1] if is_grey(pixels) else pixels} | fields


def _check_all(root, paths, size: int) -> dict[str, np.ndarray]:
  """Decodes the files and keeps no pixels: {'channels', 'good', 'labels', 'num_classes'}."""
  def look(path):
    image = decode(path, size)
    return image if isinstance(image, str) else is_grey(image)

  greys, fields = _look_at_all(root, paths, look)
  return {'channels': np.array(1 if all(greys) else 3)} | fields


def _look_at_all(root, paths, look: Callable) -> tuple[list, dict[str, np.ndarray]]:
  """Calls look(path) -> what to keep, or an error as str, with all cores; leaves out what cannot be read.

  Returns what there is to keep, and the arrays {'good', 'labels', 'num_classes'}; 'good' are positions in `paths`.
  """
  chunks = (paths[i:i + AHEAD] for i in range(0, len(paths), AHEAD))
  with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes and resizes outside the interpreter's lock
    found = itertools.chain.from_iterable(pool.map(look, chunk) for chunk in chunks)
    results = list(tqdm.tqdm(found, total=len(paths), disable=None, desc=f'reading {root.name!r}', unit=' images'))
  errors = {path: result for path, result in zip(paths, results) if isinstance(result, str)}
  _report_unreadable(root, errors, len(paths))
  good = [i for i, result in enumerate(results) if not isinstance(result, str)]
  labels, num_classes = folder_labels(root, [paths[i] for i in good])
  return [results[i] for i in good], {
      'good': np.array(good), 'labels': labels, 'num_classes': np.array(num_classes)}


def _on_disk(root, paths, size: int, key: tuple) -> Dataset:
  """Returns the images as files to be decoded at each use, the same ones with the same labels as _decode_all."""
  checked = cache.load_or_make('folders', ('checked', *key), lambda: _check_all(root, paths, size))
  files = [str(paths[i]) for i in checked['good']]
  channels = int(checked['channels'])

  def read(positions: list[int]) -> list[np.ndarray]:
    decoded = {files[i]: decode(files[i], size) for i in positions}
    for file, image in decoded.items():
      if isinstance(image, str):
        raise UserError(f'dataset.path: {file!r} could be read before and cannot be any more: {image!r}; restore it, '
                        'and the same command goes on')
    return [decoded[files[i]][..., :channels] for i in positions]

  shape = (len(files), size, size, channels)
  return Dataset(OnDisk(shape, cache.digest(key), read), checked['labels'], int(checked['num_classes']))


def is_grey(pixels: np.ndarray) -> bool:
  """Tells whether all channels of [...,C] are the same."""
  return bool((pixels == pixels[..., :1]).all())


def decode(path: pathlib.Path | str, size: int) -> np.ndarray | str:
  """Decodes one file to [size,size,3] uint8, or returns why it cannot be read; the first frame of an animation."""
  try:
    with Image.open(path, formats=FORMATS) as image:
      image.draft('RGB', (2 * size, 2 * size))  # lets JPEG decode at a fraction of its size
      return fit_square(np.asarray(to_rgb(ImageOps.exif_transpose(image))), size)
  except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
    return str(error)


def to_rgb(image: Image.Image) -> Image.Image:
  """Converts any mode to RGB: 16-bit grey by its high byte, transparent pixels on white."""
  if image.mode.startswith('I;16') or image.mode == 'I':
    return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)).convert('RGB')
  if image.has_transparency_data:
    image = image.convert('RGBA')
    return Image.alpha_composite(Image.new('RGBA', image.size, 'white'), image).convert('RGB')
  return image.convert('RGB')


def folder_labels(root: pathlib.Path, paths: list[pathlib.Path]) -> tuple[np.ndarray, int]:
  """Labels each image by its first-level subfolder, in the order of their names: ([N] int32, number of classes)."""
  folders = [path.relative_to(root).parts[0] if path.parent != root else None for path in paths]
  names = sorted(set(folders) - {None})
  if None in folders or len(names) < 2:
    return np.zeros(len(paths), np.int32), 0
  return np.array([names.index(folder) for folder in folders], np.int32), len(names)


def _report_unreadable(root: pathlib.Path, errors: dict, total: int):
  """Lists the files that cannot be read, names safely quoted, and refuses the folder where they are too many."""
  if not errors:
    return
  lines = [f'  {str(path.relative_to(root))!r}: {reason!r}' for path, reason in list(errors.items())[:SHOWN]]
  more = [f'  and {len(errors) - SHOWN} more'] if len(errors) > SHOWN else []
  message = '\n'.join([f'{len(errors)} of {total} images in {str(root)!r} cannot be read:', *lines, *more])
  if len(errors) > MAX_UNREADABLE * total or total - len(errors) < 2:
    raise UserError(f'dataset.path: {message}\nat most {MAX_UNREADABLE:.0%} are skipped: mend or remove them')
  print(f'{message}\nskipped')
