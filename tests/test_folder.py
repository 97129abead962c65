"""A user's own folder of images, in the formats and with the faults that such folders have."""
import contextlib
import errno
import os
import pathlib
import shutil
import tempfile

import ml_collections
import numpy as np
from PIL import EpsImagePlugin, Image
import pytest

from gans.data.inventory import find_changes, take_inventory
from gans.data.sources import files, folder, listing, load_dataset, pixels
from gans.errors import UserError

pytestmark = pytest.mark.filterwarnings('ignore::UserWarning:PIL.TiffImagePlugin')  # as pixels.py ignores them


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
  home = tmp_path_factory.mktemp('cache')
  monkeypatch.setenv('XDG_CACHE_HOME', str(home))
  return home


def ask(path, size=8, **fields):
  return ml_collections.ConfigDict({
      'name': 'folder', 'path': str(path), 'data_dir': '', 'split': 'train', 'crop': '', 'image_size': size,
      'device_bytes': 2**30, **fields})


def why_not(path) -> str:
  """Returns why a file is no image."""
  reason = files.try_read(lambda path: folder.decode_image(path, 8), str(path))
  assert isinstance(reason, str), reason
  return reason


def fill(path, count, mode='RGB', start=0):
  path.mkdir(parents=True, exist_ok=True)
  for i in range(start, start + count):
    Image.new(mode, (10, 12), (20 * i, 0, 255) if mode == 'RGB' else 20 * i).save(path / f'{i:03d}.png')


def save_formats(path):
  """One file per format and mode; returns the colour that the middle of each must have."""
  red = np.zeros((16, 24, 3), np.uint8)
  red[..., 0] = 204  # a colour of the palette that GIF and mode P fall back to
  image = Image.fromarray(red)
  image.save(path / 'a.jpg', quality=95)
  image.save(path / 'b.webp', lossless=True)
  image.save(path / 'c.gif', save_all=True, append_images=[Image.new('RGB', (24, 16), 'blue')])
  image.convert('P').save(path / 'd.png')
  Image.new('RGBA', (9, 9), (0, 0, 0, 0)).save(path / 'e.PNG')  # transparent: white
  Image.fromarray(np.full((9, 9), 0x8040, np.uint16)).save(path / 'f.png')  # 16 bit: its high byte
  Image.new('L', (9, 9), 77).save(path / 'g.bmp')
  Image.new('1', (9, 9), 1).save(path / 'h.tiff')
  Image.new('LA', (9, 9), (0, 0)).save(path / 'i.png')
  image.save(path / 'j.jfif', 'JPEG', quality=95)
  image.save(path / 'k.TGA')
  image.save(path / 'l.ppm')
  (path / 'm.pgm').write_bytes(b'P5 2 2 65535 ' + b'\x80\x40' * 4)
  (path / 'n.pbm').write_bytes(b'P1 2 2 0 0 0 0')
  greys = [(0x80,) * 3, (255,) * 3]
  if '.avif' in pixels.SUFFIXES:
    image.save(path / 'o.avif', quality=95)
    greys.append((204, 0, 0))
  if '.jp2' in pixels.SUFFIXES:
    image.save(path / 'p.jp2', irreversible=False)
    greys.append((204, 0, 0))
  return [(204, 0, 0)] * 4 + [(255,) * 3, (0x80,) * 3, (77,) * 3, (255,) * 3, (255,) * 3] + [(204, 0, 0)] * 3 + greys


def test_every_format_and_mode(tmp_path):
  want = save_formats(tmp_path)
  for name in ('notes.txt', 'more.txt', 'README', '.hidden.png'):
    (tmp_path / name).write_text('no image')
  loaded = load_dataset(ask(tmp_path))
  assert loaded.left_out == {'(no suffix)': '1 file: not read', '.*': '1 file: hidden', '*.txt': '2 files: not read'}
  images = loaded.images
  assert images.shape == (len(want), 8, 8, 3) and images.dtype == np.uint8
  np.testing.assert_allclose(images[:, 4, 4].astype(int), want, atol=3)


