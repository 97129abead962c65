"""Pictures of a run: grids of images, clouds of points, the losses over the steps."""
from collections.abc import Sequence
import io
import math

from etils import epath
import numpy as np
from PIL import Image

from gans.errors import UserError
from gans.system import disk

SCALE = 4  # how far the scales of curves in one panel may lie apart


def grid(images: np.ndarray, columns: int, blank: int = 0) -> np.ndarray:
  """Lays images [N,H,W,C] out row by row, `columns` in a row; places left over have the value `blank`."""
  num, height, width, channels = images.shape
  rows = math.ceil(num / columns)
  left_over = np.full((rows * columns - num, height, width, channels), blank, images.dtype)
  by_row = np.concatenate([images, left_over]).reshape(rows, columns, height, width, channels)
  return by_row.swapaxes(1, 2).reshape(rows * height, columns * width, channels)


def on_checkerboard(images: np.ndarray) -> np.ndarray:
  """Puts images [N,H,W,4] uint8, the last channel being alpha, on a checkerboard of white and grey: [N,H,W,3] uint8.

  Images of other channels are opaque and stay as they are.
  """
  _, height, width, channels = images.shape
  if channels != 4:
    return images
  side = max(1, min(height, width) // 8)
  row, column = np.indices((height, width)) // side
  board = np.where((row + column) % 2, 204.0, 255.0)[..., None]
  alpha = images[..., 3:] / 255
  return np.round(alpha * images[..., :3] + (1 - alpha) * board).astype(np.uint8)


def scatter(points: np.ndarray) -> np.ndarray:
  """Plots points [N,2] in a square frame: [H,W,3] uint8."""
  figure, (axes,) = _figure(figsize=(4, 4))
  axes.scatter(*points.T, s=2, alpha=0.5)
  axes.set_aspect('equal', 'datalim')
  image = Image.open(io.BytesIO(_encode_figure(figure)))
  return np.asarray(image.convert('RGB'))


def save_png(path: epath.Path, image: np.ndarray):
  """Writes [H,W,1] or [H,W,3] uint8 as a PNG file."""
  disk.write_whole(path, encode_png(image))


def read_png(path: epath.Path) -> np.ndarray:
  """Reads what save_png wrote: [H,W,1] or [H,W,3] uint8.

  Raises:
    UserError: it is not as it was written.
  """
  contents = io.BytesIO(path.read_bytes())
  try:
    image = np.asarray(Image.open(contents, formats=('PNG',)))
  except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # Pillow raises all of these
    raise UserError(f'{path} is not as it was written: {error}') from error
  return image[..., None] if image.ndim == 2 else image


def encode_png(image: np.ndarray) -> bytes:
  """Returns [H,W,1] or [H,W,3] uint8 as the contents of a PNG file."""
  buffer = io.BytesIO()
  _to_pillow(image).save(buffer, 'PNG')
  return buffer.getvalue()


def save_gif(path: epath.Path, frames: np.ndarray, milliseconds: int):
  """Writes frames [T,H,W,1] or [T,H,W,3] uint8 as a GIF that repeats; each is shown for `milliseconds`."""
  buffer = io.BytesIO()
  first, *rest = [_to_pillow(frame) for frame in frames]
  first.save(buffer, 'GIF', save_all=True, append_images=rest, duration=milliseconds, loop=0)
  disk.write_whole(path, buffer.getvalue())


def enlarge(images: np.ndarray, side: int) -> np.ndarray:
  """Repeats the pixels of [...,H,W,C] as often as it takes for the shorter side to have at least `side`."""
  height, width = images.shape[-3:-1]
  scale = math.ceil(side / min(height, width))
  taller = images.repeat(scale, axis=-3)
  return taller.repeat(scale, axis=-2)


def plot_losses(path: epath.Path, scalars: dict[str, dict[int, float]], evaluated: Sequence[int] = (),
                best: int | None = None):
  """Plots {name: {step: value}} over the steps, smoothed, with the raw values pale behind.

  Curves of one scale share a panel. Ticks mark the steps that were evaluated, and a line the best of them.
  """
  groups = group_by_scale(scalars)
  figure, panels = _figure(figsize=(8, 2.5 + 2 * len(groups)), rows=len(groups))
  for axes, names in zip(panels, groups):
    smoothed = np.concatenate([_draw_smoothed(axes, scalars[name], label=name) for name in names])
    lowest, low, high, highest = np.quantile(smoothed, [0, 0.05, 0.95, 1])
    if highest - lowest > SCALE * (high - low) > 0:  # a few steps, often the first, would press the rest flat
      axes.set_ylim(low - 0.2 * (high - low), high + 0.2 * (high - low))
    if best is not None:
      label = f'best of the evaluated steps, {best:,}' if axes is panels[0] else None
      axes.axvline(best, color='grey', linestyle='--', linewidth=1, label=label)
    ticks, = axes.plot(evaluated, [0.03] * len(evaluated), '^', color='grey', transform=axes.get_xaxis_transform())
    ticks.set_in_layout(False)  # where there is none, it would take all the space
    axes.grid(alpha=0.3)
    axes.legend(loc='lower left', bbox_to_anchor=(0, 1), ncols=3, frameon=False)  # above, as it would hide curves
  figure.supylabel('smoothed over the steps')
  panels[-1].set_xlabel('step; triangles: evaluated' if evaluated else 'step')
  disk.write_whole(path, _encode_figure(figure))


def group_by_scale(scalars: dict[str, dict[int, float]]) -> list[list[str]]:
  """Groups the names of curves, so that none is drawn flat by another: from small to great values, SCALE times apart.

  A curve's scale is the median of its values without their signs: losses start high.
  """
  scales = {name: np.median(np.abs(list(by_step.values()))) for name, by_step in scalars.items()}
  groups: list[list[str]] = []
  for name in sorted(scales, key=lambda name: scales[name]):
    if not groups or scales[name] > SCALE * scales[groups[-1][0]]:
      groups.append([])
    groups[-1].append(name)
  return groups


def plot_curves(curves: list[tuple[str, dict[int, float]]], smoothed: bool) -> bytes:
  """Plots (colour, {step: value}) over the steps, smoothed as in `plot_losses` or with a mark at each; returns SVG."""
  import matplotlib
  # Text is kept as text, and the same curves make the same file.
  with matplotlib.rc_context({'svg.fonttype': 'none', 'svg.hashsalt': 'gans'}):
    figure, (axes,) = _figure(figsize=(4.5, 2.8))
    for colour, by_step in curves:
      if smoothed:
        _draw_smoothed(axes, by_step, color=colour)
      else:
        steps, values = _sort_by_step(by_step)
        axes.plot(steps, values, marker='.', color=colour)
    axes.set_xlabel('step')
    axes.grid(alpha=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format='svg', metadata={'Date': None, 'Creator': None})
  return buffer.getvalue()


def _draw_smoothed(axes, by_step: dict[int, float], **style) -> np.ndarray:
  """Draws a curve and its raw values; returns what it is smoothed to."""
  steps, values = _sort_by_step(by_step)
  smoothed = smooth(values)
  line, = axes.plot(steps, smoothed, **style)
  axes.plot(steps, values, color=line.get_color(), alpha=0.25, linewidth=0.8)
  return smoothed


def _sort_by_step(by_step: dict[int, float]) -> np.ndarray:
  """Returns (steps [N], values [N]), in order of the steps."""
  return np.array(sorted(by_step.items())).T


def smooth(values: np.ndarray, share: float = 0.05) -> np.ndarray:
  """Averages [N] over a centred window of `share` of its length, narrower at both ends."""
  num = len(values)
  half = int(num * share / 2)
  centres = np.arange(num)
  starts = np.maximum(centres - half, 0)
  stops = np.minimum(centres + half + 1, num)
  sums = np.concatenate([[0.0], np.cumsum(values)])
  return (sums[stops] - sums[starts]) / (stops - starts)


def _to_pillow(image: np.ndarray) -> Image.Image:
  is_grey = image.shape[-1] == 1
  return Image.fromarray(image[..., 0] if is_grey else image)


def _figure(figsize, rows: int = 1):
  """Makes a figure with panels one below the other, which share their horizontal axis."""
  from matplotlib.figure import Figure  # no pyplot: no global state, no display
  figure = Figure(figsize, dpi=120, layout='constrained')
  panels = figure.subplots(rows, sharex=True, squeeze=False)
  return figure, list(panels[:, 0])


def _encode_figure(figure) -> bytes:
  buffer = io.BytesIO()
  figure.savefig(buffer, format='png')
  return buffer.getvalue()
