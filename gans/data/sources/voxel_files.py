"""Files of voxels, from anywhere: .binvox, and .npy and .npz as NumPy writes them. Nothing in them is run.

A file says how large its contents are before these come, so nothing larger than expected is read or unpacked. Reading a
damaged file may raise anything.
"""
from collections.abc import Iterator
import contextlib
import math
import pathlib
from typing import BinaryIO, NamedTuple
import zipfile

import numpy as np

SUFFIXES = ('.binvox', '.npy', '.npz')
ARRAY = 'voxels'  # the name in an .npz
MAX_SIDE = 256  # cells of a model
MAX_HEADER = 1000  # bytes of a header; those of arrays of numbers have 118
MAX_CLASSES = 10_000
MAX_TEXTS = 2**24  # bytes of the classes' names
EMPTY = 'it is empty: no cell is occupied'


class Header(NamedTuple):
  """What an array's header says of the array after it."""
  shape: tuple[int, ...]
  is_fortran: bool
  dtype: np.dtype

  @property
  def num_bytes(self) -> int:
    """Returns the size of the array."""
    return math.prod(self.shape) * self.dtype.itemsize


def read_model(path: str, size: int) -> np.ndarray:
  """Reads the one model of a file as [size,size,size,1] uint8 of 0 and 1.

  Raises:
    ValueError: it is empty, or no such model; a damaged file may raise anything.
  """
  file = pathlib.Path(path)
  is_binvox = file.suffix.lower() == '.binvox'
  cells = read_binvox(file, size) if is_binvox else _read_single_array(file, size)
  if not cells.any():
    raise ValueError(EMPTY)
  return fit(cells, size)


def _read_single_array(path: pathlib.Path, size: int) -> np.ndarray:
  with open_array(path, ARRAY) as file:
    header = read_header(file)
    shape = without_channel(header.shape)
    if len(shape) != 3:
      raise ValueError(f'an array {header.shape}: expected one model [X,Y,Z]; give a file of many models itself as '
                       'dataset.path')
    check_cube(shape, size)
    return read_cells(file, header).reshape(shape)


def read_binvox(path: pathlib.Path, size: int) -> np.ndarray:
  """Reads a .binvox file as bool [X,Y,Z], Z being up.

  The format (Min, www.patrickmin.com/binvox/binvox.html): a header of lines, then pairs of bytes, a value and how often
  it comes. In what the format calls x, y and z, with y up, y runs fastest and x slowest: that order is kept here.

  Raises:
    ValueError: it is something else, its size is not a cube that `size` divides, or the pairs give another size.
  """
  with path.open('rb') as file:
    shape = _read_binvox_header(file)
    check_cube(shape, size)
    num = math.prod(shape)
    pairs = np.frombuffer(file.read(2 * num + 1), np.uint8)  # a cell takes two bytes at most
  if len(pairs) % 2:
    raise ValueError('it ends within a pair of bytes, or holds more pairs than there are cells')
  values, counts = pairs.reshape(-1, 2).T
  if values.max(initial=0) > 1:
    raise ValueError(f'a cell is {values.max()}: expected 0 and 1')
  total = int(counts.sum(dtype=np.int64))
  if total != num:
    raise ValueError(f'its header says {num} cells (dim {" ".join(map(str, shape))}), and {total} follow')
  return values.repeat(counts).reshape(shape).astype(bool)


def _read_binvox_header(file: BinaryIO) -> tuple[int, ...]:
  """Reads up to the line `data` and returns the three numbers of the line `dim`."""
  if not _read_line(file).startswith(b'#binvox 1'):
    raise ValueError("it does not begin with '#binvox 1'")
  shape = None
  while (line := _read_line(file)) != b'data':
    keyword, *values = line.split() or [b'#']
    if keyword == b'dim':
      if len(values) != 3 or not all(value.isdigit() for value in values):
        raise ValueError(f'{line!r}: expected three whole numbers')
      shape = tuple(int(value) for value in values)
    elif keyword not in (b'translate', b'scale') and not keyword.startswith(b'#'):
      raise ValueError(f'{line!r}: expected dim, translate, scale, data or a comment')
    if file.tell() > MAX_HEADER:
      raise ValueError(f"no line 'data' within {MAX_HEADER} bytes")
  if shape is None:
    raise ValueError("no line 'dim'")
  return shape


def _read_line(file: BinaryIO) -> bytes:
  line = file.readline(MAX_HEADER)
  if not line.endswith(b'\n'):
    raise ValueError('its header ends early')
  return line.strip()


