"""What all these processes share: their config, and the compiled programs, so that a start takes seconds."""
import pytest

from tests.faults import runs


@pytest.fixture(scope='package', autouse=True)
def environment(tmp_path_factory):
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))
    patch.setenv('PYTHONUNBUFFERED', '1')  # what was printed before a kill is seen
    patch.setattr(runs, 'CONFIG', runs.write_config(tmp_path_factory.mktemp('config'), runs.TOY))
    yield
