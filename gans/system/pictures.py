"""Pictures of a run: grids of images, clouds of points, the losses over the steps."""
import io

from etils import epath
import numpy as np
from PIL import Image


def grid(images: np.ndarray, columns: int) -> np.ndarray:
  """Lays images [N,H,W,C] out row by row, `columns` in a row; places left over are black."""
  n, h, w, c = images.shape
  rows = -(-n // columns)
  images = np.concatenate([images, np.zeros((rows * columns - n, h, w, c), images.dtype)])
  return images.reshape(rows, columns, h, w, c).swapaxes(1, 2).reshape(rows * h, columns * w, c)


def scatter(points: np.ndarray) -> np.ndarray:
  """Plots points [N,2] in a square frame: [H,W,3] uint8."""
  figure, axes = _figure(figsize=(4, 4))
  axes.scatter(*points.T, s=2, alpha=0.5)
  axes.set_aspect('equal', 'datalim')
  return np.asarray(Image.open(io.BytesIO(_png(figure))).convert('RGB'))


def save_png(path: epath.Path, image: np.ndarray):
  """Writes [H,W,1] or [H,W,3] uint8 as a PNG file."""
  path.write_bytes(png(image))


def read(path: epath.Path) -> np.ndarray:
  """Reads what save_png wrote: [H,W,1] or [H,W,3] uint8."""
  image = np.asarray(Image.open(io.BytesIO(path.read_bytes())))
  return image[..., None] if image.ndim == 2 else image


def png(image: np.ndarray) -> bytes:
  """Returns [H,W,1] or [H,W,3] uint8 as the contents of a PNG file."""
  buffer = io.BytesIO()
  _image(image).save(buffer, 'PNG')
  return buffer.getvalue()


def save_gif(path: epath.Path, frames: np.ndarray, milliseconds: int):
  """Writes frames [T,H,W,1] or [T,H,W,3] uint8 as a GIF that starts over at its end, each shown for so long."""
  buffer = io.BytesIO()
  first, *rest = map(_image, frames)
  first.save(buffer, 'GIF', save_all=True, append_images=rest, duration=milliseconds, loop=0)
  path.write_bytes(buffer.getvalue())


def enlarge(images: np.ndarray, side: int) -> np.ndarray:
  """Repeats the pixels of [...,H,W,C] as often as it takes for the shorter side to have at least `side`."""
  scale = -(-side // min(images.shape[-3:-1]))
  return images.repeat(scale, axis=-3).repeat(scale, axis=-2)


def plot_losses(path: epath.Path, scalars: dict[str, dict[int, float]]):
  """Plots {name: {step: value}} over the steps, smoothed, with the raw values pale behind."""
  figure, axes = _figure(figsize=(8, 4.5))
  for name, by_step in scalars.items():
    _draw_smoothed(axes, by_step, label=name)
  axes.set(xlabel='step', ylabel='smoothed over the steps')
  axes.grid(alpha=0.3)
  axes.legend()
  path.write_bytes(_png(figure))


def plot_curves(curves: list[tuple[str, dict[int, float]]], smoothed: bool) -> bytes:
  """Plots (colour, {step: value}) over the steps, smoothed as `plot_losses` does or with a mark at each: SVG."""
  import matplotlib
  # Text stays text, and the same curves make the same file.
  with matplotlib.rc_context({'svg.fonttype': 'none', 'svg.hashsalt': 'gans'}):
    figure, axes = _figure(figsize=(4.5, 2.8))
    for colour, by_step in curves:
      if smoothed:
        _draw_smoothed(axes, by_step, color=colour)
      else:
        axes.plot(*zip(*sorted(by_step.items())), marker='.', color=colour)
    axes.set_xlabel('step')
    axes.grid(alpha=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format='svg', metadata={'Date': None, 'Creator': None})
  return buffer.getvalue()


def _draw_smoothed(axes, by_step: dict[int, float], **style):
  steps, values = np.array(sorted(by_step.items())).T
  line, = axes.plot(steps, smooth(values), **style)
  axes.plot(steps, values, color=line.get_color(), alpha=0.25, linewidth=0.8)


def smooth(values: np.ndarray, share: float = 0.05) -> np.ndarray:
  """Averages [N] over a centred window of `share` of its length, narrower at both ends."""
  half = int(len(values) * share / 2)
  sums = np.concatenate([[0.0], np.cumsum(values)])
  low = np.maximum(np.arange(len(values)) - half, 0)
  high = np.minimum(np.arange(len(values)) + half + 1, len(values))
  return (sums[high] - sums[low]) / (high - low)


def _image(image: np.ndarray) -> Image.Image:
  return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def _figure(figsize):
  from matplotlib.figure import Figure  # no pyplot: no global state, no display
  figure = Figure(figsize, dpi=120, layout='constrained')
  return figure, figure.add_subplot()


def _png(figure) -> bytes:
  buffer = io.BytesIO()
  figure.savefig(buffer, format='png')
  return buffer.getvalue()
