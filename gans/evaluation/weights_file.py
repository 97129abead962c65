"""Reads named arrays from an .npz, from Keras's HDF5 or from what torch.save wrote, running no code of a pickle."""
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
HDF5_MAGIC = b'\x89HDF\r\n\x1a\n'
LEGACY_MAGIC = 0x1950a86a20f9469cfc6c  # the first pickle in a file of torch before 1.6


class Tensor(NamedTuple):
  """Where a tensor is: in the storage (key, dtype), from the offset on; offset and strides count elements."""
  storage: tuple[str, str]
  offset: int
  shape: tuple[int, ...]
  strides: tuple[int, ...]


def read_weights(path: str) -> dict[str, np.ndarray]:
  """Reads the named arrays of an .npz, of a state dict that torch.save wrote in either of its two formats, or of HDF5.

  Raises:
    UserError: no such file, none of these, or a pickle that asks for anything but tensors.
  """
  try:
    with open(path, 'rb') as file:
      if file.read(len(HDF5_MAGIC)) == HDF5_MAGIC:
        return _read_keras(file)
      if not zipfile.is_zipfile(file):
        return _read_legacy(file)
      with zipfile.ZipFile(file) as archive:
        pickles = [name for name in archive.namelist() if name.endswith('/data.pkl')]
        return _read_archive(archive, pickles[0]) if pickles else _read_npz(file)
  except Exception as error:  # a broken file leads pickle, zipfile and numpy to raise nearly anything
    raise UserError(f'{path} cannot be read as weights ({type(error).__name__}: {error}): expected an .npz, a state '
                    "dict that torch.save wrote, or Keras's HDF5") from error


class _Unpickler(pickle.Unpickler):
  """Builds numbers, strings, containers and `Tensor`s only, as a pickle could otherwise call any function."""

  def find_class(self, module, name):
    if (module, name) == ('collections', 'OrderedDict'):
      return OrderedDict
    if module == 'torch._utils' and name in ('_rebuild_tensor', '_rebuild_tensor_v2'):  # the first before torch 0.4
      return _rebuild_tensor
    if module == 'torch' and name in STORAGES:
      return STORAGES[name]
    raise pickle.UnpicklingError(f'its pickle asks for {module}.{name}, which is refused')

  def persistent_load(self, pid):
    _, dtype, key, *_ = pid
    return key, dtype


def _rebuild_tensor(storage, offset, shape, strides, *_) -> Tensor:
  return Tensor(storage, offset, shape, strides)


def _read_npz(file) -> dict[str, np.ndarray]:
  file.seek(0)
  return dict(np.load(file, allow_pickle=False))


def _read_keras(file) -> dict[str, np.ndarray]:
  """Reads what Keras's save_weights wrote as HDF5: a group for each layer, whose attribute names its arrays."""
  import h5py  # here, as nothing else needs it
  arrays = {}
  with h5py.File(file, 'r') as layers:
    for layer in _strings(layers.attrs['layer_names']):
      for path in _strings(layers[layer].attrs['weight_names']):  # such as 'conv1/kernel:0'
        variable = path.rsplit('/', 1)[-1].removesuffix(':0')
        arrays[f'{layer}/{variable}'] = np.asarray(layers[layer][path])
  return arrays


def _strings(attribute) -> list[str]:
  """Returns the strings of an attribute, which h5py gives as bytes if an old Keras wrote them."""
  return [each.decode() if isinstance(each, bytes) else each for each in attribute]


def _read_archive(archive: zipfile.ZipFile, name: str) -> dict[str, np.ndarray]:
  """Reads torch's zip: the pickle of this name, and a member data/KEY beside it for each storage."""
  pickled = io.BytesIO(archive.read(name))
  tensors = _check_state_dict(_Unpickler(pickled).load())
  folder = name.removesuffix('data.pkl')
  arrays = {}
  for tensor_name, tensor in tensors.items():
    key, _ = tensor.storage
    arrays[tensor_name] = _view(tensor, archive.read(f'{folder}data/{key}'))
  return arrays


def _read_legacy(file) -> dict[str, np.ndarray]:
  """Reads pickles of magic, version, system, tensors and storage keys, then the storages, each after its length."""
  file.seek(0)
  magic = _Unpickler(file).load()
  if magic != LEGACY_MAGIC:
    raise pickle.UnpicklingError('it does not begin as a file of torch.save does')
  _Unpickler(file).load()  # version
  _Unpickler(file).load()  # system
  tensors = _check_state_dict(_Unpickler(file).load())
  keys = _Unpickler(file).load()
  dtypes = dict(tensor.storage for tensor in tensors.values())
  storages = {}
  for key in keys:
    length, = struct.unpack('<q', file.read(8))
    storages[key] = file.read(length * np.dtype(dtypes[key]).itemsize)
  return {name: _view(tensor, storages[tensor.storage[0]]) for name, tensor in tensors.items()}


def _check_state_dict(unpickled) -> dict[str, Tensor]:
  """Returns the state dict that was unpickled, alone or beside what else training kept; or raises UnpicklingError."""
  if isinstance(unpickled, dict) and 'state_dict' in unpickled:
    unpickled = unpickled['state_dict']
  if not isinstance(unpickled, dict) or not all(isinstance(value, Tensor) for value in unpickled.values()):
    raise pickle.UnpicklingError('it holds no state dict, which is tensors by name')
  return unpickled


def _view(tensor: Tensor, storage: bytes) -> np.ndarray:
  """Views the tensor in its storage; numpy checks that it is within."""
  _, dtype_name = tensor.storage
  dtype = np.dtype(dtype_name)
  offset = tensor.offset * dtype.itemsize
  strides = [stride * dtype.itemsize for stride in tensor.strides]
  return np.ndarray(tensor.shape, dtype, storage, offset, strides)