@contextlib.contextmanager
def open_array(path: pathlib.Path, name: str) -> Iterator[BinaryIO]:
  """Opens a .npy file, or the array of that name in an .npz; raises ValueError if there is none."""
  if path.suffix.lower() == '.npy':
    with path.open('rb') as file:
      yield file
    return
  with zipfile.ZipFile(path) as archive:
    if f'{name}.npy' not in archive.namelist():
      raise ValueError(f'it has no array {name!r}')
    info = archive.getinfo(f'{name}.npy')
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
      raise ValueError('it is compressed otherwise than NumPy does')  # and unpacks more than it is asked for
    with archive.open(info) as file:
      yield file


def has_array(path: pathlib.Path, name: str) -> bool:
  """Tells whether a file is an .npz with an array of that name."""
  if path.suffix.lower() == '.npy':
    return False
  with zipfile.ZipFile(path) as archive:
    return f'{name}.npy' in archive.namelist()


def read_header(file: BinaryIO) -> Header:
  """Reads what comes before an array's contents; raises ValueError for what is no array of known types."""
  if np.lib.format.read_magic(file) != (1, 0):
    raise ValueError('an array with a longer header than arrays of numbers have')
  header = Header(*np.lib.format.read_array_header_1_0(file, max_header_size=MAX_HEADER))
  if min(header.shape, default=1) < 0:
    raise ValueError(f'an array {header.shape}')
  return header


def read_array(file: BinaryIO, header: Header) -> np.ndarray:
  """Reads the numbers after a header; raises ValueError for other than numbers, and if there are less or more."""
  if header.dtype.kind not in 'biuf':
    raise ValueError(f'an array of {header.dtype}: expected numbers')
  order = 'F' if header.is_fortran else 'C'
  return np.frombuffer(_read_bytes(file, header), header.dtype).reshape(header.shape, order=order)


def _read_bytes(file: BinaryIO, header: Header) -> bytes:
  contents = file.read(header.num_bytes)
  if len(contents) != header.num_bytes or file.read(1):  # at whose end a zip's checksum is compared
    raise ValueError(f'its header says {header.num_bytes} bytes {header.shape}, and there are '
                     f'{"less" if len(contents) < header.num_bytes else "more"}')
  return contents


def read_texts(file: BinaryIO, header: Header) -> tuple[str, ...]:
  """Reads the texts after a header; raises ValueError for an array of anything else, or of several axes."""
  if header.dtype.kind != 'U' or len(header.shape) != 1 or header.num_bytes > MAX_TEXTS:
    raise ValueError(f'names {header.shape} of {header.dtype}: expected a row of texts, of at most {MAX_TEXTS} bytes')
  return tuple(np.frombuffer(_read_bytes(file, header), header.dtype).tolist())


def read_cells(file: BinaryIO, header: Header) -> np.ndarray:
  """Reads the cells after a header as bool; raises ValueError for values other than 0 and 1."""
  values = read_array(file, header)
  is_full = values == 1
  is_wrong = ~(is_full | (values == 0))
  if is_wrong.any():
    raise ValueError(f'a cell is {values.flat[is_wrong.argmax()]}: expected 0 and 1')
  return is_full


def without_channel(shape: tuple[int, ...]) -> tuple[int, ...]:
  """Returns the shape of models [...,X,Y,Z] without a channel axis after them, as samples of a run have it."""
  return shape[:-1] if len(shape) > 3 and shape[-1] == 1 else shape


def check_cube(shape: tuple[int, ...], size: int):
  """Raises ValueError if a model [X,Y,Z] cannot become one of size^3 cells."""
  side = shape[0]
  if len(set(shape)) > 1:
    raise ValueError(f'{" x ".join(map(str, shape))} cells: expected a cube')
  if not 1 <= side <= MAX_SIDE:
    raise ValueError(f'{side} cells a side: expected 1 to {MAX_SIDE}')
  if side % size:
    raise ValueError(f'{side} cells a side: dataset.image_size={size} does not divide it; expected {side}, or a '
                     'part of it')


def fit(cells: np.ndarray, size: int) -> np.ndarray:
  """Pools bool [...,S,S,S] to [...,size,size,size,1] uint8: a cell is full if one of those that it is made of is."""
  factor = cells.shape[-1] // size
  blocks = cells.reshape(*cells.shape[:-3], *(size, factor) * 3)
  return blocks.any((-5, -3, -1))[..., None].astype(np.uint8)
