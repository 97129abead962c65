"""--mode=interpolate: what lies between samples, along the noise and, of labelled models, between the classes."""
from collections.abc import Sequence
import dataclasses

from etils import epath
from flax import traverse_util
import jax
import numpy as np

from gans.data.kinds import IMAGES
from gans.errors import UserError
from gans.modes import outputs
from gans.runs.trained import TrainedGenerator, choose_labels, load
from gans.system import pictures

NUM = 8  # latents
STEPS = 17  # images from one to the next, both included; every second one is in the PNG
SIDE, MILLISECONDS = 140, 70  # of a frame of the GIF: least pixels, time


def interpolate(path, *, num: int | None = None, seed: int = 0, labels: Sequence | None = None,
                truncation: float | None = None, out=None, **choice) -> epath.Path:
  """Goes round through samples, and of a labelled model round through its classes, and writes the images on the way.

  Args:
    path: whatever gans.load takes; `choice` is its checkpoint, weights and training_seed.
    num: how many latents; None: 8.
    seed: of the noise, as of --mode=sample.
    labels: the classes to go through, with the first latent; the latents are of the first of them. None: all, of many
      those in a run's sample grids.
    truncation: as gans.load's.
    out: a new folder; None: `interpolation` in the workdir.

  Returns:
    The folder: latents.png, a row from each latent to the next, and latents.gif, all of the way; of a labelled model
    with several classes also classes.png and classes.gif.

  Raises:
    UserError: as gans.load, it makes points, or an argument is not what it should be.
  """
  generate = load(path, **choice)
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
  """Returns the classes to go through [K] int32; of a model without labels [0]. Raises UserError for wrong labels."""
  if labels:
    return choose_labels(generate, None, labels)
  return np.arange(min(max(generate.num_classes, 1), IMAGES.max_classes_shown), dtype=np.int32)


def through_latents(generate: TrainedGenerator, z, label: int) -> np.ndarray:
  """Goes round through latents z [K,Z], all of the class `label`: uint8 images [K,STEPS,H,W,C], a row per leg."""
  points = loop(np.asarray(z), slerp, STEPS)
  return _draw(generate, points, np.full(points.shape[:2], label, np.int32))


def through_classes(generate: TrainedGenerator, z, classes: np.ndarray) -> np.ndarray:
  """Goes round through classes [K] with one latent z [Z]: uint8 images [K,STEPS,H,W,C], a row per leg."""
  weights = loop(np.eye(generate.num_classes)[classes], lerp, STEPS)
  legs = weights.shape[:2]
  label = np.arange(legs[0] * legs[1], dtype=np.int32).reshape(legs)
  return _draw(blend_classes(generate, weights.reshape(label.size, -1)), np.broadcast_to(z, (*legs, len(z))), label)


def blend_classes(generate: TrainedGenerator, weights: np.ndarray) -> TrainedGenerator:
  """Makes a generator whose class m is the blend weights[m] [num_classes] of the classes of `generate`; weights [M,K].

  A label enters a network as a row of a table, its embedding, so a blend of classes is that blend of their rows. In
  training the generator saw whole classes only; what it makes between them is its own.
  Raises UserError where the network has no such table.
  """
  flat = traverse_util.flatten_dict(generate.variables)
  if not (tables := [name for name in flat if name[-1] == 'embedding']):
    raise UserError('this generator has no embedding of its labels (gans/networks/layers.py), so there is nothing '
                    'between its classes: give one class, such as --labels=0')
  blended = {name: np.asarray(weights @ np.asarray(flat[name]), np.float32) for name in tables}
  modules = {}
  for player, module in generate.modules.items():
    modules[player] = module.clone(num_classes=len(weights)) if hasattr(module, 'num_classes') else module
  return dataclasses.replace(generate, modules=modules, variables=traverse_util.unflatten_dict(flat | blended),
                             spec=generate.spec._replace(num_classes=len(weights)))


def slerp(a, b, t):
  """Returns the points at the shares t of the arcs from a to b: [...,Z] of a, b [...,Z] and t [...], broadcast.

  White 2016, "Sampling generative networks", section 2.1, arXiv:1609.04468: Gaussian noise lies near a sphere, which a
  straight line leaves. Norms go from a's to b's, and stay where these are equal. Where the shortest arc is no arc or
  any (a and b parallel or opposite), the way is straight.
  """
  a, b, t = (np.asarray(x, np.float64) for x in (a, b, t))
  norm = lambda x: np.linalg.norm(x, axis=-1)
  unit = lambda x: x / np.maximum(norm(x), np.finfo(float).tiny)[..., None]
  angle = 2 * np.arctan2(norm(unit(a) - unit(b)), norm(unit(a) + unit(b)))  # arccos of the product loses small ones
  straight = np.sin(angle) < 1e-6
  share = lambda t: np.where(straight, t, np.sin(t * angle) / np.where(straight, 1, np.sin(angle)))[..., None]
  return share(1 - t) * a + share(t) * b


def lerp(a, b, t):
  """Returns the points at the shares t of the straight lines from a to b; shapes as in `slerp`."""
  a, b, t = np.asarray(a), np.asarray(b), np.asarray(t)[..., None]
  return (1 - t) * a + t * b


def loop(points: np.ndarray, between, steps: int) -> np.ndarray:
  """Goes from each of points [K,Z] to the next and from the last to the first, by `slerp` or `lerp`: [K,steps,Z].

  A leg starts on its point and ends on the next one, where the leg after it starts.
  """
  return between(points[:, None], np.roll(points, -1, axis=0)[:, None], np.linspace(0, 1, steps)[None])


def rows(images: np.ndarray) -> np.ndarray:
  """Lays legs [K,STEPS,H,W,C] out as a picture, a row per leg."""
  images = images[:, ::2]
  return pictures.grid(images.reshape(-1, *images.shape[2:]), columns=images.shape[1])


def frames(images: np.ndarray) -> np.ndarray:
  """Strings legs [K,STEPS,H,W,C] together to frames [T,H',W',C], enlarged; where legs meet there is one frame."""
  images = images[:, :-1]
  return pictures.enlarge(images.reshape(-1, *images.shape[2:]), SIDE)


def _draw(generate: TrainedGenerator, z: np.ndarray, label: np.ndarray) -> np.ndarray:
  """Makes uint8 images [K,T,H,W,C] of z [K,T,Z], label [K,T]."""
  inputs = {'z': z.reshape(label.size, -1).astype(np.float32), 'label': label.ravel()}
  images = generate.draw(inputs)
  return images.reshape(*label.shape, *images.shape[1:])
