"""Progress without a terminal: plain lines of what takes long, and silence of what does not."""
import time

import tqdm

from gans.system import progress


def work(seconds: int, **settings):
  """Shows work of ten items, of which each takes so long."""
  now = [0.0]
  bar = progress.bar(total=10, **settings)
  bar._time = lambda: now[0]
  bar.start_t = bar.last_print_t = 0.0
  with bar:
    for _ in range(10):
      now[0] += seconds
      bar.update()


def test_long_work_is_told_in_lines_of_its_own(capsys):
  work(seconds=20, desc='training a classifier', leave=False)
  lines = capsys.readouterr().out.splitlines()
  assert 5 < len(lines) <= 10 and all(line.startswith('training a classifier: ') for line in lines)
  assert '5/10' in ''.join(lines)


def test_short_work_says_nothing(capsys):
  work(seconds=1, desc='sampling', leave=False)
  assert not ''.join(capsys.readouterr())


def test_no_count_is_told_twice_when_work_slows_down(monkeypatch, capsys):
  monkeypatch.setattr(progress, 'PLAIN_SECONDS', 0.05)
  monkeypatch.setattr(tqdm.tqdm, 'monitor_interval', 0.02)
  monkeypatch.setattr(tqdm.tqdm, 'monitor', None)  # one of its own, which wakes up that often
  for i in progress.bar(range(403), maxinterval=0.1):
    time.sleep(0.001 if i < 400 else 0.4)
  *counts, _ = [line.split('/403')[0] for line in capsys.readouterr().out.splitlines()]  # the last closes the bar
  assert 3 < len(counts) == len(set(counts))
