"""Whatever is in a folder, it is read or it is said why not: damaged files, files that lie, and trees of any shape."""
import io
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
import ml_collections
import numpy as np
import PIL
from PIL import Image
import pytest

from gans.data.inventory import describe_inventory, take_inventory
from gans.data.sources import files, folder, listing, load_dataset, pixels, voxel_files
from gans.errors import UserError

pytestmark = pytest.mark.filterwarnings('ignore::UserWarning')  # of Pillow, as pixels.py ignores them
FEW = 50
NUMBERS = pytest.mark.parametrize('num', [FEW, pytest.param(5_000, marks=pytest.mark.soak)])
SIZE = 4


@pytest.fixture(autouse=True)
def limits(tmp_path, monkeypatch):
  """A header that asks for a large picture costs no time."""
  monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 10_000)
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))


def repeat(num: int, check, **strategies):
  """Calls check with examples of the strategies: the same few each time, or many that differ."""
  choose = settings(max_examples=num, deadline=None, database=None, derandomize=num == FEW,
                    suppress_health_check=list(HealthCheck))
  choose(given(**strategies)(check))()


def encode(suffix: str) -> bytes:
  """Returns a whole image of a format, with EXIF data where it can have them."""
  image = Image.fromarray(np.random.default_rng(0).integers(256, size=(9, 7, 3), dtype=np.uint8))
  exif = Image.Exif()
  exif.update({0x0112: 6, 0x0110: 'camera', 0x011a: 72.0})
  with io.BytesIO() as file:
    name = Image.registered_extensions()[suffix]
    image.save(file, 'JPEG' if name == 'MPO' else name, **({'exif': exif} if name in ('JPEG', 'PNG', 'WEBP') else {}))
    return file.getvalue()


SUFFIXES = sorted({suffixes[0] for suffixes in pixels.SUFFIXES_OF.values()} | {pixels.TGA})
WHOLE = {suffix: encode(suffix) for suffix in SUFFIXES}


@st.composite
def damaged(draw, whole: dict[str, bytes]) -> tuple[str, bytes]:
  """A file that was cut, or whose bytes were changed, inserted or taken out; its name may belong to another format."""
  contents = bytearray(whole[draw(st.sampled_from(sorted(whole)))])
  for _ in range(draw(st.integers(0, 4))):
    start = draw(st.integers(0, len(contents)))
    new = draw(st.binary(max_size=8) | st.sampled_from([b'\xff' * 4, bytes(4), b'\x7f\xff\xff\xff']))
    kind = draw(st.sampled_from(['change', 'insert', 'remove', 'cut']))
    if kind == 'cut':
      del contents[start:]
    else:
      contents[start:start + {'change': len(new), 'insert': 0, 'remove': 9}[kind]] = new
  return draw(st.sampled_from(sorted(whole))), bytes(contents)


def read_damaged(read, suffix: str, contents: bytes):
  """Returns what is read of a file of these contents, or why it is not."""
  with tempfile.NamedTemporaryFile(suffix=suffix) as file:
    file.write(contents)
    file.flush()
    result = files.try_read(read, file.name)
  assert result if isinstance(result, str) else result.dtype == np.uint8
  return result


@NUMBERS
def test_damaged_images(num):
  def check(file):
    image = read_damaged(lambda path: folder.decode_image(path, SIZE), *file)
    assert isinstance(image, str) or image.shape == (SIZE, SIZE, 3)

  repeat(num, check, file=damaged(WHOLE))


def whole_archive() -> bytes:
  with io.BytesIO() as file:
    with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED) as archive:
      for name in ('a/1.png', 'a/2.png', 'b/3.png', 'labels.csv'):
        archive.writestr(name, WHOLE['.png'] if name.endswith('png') else 'file,class\n1.png,x\n2.png,y\n3.png,x\n')
    return file.getvalue()


@NUMBERS
def test_damaged_archives(num, tmp_path):
  path = tmp_path / 'a.zip'

  def check(file):
    _, contents = file
    path.write_bytes(contents)
    config = ml_collections.ConfigDict({'name': 'folder', 'path': str(path), 'image_size': SIZE, 'device_bytes': 2**20})
    try:
      assert load_dataset(config).images.shape[1:] == (SIZE, SIZE, 3)
    except UserError as error:
      assert 'dataset.path' in str(error)

  repeat(num, check, file=damaged({'.zip': whole_archive()}))


@NUMBERS
def test_damaged_exif_never_costs_the_pixels(num):
  plain = Image.new('RGB', (6, 4))
  start = b'Exif\0\0II*\0\x08\0\0\0'

  def check(exif, suffix):
    with io.BytesIO() as file:
      plain.save(file, Image.registered_extensions()[suffix], exif=exif)
      image = read_damaged(lambda path: folder.decode_image(path, SIZE), suffix, file.getvalue())
    assert image.shape == (SIZE, SIZE, 3), image

  exif = st.binary(min_size=1, max_size=60)
  repeat(num, check, exif=exif | exif.map(lambda tail: start + tail), suffix=st.sampled_from(['.png', '.webp']))


