"""--mode=sample: draws images from a trained generator, as a grid, as single files or as arrays."""
from collections.abc import Sequence
import io
import math

from etils import epath
import numpy as np
import tqdm

import gans
from gans.data.kinds import Kind
from gans.errors import UserError
from gans.modes import outputs
from gans.runs.trained import ROW, TrainedGenerator, choose_labels, inputs_for_labels
from gans.system import disk, pictures


def sample(path, *, num: int | None = None, seed: int = 0, labels: Sequence | None = None,
           truncation: float | None = None, out=None, **choice) -> epath.Path:
  """Draws images from a workdir or a built-in model and writes them; the same arguments give the same pixels.

  Args:
    path: whatever gans.load takes; `choice` is its checkpoint, weights and training_seed.
    num: the number of images; None: as many as `labels`, or else 64, or eight of each class.
    seed: the seed of the noise: the images are those of gans.load(path)(jax.random.key(seed), num, labels).
    labels: the labels of the images, repeated up to `num`; None: as many of each class, class by class.
    truncation: as in gans.load.
    out: NAME.png, a grid; NAME.npz, `images` [N,H,W,C] uint8 (`points` [N,D] float32) and, if any, `labels` [N]; or a
      new folder of one PNG each, in a folder for each label, if any. None: a new grid in the workdir's `generated`.

  Returns:
    The path that was written.

  Raises:
    UserError: as gans.load, or `labels`, `num` or `out` is not what it should be.
  """
  generate = gans.load(path, **choice)
  label = choose_labels(generate, num, labels)
  target = choose_target(path, out, generate, seed)
  inputs = inputs_for_labels(generate, seed, label, truncation)
  samples = generate.draw(inputs)
  shown_label = label if generate.num_classes else None
  with outputs.explain_errors(target):
    write_samples(target, samples, shown_label, generate.spec.kind)
  print(f'{target}: {len(samples)} of step {generate.step}')
  return target


def choose_target(path, out, generate: TrainedGenerator, seed: int) -> epath.Path:
  """Returns the path to write, where nothing is yet; raises UserError for an `out` that is not what it should be."""
  if out is None:
    folder = disk.absolute(path) / 'generated'
    return _find_free_name(folder, f'{generate.step:07d}_seed_{seed}')
  target = epath.Path(out).expanduser()
  if target.suffix not in ('.png', '.npz', ''):
    raise UserError(f'--out={out}: expected NAME.png, NAME.npz, or a folder for single PNGs')
  kind = generate.spec.kind
  if target.suffix == '' and not kind.separate:
    raise UserError(f'--out={out}: {kind.name} are not single pictures; expected NAME.png or NAME.npz')
  outputs.refuse_existing(target)
  return target


def write_samples(target: epath.Path, samples: np.ndarray, label: np.ndarray | None, kind: Kind):
  """Writes samples [N,H,W,C] uint8 or [N,D] in the format of the target's suffix; label is [N], or None."""
  target.parent.mkdir(parents=True, exist_ok=True)
  if target.suffix == '.png':
    columns = choose_columns(len(samples), label)
    pictures.save_png(target, kind.picture(samples, columns))
  elif target.suffix == '.npz':
    arrays = {kind.name: samples}
    if label is not None:
      arrays['labels'] = label
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    target.write_bytes(buffer.getvalue())
  else:
    _write_single_pictures(target, samples, label)


def _write_single_pictures(target: epath.Path, samples: np.ndarray, label: np.ndarray | None):
  """Writes a folder of one PNG for each sample, in a folder for each label if there are labels."""
  folders = [target] * len(samples)
  if label is not None:
    folders = [target / str(each) for each in label]
  for folder in set(folders):
    folder.mkdir(parents=True)
  for i, image in enumerate(tqdm.tqdm(samples, unit=' files', leave=False, disable=None)):
    pictures.save_png(folders[i] / f'{i:06d}.png', image)


def choose_columns(num: int, label: np.ndarray | None) -> int:
  """Returns how many of num samples make a row: those of a class, if the classes are in order and of equal size."""
  if label is not None and (np.diff(label) >= 0).all():
    _, counts = np.unique(label, return_counts=True)
    if counts[0] > 1 and (counts == counts[0]).all():
      return int(counts[0])
  columns_of_a_square = math.ceil(math.sqrt(num))
  return min(num, max(ROW, columns_of_a_square))


def _find_free_name(folder: epath.Path, name: str) -> epath.Path:
  """Returns the first of NAME.png, NAME_2.png, NAME_3.png and so on that does not exist."""
  target = folder / f'{name}.png'
  number = 2
  while target.exists():
    target = folder / f'{name}_{number}.png'
    number += 1
  return target