def test_exif_rotation_is_applied(tmp_path):
  wide = np.zeros((8, 8, 3), np.uint8)
  wide[:4] = 255  # white above
  exif = Image.Exif()
  exif[0x0112] = 6  # to be turned by 90 degrees to the right
  Image.fromarray(wide).save(tmp_path / 'a.png', exif=exif)
  Image.fromarray(wide).save(tmp_path / 'b.png')
  turned, plain = load_dataset(ask(tmp_path)).images[..., 0]
  assert plain[0].min() == 255 and turned[:, -1].min() == 255 and turned[:, 0].max() == 0


def test_grey_folders_have_one_channel(tmp_path):
  fill(tmp_path, 3, mode='L')
  assert load_dataset(ask(tmp_path)).images.shape == (3, 8, 8, 1)


def test_subfolders_are_labels(tmp_path):
  fill(tmp_path / 'cats', 2)
  fill(tmp_path / 'dogs' / 'big', 3)
  loaded = load_dataset(ask(tmp_path))
  assert loaded.num_classes == 2
  np.testing.assert_array_equal(loaded.labels, [0, 0, 1, 1, 1])
  fill(tmp_path, 1)  # one beside them: no longer a labelled set
  assert load_dataset(ask(tmp_path)).num_classes == 0


def test_second_start_reads_the_cache_and_a_changed_file_is_seen(tmp_path, monkeypatch):
  fill(tmp_path, 3)
  first = load_dataset(ask(tmp_path)).images
  monkeypatch.setattr(folder, 'fit_image', lambda *_: pytest.fail('decoded again'))
  np.testing.assert_array_equal(load_dataset(ask(tmp_path)).images, first)
  monkeypatch.undo()
  fill(tmp_path, 1, start=9)
  assert len(load_dataset(ask(tmp_path)).images) == 4


@pytest.mark.parametrize('device_bytes', [2**30, 0])
def test_sizes_and_modes_of_the_files_are_told(tmp_path, device_bytes):
  fill(tmp_path, 2)
  assert load_dataset(ask(tmp_path, device_bytes=device_bytes)).notes == ('files of 10x12 pixels, RGB (2)',)
  Image.new('P', (7, 9)).save(tmp_path / 'small.png')
  Image.new('L', (300, 200)).save(tmp_path / 'large.jpg')  # which is decoded at a fraction of its size
  for _ in range(2):  # the second time from the cache
    loaded = load_dataset(ask(tmp_path, device_bytes=device_bytes))
    assert loaded.notes == ('files of 7x9 to 300x200 pixels, RGB (2), L (1), P (1)',
                            'smaller than 8x8, and enlarged: 1 of them')


@pytest.mark.parametrize('device_bytes', [2**30, 0])
def test_few_unreadable_files_are_left_out_with_their_reasons(tmp_path, device_bytes):
  fill(tmp_path, 12)
  (tmp_path / 'broken.png').write_bytes(b'not an image')
  for _ in range(2):  # the second time from the cache
    loaded = load_dataset(ask(tmp_path, device_bytes=device_bytes))
    assert len(loaded.images) == len(loaded.names) == len(loaded.checksums) == 12
    assert list(loaded.left_out) == ['broken.png'] and 'cannot identify it' in loaded.left_out['broken.png']


def test_many_unreadable_files_are_refused_by_their_names_which_are_printed_safely(tmp_path):
  fill(tmp_path, 8)
  names = [f'broken{i}.jpg' for i in range(12)] + ['bad\n\x1b[31m.png']
  for name in names:
    (tmp_path / name).write_bytes(b'')
  for most in (0.1, 0.6):
    with pytest.raises(UserError, match=r'13 of 21 images(.|\n)*at most \d0% are skipped') as caught:
      load_dataset(ask(tmp_path, max_unreadable=most))
    assert all(repr(name) in str(caught.value) for name in names) and '\x1b' not in str(caught.value)
  loaded = load_dataset(ask(tmp_path, max_unreadable=0.7))
  assert len(loaded.images) == 8 and loaded.left_out.keys() == set(names)


