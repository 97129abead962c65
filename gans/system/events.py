"""TensorBoard's files. TensorFlow and TensorBoard are imported at the first use, as importing them takes seconds."""
from collections.abc import Callable

from etils import epath


def open_writer(events: epath.Path):
  """Opens CLU's writer of TensorBoard's files."""
  import tensorflow as tf
  tf.config.set_visible_devices([], 'GPU')  # the accelerators are JAX's
  from clu import metric_writers
  return metric_writers.create_default_writer(events)


def read_scalars(events: epath.Path, wanted: Callable[[str], bool],
                 last_step: float = float('inf')) -> dict[str, dict[int, float]]:
  """Reads {tag: {step: value}} of the scalars whose tag is wanted, up to a step; {} where there are no files."""
  if not events.exists():
    return {}
  from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
  from tensorboard.util.tensor_util import make_ndarray
  accumulator = EventAccumulator(str(events), size_guidance={'tensors': 0, 'images': 1}).Reload()
  scalars = {}
  for tag in filter(wanted, accumulator.Tags()['tensors']):
    by_step = {}
    for event in accumulator.Tensors(tag):
      if event.step <= last_step:
        by_step[event.step] = float(make_ndarray(event.tensor_proto))
    scalars[tag] = by_step
  return scalars
