"""Data sets of two classes in which each picture of domain A (class 0) has its exact counterpart in B (class 1).

NAME_edges, NAME_inverted, NAME_rotated and NAME_coloured are made of the pictures of another data set, in memory;
folder_pairs is a folder of images that hold A and B side by side, as the data sets of pix2pix do (Isola et al. 2017).
"""
from collections.abc import Callable, Sequence
import functools
import math

import numpy as np
from PIL import Image

from gans.data.dataset import Dataset, OnDisk, is_too_large
from gans.data.sources import folder, listing, pixels
from gans.data.sources.fit import fit, one_side
from gans.errors import UserError

CHUNK = 100  # pictures at a time
DARKEST_EDGE = 3 * 255  # Sobel magnitude drawn in black; that of a straight step from black to white is 4 * 255
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
INK, GROUND = np.array([255, 221, 0], np.float32), np.array([0, 51, 153], np.float32)  # yellow on blue
SLACK = 2  # pixels by which a file of a pair may be wider or narrower than twice its height


def sobel(images: np.ndarray) -> np.ndarray:
  """Returns the magnitude [N,H,W,1] float32 of Sobel's gradient of [N,H,W,C] uint8, of the channel where it is largest.

  Beyond the border, the pixels at the border are repeated.
  """
  padded = np.pad(images.astype(np.float32), ((0, 0), (1, 1), (1, 1), (0, 0)), 'edge')
  above, middle, below = padded[:, :-2], padded[:, 1:-1], padded[:, 2:]
  vertical = below - above
  smooth = above + 2 * middle + below
  gradient_x = smooth[:, :, 2:] - smooth[:, :, :-2]
  gradient_y = vertical[:, :, :-2] + 2 * vertical[:, :, 1:-1] + vertical[:, :, 2:]
  return np.hypot(gradient_x, gradient_y).max(-1, keepdims=True)


