"""Pictures of voxels: shaded, as seen from one side and a little from above, by a z-buffer of our own.

Rays are parallel, so those of a picture meet the same cells in every model. A table of the cells along each ray, in
order, is made once for a view, and what a model shows at a pixel is the first of them that is occupied.
"""
import functools
import math
from typing import NamedTuple

import numpy as np

from gans.system import pictures

SIDE = 80  # pixels of a model's picture
AZIMUTH = 25.0  # degrees by which the viewer has gone around to the right of the front
ELEVATION = 20.0  # degrees above the horizon
RAYS = 2  # a side of a pixel, averaged
FRAMES = 24  # of a whole turn
COLUMNS = 8
WHITE = 255
SHADES = (255, 85)  # of a face towards the light, of one away from it
LEVEL = 1e-9  # the least slope of a ray, so that it meets all planes
TOUCH = 1e-6  # a ray on which a cell has no more than this passes it by
LIGHT = (-0.5, -1.1, 1.0)  # where it comes from: the viewer's left, front and above
FOG = 0.25  # share of its shade that the farthest corner loses


class View(NamedTuple):
  """What every model shows from one side: which cells the R rays meet that pass through it, at most K each."""
  num_rays: int  # P, of the whole picture
  rays: np.ndarray  # [R] those that pass through
  cells: np.ndarray  # [R,K] positions in a flat model, in the order in which a ray meets them; its end is never full
  shades: np.ndarray  # [R,K] float32: of the face that the ray enters each of them by


def render(voxels: np.ndarray, side: int = SIDE, azimuth: float = AZIMUTH, elevation: float = ELEVATION) -> np.ndarray:
  """Draws voxels [N,X,Y,Z,1] of 0 and 1 on white, one picture each: [N,side,side,1] uint8.

  The axes are those of data.kinds.VOXELS: X to the right, Y to the back, Z up. The scale suits any azimuth.
  """
  num, size = voxels.shape[:2]
  quarters, rest = divmod(azimuth, 90)
  view = _make_view(size, side * RAYS, rest, elevation)
  turned = np.rot90(voxels, -int(quarters), axes=(1, 2))  # so that a whole turn needs a quarter of the views
  rendered = np.empty((num, side, side, 1), np.uint8)
  is_full = np.zeros(size ** 3 + 1, bool)
  for model, picture in zip(turned, rendered):
    is_full[:-1] = model.ravel()
    rays = _look(view, is_full).reshape(side, RAYS, side, RAYS)
    picture[..., 0] = np.round(rays.mean((1, 3)))
  return rendered


def turning(voxels: np.ndarray, num_frames: int = FRAMES, columns: int = COLUMNS, side: int = SIDE,
            elevation: float = ELEVATION) -> np.ndarray:
  """Draws models [N,X,Y,Z,1] side by side as they turn around once: frames [T,H,W,1] uint8, for pictures.save_gif."""
  columns = min(columns, len(voxels))
  azimuths = AZIMUTH + np.arange(num_frames) * 360 / num_frames
  return np.stack([grid(render(voxels, side, azimuth, elevation), columns) for azimuth in azimuths])


def grid(rendered: np.ndarray, columns: int) -> np.ndarray:
  """Lays pictures [N,H,W,1] of models out row by row; places left over are white."""
  return pictures.grid(rendered, columns, blank=WHITE)


def _look(view: View, is_full: np.ndarray) -> np.ndarray:
  """Returns the shades [P] that a model's rays end on; is_full [size^3 + 1], of which the last is False."""
  meets = is_full[view.cells]
  first = meets.argmax(1)
  each = np.arange(len(first))
  shades = np.full(view.num_rays, WHITE, np.float32)
  shades[view.rays] = np.where(meets[each, first], view.shades[each, first], WHITE)
  return shades


