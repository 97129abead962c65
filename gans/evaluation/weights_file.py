"""Named arrays from a file of weights, an .npz or what torch.save wrote; no torch, and no code that a pickle names."""
from collections import OrderedDict
import io
import pickle
import struct
from typing import NamedTuple
import zipfile

import numpy as np

from gans.errors import UserError

STORAGES = {'FloatStorage': '<f4', 'DoubleStorage': '<f8', 'HalfStorage': '<f2', 'LongStorage': '<i8',
            'IntStorage': '<i4', 'ShortStorage': '<i2', 'CharStorage': 'i1', 'ByteStorage': 'u1', 'BoolStorage': '?'}
LEGACY_MAGIC = 0x1950a86a20f9469cfc6c  # first pickle of a file by torch before 1.6


class Tensor(NamedTuple):
  """Where a tensor lies: in the storage (key, dtype), from the offset on; offset and strides in elements."""
  storage: tuple[str, str]
  offset: int
  shape: tuple[int, ...]
  strides: tuple[int, ...]


def read(path: str) -> dict[str, np.ndarray]:
  """Reads the arrays of an .npz, or of a state dict that torch.save wrote, in either of its two formats, by name.

  Raises:
    UserError: no such file, neither of the two, or a pickle that asks for anything but tensors.
  """
  try:
    with open(path, 'rb') as file:
      if not zipfile.is_zipfile(file):
        return _read_legacy(file)
      with zipfile.ZipFile(file) as archive:
        pickles = [name for name in archive.namelist() if name.endswith('/data.pkl')]
        return _read_archive(archive, pickles[0]) if pickles else _read_npz(file)
  except Exception as error:  # a broken file leads pickle, zipfile and numpy to raise nearly anything
    raise UserError(f'{path} cannot be read as weights ({type(error).__name__}: {error}): expected an .npz, or a state '
                    'dict that torch.save wrote') from error


class _Unpickler(pickle.Unpickler):
  """Builds numbers, strings, containers and `Tensor`s; a pickle could otherwise have any function called."""

  def find_class(self, module, name):
    if (module, name) == ('collections', 'OrderedDict'):
      return OrderedDict
    if (module, name) == ('torch._utils', '_rebuild_tensor_v2'):
      return lambda storage, offset, shape, strides, *_: Tensor(storage, offset, shape, strides)
    if module == 'torch' and name in STORAGES:
      return STORAGES[name]
    raise pickle.UnpicklingError(f'its pickle asks for {module}.{name}, which is refused')

  def persistent_load(self, pid):
    _, dtype, key, *_ = pid
    return key, dtype


def _read_npz(file) -> dict[str, np.ndarray]:
  file.seek(0)
  return dict(np.load(file, allow_pickle=False))


def _read_archive(archive: zipfile.ZipFile, name: str) -> dict[str, np.ndarray]:
  """Reads torch's zip: the pickle of that name, and a member data/KEY beside it for each storage."""
  tensors = _checked(_Unpickler(io.BytesIO(archive.read(name))).load())
  folder = name.removesuffix('data.pkl')
  return {name: _array(tensor, archive.read(f'{folder}data/{tensor.storage[0]}')) for name, tensor in tensors.items()}


def _read_legacy(file) -> dict[str, np.ndarray]:
  """Reads pickles of magic, version, system, tensors and storage keys; then the storages, each after its length."""
  file.seek(0)
  load = lambda: _Unpickler(file).load()
  if load() != LEGACY_MAGIC:
    raise pickle.UnpicklingError('it does not begin as a file of torch.save does')
  _, _, tensors, keys = load(), load(), _checked(load()), load()
  dtypes = dict(tensor.storage for tensor in tensors.values())
  storages = {}
  for key in keys:
    (length,) = struct.unpack('<q', file.read(8))
    storages[key] = file.read(length * np.dtype(dtypes[key]).itemsize)
  return {name: _array(tensor, storages[tensor.storage[0]]) for name, tensor in tensors.items()}


def _checked(tensors) -> dict[str, Tensor]:
  """Returns what was unpickled where it is a state dict."""
  if not isinstance(tensors, dict) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
    raise pickle.UnpicklingError('it holds no state dict, which is tensors by name')
  return tensors


def _array(tensor: Tensor, storage: bytes) -> np.ndarray:
  """Views the tensor in its storage; numpy checks that it lies within."""
  dtype = np.dtype(tensor.storage[1])
  strides = [stride * dtype.itemsize for stride in tensor.strides]
  return np.ndarray(tensor.shape, dtype, storage, tensor.offset * dtype.itemsize, strides)
