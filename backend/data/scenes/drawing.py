"""Draws planned scenes, many at once, at any size, with analytic borders.

1. Paint the background: a pattern in [0, 1] mixes its two colours.
2. From the hindmost object to the main one: darken what lies in its shadow, then lay its fill over it, modelled by the
   light. Every shape is a signed distance, negative inside; a pixel that the border crosses is covered in part, so that
   nothing needs to be drawn larger first.
3. Round to 8 bits.
Beside the pixels it says which object each pixel shows, where the background shows its second colour, and where shadow
lies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from backend.data.scenes.glyphs import glyph_distance
from backend.data.scenes.plans import BACKGROUNDS, FILLS, MOST_OBJECTS, SHAPES, Plans

_TURN = np.float32(2 * np.pi)
_ROOT3 = np.float32(np.sqrt(3) / 2)


@dataclass(frozen=True)
class Drawn:
    """Images and the truth about their pixels.

    Attributes:
        pixels: uint8 `[n, 3, size, size]`.
        owner: int8 `[n, size, size]`: the object that the pixel shows, counted from 0; -1 where it is background.
        accent: bool `[n, size, size]`: where the background's pattern is nearer to its second colour.
        shadow: bool `[n, size, size]`: where an object's shadow takes at least a tenth of the light.
    """

    pixels: np.ndarray
    owner: np.ndarray
    accent: np.ndarray
    shadow: np.ndarray


@dataclass(frozen=True)
class _Objects:
    """The objects that are there, of all images in one list; arrays `[object, 1, 1]`, or `[object, 2, 3, 1, 1]`."""

    image: np.ndarray  # [object]
    slot: np.ndarray  # [object]
    shape: np.ndarray  # [object]
    glyph: np.ndarray  # [object]
    fill: np.ndarray  # [object]
    x: np.ndarray
    y: np.ndarray
    radius: np.ndarray
    angle: np.ndarray
    aspect: np.ndarray
    fill_frequency: np.ndarray
    fill_angle: np.ndarray
    paints: np.ndarray
    light_x: np.ndarray
    light_y: np.ndarray
    shade: np.ndarray
    shadow: np.ndarray
    reach: np.ndarray
    softness: np.ndarray

    @classmethod
    def of(cls, plans: Plans) -> _Objects:
        """Gather the objects of some images."""
        image, slot = np.nonzero(np.arange(MOST_OBJECTS) < plans.objects[:, None])
        flat = {name: getattr(plans, name)[image, slot] for name in ("shape", "glyph", "fill")}
        for name in ("x", "y", "radius", "angle", "aspect", "fill_frequency", "fill_angle", "paints"):
            flat[name] = getattr(plans, name)[image, slot][..., None, None]
        for name in ("shade", "shadow", "reach", "softness"):
            flat[name] = getattr(plans, name)[image, None, None]
        light = plans.light[image, None, None]
        return cls(image, slot, **flat, light_x=np.cos(light), light_y=np.sin(light))

    def at(self, rows: np.ndarray) -> _Objects:
        """Take some of them."""
        return _Objects(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def draw(plans: Plans, size: int) -> Drawn:
    """Draw scenes.

    Args:
        plans: of n images.
        size: pixels a side.
    """
    axis = (np.arange(size, dtype=np.float32) * 2 + 1) / size - 1  # pixels' middles
    x, y, pixel = axis[None, None, :], axis[None, :, None], np.float32(2 / size)
    pattern = _background(plans, x, y, pixel)
    first, second = plans.background_paints[:, 0, :, None, None], plans.background_paints[:, 1, :, None, None]
    canvas = first + (second - first) * pattern[:, None]
    light = plans.light[:, None, None]
    canvas *= (1 + 0.45 * plans.shade[:, None, None] * (np.cos(light) * x + np.sin(light) * y) / 1.4)[:, None]

    objects = _Objects.of(plans)
    distance = _distance(objects, x, y)
    shadows = _shadows(objects, x, y)
    surface = _surface(objects, distance, x, y, pixel)
    cover = np.clip(0.5 - distance / pixel, 0, 1)  # the share of each pixel that is inside: 1/2 on the border
    owner = np.full(pattern.shape, -1, dtype=np.int8)
    shadow = np.zeros(pattern.shape, dtype=bool)
    for slot in reversed(range(MOST_OBJECTS)):  # back to front; a slot holds one object of an image at most
        rows = np.flatnonzero(objects.slot == slot)
        images = objects.image[rows]
        below = canvas[images] * (1 - shadows[rows, None])
        canvas[images] = below + (surface[rows] - below) * cover[rows, None]
        covered = cover[rows] >= 0.5
        shadow[images] = ~covered & (shadow[images] | (shadows[rows] >= 0.1))
        owner[images] = np.where(covered, np.int8(slot), owner[images])
    pixels = np.rint(np.clip(canvas, 0, 1) * 255).astype(np.uint8)
    return Drawn(pixels, owner, pattern >= 0.5, shadow)


# -- background ----------------------------------------------------------------------------------------------------


def _background(plans: Plans, x: np.ndarray, y: np.ndarray, pixel: np.float32) -> np.ndarray:
    """Paint the backgrounds, float32 `[n, size, size]` in [0, 1]: how much of the second colour."""
    pattern = np.empty((len(plans.background), y.shape[1], x.shape[2]), dtype=np.float32)
    for kind, name in enumerate(BACKGROUNDS):
        rows = np.flatnonzero(plans.background == kind)
        direction, frequency, phase, hardness = (
            getattr(plans, field)[rows, None, None] for field in ("direction", "frequency", "phase", "hardness")
        )
        along = np.cos(direction) * x + np.sin(direction) * y
        across = np.cos(direction) * y - np.sin(direction) * x
        if name == "gradient":
            pattern[rows] = 0.5 + 0.4 * along
        elif name == "grating":
            steepest = 1 / (_TURN * frequency * pixel)  # a border one pixel wide
            pattern[rows] = 0.5 + np.minimum(hardness, steepest) * np.sin(_TURN * frequency * along + phase)
        elif name == "checker":
            steps = np.float32(np.pi) * frequency
            # the product changes its sign at every border; divided by its slope there, a border is one pixel wide
            squares = np.sin(steps * along + phase) * np.sin(steps * across + phase)
            pattern[rows] = 0.5 + squares / (steps * pixel)
        else:
            pattern[rows] = _noise(plans.waves[rows], x, y)
    return np.clip(pattern, 0, 1)


def _noise(waves: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Add up waves `[n, wave, 4]` that bend each other: clouds, marble, ripples."""
    total = bend = np.zeros((len(waves), 1, 1), dtype=np.float32)
    for place in range(waves.shape[1]):
        frequency, direction, phase, bending = np.moveaxis(waves[:, place, :, None, None], 1, 0)
        rate = np.float32(1.6 + 2.1 * place) * (0.6 + frequency)
        along = np.cos(direction * _TURN) * x + np.sin(direction * _TURN) * y
        wave = np.cos(rate * along + _TURN * phase + (1 + 2 * bending) * bend)
        bend = wave
        total = total + wave / np.float32(1 + 0.45 * place)
    return 0.5 + 0.42 * total


