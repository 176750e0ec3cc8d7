"""What a scene shows, drawn at random: an image is 256 numbers in [0, 1) that depend on its seed and index alone.

Lengths are in units of half the image's side, the image spanning [-1, 1] with y down; angles are in radians. Object 0
is the main one: the largest, in front of the others, and the image's class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.data.images.colors import COLORS, paint
from backend.data.scenes.glyphs import GLYPHS

SHAPES = ("disc", "box", "triangle", "ring", "star", "cross", "heart", "crescent", "hexagon", "glyph")
FILLS = ("plain", "striped", "dotted", "gradient")
BACKGROUNDS = ("gradient", "grating", "checker", "noise")
MOST_OBJECTS = 4
WAVES = 5  # that a noise background is made of
_NUMBERS = 256
_TURN = 2 * np.pi


@dataclass(frozen=True)
class Plans:
    """Everything that decides `n` images; arrays are float32 or int64, their first axis the image.

    Attributes:
        objects: `[n]`: how many objects, 1 to `MOST_OBJECTS`; the rows of absent ones are to be ignored.
        shape, glyph, color, fill: `[n, object]`: indices into `SHAPES`, `GLYPHS`, `COLORS` and `FILLS`.
        x, y, radius, angle, aspect: `[n, object]`: where and how large; `aspect` is height over width of boxes.
        paints: `[n, object, 2, 3]`: RGB of the object's colour, and of what it is striped, dotted or shaded with.
        fill_frequency, fill_angle: `[n, object]`: of stripes, dots and gradients, in periods over half the object.
        background: `[n]`: index into `BACKGROUNDS`.
        background_color: `[n, 2]`: indices into `COLORS`; `background_paints` `[n, 2, 3]` their RGB.
        frequency, direction, phase, hardness: `[n]`: of the background's pattern.
        waves: `[n, wave, 4]` in [0, 1): frequency, direction, phase and bend of a noise background's waves.
        light: `[n]`: the angle that light comes from (0: right, pi / 2: below).
        shade: `[n]`: how strongly it models the objects; 0 is flat light without shadows.
        shadow, reach, softness: `[n]`: of shadows: darkness, length, width of their borders.
    """

    objects: np.ndarray
    shape: np.ndarray
    glyph: np.ndarray
    color: np.ndarray
    fill: np.ndarray
    x: np.ndarray
    y: np.ndarray
    radius: np.ndarray
    angle: np.ndarray
    aspect: np.ndarray
    paints: np.ndarray
    fill_frequency: np.ndarray
    fill_angle: np.ndarray
    background: np.ndarray
    background_color: np.ndarray
    background_paints: np.ndarray
    frequency: np.ndarray
    direction: np.ndarray
    phase: np.ndarray
    hardness: np.ndarray
    waves: np.ndarray
    light: np.ndarray
    shade: np.ndarray
    shadow: np.ndarray
    reach: np.ndarray
    softness: np.ndarray


class _Numbers:
    """Hands out the columns of `[n, 256]` uniform numbers one after another."""

    def __init__(self, start: int, stop: int, seed: int) -> None:
        rows = [np.random.default_rng((seed, index)).random(_NUMBERS, dtype=np.float32) for index in range(start, stop)]
        self.rows = np.array(rows, dtype=np.float32).reshape(-1, _NUMBERS)
        self.used = 0

    def take(self, *shape: int) -> np.ndarray:
        """Take the next numbers, `[n, *shape]`."""
        count = int(np.prod(shape))
        self.used += count
        assert self.used <= _NUMBERS
        return self.rows[:, self.used - count : self.used].reshape(-1, *shape)

    def between(self, low: float, high: float, *shape: int) -> np.ndarray:
        """Draw numbers evenly between two ends, `[n, *shape]`."""
        return low + np.float32(high - low) * self.take(*shape)

    def choose(self, weights: list[float] | int, *shape: int) -> np.ndarray:
        """Draw indices `[n, *shape]` with these weights; a number alone: so many, as likely as each other."""
        shares = np.full(weights, 1.0) if isinstance(weights, int) else np.array(weights)
        return np.searchsorted(np.cumsum(shares / shares.sum())[:-1], self.take(*shape), side="right")


def plan(start: int, stop: int, seed: int) -> Plans:
    """Draw the plans of images `start` to `stop`."""
    # The order of the calls below is part of every image: another order, or one number more, draws other scenes.
    numbers = _Numbers(start, stop, seed)
    shape = numbers.choose(len(SHAPES), MOST_OBJECTS)
    radius, x, y = _draw_places(numbers)
    upright = (shape == SHAPES.index("glyph")) | (shape == SHAPES.index("heart"))
    angle = numbers.between(-1, 1, MOST_OBJECTS) * np.where(upright, np.float32(0.4), np.float32(np.pi))
    background_color, background_paints = _draw_background_paints(numbers)
    color, paints = _draw_object_paints(numbers, background_color)
    shaded = numbers.take() >= 0.2
    return Plans(
        objects=1 + numbers.choose([0.35, 0.3, 0.2, 0.15]),
        shape=shape,
        glyph=numbers.choose(len(GLYPHS), MOST_OBJECTS),
        color=color,
        fill=numbers.choose([0.4, 0.2, 0.2, 0.2], MOST_OBJECTS),
        x=x,
        y=y,
        radius=radius,
        angle=angle,
        aspect=numbers.between(0.5, 1, MOST_OBJECTS),
        paints=paints,
        fill_frequency=numbers.between(1.2, 2.6, MOST_OBJECTS),
        fill_angle=numbers.between(0, _TURN, MOST_OBJECTS),
        background=numbers.choose([0.31, 0.23, 0.16, 0.3]),
        background_color=background_color,
        background_paints=background_paints,
        frequency=numbers.between(0.8, 3.2),
        direction=numbers.between(0, _TURN),
        phase=numbers.between(0, _TURN),
        hardness=numbers.between(0.5, 1) ** -3 / 2,  # 0.5 is a soft wave, 4 nearly a step; soft ones are more common
        waves=numbers.take(WAVES, 4),
        light=numbers.between(0, _TURN),
        shade=np.where(shaded, numbers.between(0.25, 0.6), np.float32(0)),
        shadow=np.where(shaded, numbers.between(0.2, 0.6), np.float32(0)),
        reach=numbers.between(0.06, 0.3),
        softness=numbers.between(0.04, 0.2),
    )


def _draw_places(numbers: _Numbers) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw radius, x and y, `[n, object]`: the main object near the middle, the others around it, partly behind it."""
    radius = numbers.between(0.18, 0.4, MOST_OBJECTS)
    radius[:, 0] = 0.4 + 0.34 * (radius[:, 0] - 0.18) / 0.22
    room = np.maximum(1.02 - radius[:, :1], 0.25)
    main = numbers.between(-1, 1, 2) * room  # [n, 2]
    start = numbers.between(0, _TURN, 1)
    around = start + _TURN / 3 * np.arange(MOST_OBJECTS) + numbers.between(-0.7, 0.7, MOST_OBJECTS)
    away = radius[:, :1] * 0.75 + radius * numbers.between(0.5, 1.7, MOST_OBJECTS)
    away[:, 0] = 0
    x, y = main[:, :1] + away * np.cos(around), main[:, 1:] + away * np.sin(around)
    return radius, np.clip(x, -0.9, 0.9).astype(np.float32), np.clip(y, -0.9, 0.9).astype(np.float32)


