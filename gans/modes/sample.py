"""--mode=sample: draws images from a trained generator, as a grid, as single files or as arrays."""
from collections.abc import Sequence
import io
import math
import re

from etils import epath
import numpy as np

import gans
from gans.data.kinds import Kind
from gans.errors import UserError
from gans.modes import outputs
from gans.runs.drawing import ROW, Drawing, choose_drawing
from gans.runs.trained import TrainedGenerator
from gans.system import disk, pictures, progress

TURNING = 16  # voxels in a GIF
MILLISECONDS = 80  # for which a frame of it is shown


def sample(path, *, num: int | None = None, seed: int = 0, labels: Sequence | None = None,
           truncation: float | None = None, inputs=None, out=None, **choice) -> epath.Path:
  """Draws images from a workdir or a built-in model and writes them; the same arguments give the same pixels.

  Args:
    path: whatever gans.load takes; `choice` is its checkpoint, weights and training_seed.
    num: the number of images; None: as many as `labels`, or else 64, or eight of each class. Of a model that
      translates, the number of images that are translated to each label; None: 8, or all `inputs`.
    seed: the seed of the noise: the images are those of gans.load(path)(jax.random.key(seed), num, labels). Of a model
      that translates, it chooses the images that are translated.
    labels: the labels of the images, repeated up to `num`; None: as many of each class, class by class. Of a model that
      translates, the targets of each image.
    truncation: as in gans.load.
    inputs: a folder of images to translate, or one image; None: images of the model's data set.
    out: NAME.png, a grid; NAME.npz, `images` [N,H,W,C] uint8 (`voxels` [N,X,Y,Z,1] uint8, `points` [N,D] float32) and,
      if any, `labels` [N], and of translations `sources` [N,H,W,C]; NAME.gif, voxels that turn; or a new folder of one
      PNG each, in a folder for each label, if any. None: a new grid in the workdir's `generated`, and of voxels a GIF
      beside it.

  Returns:
    The path that was written.

  Raises:
    UserError: as gans.load, or `labels`, `num`, `inputs` or `out` is not what it should be.
  """
  generate = gans.load(path, **choice)
  kind = generate.spec.kind
  target = choose_target(path, out, generate, seed)
  drawing = choose_drawing(path, generate, num=num, seed=seed, labels=labels, truncation=truncation, images=inputs)
  samples = generate.draw(drawing.inputs)
  with outputs.explain_errors(target):
    write_samples(target, samples, drawing, kind)
    if out is None and kind.turning:
      write_samples(target.with_suffix('.gif'), samples, drawing, kind)
  print(f'{target}: {len(samples)} of step {generate.step}{describe_labels(drawing)}')
  return target


def choose_target(path, out, generate: TrainedGenerator, seed: int) -> epath.Path:
  """Returns the path to write, where nothing is yet; raises UserError for an `out` that is not what it should be."""
  if out is None:
    folder = disk.absolute(path) / 'generated'
    target = _find_free_name(folder, f'{generate.step:07d}_seed_{seed}')
    outputs.refuse_unwritable(target)
    return target
  target = epath.Path(out).expanduser()
  kind = generate.spec.kind
  suffixes = ['.png', '.npz', *(['.gif'] if kind.turning else [])]
  suffix = outputs.suffix_of(target)
  if suffix not in (*suffixes, ''):
    names = ', '.join(f'NAME{suffix}' for suffix in suffixes)
    raise UserError(f'--out={out}: expected {names}, or a folder for single PNGs')
  if suffix == '' and not kind.separate:
    raise UserError(f'--out={out}: {kind.name} are not single pictures; expected NAME.png or NAME.npz')
  outputs.refuse_existing(target)
  return target


def write_samples(target: epath.Path, samples: np.ndarray, drawing: Drawing, kind: Kind):
  """Writes samples [N,...], as stored, in the format of the target's suffix."""
  target.parent.mkdir(parents=True, exist_ok=True)
  label = drawing.label
  if target.suffix == '.png':
    pictures.save_png(target, draw_picture(samples, drawing, kind))
  elif target.suffix == '.gif':
    pictures.save_gif(target, kind.turning(samples[:TURNING]), MILLISECONDS)
  elif target.suffix == '.npz':
    arrays = {kind.name: samples}
    if label is not None:
      arrays['labels'] = label
      if drawing.names:
        arrays['label_names'] = np.array(drawing.names)
    if drawing.shown is not None:
      sources = drawing.shown.before
      arrays['sources'] = sources.repeat(len(samples) // len(sources), axis=0)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    disk.write_whole(target, buffer.getvalue())
  else:
    _write_single_pictures(target, kind.render(samples), drawing)


def draw_picture(samples: np.ndarray, drawing: Drawing, kind: Kind) -> np.ndarray:
  """Draws samples [N,...] in a grid, translations beside their sources: [H,W,C] uint8."""
  if drawing.shown is not None:
    return kind.picture(drawing.shown.lay_out(samples), drawing.shown.columns)
  return kind.picture(samples, choose_columns(len(samples), drawing.label))


def _write_single_pictures(target: epath.Path, samples: np.ndarray, drawing: Drawing):
  """Writes a folder of one PNG for each sample, in a folder for each label if there are labels."""
  folders = [target] * len(samples)
  if drawing.label is not None:
    largest = drawing.label.max()
    by_label = {label: target / folder_name(drawing.names, label, largest) for label in np.unique(drawing.label)}
    folders = [by_label[label] for label in drawing.label]
  for folder in set(folders):
    folder.mkdir(parents=True)
  for i, image in enumerate(progress.bar(samples, unit=' files', leave=False)):
    pictures.save_png(folders[i] / f'{i:06d}.png', image)


def describe_labels(drawing: Drawing) -> str:
  """Says which labels there are, in their order, if names say more than numbers."""
  if drawing.label is None or all(name.isdecimal() for name in drawing.names):
    return ''
  return ': ' + ', '.join(dict.fromkeys(drawing.names[label] for label in drawing.label))


def folder_name(names: tuple[str, ...], label: int, largest: int) -> str:
  """Returns the name of a label's folder: that of its class, or else its number, with zeros that keep the order.

  Read by --config.dataset.name=folder, the samples have classes of the same names, or the same numbers.
  """
  are_usable = len({name for name in names if re.fullmatch(r'[\w+ -][\w+. -]*', name)}) == len(names) > 0
  are_numbers = all(name == str(number) for number, name in enumerate(names))
  return names[label] if are_usable and not are_numbers else str(label).zfill(len(str(largest)))


def choose_columns(num: int, label: np.ndarray | None) -> int:
  """Returns how many of num samples make a row: those of a class, if the classes are in order and of equal size."""
  if label is not None and (np.diff(label) >= 0).all():
    _, counts = np.unique(label, return_counts=True)
    if counts[0] > 1 and (counts == counts[0]).all():
      return int(counts[0])
  columns_of_a_square = math.ceil(math.sqrt(num))
  return min(num, max(ROW, columns_of_a_square))


def _find_free_name(folder: epath.Path, name: str) -> epath.Path:
  """Returns the first of NAME.png, NAME_2.png, NAME_3.png and so on that does not exist, nor a GIF of its name."""
  target = folder / f'{name}.png'
  number = 2
  while target.exists() or target.with_suffix('.gif').exists():
    target = folder / f'{name}_{number}.png'
    number += 1
  return target
