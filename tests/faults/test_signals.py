"""Impatience: the first Ctrl-C waits for the steps in flight, the second waits for nothing."""
import signal
import time

from tests.faults import runs


def test_a_second_ctrl_c_ends_it_at_once(tmp_path):
  """The call of the compiled program that it interrupts would take the better part of an hour."""
  intervals = ('steps_per_call', 'log_every', 'num_steps', 'sample_every', 'checkpoint_every')
  long = [f'--config.{interval}=1000000' for interval in intervals]
  with runs.Run(tmp_path, '--config.n_critic=1', '--config.critic.hidden=(2048,2048,2048)', *long) as run:
    run.wait_until(lambda: run.stepping)
    run.process.send_signal(signal.SIGINT)
    time.sleep(1)
    assert run.process.poll() is None  # it waits for the steps in flight
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(timeout=20) == 130