def edges(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """A: the picture's edges, dark lines on white; B: the picture."""
  darkness = np.minimum(sobel(images) / DARKEST_EDGE, 1)
  return _to_pixels(255 * (1 - darkness)), images


def inverted(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """A: the picture; B: its negative."""
  return images, 255 - images


def rotated(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """A: the picture; B: the picture turned to the left by 90 degrees."""
  return images, np.rot90(images, axes=(1, 2))


def coloured(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """A: the picture in grey; B: a colour picture itself, or INK on GROUND in place of white on black."""
  if images.shape[-1] == 3:
    return _to_pixels(images @ LUMINANCE[:, None]), images
  share = images / np.float32(255)
  return images, _to_pixels(GROUND + (INK - GROUND) * share)


def _to_pixels(values: np.ndarray) -> np.ndarray:
  return np.round(values).astype(np.uint8)


MAKERS = {'edges': edges, 'inverted': inverted, 'rotated': rotated, 'coloured': coloured}  # [N,H,W,C] uint8 -> (A, B)
DOMAINS = {'edges': ('edges', 'pictures'), 'inverted': ('pictures', 'negatives'), 'rotated': ('pictures', 'turned'),
           'coloured': ('grey', 'colour')}


def split_name(name: str) -> tuple[str, str]:
  """Returns the data set's name and the maker's in a name such as mnist_5k_edges; (name, '') if it ends in no maker."""
  base, _, maker = name.rpartition('_')
  return (base, maker) if base and maker in MAKERS else (name, '')


def load_counterparts(load: Callable, config) -> Dataset:
  """Returns the pictures of config.name, such as mnist_5k_edges, as [2N,H,W,C]: all A, then all B.

  `load` loads those that they are made of, [N,H,W,C]. If one domain is grey and the other in colour, both get three
  channels.

  Raises:
    UserError: they take more than config.device_bytes, with C taken as 3, or would not be counterparts if mirrored.
  """
  base, maker = split_name(config.name)
  if maker == 'rotated' and config.flip:
    raise UserError(f'dataset.flip=True: {config.name} cannot be mirrored, as a mirrored picture turned to the left is '
                    'the mirror image of one turned to the right; expected False')
  if maker == 'rotated':
    one_side(config)
  named = config.copy_and_resolve_references()
  named.name = base
  pictures = load(named)
  images = pictures.images
  shape = (2 * len(images), *images.shape[1:3], 3)
  if is_too_large(config, shape):
    raise UserError(f'dataset.device_bytes={config.device_bytes}: {config.name} is made in memory and may take '
                    f'{math.prod(shape)} bytes; give at least as many, or a smaller dataset.image_size')
  return in_two_classes(pictures, make_counterparts(images, MAKERS[maker]), DOMAINS[maker])


def make_counterparts(images: np.ndarray, make: Callable) -> np.ndarray:
  """Returns [2N,H,W,C] uint8: A and then B of images [N,H,W,C], by make(images) -> (A, B)."""
  count = len(images)
  channels = max(domain.shape[-1] for domain in make(images[:1]))
  both = np.empty((2, *images.shape[:-1], channels), np.uint8)
  for start in range(0, count, CHUNK):
    chunk = slice(start, start + CHUNK)
    both[0, chunk], both[1, chunk] = make(images[chunk])
  return both.reshape(2 * count, *both.shape[2:])


def load_pairs(config) -> Dataset:
  """Returns the images A|B below config.path as [2N,S,S,C] uint8, all A, then all B; S and C as in `load_folder`.

  Raises:
    UserError: as `folder.load_folder`; a file that is not twice as wide as high is one that cannot be read.
  """
  one_side(config)
  files = folder.read_files(config, split_pair, leading=(2,))
  pairs = files.images
  images = _split_on_disk(pairs) if isinstance(pairs, OnDisk) else np.concatenate([pairs[:, 0], pairs[:, 1]])
  return in_two_classes(files, images, ('left', 'right'))


def decode_pair(path: str, size: int | Sequence[int]) -> np.ndarray:
  """Decodes a file to its left and its right half, [2,H,W,3] uint8 of `size`; raises whatever a decoder does."""
  return pixels.decode_with(path, functools.partial(split_pair, size=size))


def split_pair(image: Image.Image, size: int | Sequence[int]) -> np.ndarray:
  """Decodes an opened image, as decode_pair does a file."""
  whole = pixels.upright_pixels(image)
  height, width = whole.shape[:2]
  half = width // 2
  if not half or abs(width - 2 * height) > SLACK:
    raise ValueError(f'is {width}x{height}: expected A and B side by side, twice as wide as high')
  return np.stack([fit(whole[:, :half], size), fit(whole[:, width - half:], size)])


def _split_on_disk(pairs: OnDisk) -> OnDisk:
  """Returns pairs [N,2,S,S,C] as images [2N,S,S,C]: all A, then all B."""
  count = len(pairs)

  def read(positions: list[int]) -> list[np.ndarray]:
    decoded = pairs.read([position % count for position in positions])
    return [pair[position // count] for pair, position in zip(decoded, positions)]

  return OnDisk((2 * count, *pairs.shape[2:]), pairs.key, read)


def in_two_classes(pictures: Dataset, images: np.ndarray | OnDisk, domains: tuple[str, str]) -> Dataset:
  """Returns images [2N,...], first those of domain A and then their counterparts, as a data set of two classes.

  They were made of the N `pictures`, whose names and checksums they have; `domains` are the names of the two classes.
  """
  count = len(images) // 2
  return Dataset(
      images,
      np.repeat(np.arange(2, dtype=np.int32), count),
      num_classes=2,
      partners=np.roll(np.arange(2 * count, dtype=np.int32), count),
      class_names=domains,
      names=2 * pictures.names,
      checksums=None if pictures.checksums is None else np.tile(pictures.checksums, 2),
      left_out=pictures.left_out,
      notes=tuple(note for note in pictures.notes if not note.startswith((listing.NO_CLASSES, listing.LABELS_OF))))
