"""A user's own images: every image file below a folder, of any size and mode and of the formats of pixels.SUFFIXES.

First-level subfolders are labels if all images are in two or more of them, unless a file in the folder has the labels.
The images are decoded once, in parallel, and kept in ~/.cache/gans (or $XDG_CACHE_HOME/gans) until a file changes. If a
folder is too large for that, its images are decoded at each use, and only what is known about each file is kept.
"""
from collections import Counter
from collections.abc import Callable, Sequence
import functools
import math
import pathlib
import zipfile

import numpy as np
from PIL import Image

from gans.data.dataset import Dataset, is_too_large
from gans.data.sources import archive, attributes, files, label_files, listing, pixels
from gans.data.sources.fit import fit, sides_of
from gans.system import cache

LAYOUT = 4  # of what is kept in the cache


def load_folder(config) -> Dataset:
  """Reads every image below config.path, a folder or a zip archive, as [N,H,W,C] uint8.

  H and W are as config.image_size says, and C is 4 with config.alpha, else 1 if all are grey, else 3. If that is more
  than config.device_bytes, with C not taken as 1, the images stay on disk; each has been decoded once. The attributes
  that config.attributes names come from a list beside the images, and labels from a file in the folder, if any.

  Raises:
    UserError: no folder, fewer than two images, more than config.max_unreadable of them cannot be read, the folder
      holds the splits of a data set, there are no such attributes, or the labels do not fit the images.
  """
  names = attributes.check_names(config)
  labels = label_files.read_labels(archive.open_root(config.path))  # first, as images take longer
  root = pathlib.Path(config.path).expanduser()
  table = attributes.read_table(root, names) if names else None
  alpha = config.get('alpha', False)
  dataset = read_files(config, functools.partial(fit_image, alpha=alpha), channels=4 if alpha else 3)
  if labels:
    dataset = label_files.label_images(dataset, labels)
  if table:
    dataset = dataset._replace(attributes=attributes.attributes_of(table, root, dataset.names), attribute_names=names)
    if table.path.parent == root:
      dataset = dataset._replace(left_out=listing.but_for(dataset.left_out, table.path.name))
  return dataset


def read_files(config, decode: Callable, leading: tuple[int, ...] = (), channels: int = 3) -> Dataset:
  """Reads every image below config.path; decode(opened image, size) -> [*leading,H,W,channels] uint8 or raises why not.

  Of three channels one is kept if all images are grey.

  Raises:
    UserError: as load_folder.
  """
  found = list_images(config.path)
  shape = (*leading, *sides_of(config.image_size), channels)
  stays_on_disk = is_too_large(config, (len(found.names), *shape))
  details = (LAYOUT, stays_on_disk, *shape)
  key = found.key(*details)
  decode = functools.partial(decode, size=config.image_size)
  read_all = _check_all if stays_on_disk else _decode_all
  kept = cache.load_or_make('folders', key, lambda: read_all(found, decode, shape), of=found.identity(*details))
  images = kept.get('images')
  if stays_on_disk:
    shape = (len(kept['good']), *shape[:-1], int(kept['channels']))
    read = functools.partial(pixels.decode_with, decode=decode)
    images = files.keep_on_disk(kept, found, shape, key, lambda path: read(path)[..., :shape[-1]])
  dataset = files.make_dataset(config, found, kept, images, 'images')
  height, width, _ = shape[-3:]
  notes = describe_originals(kept['sizes'], kept['modes'], (math.prod(leading) * width, height))
  return dataset._replace(notes=(*notes, *dataset.notes))


def list_images(path: str) -> listing.Listing:
  """Lists the images of a folder or a zip archive; raises UserError as listing.find_files."""
  if archive.is_archive(path):
    return listing.check_listing(path, archive.list_archive(path, pixels.SUFFIXES), pixels.SUFFIXES, 'images')
  return listing.find_files(path, pixels.SUFFIXES, 'images')


def _decode_all(found: listing.Listing, decode: Callable, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
  """Decodes the files: {'images'} and what _read_all returns."""
  decoded, fields = _read_all(found, decode)
  images = np.stack(decoded) if decoded else np.zeros((0, *shape), np.uint8)
  return {'images': images[..., :1] if is_grey(images) else images} | fields


def _check_all(found: listing.Listing, decode: Callable, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
  """Decodes the files without keeping their pixels: {'channels'} and what _read_all returns."""
  greys, fields = _read_all(found, lambda image: is_grey(decode(image)))
  return {'channels': np.array(1 if all(greys) else shape[-1])} | fields


def _read_all(found: listing.Listing, decode: Callable) -> tuple[list, dict[str, np.ndarray]]:
  """Calls decode(opened image) for all files: as files.read_all, and the files' 'sizes' [N,2] and 'modes' [N]."""
  def look_and_decode(image):
    size, mode = image.size, image.mode  # before it is decoded, as a JPEG may be at a fraction of its size
    decoded = decode(image)
    if pixels.lies_on_its_side(image):
      size = size[::-1]
    return (*size, mode), decoded

  results, fields = files.read_all(found, lambda path: pixels.decode_with(path, look_and_decode), 'images')
  originals = [original for original, _ in results]
  fields['sizes'] = np.array([(width, height) for width, height, _ in originals], int).reshape(-1, 2)
  fields['modes'] = np.array([mode for _, _, mode in originals], str)
  return [decoded for _, decoded in results], fields


def describe_originals(sizes: np.ndarray, modes: np.ndarray, wanted: tuple[int, int]) -> list[str]:
  """Says of which sizes [N,2], (width, height), and modes [N] of Pillow the files are, and how many are enlarged."""
  distinct = np.unique(sizes, axis=0)
  by_area = distinct[np.argsort(distinct.prod(axis=1), kind='stable')]
  span = ' to '.join('x'.join(map(str, size)) for size in (by_area[0], by_area[-1])[:len(by_area)])
  counts = ', '.join(f'{mode} ({count:,})' for mode, count in Counter(modes.tolist()).most_common())
  lines = [f'files of {span} pixels, {counts}']
  if enlarged := int((sizes < wanted).any(1).sum()):
    lines.append(f'smaller than {"x".join(map(str, wanted))}, and enlarged: {enlarged:,} of them')
  return lines


def is_grey(images: np.ndarray) -> bool:
  """Tells whether the channels of [...,C] are three that are the same; of four, one is alpha."""
  return images.shape[-1] == 3 and bool((images == images[..., :1]).all())


def decode_image(path: str | zipfile.Path, size: int | Sequence[int], alpha: bool = False) -> np.ndarray:
  """Decodes a file, or the first frame of an animation, to [H,W,3] uint8 of `size`, or with `alpha` to [H,W,4].

  Raises whatever a decoder does.
  """
  return pixels.decode_with(path, functools.partial(fit_image, size=size, alpha=alpha))


def fit_image(image: Image.Image, size: int | Sequence[int], alpha: bool = False) -> np.ndarray:
  """Decodes an opened image, as decode_image does a file."""
  longest = 2 * max(sides_of(size))  # of both sides, as the image may lie on its side
  image.draft('RGB', (longest, longest))  # lets JPEG decode at a fraction of its size
  return fit(pixels.upright_pixels(image, alpha), size)
