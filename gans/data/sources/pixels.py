"""Image files become pixels: whatever their format, their mode, the range of their values and their orientation.

Pillow decodes them. No decoder but those below is tried, even if a file's name asks for it: that of EPS would start a
program, Ghostscript.
"""
from collections.abc import Callable
import io
import logging
import os
import re
import warnings
import zipfile

import numpy as np
from PIL import Image, UnidentifiedImageError, features

from gans.data.sources import archive

# Pillow warns of faults, and does not say in which file.
warnings.filterwarnings('ignore', module=r'PIL\.')
logging.getLogger('PIL').setLevel(logging.CRITICAL)

SUFFIXES_OF = {
    'JPEG': ('.jpg', '.jpeg', '.jpe', '.jfif', '.mpo'),
    'PNG': ('.png', '.apng'),
    'WEBP': ('.webp',),
    'GIF': ('.gif',),
    'BMP': ('.bmp',),
    'DIB': ('.dib',),
    'TIFF': ('.tif', '.tiff'),
    'PPM': ('.ppm', '.pgm', '.pbm', '.pnm'),
}
if features.check('avif'):
  SUFFIXES_OF['AVIF'] = ('.avif', '.avifs')
if features.check('jpg_2000'):
  SUFFIXES_OF['JPEG2000'] = ('.jp2', '.j2k', '.jpx', '.j2c', '.jpc', '.jpf')
TGA = '.tga'  # a format without a mark of its own, so that only a file of this name is tried as one
FORMATS = tuple(SUFFIXES_OF)
SUFFIXES = (*(suffix for suffixes in SUFFIXES_OF.values() for suffix in suffixes), TGA)

# TIFF's tags, and two of their values.
BITS_PER_SAMPLE, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339
WHITE_IS_ZERO, SIGNED = 0, 2
# EXIF's orientation: the tag, its types as bytes of a number, and what turns the picture upright.
ORIENTATION = 0x0112
BYTES_OF_TYPE = {1: 1, 3: 2, 4: 4}
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
IN_XMP = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')


def decode_with(path: str | zipfile.Path, decode: Callable) -> np.ndarray:
  """Returns decode(opened image) of a file on disk or in an archive; raises whatever a decoder does."""
  is_tga = os.path.splitext(str(path))[1].lower() == TGA
  file = path if isinstance(path, str) else io.BytesIO(archive.read_bytes(path))
  try:
    with Image.open(file, formats=(*FORMATS, 'TGA') if is_tga else FORMATS) as image:
      return decode(image)
  except UnidentifiedImageError as error:
    raise ValueError(f'cannot identify it as one of {", ".join(FORMATS)}') from error


def upright_pixels(image: Image.Image, alpha: bool = False) -> np.ndarray:
  """Returns an opened image as [h,w,3] uint8, or with `alpha` as [h,w,4], turned as its EXIF data say.

  Raises:
    ValueError: it does not say which range its values have.
  """
  image.load()
  upright = UPRIGHT.get(find_orientation(image))
  has_alpha = alpha and image.mode[0] not in 'IF' and image.has_transparency_data  # those have a range of their own
  converted = image.convert('RGBA') if has_alpha else to_rgb(image).convert('RGBA' if alpha else 'RGB')
  return np.asarray(converted.transpose(upright) if upright else converted)


def lies_on_its_side(image: Image.Image) -> bool:
  """Tells whether an image that is loaded is higher than wide where it is upright, or the other way round."""
  return find_orientation(image) in (5, 6, 7, 8)


def find_orientation(image: Image.Image) -> int:
  """Returns the orientation of an image that is loaded, 1 to 8; 1, upright, where none is given.

  Of its EXIF data nothing but that tag is read, so that damage elsewhere does not matter.
  """
  if image.format == 'TIFF':  # which Pillow has turned
    return 1
  exif = image.info.get('exif') or _exif_of_text(image.info.get('Raw profile type exif', ''))
  orientation = _find_tag(exif)
  if orientation:
    return orientation
  xmp = image.info.get('xmp') or image.info.get('XML:com.adobe.xmp') or b''
  found = IN_XMP.search(xmp if isinstance(xmp, bytes) else str(xmp).encode('utf-8', 'replace'))
  return int(found[1]) if found else 1


def _exif_of_text(profile: str) -> bytes:
  """Returns the EXIF data that ImageMagick writes into a PNG as text: three lines, then hexadecimal digits."""
  digits = ''.join(profile.split('\n')[3:])
  return bytes.fromhex(digits) if re.fullmatch('([0-9a-fA-F]{2})*', digits) else b''


def _find_tag(exif: bytes) -> int:
  """Returns the orientation in EXIF data, whatever is wrong with the rest; 0 if it is not there."""
  exif = exif.removeprefix(b'Exif\0\0')
  order = {b'II': 'little', b'MM': 'big'}.get(exif[:2])
  if not order:
    return 0

  def number(start: int, size: int) -> int:
    return int.from_bytes(exif[start:start + size], order)

  start = number(4, 4)
  for entry in range(start + 2, min(start + 2 + 12 * number(start, 2), len(exif)), 12):
    if number(entry, 2) == ORIENTATION:
      return number(entry + 8, BYTES_OF_TYPE.get(number(entry + 2, 2), 0))
  return 0


def to_rgb(image: Image.Image) -> Image.Image:
  """Converts any mode to RGB: transparent pixels on white, more bits than 8 by the range that the format gives them.

  Raises:
    ValueError: the format does not say which range the values have.
  """
  tags = getattr(image, 'tag_v2', {})
  is_signed = SIGNED in tags.get(SAMPLE_FORMAT, ())
  if is_signed or image.mode[0] in 'IF':
    grey = _to_bytes(image, tags, is_signed)
    return Image.fromarray(grey).convert('RGB')
  if image.has_transparency_data:
    white = Image.new('RGBA', image.size, 'white')
    return Image.alpha_composite(white, image.convert('RGBA')).convert('RGB')
  return image.convert('RGB')


def _to_bytes(image: Image.Image, tags: dict, is_signed: bool) -> np.ndarray:
  """Returns grey of other than 8 bits as [h,w] uint8."""
  values = np.asarray(image)
  if image.mode.startswith('I;16') or image.format in ('PNG', 'PPM') and image.mode == 'I':
    bits = int(tags.get(BITS_PER_SAMPLE, (16,))[0])
    grey = (values.astype(np.uint32) >> (bits - 8)).astype(np.uint8)
  elif image.mode == 'F' and values.min() >= 0 and values.max() <= 1:  # not true of NaN
    grey = np.round(255 * values).astype(np.uint8)
  else:
    what = 'real numbers' if image.mode == 'F' else f'{"signed " if is_signed else ""}whole numbers'
    expected = '0 to 1' if image.mode == 'F' else 'unsigned ones of 8 or 16 bits'
    raise ValueError(f'its pixels are {what} from {values.min()} to {values.max()}, and which of them is white it does '
                     f'not say: expected {expected}')
  return 255 - grey if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO else grey
