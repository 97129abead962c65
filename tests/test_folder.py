"""A user's own folder of images, in the formats and with the faults that such folders have."""
import os

import ml_collections
import numpy as np
from PIL import EpsImagePlugin, Image
import pytest

from gans.data.sources import folder, load_dataset
from gans.errors import UserError


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
  home = tmp_path_factory.mktemp('cache')
  monkeypatch.setenv('XDG_CACHE_HOME', str(home))
  return home


def ask(path, size=8):
  return ml_collections.ConfigDict({
      'name': 'folder', 'path': str(path), 'data_dir': '', 'split': 'train', 'crop': '', 'image_size': size,
      'device_bytes': 2**30})


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
  return [(204, 0, 0)] * 4 + [(255,) * 3, (0x80,) * 3, (77,) * 3, (255,) * 3, (255,) * 3]


def test_every_format_and_mode(tmp_path):
  want = save_formats(tmp_path)
  (tmp_path / 'notes.txt').write_text('no image')
  images = load_dataset(ask(tmp_path)).images
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
  monkeypatch.setattr(folder, 'decode_image', lambda *_: pytest.fail('decoded again'))
  np.testing.assert_array_equal(load_dataset(ask(tmp_path)).images, first)
  monkeypatch.undo()
  fill(tmp_path, 1, start=9)
  assert len(load_dataset(ask(tmp_path)).images) == 4


def test_few_unreadable_files_are_named_and_skipped(tmp_path, capsys):
  fill(tmp_path, 12)
  (tmp_path / 'broken\n\x1b[31m.png').write_bytes(b'not an image')
  assert len(load_dataset(ask(tmp_path)).images) == 12
  said = capsys.readouterr().out
  assert '1 of 13 images' in said and r'broken\n\x1b[31m.png' in said and '\x1b' not in said


def test_many_unreadable_files_are_refused(tmp_path):
  fill(tmp_path, 8)
  for i in range(2):
    (tmp_path / f'broken{i}.jpg').write_bytes(b'')
  with pytest.raises(UserError, match=r"2 of 10 images(.|\n)*'broken0.jpg'(.|\n)*at most 10%"):
    load_dataset(ask(tmp_path))


def test_decompression_bombs_are_refused_and_links_out_are_not_followed(tmp_path, monkeypatch):
  fill(tmp_path / 'outside', 1, start=50)
  fill(tmp_path / 'inside', 12)
  (tmp_path / 'inside' / 'link.png').symlink_to(tmp_path / 'outside' / '050.png')
  assert len(load_dataset(ask(tmp_path / 'inside')).images) == 12
  monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 50)  # 10 x 12 is more than twice that
  with pytest.raises(UserError, match='decompression bomb'):
    load_dataset(ask(tmp_path / 'inside', size=4))


def test_folders_that_lead_out_and_what_is_no_file_are_left_out(tmp_path):
  fill(tmp_path / 'outside', 3)
  fill(tmp_path / 'inside', 2)
  (tmp_path / 'inside' / 'more').symlink_to(tmp_path / 'outside')
  (tmp_path / 'inside' / 'circle.png').symlink_to('circle.png')
  os.mkfifo(tmp_path / 'inside' / 'pipe.png')  # whose opening would wait for ever
  assert len(load_dataset(ask(tmp_path / 'inside')).images) == 2


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


@pytest.mark.parametrize('path', ['', '/no/such/folder'])
def test_no_folder_is_named(path):
  with pytest.raises(UserError, match='dataset.path='):
    load_dataset(ask(path))
