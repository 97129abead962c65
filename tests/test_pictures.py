"""Pictures: the layout of a grid, the smoothing of a curve, and that files come out."""
from etils import epath
import matplotlib.image
import numpy as np
import pytest

from gans.data import kinds
from gans.errors import UserError
from gans.system import pictures


def test_grid_goes_row_by_row_and_pads_with_black():
  images = np.arange(1, 6, dtype=np.uint8)[:, None, None, None] * np.ones((5, 2, 3, 1), np.uint8)
  picture = pictures.grid(images, columns=3)
  assert picture.shape == (4, 9, 1)
  np.testing.assert_array_equal(picture[::2, ::3, 0], [[1, 2, 3], [4, 5, 0]])


def test_smooth_is_a_centred_mean():
  np.testing.assert_allclose(pictures.smooth(np.array([0.0, 3, 0, 6]), share=0.5), [1.5, 1, 3, 3])
  np.testing.assert_allclose(pictures.smooth(np.ones(100)), 1)


def test_files_are_pictures(tmp_path):
  pictures.save_png(tmp_path / 'a.png', np.full((4, 5, 1), 7, np.uint8))
  assert (np.round(255 * matplotlib.image.imread(tmp_path / 'a.png')) == 7).all()
  curve = {1: 3.0, 2: 2.0, 3: 1.0}
  pictures.plot_losses(tmp_path / 'b.png', {'critic_loss': curve})
  assert matplotlib.image.imread(tmp_path / 'b.png').shape[:2] == (540, 960)
  pictures.plot_losses(tmp_path / 'c.png', {'critic_loss': curve, 'other': {1: 100.0}}, evaluated=[1, 3], best=3)
  assert matplotlib.image.imread(tmp_path / 'c.png').shape[:2] == (780, 960)


@pytest.mark.parametrize('evaluated', [[], [1, 2]])
def test_many_scales_have_room(tmp_path, evaluated):
  """Matplotlib warns, which fails a test, where a panel has none."""
  scalars = {f'loss_{i}': {1: 5.0**i, 2: 6.0**i} for i in range(12)}
  pictures.plot_losses(tmp_path / 'a.png', scalars, evaluated, best=evaluated[-1] if evaluated else None)


def test_a_spike_at_the_start_does_not_press_the_curves_flat(tmp_path, monkeypatch):
  drawn = []
  monkeypatch.setattr(pictures, '_encode_figure', lambda figure: drawn.append(figure) or b'')
  spike = {step: 300.0 if step < 5 else 1 + step / 1000 for step in range(1000)}
  slow = {step: step / 1000 for step in range(1000)}
  pictures.plot_losses(epath.Path(tmp_path / 'losses.png'), {'critic_loss': spike})
  pictures.plot_losses(epath.Path(tmp_path / 'losses.png'), {'critic_loss': slow})
  (of_spike,), (of_slow,) = (figure.axes for figure in drawn)
  assert 2 <= of_spike.get_ylim()[1] < 3 and of_spike.get_ylim()[0] < 1.1
  assert of_slow.get_ylim()[0] < 0.03 and of_slow.get_ylim()[1] > 0.97


def test_curves_of_one_scale_share_a_panel():
  def constant(value):
    return {step: value for step in range(20)}

  curves = {'drifting': {step: -30.0 * step for step in range(10)}, 'estimate': constant(3.0), 'loss': constant(-2.0),
            'small': constant(0.1), 'with a high start': {**constant(3.0), **{step: 1e6 for step in range(5)}},
            'with an outlier': {**constant(3.0), 5: 1e6}, 'zero': constant(0.0)}
  assert pictures.group_by_scale(curves) == [
      ['zero'], ['small'], ['loss', 'estimate', 'with a high start', 'with an outlier'], ['drifting']]


def test_each_kind_of_data_is_one_picture():
  assert kinds.POINTS.picture(np.zeros((10, 2), np.float32), 8).shape == (480, 480, 3)
  assert kinds.IMAGES.picture(np.zeros((10, 4, 5, 1), np.uint8), 8).shape == (2 * 4, 8 * 5, 1)


def test_one_that_was_cut_short_is_named(tmp_path):
  pictures.save_png(epath.Path(tmp_path / 'a.png'), np.zeros((40, 40, 3), np.uint8))
  assert [path.name for path in tmp_path.iterdir()] == ['a.png']
  whole = (tmp_path / 'a.png').read_bytes()
  for cut in (whole[:-30], whole[:20], b''):
    (tmp_path / 'a.png').write_bytes(cut)
    with pytest.raises(UserError, match='a.png is not as it was written'):
      pictures.read_png(epath.Path(tmp_path / 'a.png'))


def test_what_is_no_png_is_not_opened_by_another_decoder(tmp_path):
  (tmp_path / 'a.png').write_bytes(b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n')
  with pytest.raises(UserError, match='a.png is not as it was written'):
    pictures.read_png(epath.Path(tmp_path / 'a.png'))