def test_a_file_that_may_be_read_again_is(tmp_path):
  """The cache remembers no reason that chmod takes away."""
  fill(tmp_path, 12)
  good = (tmp_path / '000.png').read_bytes()
  stat = (tmp_path / '000.png').stat()
  (tmp_path / '000.png').write_bytes(bytes(len(good)))
  os.utime(tmp_path / '000.png', ns=(stat.st_atime_ns, stat.st_mtime_ns))
  assert len(load_dataset(ask(tmp_path)).images) == 11
  (tmp_path / '000.png').write_bytes(good)
  os.utime(tmp_path / '000.png', ns=(stat.st_atime_ns, stat.st_mtime_ns))
  assert len(load_dataset(ask(tmp_path)).images) == 12


@pytest.mark.parametrize('number, message', [(errno.EIO, 'Input/output error'), (errno.ESTALE, 'Stale file handle')])
def test_what_may_pass_is_not_taken_for_a_fault_of_the_file(tmp_path, monkeypatch, number, message):
  fill(tmp_path, 12)
  whole = pixels.decode_with

  def decode_with(path, decode):
    if path.endswith('003.png'):
      raise OSError(number, message)
    return whole(path, decode)

  monkeypatch.setattr(pixels, 'decode_with', decode_with)
  with pytest.raises(UserError, match=f"dataset.path: '.*003.png' cannot be read now: {message}"):
    load_dataset(ask(tmp_path))
  monkeypatch.undo()
  assert len(load_dataset(ask(tmp_path)).images) == 12


def test_decompression_bombs_are_refused(tmp_path, monkeypatch):
  fill(tmp_path, 12)
  monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 50)  # 10 x 12 is more than twice that
  with pytest.raises(UserError, match='decompression bomb'):
    load_dataset(ask(tmp_path, size=4))


# What damaged files and those of an unknown range become.

DAMAGED_EXIF = {
    'offset.jpg': b'Exif\0\0II*\0\x08\0\0\0\x02\0' b'\x12\x01\x03\0\x01\0\0\0\x06\0\0\0'
                  b'\x1a\x01\x02\0\x04\0\0\0abc\0' b'\0\0\0\0',
    'cut.jpg': b'Exif\0\0MM\0*\0\0\0\x08\0\x09' b'\x01\x12\0\x03\0\0\0\x01\0\x06',
    'cut.webp': b'II*\0\x08\0\0\0\x09\0' b'\x12\x01\x04\0\x01\0\0\0\x06\0\0\0',
    'empty.png': b'Exif\0\0II*\0\x08\0',
    'far.png': b'Exif\0\0II*\0\xff\xff\xff\xff\xff\xff',
    'type.png': b'II*\0\x08\0\0\0\x01\0' b'\x12\x01\x63\0\x01\0\0\0\x06\0\0\0',
    'text.png': b'no EXIF',
}


@pytest.mark.parametrize('name', DAMAGED_EXIF)
def test_damaged_exif_does_not_matter_and_its_orientation_is_used_where_it_is_there(tmp_path, name):
  wide = np.zeros((8, 8, 3), np.uint8)
  wide[:4] = 255  # white above
  Image.fromarray(wide).save(tmp_path / name, exif=DAMAGED_EXIF[name], quality=95)
  image = folder.decode_image(str(tmp_path / name), 8).astype(int)
  is_turned = image[0, -1].min() > 200 and image[-1, -1].min() > 200 and image[:, 0].max() < 50
  assert is_turned == (name in ('offset.jpg', 'cut.jpg', 'cut.webp'))


def test_the_orientation_of_xmp_and_of_a_tiff(tmp_path):
  wide = np.zeros((8, 8, 3), np.uint8)
  wide[:4] = 255
  exif = Image.Exif()
  exif[0x0112] = 6
  Image.fromarray(wide).save(tmp_path / 'a.tiff', exif=exif)
  Image.fromarray(wide).save(tmp_path / 'b.webp', xmp=b'<x tiff:Orientation="6"/>', lossless=True)
  for turned in load_dataset(ask(tmp_path)).images:
    assert turned[:, -1].min() == 255 and turned[:, 0].max() == 0


