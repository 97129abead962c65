"""TensorBoard's files. TensorFlow and TensorBoard are imported at the first use, as importing them takes seconds."""
from collections.abc import Callable
import logging
import os
import socket
import time

from etils import epath


def open_writer(events: epath.Path, start: int | None = None):
  """Opens CLU's writer of TensorBoard's files, of a run that starts, or resumes, at step `start` (None: of no run).

  What an earlier process wrote of later steps before it was killed is marked as void: TensorBoard and `read_scalars`
  leave it out.
  """
  if start is not None and events.exists() and any(events.iterdir()):
    _void_after(events, start)
  import tensorflow as tf
  tf.config.set_visible_devices([], 'GPU')  # the accelerators are JAX's
  from clu import metric_writers
  return metric_writers.create_default_writer(events)


def _void_after(events: epath.Path, step: int):
  """Writes that the run started again after a step. CLU's writers cannot, so it is a file of its own."""
  from tensorboard.compat.proto.event_pb2 import Event, SessionLog
  from tensorboard.summary.writer.record_writer import RecordWriter
  now = time.time()
  restart = Event(wall_time=now, step=step + 1, session_log=SessionLog(status=SessionLog.START))
  # TensorBoard takes the first restart that it sees for the start of the run.
  written = [Event(wall_time=now, file_version='brain.Event:2'), restart, restart]
  events.mkdir(parents=True, exist_ok=True)
  name = f'events.out.tfevents.{int(now):010d}.{socket.gethostname()}.{os.getpid()}.0'  # before the writer's own
  with (events / name).open('wb') as file:
    writer = RecordWriter(file)
    for event in written:
      writer.write(event.SerializeToString())


def read_scalars(events: epath.Path, wanted: Callable[[str], bool],
                 last_step: float = float('inf')) -> dict[str, dict[int, float]]:
  """Reads {tag: {step: value}} of the scalars whose tag is wanted, up to a step; {} where there are no files."""
  if not events.exists():
    return {}
  from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator  # which TensorBoard uses
  from tensorboard.util.tensor_util import make_ndarray
  logging.getLogger('tensorboard').setLevel(logging.ERROR)  # it warns of each restart
  accumulator = EventAccumulator(str(events), {'tensors': 0}, {'images': 1}).Reload()
  scalars = {}
  for tag in filter(wanted, accumulator.Tags()['tensors']):
    by_step = {}
    for event in accumulator.Tensors(tag):
      if event.step <= last_step:
        by_step[event.step] = float(make_ndarray(event.tensor_proto))
    scalars[tag] = by_step
  return scalars