@functools.lru_cache(FRAMES // 4 + 1)
def _make_view(size: int, num_pixels: int, azimuth: float, elevation: float) -> View:
  """Makes the view of models of size^3 cells, by num_pixels^2 rays."""
  right, up, ahead = _axes(azimuth, elevation)
  slopes = np.where(np.abs(ahead) < LEVEL, LEVEL, ahead)
  starts = _starts(size, num_pixels, elevation, right, up)
  # A ray is inside the model once it has met a plane of each axis, until it has met all of one.
  ends = _distances(starts, slopes, np.array((0, size)))
  comes_in, goes_out = ends.min(1).max(1), ends.max(1).min(1)
  rays = np.flatnonzero(goes_out - comes_in > TOUCH)
  met, axes, positions = _trace(starts[rays], slopes, size)
  enter, leave = met[:, :-1], met[:, 1:]
  is_inside = (enter >= comes_in[rays, None]) & (leave <= goes_out[rays, None])
  # Only that part of each ray is kept.
  first = is_inside.argmax(1)[:, None]
  kept = np.minimum(first + np.arange(is_inside.sum(1).max()), is_inside.shape[1] - 1)
  passes_through = is_inside & (leave - enter > TOUCH)
  cells = np.where(passes_through, positions[:, :-1], size ** 3)
  shades = _shade_faces(right, up, ahead)[axes[:, :-1]] * _fade(enter, size)
  return View(num_pixels ** 2, rays, np.take_along_axis(cells, kept, 1),
              np.take_along_axis(shades, kept, 1).astype(np.float32))


def _distances(starts: np.ndarray, slopes: np.ndarray, planes: np.ndarray) -> np.ndarray:
  """Returns how far from starts [R,3] rays meet planes [P] of each axis: [R,P,3]."""
  return (planes[:, None] - starts[:, None]) / slopes


def _trace(starts: np.ndarray, slopes: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Follows rays through the planes between the cells: from one to the next, a ray is in one cell.

  Returns, in the order of the planes that a ray meets, how far away each is, its axis, and the position of the cell
  behind it in a flat model: [R,3*(size+1)] each. Outside the model positions mean nothing.
  """
  distances = _distances(starts, slopes, np.arange(size + 1)).reshape(len(starts), -1)
  order = distances.argsort(1)
  axes = order % 3
  directions = np.where(slopes > 0, 1, -1)
  outside = np.where(slopes > 0, -1, size)
  strides = np.array((size ** 2, size, 1))
  positions = outside @ strides + (directions * strides)[axes].cumsum(1)
  return np.take_along_axis(distances, order, 1), axes, positions


def _axes(azimuth: float, elevation: float) -> np.ndarray:
  """Returns the viewer's axes in the model's: to the right, up, and ahead, [3,3]."""
  turn, rise = math.radians(azimuth), math.radians(elevation)
  right = (math.cos(turn), math.sin(turn), 0)
  level = np.array((-math.sin(turn), math.cos(turn), 0))
  overhead = np.array((0, 0, 1))
  up = math.sin(rise) * level + math.cos(rise) * overhead
  ahead = math.cos(rise) * level - math.sin(rise) * overhead
  return np.stack([right, up, ahead])


def _starts(size: int, num_pixels: int, elevation: float, right: np.ndarray, up: np.ndarray) -> np.ndarray:
  """Returns where each ray passes the plane through the model's centre, [num_pixels^2, 3], row by row from the top."""
  rise = math.radians(elevation)
  corner = math.sqrt(0.5)  # how far a cube of side 1 reaches to the side as it turns
  reach = size * max(corner, corner * abs(math.sin(rise)) + abs(math.cos(rise)) / 2)
  ticks = (np.arange(num_pixels) + 0.5) / num_pixels * 2 - 1
  across = ticks * reach
  starts = size / 2 + across[None, :, None] * right - across[:, None, None] * up
  return starts.reshape(-1, 3)


def _shade_faces(right: np.ndarray, up: np.ndarray, ahead: np.ndarray) -> np.ndarray:
  """Returns the shades [3] of the faces that are seen, one of each axis, under a light that moves with the viewer."""
  light = LIGHT @ np.stack([right, ahead, up])
  seen = -np.sign(ahead)  # a face's normal points to the viewer
  towards = seen * light / np.linalg.norm(light)
  bright, dark = SHADES
  return dark + (bright - dark) * np.clip(towards, 0, 1)


def _fade(distance: np.ndarray, size: int) -> np.ndarray:
  """Returns the share of a shade that is left at a distance from the plane through the model's centre."""
  diagonal = size * math.sqrt(3)
  return 1 - FOG * np.clip(distance / diagonal + 0.5, 0, 1)