def _draw_background_paints(numbers: _Numbers) -> tuple[np.ndarray, np.ndarray]:
    """Draw families `[n, 2]` and RGB `[n, 2, 3]` of a background: two tones of one family as often as two families."""
    first, second = numbers.choose(len(COLORS)), numbers.choose(len(COLORS))
    family = np.stack((first, np.where(numbers.take() < 0.5, first, second)), axis=1)
    return family, paint(family, numbers.take(2, 3))


def _draw_object_paints(numbers: _Numbers, background: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draw families `[n, object]`, none of them the background's, and RGB `[n, object, 2, 3]`."""
    hidden = np.sort(background, axis=1)
    same = hidden[:, :1] == hidden[:, 1:]
    share = numbers.take(MOST_OBJECTS)
    family = np.minimum((share * np.where(same, len(COLORS) - 1, len(COLORS) - 2)).astype(np.int64), len(COLORS) - 2)
    family += family >= hidden[:, :1]  # count past the colours that are taken
    family += ~same & (family >= hidden[:, 1:])
    first = paint(family, numbers.take(MOST_OBJECTS, 3))
    light = first @ np.array([0.3, 0.59, 0.11], dtype=np.float32)
    toward = np.where(light > 0.5, np.float32(0), np.float32(1))[..., None]  # its second tone stands out from the first
    second = first + (toward - first) * numbers.between(0.45, 0.85, MOST_OBJECTS, 1)
    return family, np.stack((first, second), axis=2)
