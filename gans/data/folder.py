"""A user's own images: every image file below a folder, whatever its format, size or mode.

First-level subfolders are labels where all images lie in two or more of them. Decoded once, in parallel, and kept in
~/.cache/gans (or $XDG_CACHE_HOME/gans) until a file changes.
"""
from concurrent.futures import ThreadPoolExecutor
import os
import pathlib

import numpy as np
from PIL import Image, ImageOps
import tqdm

from gans import cache
from gans.data import images
from gans.data.dataset import Dataset
from gans.errors import UserError

# Whatever a file's name says, no other decoder sees it: that of EPS would start a program, Ghostscript.
FORMATS = ('JPEG', 'PNG', 'WEBP', 'GIF', 'BMP', 'TIFF')
SUFFIXES = ('.jpg', '.jpeg', '.png', '.webp', '.gif', '.bmp', '.tif', '.tiff')
MAX_UNREADABLE = 0.1  # share of the files; more, and the folder is refused
SHOWN = 10  # unreadable files listed by name


def load(config) -> Dataset:
  """Reads every image below config.path as [N,S,S,C] uint8, S = config.image_size; C is 1 where all are grey, else 3.

  Raises:
    UserError: no folder, fewer than two images, or more than MAX_UNREADABLE of them cannot be read.
  """
  root = pathlib.Path(config.path).expanduser()
  if not config.path or not root.is_dir():
    raise UserError(f'dataset.path={config.path!r} is no folder: give the folder that holds the images')
  paths = find_images(root)
  if len(paths) < 2:
    raise UserError(f'dataset.path={config.path!r} holds {len(paths)} images ({", ".join(SUFFIXES)}): expected 2')
  decoded = cache.arrays('folders', _as_they_are(root, paths, config.image_size),
                         lambda: _decode_all(root, paths, config.image_size))
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
  """Decodes the files with all cores: {'images', 'labels', 'num_classes'}."""
  with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes and resizes outside the interpreter's lock
    results = list(tqdm.tqdm(pool.map(lambda path: decode(path, size), paths), total=len(paths), disable=None,
                             desc=f'reading {root.name!r}', unit=' images'))
  errors = {path: result for path, result in zip(paths, results) if isinstance(result, str)}
  _report_unreadable(root, errors, len(paths))
  good = [path for path in paths if path not in errors]
  pixels = np.stack([result for result in results if not isinstance(result, str)])
  if (pixels == pixels[..., :1]).all():
    pixels = pixels[..., :1]
  labels, num_classes = folder_labels(root, good)
  return {'images': pixels, 'labels': labels, 'num_classes': np.array(num_classes)}


def decode(path: pathlib.Path, size: int) -> np.ndarray | str:
  """Decodes one file to [size,size,3] uint8, or returns why it cannot be read; the first frame of an animation."""
  try:
    with Image.open(path, formats=FORMATS) as image:
      image.draft('RGB', (2 * size, 2 * size))  # lets JPEG decode at a fraction of its size
      return images.fit(np.asarray(to_rgb(ImageOps.exif_transpose(image))), size)
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
