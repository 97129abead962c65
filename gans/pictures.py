"""Pictures of a run: grids of images, clouds of points, the losses over the steps."""
import io

from etils import epath
import numpy as np
from PIL import Image


def picture(samples: np.ndarray) -> np.ndarray:
  """Makes one picture [H,W,C] uint8: a grid of images [N,H,W,C] uint8, eight in a row, or a plot of points [N,2]."""
  return grid(samples, columns=8) if samples.ndim == 4 else scatter(samples)


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
  buffer = io.BytesIO()
  Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, 'PNG')
  path.write_bytes(buffer.getvalue())


def plot_losses(path: epath.Path, scalars: dict[str, dict[int, float]]):
  """Plots {name: {step: value}} over the steps, smoothed, with the raw values pale behind."""
  figure, axes = _figure(figsize=(8, 4.5))
  for name, by_step in scalars.items():
    steps, values = np.array(sorted(by_step.items())).T
    line, = axes.plot(steps, smooth(values), label=name)
    axes.plot(steps, values, color=line.get_color(), alpha=0.25, linewidth=0.8)
  axes.set(xlabel='step', ylabel='smoothed over the steps')
  axes.grid(alpha=0.3)
  axes.legend()
  path.write_bytes(_png(figure))


def smooth(values: np.ndarray, share: float = 0.05) -> np.ndarray:
  """Averages [N] over a centred window of `share` of its length, narrower at both ends."""
  half = int(len(values) * share / 2)
  sums = np.concatenate([[0.0], np.cumsum(values)])
  low = np.maximum(np.arange(len(values)) - half, 0)
  high = np.minimum(np.arange(len(values)) + half + 1, len(values))
  return (sums[high] - sums[low]) / (high - low)


def _figure(figsize):
  from matplotlib.figure import Figure  # no pyplot: no global state, no display
  figure = Figure(figsize, dpi=120, layout='constrained')
  return figure, figure.add_subplot()


def _png(figure) -> bytes:
  buffer = io.BytesIO()
  figure.savefig(buffer, format='png')
  return buffer.getvalue()
