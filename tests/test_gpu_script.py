"""benchmarks/gpu.sh, which waits for a GPU: it runs on a CPU too."""
import os
import pathlib
import subprocess
import sys

from tests.conftest import ROOT


def test_it_measures_and_writes_its_page(tmp_path):
  environment = os.environ | {'PATH': f'{pathlib.Path(sys.executable).parent}:{os.environ["PATH"]}'}
  command = ['bash', ROOT / 'benchmarks' / 'gpu.sh', tmp_path, '--cases=gan', '--rounds=1', '--seconds=0.01']
  result = subprocess.run(command, env=environment, text=True, capture_output=True, timeout=500)
  assert result.returncode == 0, result.stderr
  page = (tmp_path / 'performance.md').read_text()
  assert '## Several seeds' in page and '\n| gan | ' in page