def test_a_tiff_is_turned_once_whatever_its_xmp_says(tmp_path):
  wide = np.zeros((8, 8, 3), np.uint8)
  wide[:4] = 255
  tags = {0x0112: 1, 700: b'<x tiff:Orientation="6"/>'}
  Image.fromarray(wide).save(tmp_path / 'a.tiff', tiffinfo=tags)
  np.testing.assert_array_equal(folder.decode_image(str(tmp_path / 'a.tiff'), 8), wide)


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'tiff'])
def test_the_size_of_a_file_is_that_of_the_upright_picture(tmp_path, suffix):
  exif = Image.Exif()
  exif[0x0112] = 6
  for i in range(2):
    Image.new('RGB', (9, 8), (i, 0, 0)).save(tmp_path / f'{i}.{suffix}', exif=exif)
  assert load_dataset(ask(tmp_path, size=(9, 8))).notes == ('files of 8x9 pixels, RGB (2)',)


def save_tiff(path, values, **tags):
  Image.fromarray(np.asarray(values)).save(path, tiffinfo={int(tag[1:]): value for tag, value in tags.items()})
  return path


def test_values_are_scaled_by_the_range_that_the_format_gives_them(tmp_path):
  ramp = np.linspace(0, 1, 5).reshape(1, 5)
  expected = np.round(255 * ramp)
  cases = {
      'real.tif': save_tiff(tmp_path / 'real.tif', ramp.astype(np.float32)),
      '16.tif': save_tiff(tmp_path / '16.tif', (ramp * 65535).astype(np.uint16)),
      'white is zero.tif': save_tiff(tmp_path / 'w.tif', ((1 - ramp) * 65535).astype(np.uint16), t262=0),
  }
  for name, path in cases.items():
    found = pixels.decode_with(str(path), pixels.upright_pixels)[..., 0].astype(int)
    assert np.abs(found - expected).max() <= 1, name


def test_values_of_an_unknown_range_are_refused_by_the_file(tmp_path):
  cases = [
      (np.array([[0, 252]], np.int32), 'its pixels are signed whole numbers from 0 to 252, and which'),
      (np.array([[0, 2**30]], np.int32), 'signed whole numbers from 0 to 1073741824'),
      (np.array([[0, 252]], np.float32), 'its pixels are real numbers from 0.0 to 252.0'),
      (np.array([[-1, 1]], np.float32), 'real numbers from -1.0 to 1.0'),
      (np.array([[0, np.nan]], np.float32), 'real numbers from nan to nan'),
  ]
  for values, message in cases:
    assert message in why_not(save_tiff(tmp_path / 'a.tif', values))
  signed = save_tiff(tmp_path / 'b.tif', np.array([[0, 200]], np.uint8), t339=2)
  assert 'its pixels are signed whole numbers' in why_not(signed)
  signed = save_tiff(tmp_path / 'c.tif', np.array([[64536, 1520]], np.uint16), t339=2)  # int16 -1000 and 1520
  assert 'signed whole numbers from -1000 to 1520' in why_not(signed)


# What is left out.


