"""The cache: it forgets older versions and what has not been used for longest, and survives damaged files."""
import os

import numpy as np
import pytest

from gans.system import cache


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  return tmp_path / 'gans'


def keep(kind: str, key: str, of: tuple = (), size: int = 1000) -> bool:
  """Loads or makes an array of so many bytes; tells whether it was made."""
  made = []
  cache.load_or_make(kind, (key,), lambda: made.append(1) or {'a': np.zeros(size, np.uint8)}, of)
  return bool(made)


def test_a_newer_version_takes_the_place_of_older_ones(home):
  assert keep('folders', 'a1', of=('a',)) and keep('folders', 'b1', of=('b',)) and keep('folders', 'c')
  assert not keep('folders', 'a1', of=('a',))
  assert keep('folders', 'a2', of=('a',))
  assert len(list((home / 'folders').iterdir())) == 3
  assert not keep('folders', 'b1', of=('b',)) and not keep('folders', 'c') and not keep('folders', 'a2', of=('a',))
  assert keep('folders', 'a1', of=('a',))


def test_what_was_not_used_for_longest_makes_room(home, monkeypatch):
  monkeypatch.setattr(cache, 'MAX_BYTES', 4000)
  for key in 'abc':
    keep('folders' if key == 'a' else 'features', key)
    for file in home.glob('*/*.npz'):
      os.utime(file, (file.stat().st_mtime - 1000,) * 2)  # so that each is older than the next
  assert not keep('folders', 'a')  # and now it is used
  keep('folders', 'd')
  assert len(list(home.glob('*/*.npz'))) == 3
  assert not keep('folders', 'a') and not keep('features', 'c') and keep('features', 'b')


def test_one_that_is_larger_than_all_may_be_is_kept_alone(home, monkeypatch):
  monkeypatch.setattr(cache, 'MAX_BYTES', 100)
  keep('folders', 'a')
  keep('folders', 'b')
  assert not keep('folders', 'b') and len(list(home.glob('*/*.npz'))) == 1


@pytest.mark.parametrize('damage', [b'', b'PK', b'\x93NUMPY', bytes(999)])
def test_a_damaged_file_is_made_again(home, damage):
  keep('folders', 'a')
  file, = home.glob('*/*.npz')
  whole = file.read_bytes()
  for contents in (damage, whole[:200] + damage + whole[300:]):
    file.write_bytes(contents)
    assert keep('folders', 'a') and not keep('folders', 'a')


def test_one_that_may_only_be_read_is_read(home, monkeypatch):
  keep('folders', 'a')

  def refuse(*_):
    raise PermissionError('not yours')

  monkeypatch.setattr(os, 'utime', refuse)
  assert not keep('folders', 'a')


def test_what_another_process_deletes_meanwhile_is_none_of_the_excess(home, monkeypatch):
  keep('folders', 'a')
  file, = home.glob('*/*.npz')
  monkeypatch.setattr(type(home), 'glob', lambda *_: [file, home / 'gone' / 'b.npz'])
  assert cache._find_excess(file) == []
