"""Impatience: the first Ctrl-C waits for the steps in flight, the second waits for nothing."""
import signal
import time

from tests.faults import runs


def test_a_second_ctrl_c_ends_it_at_once(tmp_path):
  """The call of the compiled program that it interrupts would take the better part of an hour."""
  with runs.Run(tmp_path, '--config.n_critic=1', '--config.log_every=1000000', '--config.num_steps=1000000',
                '--config.sample_every=1000000', '--config.checkpoint_every=1000000',
                '--config.critic.hidden=(2048,2048,2048)') as run:
    run.wait_until(lambda: run.stepping)
    run.process.send_signal(signal.SIGINT)
    time.sleep(1)
    assert run.process.poll() is None  # it waits for the steps in flight
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(timeout=20) == 130