def test_links_are_followed_and_what_is_reached_twice_is_read_once(tmp_path):
  """A snapshot of Hugging Face is links to files without a suffix; class folders may be links as well."""
  fill(tmp_path / 'blobs', 4)
  for file in sorted((tmp_path / 'blobs').iterdir()):
    file.rename(file.with_suffix(''))
  home = tmp_path / 'snapshot'
  fill(home / 'own', 2)
  fill(tmp_path / 'outside', 3, start=5)
  (home / 'linked').symlink_to(tmp_path / 'outside')
  for i in range(4):
    (home / 'own' / f'blob{i}.png').symlink_to(f'../../blobs/{i:03d}')
  (home / 'again.png').symlink_to('own/000.png')
  (home / 'linked too').symlink_to('own')
  (home / 'loop.png').symlink_to('loop.png')
  (tmp_path / 'outside' / 'back').symlink_to(home)
  (home / 'up').symlink_to(tmp_path)
  (home / 'gone.png').symlink_to('nowhere')
  (home / 'gone').symlink_to('nowhere')
  loaded = load_dataset(ask(home))
  assert loaded.class_names == ('linked', 'own') and len(loaded.images) == 9
  assert loaded.names[:3] == ('linked/005.png', 'linked/006.png', 'linked/007.png')
  assert loaded.left_out == {
      'again.png': "a link to 'own/000.png', which is read already",
      'linked too': "a link to 'own', which is read already",
      'loop.png': 'a link that cannot be followed: Too many levels of symbolic links',
      'linked/back': "a link to '.', which is read already",
      'up': f'a link to {str(tmp_path)!r}, which holds this folder itself',
      'gone.png': 'a link that cannot be followed: No such file or directory',
      '(no suffix)': '1 file: not read',
  }
  assert loaded.notes[1:] == (f"5 links were followed, such as 'linked' to {str(tmp_path / 'outside')!r}",)


def test_hidden_folders_are_no_classes(tmp_path):
  for name in ('cats', 'dogs', '.ipynb_checkpoints', '__MACOSX/cats', 'cats/@eaDir'):
    fill(tmp_path / name, 2)
  loaded = load_dataset(ask(tmp_path))
  assert loaded.class_names == ('cats', 'dogs') and len(loaded.images) == 4
  assert loaded.left_out == {'.ipynb_checkpoints/': 'hidden', '__MACOSX/': 'hidden', 'cats/@eaDir/': 'hidden'}


@pytest.mark.parametrize('splits', [('train', 'val', 'test'), ('Training', 'Test'), ('trainA', 'trainB', 'testA'),
                                    ('train2017', 'val2017')])
def test_splits_are_no_classes(tmp_path, splits):
  for split in splits:
    fill(tmp_path / split / 'cats', 1)
  with pytest.raises(UserError, match=f"holds the splits .*'{splits[1]}'.* no classes: .*dataset.path=.*{splits[0]}"):
    load_dataset(ask(tmp_path))


def test_splits_of_each_class_are_said_to_be_read_together(tmp_path):
  for name in ('cats/train', 'cats/test', 'dogs/train'):
    fill(tmp_path / name, 1)
  assert load_dataset(ask(tmp_path)).notes[1:] == ("read together: the splits 'train', 'test' in the subfolders",)


def test_a_class_may_be_called_train(tmp_path):
  for name in ('bus', 'train'):
    fill(tmp_path / name, 1)
  assert load_dataset(ask(tmp_path)).class_names == ('bus', 'train')


def test_classes_have_their_folders_names_in_the_order_of_their_letters(tmp_path):
  for i in range(12):
    fill(tmp_path / str(i), 1, start=i)
  loaded = load_dataset(ask(tmp_path))
  assert loaded.class_names[:4] == ('0', '1', '10', '11') and loaded.spec.class_names == loaded.class_names
  np.testing.assert_array_equal(loaded.images[:, 0, 0, 0], [20 * int(name) for name in loaded.class_names])


def test_names_are_texts_whatever_bytes_they_are(tmp_path):
  names = [b'caf\xe9', 'cafe\u0301'.encode()]  # Latin-1, and as macOS writes it
  for name in names:
    fill(tmp_path / os.fsdecode(name), 1)
  assert load_dataset(ask(tmp_path)).class_names == ('caf\u00e9', 'caf\\xe9')
  fill(tmp_path / 'caf\u00e9', 1)  # the same name in another spelling
  assert load_dataset(ask(tmp_path)).class_names == ('cafe\\u0301', 'caf\\xe9', 'caf\\udce9')


