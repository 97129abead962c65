"""TensorBoard's files, written and read without TensorFlow, whose import takes seconds and half a gigabyte."""
from collections.abc import Callable, Iterator, Mapping
import os
import socket
import time

from etils import epath
import numpy as np

from gans.system.pictures import encode_png

FLUSH_SECONDS = 30  # the longest that TensorBoard waits for what was written
CHECKSUM = 4  # bytes after each part of a record, as TFRecord has them
LARGEST_READ = 2 ** 16  # bytes of an event; larger ones hold pictures, whose checksums would take seconds


class EventWriter:
  """Writes an event file; its methods are those of CLU's MetricWriter, so that any of CLU's can take its place.

  If a run resumes at the step `start`, what an earlier process wrote of later steps before it was killed is marked as
  void: TensorBoard and `read_scalars` leave it out.
  """

  def __init__(self, events: epath.Path, start: int | None = None):
    from tensorboard.compat.proto.event_pb2 import SessionLog
    from tensorboard.summary.writer.record_writer import RecordWriter
    is_resumed = start is not None and events.exists() and any(events.iterdir())
    events.mkdir(parents=True, exist_ok=True)
    name = f'events.out.tfevents.{time.time():017.6f}.{socket.gethostname()}.{os.getpid()}.v2'
    file = events / name  # TensorBoard reads the files in the order of their names
    self._records = RecordWriter(file.open('wb'))
    self._flushed = time.monotonic()
    self._write(file_version='brain.Event:2')
    if is_resumed:
      for _ in range(2):  # TensorBoard takes the first restart that it sees for the start of the run
        self._write(step=start + 1, session_log=SessionLog(status=SessionLog.START))

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self.close()

  def write_scalars(self, step: int, scalars: Mapping[str, float]):
    """Writes {tag: number}."""
    from tensorboard.plugins.scalar.summary_v2 import scalar_pb
    self._write_values(step, [scalar_pb(tag, value) for tag, value in scalars.items()])

  def write_images(self, step: int, images: Mapping[str, np.ndarray]):
    """Writes {tag: pictures [N,H,W,1] or [N,H,W,3] uint8}."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.image.metadata import create_summary_metadata
    from tensorboard.util.tensor_util import make_tensor_proto
    metadata = create_summary_metadata(display_name=None, description='')
    summaries = []
    for tag, pictures in images.items():
      height, width = pictures.shape[1:3]
      strings = [str(width).encode(), str(height).encode(), *map(encode_png, pictures)]
      tensor = make_tensor_proto(strings, dtype=np.object_)
      summaries.append(Summary(value=[Summary.Value(tag=tag, metadata=metadata, tensor=tensor)]))
    self._write_values(step, summaries)

  def write_texts(self, step: int, texts: Mapping[str, str]):
    """Writes {tag: Markdown}."""
    from tensorboard.plugins.text.summary_v2 import text_pb
    self._write_values(step, [text_pb(tag, text) for tag, text in texts.items()])

  def write_hparams(self, hparams: Mapping[str, bool | float | str]):
    """Writes the fields of a config, for TensorBoard's table of runs."""
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb
    encoded = {name: value.encode('utf-8', 'backslashreplace').decode() if isinstance(value, str) else value
               for name, value in hparams.items()}  # a path may be any bytes
    self._write_values(0, [hparams_pb(encoded)])

  def flush(self):
    """Hands all that was written to the file system."""
    self._records.flush()
    self._flushed = time.monotonic()

  def close(self):
    """Ends the file."""
    self._records.close()

  def _write_values(self, step: int, summaries: list):
    from tensorboard.compat.proto.summary_pb2 import Summary
    values = [value for summary in summaries for value in summary.value]
    self._write(step=step, summary=Summary(value=values))
    if time.monotonic() > self._flushed + FLUSH_SECONDS:
      self.flush()

  def _write(self, **fields):
    from tensorboard.compat.proto.event_pb2 import Event
    event = Event(wall_time=time.time(), **fields)
    self._records.write(event.SerializeToString())


def read_scalars(events: epath.Path, wanted: Callable[[str], bool],
                 last_step: float = float('inf')) -> dict[str, dict[int, float]]:
  """Reads {tag: {step: value}} of the scalars whose tag is wanted, up to a step; {} where there are no files."""
  if not events.exists():
    return {}
  from tensorboard.compat.proto.event_pb2 import SessionLog
  from tensorboard.util.tensor_util import make_ndarray
  scalars: dict[str, dict[int, float]] = {}
  for file in sorted(events.glob('*tfevents*')):
    for event in _read_events(file):
      if event.session_log.status == SessionLog.START:
        for tag, by_step in scalars.items():
          scalars[tag] = {step: value for step, value in by_step.items() if step < event.step}
      for value in event.summary.value:
        if value.metadata.plugin_data.plugin_name in ('scalars', '') and wanted(value.tag) and event.step <= last_step:
          scalars.setdefault(value.tag, {})[event.step] = float(make_ndarray(value.tensor))
  return scalars


def _read_events(path: epath.Path) -> Iterator:
  """Yields the events of a file, pictures left out, up to where its writing was cut short or it is damaged."""
  from tensorboard.compat.proto.event_pb2 import Event
  with path.open('rb') as file:
    while length := _read_checked(file, 8):
      num_bytes = int.from_bytes(length, 'little')
      if num_bytes > LARGEST_READ:
        file.seek(num_bytes + CHECKSUM, os.SEEK_CUR)
        continue
      event = _read_checked(file, num_bytes)
      if event is None:
        return
      yield Event.FromString(event)


def _read_checked(file, num_bytes: int) -> bytes | None:
  """Reads so many bytes and their checksum, as TFRecord has them; None where they end before or are others."""
  from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
  read = file.read(num_bytes + CHECKSUM)
  contents, checksum = read[:num_bytes], read[num_bytes:]
  is_whole = len(checksum) == CHECKSUM and masked_crc32c(contents) == int.from_bytes(checksum, 'little')
  return contents if is_whole else None