@NUMBERS
def test_brighter_values_are_never_darker(num):
  """Values of any type and range are scaled, or refused by what they are."""
  def check(values, dtype, tags):
    values = np.sort(np.array(values).astype(dtype))[None]
    with io.BytesIO() as file:
      Image.fromarray(values).save(file, 'TIFF', tiffinfo=tags)
      image = read_damaged(lambda path: pixels.decode_with(path, pixels.upright_pixels), '.tif', file.getvalue())
    if not isinstance(image, str):
      steps = np.diff(image[0, :, 0].astype(int))
      # Of bytes, Pillow itself turns white and black around as it writes the tag.
      is_negative = tags.get(pixels.PHOTOMETRIC) == pixels.WHITE_IS_ZERO and dtype != np.uint8
      assert (steps <= 0).all() if is_negative else (steps >= 0).all()

  repeat(num, check, values=st.lists(st.floats(-3, 3) | st.integers(-2**15, 2**15), min_size=2, max_size=6),
         dtype=st.sampled_from([np.uint8, np.uint16, np.int32, np.float32]),
         tags=st.sampled_from([{}, {339: 2}, {262: 0}, {340: 5}]))


def whole_models() -> dict[str, bytes]:
  model = np.zeros((SIZE,) * 3, np.uint8)
  model[1:, :2] = 1
  found = {'.binvox': b'#binvox 1\ndim 4 4 4\ntranslate 0 0 0\nscale 1\ndata\n' + bytes((0, 16, 1, 48))}
  for suffix, save in (('.npy', np.save), ('.npz', lambda file, voxels: np.savez_compressed(file, voxels=voxels))):
    with io.BytesIO() as file:
      save(file, model)
      found[suffix] = file.getvalue()
  return found


@NUMBERS
def test_damaged_models(num):
  def check(file):
    model = read_damaged(lambda path: voxel_files.read_model(path, SIZE), *file)
    assert isinstance(model, str) or model.shape == (SIZE, SIZE, SIZE, 1) and model.max() == 1

  repeat(num, check, file=damaged(whole_models()))


# Trees.

NAMES = st.sampled_from(['a', 'b', 'a.png', 'b.jpg', 'c.png', '.hidden', '.h.png', 'train', 'test', 'n.txt', 'é',
                         '\udce9'])
CONTENTS = st.sampled_from(sorted(WHOLE.values())) | st.binary(max_size=5)
TARGETS = st.sampled_from(['.', '..', 'a', 'a.png', '../a', '../../outside', '../outside/a.png', 'a/b', '/dev',
                           'nowhere', 'c.png', 'b'])
TREES = st.recursive(
    st.dictionaries(NAMES, CONTENTS | TARGETS.map(pathlib.PurePath) | st.none(), max_size=5),
    lambda trees: st.dictionaries(NAMES, CONTENTS | TARGETS.map(pathlib.PurePath) | trees, max_size=5), max_leaves=8)


def plant(path: str, tree: dict):
  """Makes a folder of files (bytes), folders (dicts), links (paths) and pipes (None)."""
  os.mkdir(path)
  for name, what in tree.items():
    child = os.path.join(path, name)
    if isinstance(what, dict):
      plant(child, what)
    elif isinstance(what, bytes):
      pathlib.Path(child).write_bytes(what)
    elif what is None:
      os.mkfifo(child)
    else:
      os.symlink(what, child)


def images_in(path: str, tree: dict, root: str):
  """Yields the names of the image files in a tree that are no links and not hidden."""
  for name, what in tree.items():
    child = os.path.join(path, name)
    if isinstance(what, dict) and not name.startswith('.'):
      yield from images_in(child, what, root)
    elif isinstance(what, bytes) and name.endswith(('.png', '.jpg')) and not name.startswith('.'):
      yield os.path.relpath(child, root)


@NUMBERS
def test_trees(num):
  def check(tree, outside, device_bytes):
    with tempfile.TemporaryDirectory() as parent:
      root = os.path.join(parent, 'root')
      plant(root, tree)
      plant(os.path.join(parent, 'outside'), outside)
      found = listing.list_files(root, pixels.SUFFIXES)
      assert len(set(map(os.path.realpath, found.paths))) == len(found.paths)
      assert all(map(os.path.isfile, found.paths))
      assert set(images_in(root, tree, root)) <= set(found.names)
      config = ml_collections.ConfigDict({'name': 'folder', 'path': root, 'image_size': SIZE, 'attributes': (),
                                          'device_bytes': device_bytes, 'max_unreadable': 1.0})
      try:
        dataset = load_dataset(config)
      except UserError:
        return
      assert len(dataset.images[:]) == len(dataset.names) == len(dataset.labels) == len(dataset.checksums)
      assert set(dataset.names) | dataset.left_out.keys() >= set(found.names)
      '\n'.join(describe_inventory(take_inventory(config, dataset))).encode()

  repeat(num, check, tree=TREES, outside=st.dictionaries(NAMES, CONTENTS, max_size=3),
         device_bytes=st.sampled_from([0, 2**30]))


@pytest.mark.soak
def test_pillows_own_images(tmp_path, monkeypatch):
  """Pillow's source distribution has some 1,000 images, many of them damaged on purpose."""
  monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 2**26)
  command = [sys.executable, '-m', 'pip', 'download', '--quiet', '--no-deps', '--no-binary=pillow', '--dest', tmp_path,
             f'pillow=={PIL.__version__}']
  if subprocess.run(command).returncode:
    pytest.skip('no package index')
  archive, = tmp_path.glob('pillow*.tar.gz')
  with tarfile.open(archive) as tar:
    tar.extractall(tmp_path, [member for member in tar if '/Tests/images/' in member.name], filter='data')
  root, = tmp_path.glob('pillow*/Tests/images')
  for device_bytes in (2**40, 0):
    loaded = load_dataset(ml_collections.ConfigDict({
        'name': 'folder', 'path': str(root), 'image_size': 16, 'attributes': (), 'device_bytes': device_bytes,
        'max_unreadable': 1.0}))
    assert len(loaded.images[:]) > 500 and len(loaded.left_out) > 50