def test_images_beside_the_subfolders_are_why_there_are_no_classes(tmp_path):
  for name in ('cats', 'dogs', '.'):
    fill(tmp_path / name, 1)
  loaded = load_dataset(ask(tmp_path))
  assert loaded.class_names == ()
  assert loaded.notes[1:] == ("no classes: 1 file lies beside the subfolders, such as '000.png'",)


def test_what_is_no_file_is_left_out(tmp_path):
  fill(tmp_path, 2)
  os.mkfifo(tmp_path / 'pipe.png')  # whose opening would wait for ever
  loaded = load_dataset(ask(tmp_path))
  assert len(loaded.images) == 2 and loaded.left_out == {'pipe.png': 'it is no file'}


@contextlib.contextmanager
def as_nobody():
  """Gives up root's right to read everything."""
  is_root = os.geteuid() == 0
  if is_root:
    os.seteuid(65534)
  try:
    yield
  finally:
    if is_root:
      os.seteuid(0)


def test_folders_that_may_not_be_read_are_left_out():
  with tempfile.TemporaryDirectory() as parent:  # pytest's own are root's
    root = pathlib.Path(parent)
    fill(root / 'open', 12)
    for name, mode in (('listed', 0o444), ('closed', 0)):
      fill(root / name, 1)
      (root / name).chmod(mode)
    root.chmod(0o755)
    with as_nobody():
      loaded = load_dataset(ask(root))
    for name in ('listed', 'closed'):
      (root / name).chmod(0o755)
  assert len(loaded.images) == 12
  assert loaded.left_out == {'closed/': 'Permission denied', 'listed/000.png': 'Permission denied'}


def test_listing_takes_one_look_at_each_file(tmp_path, monkeypatch):
  fill(tmp_path, 9)
  looks = []
  stat = os.stat
  monkeypatch.setattr(os, 'stat', lambda path, **options: looks.append(path) or stat(path, **options))
  assert len(listing.list_files(str(tmp_path), pixels.SUFFIXES).names) == 9
  assert len([path for path in looks if str(path).endswith('.png')]) == 9


def test_moved_files_are_the_same_data(tmp_path):
  fill(tmp_path / 'here' / 'cats', 3)
  fill(tmp_path / 'here' / 'dogs', 3, start=3)
  config = ask(tmp_path / 'here')
  old = take_inventory(config, load_dataset(config))
  shutil.copytree(tmp_path / 'here', tmp_path / 'there')
  config.path, config.device_bytes = str(tmp_path / 'there'), 0
  assert find_changes(old, take_inventory(config, load_dataset(config))) == []
  Image.new('RGB', (10, 12)).save(tmp_path / 'there' / 'cats' / '001.png')
  assert find_changes(old, take_inventory(config, load_dataset(config))) == ["1 changed: 'cats/001.png'"]


def test_a_name_does_not_choose_the_decoder(tmp_path, monkeypatch):
  """PostScript under the name of a PNG: Pillow would have Ghostscript run it."""
  fill(tmp_path, 12)
  Image.new('RGB', (9, 9)).save(tmp_path / 'a.png', 'EPS')
  monkeypatch.setattr(EpsImagePlugin, 'Ghostscript', lambda *_, **__: pytest.fail('ran'))
  assert len(load_dataset(ask(tmp_path)).images) == 12


def test_a_folders_own_name_is_printed_safely(tmp_path, capfd):
  home = tmp_path / 'a\n\x1b[31mb'
  fill(home, 12)
  (home / 'broken.png').write_bytes(b'')
  assert len(load_dataset(ask(home)).images) == 12
  assert '\x1b' not in ''.join(capfd.readouterr())


@pytest.mark.parametrize('count, message', [(0, 'holds 0 images'), (1, 'holds 1 images')])
def test_too_few_images_are_said_so(tmp_path, count, message):
  fill(tmp_path, count)
  with pytest.raises(UserError, match=message):
    load_dataset(ask(tmp_path))


@pytest.mark.parametrize('path', ['', '/no/such/folder', '~nobody-at-all/images', 'a' * 5000])
def test_no_folder_is_named(path):
  with pytest.raises(UserError, match='dataset.path='):
    load_dataset(ask(path))
