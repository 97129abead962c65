"""--mode=sample: new images of a trained generator, as a grid, as single files or as arrays."""
from collections.abc import Iterator, Sequence
import io
import itertools
import math

from etils import epath
import numpy as np
import tqdm

from gans.data.kinds import Kind
from gans.errors import UserError
from gans.modes import outputs
from gans.runs.trained import ROW, TrainedGenerator, choose_labels, inputs_for_labels, load
from gans.system import disk, pictures


def sample(path, *, num: int | None = None, seed: int = 0, labels: Sequence | None = None,
           truncation: float | None = None, out=None, **choice) -> epath.Path:
  """Draws images from a workdir or a built-in model and writes them; the same arguments give the same pixels.

  Args:
    path: whatever gans.load takes; `choice` is its checkpoint, weights and training_seed.
    num: how many; None: as many as `labels`, else 64, or eight of each class.
    seed: of the noise: the images are those of gans.load(path)(jax.random.key(seed), num, labels).
    labels: of the images, over and over up to `num`; None: as many of each class, class by class.
    truncation: as gans.load's.
    out: NAME.png, a grid; NAME.npz, `images` [N,H,W,C] uint8 (`points` [N,D] float32) and, if any, `labels` [N]; or a
      new folder of one PNG each, in a folder for each label, if any. None: a new grid in the workdir's `generated`.

  Returns:
    What was written.

  Raises:
    UserError: as gans.load, or `labels`, `num` or `out` is not what it should be.
  """
  generate = load(path, **choice)
  label = choose_labels(generate, num, labels)
  target = choose_target(path, out, generate, seed)
  samples = generate.draw(inputs_for_labels(generate, seed, label, truncation))
  with outputs.explain_errors(target):
    write_samples(target, samples, label if generate.num_classes else None, generate.spec.kind)
  print(f'{target}: {len(samples)} of step {generate.step}')
  return target


def choose_target(path, out, generate: TrainedGenerator, seed: int) -> epath.Path:
  """Returns where to write: nothing is there yet."""
  if out is None:
    folder = disk.absolute(path) / 'generated'
    name = f'{generate.step:07d}_seed_{seed}'
    return next(target for target in _numbered(folder, name) if not target.exists())
  target = epath.Path(out).expanduser()
  if target.suffix not in ('.png', '.npz', ''):
    raise UserError(f'--out={out}: expected NAME.png, NAME.npz, or a folder for single PNGs')
  kind = generate.spec.kind
  if target.suffix == '' and not kind.separate:
    raise UserError(f'--out={out}: {kind.name} are no single pictures; expected NAME.png or NAME.npz')
  outputs.refuse_existing(target)
  return target


def write_samples(target: epath.Path, samples: np.ndarray, label: np.ndarray | None, kind: Kind):
  """Writes samples [N,H,W,C] uint8 or [N,D] in the format that the name tells; label [N], or None for none."""
  target.parent.mkdir(parents=True, exist_ok=True)
  if target.suffix == '.png':
    pictures.save_png(target, kind.picture(samples, choose_columns(len(samples), label)))
  elif target.suffix == '.npz':
    buffer = io.BytesIO()
    arrays = {} if label is None else {'labels': label}
    np.savez_compressed(buffer, **{kind.name: samples}, **arrays)
    target.write_bytes(buffer.getvalue())
  else:
    folders = [target] * len(samples) if label is None else [target / str(each) for each in label]
    for folder in set(folders):
      folder.mkdir(parents=True)
    for i, image in enumerate(tqdm.tqdm(samples, unit=' files', leave=False, disable=None)):
      pictures.save_png(folders[i] / f'{i:06d}.png', image)


def choose_columns(num: int, label: np.ndarray | None) -> int:
  """Returns how many of num samples make a row: those of a class where each class has as many, in order."""
  if label is not None and (np.diff(label) >= 0).all():
    counts = np.unique(label, return_counts=True)[1]
    if counts[0] > 1 and (counts == counts[0]).all():
      return int(counts[0])
  return min(num, max(ROW, math.ceil(math.sqrt(num))))


def _numbered(folder: epath.Path, name: str) -> Iterator[epath.Path]:
  yield folder / f'{name}.png'
  yield from (folder / f'{name}_{number}.png' for number in itertools.count(2))
