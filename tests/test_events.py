"""TensorBoard's files: TensorBoard itself reads what the writer writes, and CLU's writers can take its place."""
import inspect

from clu import metric_writers
import numpy as np
import pytest
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.util.tensor_util import make_ndarray

from gans.system import events
from gans.system.events import EventWriter, read_scalars
from gans.system.pictures import encode_png
from gans.system.records import flatten

METHODS = [name for name in vars(EventWriter) if not name.startswith('_')]


def write(path, start=None, **values):
  """Writes {kind: (step, {tag: value})}, such as scalars=(3, {'loss': 1.0}), as one process of a run does."""
  writer = EventWriter(path, start)
  for kind, arguments in values.items():
    getattr(writer, f'write_{kind}')(*arguments)
  writer.close()


def read_by_tensorboard(path) -> EventAccumulator:
  return EventAccumulator(str(path), size_guidance={'tensors': 0}).Reload()


def test_tensorboard_reads_all_that_is_written(tmp_path):
  pictures = np.arange(2 * 3 * 5, dtype=np.uint8).reshape(2, 3, 5, 1)
  write(tmp_path, scalars=(7, {'loss': 0.5, 'other': np.float32(3)}), images=(8, {'samples/fake': pictures}),
        texts=(0, {'about': '| a | b |'}), hparams=({'batch_size': 8, 'flip': False, 'name': 'x', 'rate': 1e-4},))
  read = read_by_tensorboard(tmp_path)
  values = {tag: [(event.step, make_ndarray(event.tensor_proto)) for event in read.Tensors(tag)]
            for tag in ('loss', 'other', 'samples/fake', 'about')}
  assert values['loss'] == [(7, 0.5)] and values['other'] == [(7, 3)] and values['about'] == [(0, b'| a | b |')]
  (step, strings), = values['samples/fake']
  assert step == 8 and strings.tolist() == [b'5', b'3', *map(encode_png, pictures)]
  plugins = {tag: read.SummaryMetadata(tag).plugin_data.plugin_name for tag in values}
  assert plugins == {'loss': 'scalars', 'other': 'scalars', 'samples/fake': 'images', 'about': 'text'}
  hparams = HParamsPluginData.FromString(read.SummaryMetadata('_hparams_/session_start_info').plugin_data.content)
  written = hparams.session_start_info.hparams
  assert written['batch_size'].number_value == 8 and written['rate'].number_value == 1e-4
  assert not written['flip'].bool_value and written['name'].string_value == 'x'


@pytest.mark.parametrize('name', METHODS)
def test_its_methods_are_those_of_clus_interface(name):
  parameters = lambda owner: list(inspect.signature(getattr(owner, name)).parameters)
  assert parameters(EventWriter) == parameters(metric_writers.MetricWriter)


def test_what_clus_writer_wrote_is_read_and_voided(tmp_path):
  """Runs of earlier versions have such files."""
  with metric_writers.ensure_flushes(metric_writers.SummaryWriter(str(tmp_path))) as writer:
    for step in range(1, 6):
      writer.write_scalars(step, {'loss': float(step)})
    writer.write_texts(1, {'loss_text': 'no number'})
  file, = tmp_path.iterdir()
  file.rename(tmp_path / 'events.out.tfevents.1600000000.host')  # of an earlier second
  assert read_scalars(tmp_path, lambda tag: True, last_step=4) == {'loss': {step: step for step in range(1, 5)}}
  write(tmp_path, start=3, scalars=(4, {'loss': 40.0}))
  assert read_scalars(tmp_path, lambda tag: tag == 'loss') == {'loss': {1: 1, 2: 2, 3: 3, 4: 40}}
  read = read_by_tensorboard(tmp_path).Tensors('loss')
  assert [(event.step, float(make_ndarray(event.tensor_proto))) for event in read] == [(1, 1), (2, 2), (3, 3), (4, 40)]


def test_a_file_that_was_cut_short_is_read_up_to_there(tmp_path):
  write(tmp_path, scalars=(1, {'loss': 1.0}))
  writer = EventWriter(tmp_path)
  for step in (2, 3):
    writer.write_scalars(step, {'loss': float(step)})
  writer.close()
  file = sorted(tmp_path.iterdir())[-1]
  contents = file.read_bytes()
  for length in range(len(contents)):
    file.write_bytes(contents[:length])
    steps = list(read_scalars(tmp_path, lambda tag: True)['loss'])
    assert steps == [1, 2, 3][:len(steps)]
  file.write_bytes(contents[:-20] + b'\xff' * 20)
  assert 1 in read_scalars(tmp_path, lambda tag: True)['loss']


def test_pictures_between_scalars_are_passed_over(tmp_path):
  noise = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3), np.uint8)
  write(tmp_path, scalars=(1, {'loss': 1.0}), images=(1, {'samples': noise}), texts=(2, {'about': 'words'}))
  file, = tmp_path.iterdir()
  assert file.stat().st_size > 2 * events.LARGEST_READ
  writer = EventWriter(tmp_path)
  writer.write_images(2, {'samples': noise})
  writer.write_scalars(3, {'loss': 3.0})
  writer.close()
  assert read_scalars(tmp_path, lambda tag: True) == {'loss': {1: 1, 3: 3}}


def test_whatever_bit_is_flipped_what_is_read_was_written(tmp_path):
  write(tmp_path, scalars=(7, {'loss': 0.5}), texts=(8, {'about': 'words'}))
  file, = tmp_path.glob('*tfevents*')
  whole = file.read_bytes()
  for bit in range(0, 8 * len(whole), 5):
    damaged = bytearray(whole)
    damaged[bit // 8] ^= 1 << bit % 8
    file.write_bytes(damaged)
    assert read_scalars(tmp_path, lambda tag: True) in ({}, {'loss': {7: 0.5}})


def test_a_field_without_a_value_is_written_as_text(tmp_path):
  write(tmp_path, hparams=(flatten({'critic': {'optimizer': {'momentum': None}}}),))
  read = read_by_tensorboard(tmp_path)
  hparams = HParamsPluginData.FromString(read.SummaryMetadata('_hparams_/session_start_info').plugin_data.content)
  assert hparams.session_start_info.hparams['critic.optimizer.momentum'].string_value == 'None'


def test_a_text_of_any_bytes_is_written(tmp_path):
  write(tmp_path, hparams=({'dataset.path': '/data/\udcff'},))
  read = read_by_tensorboard(tmp_path)
  hparams = HParamsPluginData.FromString(read.SummaryMetadata('_hparams_/session_start_info').plugin_data.content)
  assert hparams.session_start_info.hparams['dataset.path'].string_value == '/data/\\udcff'