# -- shapes: signed distances in units of the object's radius ------------------------------------------------------


def _box(u: np.ndarray, v: np.ndarray, width: np.ndarray | float, height: np.ndarray | float) -> np.ndarray:
    du, dv = np.abs(u) - width, np.abs(v) - height
    return np.hypot(np.maximum(du, 0), np.maximum(dv, 0)) + np.minimum(np.maximum(du, dv), 0)


def _triangle(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.maximum(_ROOT3 * np.abs(u) - v / 2, v) - 0.5


def _star(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Measure a star of five points: fold the plane into half a point, where the border is one straight line."""
    sector = _TURN / 5
    turn = np.abs((np.arctan2(u, -v) + sector / 2) % sector - sector / 2)
    length = np.hypot(u, v)
    inner_u, inner_v = np.float32(0.45) * np.cos(sector / 2), np.float32(0.45) * np.sin(sector / 2)
    normal_u, normal_v = inner_v, 1 - inner_u
    return ((length * np.cos(turn) - 1) * normal_u + length * np.sin(turn) * normal_v) / np.hypot(normal_u, normal_v)


def _heart(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Measure a heart: a square on its corner with a disc on each of its upper sides."""
    u, v = np.abs(u), v + np.float32(0.1)
    half = np.float32(0.6)
    middle = half / np.float32(np.sqrt(2))
    square = np.maximum(u + v, np.maximum(u - v, -u - v)) / np.float32(np.sqrt(2)) - half
    return np.minimum(square, np.hypot(u - middle, v + middle) - half)


def _crescent(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.maximum(np.hypot(u, v) - 1, 0.82 - np.hypot(u - 0.5, v))


def _hexagon(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    u, v = np.abs(u), np.abs(v)
    return np.maximum(v, _ROOT3 * u + v / 2) - _ROOT3


# Each takes coordinates u, v `[object, size, size]` and the objects.
_DISTANCES: dict[str, Callable[[np.ndarray, np.ndarray, _Objects], np.ndarray]] = {
    "disc": lambda u, v, _: np.hypot(u, v) - 1,
    "box": lambda u, v, objects: _box(u, v, 0.85, 0.85 * objects.aspect),
    "triangle": lambda u, v, _: _triangle(u, v),
    "ring": lambda u, v, _: np.abs(np.hypot(u, v) - 0.72) - 0.26,
    "star": lambda u, v, _: _star(u, v),
    "cross": lambda u, v, _: np.minimum(_box(u, v, 0.95, 0.33), _box(u, v, 0.33, 0.95)),
    "heart": lambda u, v, _: _heart(u, v),
    "crescent": lambda u, v, _: _crescent(u, v),
    "hexagon": lambda u, v, _: _hexagon(u, v),
    "glyph": lambda u, v, objects: glyph_distance(u, v, objects.glyph),
}


def _distance(objects: _Objects, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Measure the signed distance to each object's border, float32 `[object, size, size]` in units of half the image."""
    size = (np.broadcast_shapes(x.shape, objects.x.shape)[2], np.broadcast_shapes(y.shape, objects.y.shape)[1])
    distance = np.empty((len(objects.shape), size[1], size[0]), dtype=np.float32)
    for kind, name in enumerate(SHAPES):
        rows = np.flatnonzero(objects.shape == kind)
        some = objects.at(rows)
        dx = (x if len(x) == 1 else x[rows]) - some.x
        dy = (y if len(y) == 1 else y[rows]) - some.y
        cosine, sine = np.cos(some.angle) / some.radius, np.sin(some.angle) / some.radius
        # into the object's frame, turned back and of radius 1, and the distance out of it again
        distance[rows] = some.radius * _DISTANCES[name](cosine * dx + sine * dy, cosine * dy - sine * dx, some)
    return distance


# -- light and surface ---------------------------------------------------------------------------------------------


def _shadows(objects: _Objects, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Cast shadows, float32 `[object, size, size]` in [0, 1): the light that each object takes away, soft at the border."""
    away = _distance(objects, x + objects.reach * objects.light_x, y + objects.reach * objects.light_y)
    share = np.clip(0.5 - away / (2 * objects.softness), 0, 1)
    return objects.shadow * share * share * (3 - 2 * share)  # smoothstep: no visible line where the border begins


def _surface(objects: _Objects, distance: np.ndarray, x: np.ndarray, y: np.ndarray, pixel: np.float32) -> np.ndarray:
    """Paint the objects' fills, modelled by the light, over the whole image: float32 `[object, 3, size, size]`."""
    dx, dy = (x - objects.x) / objects.radius, (y - objects.y) / objects.radius
    fill = _fill(objects, dx, dy, pixel)
    first, second = objects.paints[:, 0], objects.paints[:, 1]
    color = first + (second - first) * fill[:, None]
    slope_y, slope_x = np.gradient(distance, axis=(1, 2))  # outwards, a pixel long
    bevel = np.clip(1 + distance / (0.3 * objects.radius), 0, 1) / pixel
    facing = (dx + 0.45 * bevel * slope_x) * objects.light_x + (dy + 0.45 * bevel * slope_y) * objects.light_y
    away = (dx - 0.4 * objects.light_x) ** 2 + (dy - 0.4 * objects.light_y) ** 2
    gloss = 0.7 * objects.shade * np.exp(-9 * away)
    return color * (1 + 0.7 * objects.shade * facing)[:, None] + gloss[:, None]


def _fill(objects: _Objects, dx: np.ndarray, dy: np.ndarray, pixel: np.float32) -> np.ndarray:
    """Paint the patterns of objects, float32 `[object, size, size]` in [0, 1]: how much of the second colour."""
    fill = np.zeros((len(dx), dy.shape[1], dx.shape[2]), dtype=np.float32)
    for kind, name in enumerate(FILLS):
        rows = np.flatnonzero(objects.fill == kind)
        if name == "plain" or not len(rows):
            continue
        some = objects.at(rows)
        cosine, sine = np.cos(some.fill_angle), np.sin(some.fill_angle)
        along, across = cosine * dx[rows] + sine * dy[rows], cosine * dy[rows] - sine * dx[rows]
        border = some.fill_frequency * pixel / some.radius  # a pixel, in periods
        if name == "striped":
            fill[rows] = 0.5 + np.sin(_TURN * some.fill_frequency * along) / (_TURN * border)
        elif name == "dotted":
            along, across = along * some.fill_frequency, across * some.fill_frequency
            fill[rows] = 0.5 + (0.31 - np.hypot(along - np.rint(along), across - np.rint(across))) / border
        else:
            fill[rows] = 0.5 + 0.5 * along
    return np.clip(fill, 0, 1)
