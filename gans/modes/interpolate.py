"""--mode=interpolate: draws what lies between samples, and between the classes of a labelled model."""
from collections.abc import Sequence
import dataclasses

from etils import epath
from flax import traverse_util
import jax
import numpy as np

import gans
from gans.data.kinds import IMAGES
from gans.errors import UserError
from gans.modes import outputs
from gans.runs.trained import TrainedGenerator, choose_labels
from gans.system import pictures

NUM = 8  # latents
STEPS = 17  # images from one to the next, both included; every second one is in the PNG
SIDE = 140  # least pixels of a side of the GIF's frames
MILLISECONDS = 70  # for which a frame is shown


def interpolate(path, *, num: int | None = None, seed: int = 0, labels: Sequence | None = None,
                truncation: float | None = None, out=None, **choice) -> epath.Path:
  """Writes the images on a closed way through samples and, for a labelled model, on one through its classes.

  Args:
    path: whatever gans.load takes; `choice` is its checkpoint, weights and training_seed.
    num: the number of latents; None: 8.
    seed: the seed of the noise, as in --mode=sample.
    labels: the classes to go through, with the first latent; the latents have the first of them. None: all classes, or
      those in a run's sample grids if there are many.
    truncation: as in gans.load.
    out: a new folder; None: `interpolation` in the workdir.

  Returns:
    The folder, with latents.png, a row from each latent to the next, and latents.gif, the whole way; for a labelled
    model with several classes also classes.png and classes.gif.

  Raises:
    UserError: as gans.load, or the model makes points, or an argument is not what it should be.
  """
  generate = gans.load(path, **choice)
  outputs.refuse_other_than_images('interpolate', path, generate.spec.kind)
  generate.refuse_other_inputs()
  num = NUM if num is None else num
  if num < 2:
    raise UserError(f'--num={num}: expected at least 2, to go from one to another')
  classes = choose_classes(generate, labels)
  folder = outputs.choose(path, out, 'interpolation')
  z = generate.latents(jax.random.key(seed), num, truncation)
  ways = {'latents': through_latents(generate, z, classes[0])}
  if len(classes) > 1:
    ways['classes'] = through_classes(generate, z[0], classes)
  with outputs.explain_errors(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, images in ways.items():
      pictures.save_png(folder / f'{name}.png', rows(images))
      pictures.save_gif(folder / f'{name}.gif', frames(images), MILLISECONDS)
      print(f'{folder / name}.png and .gif: {len(images)} legs, of step {generate.step}')
  return folder


def choose_classes(generate: TrainedGenerator, labels: Sequence | None) -> np.ndarray:
  """Returns the classes to go through [K] int32, [0] for a model without labels; raises UserError for wrong labels."""
  if labels:
    return choose_labels(generate, None, labels)
  num_classes = max(generate.num_classes, 1)
  return np.arange(min(num_classes, IMAGES.max_classes_shown), dtype=np.int32)


def through_latents(generate: TrainedGenerator, z, label: int) -> np.ndarray:
  """Draws uint8 images [K,STEPS,H,W,C] on a closed way through latents z [K,Z], all of one class, a row per leg."""
  points = loop_through(np.asarray(z), slerp, STEPS)
  labels = np.full(points.shape[:2], label, np.int32)
  return _draw(generate, points, labels)


def through_classes(generate: TrainedGenerator, z, classes: np.ndarray) -> np.ndarray:
  """Draws uint8 images [K,STEPS,H,W,C] on a closed way through classes [K] with one latent z [Z], a row per leg."""
  one_hot = np.eye(generate.num_classes)[classes]
  weights = loop_through(one_hot, lerp, STEPS)
  num_legs, num_steps, _ = weights.shape
  num_images = num_legs * num_steps
  blended = blend_classes(generate, weights.reshape(num_images, -1))
  labels = np.arange(num_images, dtype=np.int32).reshape(num_legs, num_steps)  # each image has its own class
  latents = np.broadcast_to(z, (num_legs, num_steps, len(z)))
  return _draw(blended, latents, labels)


def blend_classes(generate: TrainedGenerator, weights: np.ndarray) -> TrainedGenerator:
  """Makes a generator with M classes, each a blend of those of `generate`; weights [M, num_classes].

  A label enters a network as a row of a table, its embedding, so a blend of classes is that blend of their rows. In
  training the generator saw whole classes only, so what lies between them is its own invention.

  Raises:
    UserError: the network has no such table.
  """
  num_blends = len(weights)
  flat = traverse_util.flatten_dict(generate.variables)
  tables = {name: np.asarray(table) for name, table in flat.items() if name[-1] == 'embedding'}
  if not tables:
    raise UserError('this generator has no embedding of its labels (gans/networks/layers.py), so there is nothing '
                    'between its classes: give one class, such as --labels=0')
  blended = {name: np.asarray(weights @ table, np.float32) for name, table in tables.items()}
  variables = traverse_util.unflatten_dict(flat | blended)
  modules = {}
  for player, module in generate.modules.items():
    takes_labels = hasattr(module, 'num_classes')
    modules[player] = module.clone(num_classes=num_blends) if takes_labels else module
  spec = generate.spec._replace(num_classes=num_blends)
  return dataclasses.replace(generate, modules=modules, variables=variables, spec=spec)


def slerp(a, b, t):
  """Spherical interpolation: returns points [...,Z] on the arcs from a [...,Z] to b [...,Z]; t [...] runs from 0 to 1.

  White 2016, "Sampling generative networks", section 2.1, arXiv:1609.04468: Gaussian noise lies near a sphere, which a
  straight line leaves. Norms change from a's to b's, and stay where these are equal. Where a and b are parallel or
  opposite, so that there is no shortest arc or more than one, the way is straight.
  """
  a = np.asarray(a, np.float64)
  b = np.asarray(b, np.float64)
  t = np.asarray(t, np.float64)
  difference = np.linalg.norm(_normalise(a) - _normalise(b), axis=-1)
  total = np.linalg.norm(_normalise(a) + _normalise(b), axis=-1)
  angle = 2 * np.arctan2(difference, total)  # the arccos of the product is inexact for small angles
  straight = np.sin(angle) < 1e-6
  divisor = np.where(straight, 1, np.sin(angle))
  share_of_a = np.where(straight, 1 - t, np.sin((1 - t) * angle) / divisor)
  share_of_b = np.where(straight, t, np.sin(t * angle) / divisor)
  return share_of_a[..., None] * a + share_of_b[..., None] * b


def _normalise(x: np.ndarray) -> np.ndarray:
  norm = np.linalg.norm(x, axis=-1, keepdims=True)
  return x / np.maximum(norm, np.finfo(float).tiny)


def lerp(a, b, t):
  """Linear interpolation: returns points on the straight lines from a to b; shapes as in `slerp`."""
  a = np.asarray(a)
  b = np.asarray(b)
  t = np.asarray(t)[..., None]
  return (1 - t) * a + t * b


def loop_through(points: np.ndarray, between, steps: int) -> np.ndarray:
  """Goes from each of points [K,Z] to the next and from the last to the first, by `slerp` or `lerp`: [K,steps,Z].

  A leg starts on its point and ends on the next one, where the leg after it starts.
  """
  starts = points[:, None]
  ends = np.roll(points, -1, axis=0)[:, None]
  t = np.linspace(0, 1, steps)[None]
  return between(starts, ends, t)


def rows(images: np.ndarray) -> np.ndarray:
  """Lays legs [K,STEPS,H,W,C] out as a picture, a row per leg of every second image."""
  shown = images[:, ::2]
  _, columns, *shape = shown.shape
  return pictures.grid(shown.reshape(-1, *shape), columns)


def frames(images: np.ndarray) -> np.ndarray:
  """Joins legs [K,STEPS,H,W,C] to frames [T,H',W',C], enlarged; where two legs meet there is one frame."""
  without_ends = images[:, :-1]
  in_a_row = without_ends.reshape(-1, *images.shape[2:])
  return pictures.enlarge(in_a_row, SIDE)


def _draw(generate: TrainedGenerator, z: np.ndarray, label: np.ndarray) -> np.ndarray:
  """Draws uint8 images [K,T,H,W,C] from z [K,T,Z] and label [K,T]."""
  flat_z = z.reshape(label.size, -1).astype(np.float32)
  images = generate.draw({'z': flat_z, 'label': label.ravel()})
  return images.reshape(*label.shape, *images.shape[1:])
