"""What libraries print on the way to an error that is told anyway."""
import sys

from gans.system import streams


def test_writes_that_end_after_one_has_failed_say_nothing(monkeypatch, capsys):
  monkeypatch.setattr(sys, 'excepthook', sys.__excepthook__)
  streams.hide_orphaned_writes()
  sys.excepthook(RuntimeError, RuntimeError('Event loop is closed'), None)
  assert not capsys.readouterr().err
  sys.excepthook(RuntimeError, RuntimeError('another'), None)
  assert 'RuntimeError: another' in capsys.readouterr().err
