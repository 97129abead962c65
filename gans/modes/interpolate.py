"""--mode=interpolate: draws what lies between samples, and between the classes of a labelled model."""
from collections.abc import Sequence

from etils import epath
import numpy as np

import gans
from gans.data.batches import condition
from gans.data.kinds import IMAGES
from gans.errors import UserError
from gans.modes import outputs
from gans.runs.drawing import choose_drawing, inputs_for_labels, parse_labels, refuse_inputs
from gans.runs.trained import TrainedGenerator
from gans.system import pictures

NUM = 8  # latents
STEPS = 17  # images from one to the next, both included; every second one is in the PNG
SIDE = 140  # least pixels of a side of the GIF's frames
MILLISECONDS = 70  # for which a frame is shown


def interpolate(path, *, num: int | None = None, seed: int = 0, labels: Sequence | None = None,
                truncation: float | None = None, inputs=None, out=None, **choice) -> epath.Path:
  """Writes the images on a closed way through samples and, for a labelled model, on one through its classes.

  Args:
    path: whatever gans.load takes; `choice` is its checkpoint, weights and training_seed.
    num: the number of latents, or of images that are translated; None: 8.
    seed: the seed of the noise, or of the choice of images, as in --mode=sample.
    labels: the classes to go through, with the first latent; the latents have the first of them. None: all classes, or
      those in a run's sample grids if there are many.
    truncation: as in gans.load.
    inputs: as in --mode=sample: the images that are translated.
    out: a new folder; None: `interpolation` in the workdir.

  Returns:
    The folder, with latents.png, a row from each latent to the next, and latents.gif, the whole way, unless one image
    alone is translated; for a labelled model with several classes also classes.png and classes.gif.

  Raises:
    UserError: as gans.load, or the model makes points, or an argument is not what it should be.
  """
  generate = gans.load(path, **choice)
  refuse_inputs(generate, inputs)
  outputs.refuse_other_than_images('interpolate', path, generate.spec.kind)
  num = NUM if num is None else num
  if num < 2:
    raise UserError(f'--num={num}: expected at least 2, to go from one to another')
  classes = choose_classes(generate, labels)
  folder = outputs.choose(path, out, 'interpolation')
  chosen = choose_inputs(path, generate, num, seed, classes[0], truncation, inputs)
  ways = {}
  if len(next(iter(chosen.values()))) > 1:
    ways['latents'] = through_inputs(generate, chosen)
  if len(classes) > 1:
    ways['classes'] = through_classes(generate, chosen, classes)
  if not ways:
    raise UserError(f'--inputs={inputs} is one image, and this model has one way to translate it: expected at least 2, '
                    'to go from one to another')
  with outputs.explain_errors(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, images in ways.items():
      pictures.save_png(folder / f'{name}.png', rows(images))
      pictures.save_gif(folder / f'{name}.gif', frames(images), MILLISECONDS)
      print(f'{folder / name}.png and .gif: {len(images)} legs, of step {generate.step}')
  return folder


def choose_classes(generate: TrainedGenerator, labels: Sequence | None) -> np.ndarray:
  """Returns the classes to go through [K] int32, [0] for a model without labels; raises UserError for wrong labels."""
  if labels is None:
    num_classes = max(generate.num_classes, 1)
    return np.arange(min(num_classes, IMAGES.max_classes_shown), dtype=np.int32)
  given = parse_labels(generate, labels)
  described = ','.join(map(str, labels))
  if given.ndim > 1:
    if (given.sum(axis=1) != 1).any():
      raise UserError(f'--labels={described}: expected one attribute each, as the way goes from one to the next')
    given = given.argmax(axis=1)
  if len(given) > 1 and (given == np.roll(given, 1)).any():
    raise UserError(f'--labels={described}: there is no way from a class to itself; expected another one after each, '
                    'and the first after the last')
  return given.astype(np.int32)


def choose_inputs(path, generate: TrainedGenerator, num: int, seed: int, label: int, truncation: float | None = None,
                  images=None) -> dict:
  """Returns the inputs of `num` samples of one class, {name: [num,...]}; `images` as in `drawing.choose_drawing`."""
  labels = None
  if generate.num_classes:
    labels = [generate.spec.attributes[label] if generate.spec.attributes else int(label)]
  if not generate.translates:
    one_class = np.full(num, label, np.int32)
    return inputs_for_labels(generate, seed, one_class, truncation)
  drawing = choose_drawing(path, generate, num=num, seed=seed, labels=labels, truncation=truncation, images=images)
  return drawing.inputs


def through_inputs(generate: TrainedGenerator, inputs: dict) -> np.ndarray:
  """Draws pictures uint8 [K,STEPS,H,W,C] on a closed way through inputs {name: [K,...]}, a row per leg.

  Noise goes along arcs, images fade into each other, and labels are those of a leg's start.
  """
  ways = {}
  for name, values in inputs.items():
    values = np.asarray(values)
    if np.issubdtype(values.dtype, np.floating):
      ways[name] = loop_through(values, slerp if name == 'z' else lerp, STEPS)
    else:
      ways[name] = np.repeat(values[:, None], STEPS, axis=1)
  return _draw(generate, ways)


def through_classes(generate: TrainedGenerator, inputs: dict, classes: np.ndarray) -> np.ndarray:
  """Draws pictures uint8 [K,STEPS,H,W,C] on a closed way through classes [K], a row per leg, of the first inputs.

  A network takes its label as weights of the classes too, with which it blends their embeddings. In training it saw
  whole classes only, so what lies between them is its own invention.

  Raises:
    UserError: the network does not take weights, or no input of the model is what it is asked for.
  """
  asked = generate.condition_name
  if asked is None:
    raise UserError(f'this model draws from {sorted(inputs)}: expected {condition(generate.spec)} among them, to go '
                    'from class to class; give one, such as --labels=0')
  one_hot = np.eye(generate.num_classes)[classes]
  ways = {asked: loop_through(one_hot, lerp, STEPS)}
  shape = ways[asked].shape[:2]
  for name, values in inputs.items():
    if name != asked:
      ways[name] = np.broadcast_to(values[0], (*shape, *values.shape[1:]))
  try:
    return _draw(generate, ways)
  except UserError:
    raise
  except (TypeError, ValueError) as error:
    raise UserError('the networks of this model take a label, but no weights of the classes in its place (see '
                    'as_weights in gans/networks/layers.py), so there is nothing between its classes: give one, such '
                    'as --labels=0') from error


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
  """Goes from each of points [K,...] to the next and from the last to the first, by `slerp` or `lerp`: [K,steps,...].

  A leg starts on its point and ends on the next one, where the leg after it starts.
  """
  flat = points.reshape(len(points), -1)
  starts = flat[:, None]
  ends = np.roll(flat, -1, axis=0)[:, None]
  t = np.linspace(0, 1, steps)[None]
  way = between(starts, ends, t)
  return way.reshape(len(points), steps, *points.shape[1:])


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


def _draw(generate: TrainedGenerator, ways: dict) -> np.ndarray:
  """Draws pictures uint8 [K,T,H,W,C] from inputs {name: [K,T,...]}, transparent ones on a checkerboard."""
  num_legs, num_steps = next(iter(ways.values())).shape[:2]
  inputs = {}
  for name, values in ways.items():
    values = values.reshape(num_legs * num_steps, *values.shape[2:])
    inputs[name] = values.astype(np.float32) if np.issubdtype(values.dtype, np.floating) else values
  images = pictures.on_checkerboard(generate.spec.kind.render(generate.draw(inputs)))
  return images.reshape(num_legs, num_steps, *images.shape[1:])
