"""Scenes: drawn images without end, of which everything is known.

A scene is a background of two colours (gradient, grating, checker or noise) and one to four objects of ten shapes,
each with its colour, size, angle and fill, under one light with soft shadows, the main object in front. Everything
varies without steps; names are given to ranges. Its class is the shape of the main object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backend.data.images.cells import PIXEL_FIELDS, by_image, counts, pixel_labels
from backend.data.images.colors import COLORS
from backend.data.images.settings import read_settings, to_float
from backend.data.scenes.drawing import Drawn, draw
from backend.data.scenes.glyphs import GLYPHS
from backend.data.scenes.plans import BACKGROUNDS, FILLS, MOST_OBJECTS, SHAPES, Plans, plan
from backend.data.source import DataSource
from backend.types import Item

AT_ONCE = 128  # images drawn together; more would not fit the processor's caches
EDGE_SHARE = 0.1  # of a cell's pixels on either side make it an edge
_LIGHTS = ("right", "bottom right", "bottom", "bottom left", "left", "top left", "top", "top right")


@dataclass(frozen=True)
class Scenes:
    """The data set `scenes`.

    Attributes:
        size: pixels a side.
    """

    size: int = 32

    fields = {
        "object": "the shape that covers most of the cell, or background",
        "color": "the colour that what covers most of the cell is painted with, before light and second tones",
        "texture": "the object's fill: plain, striped, dotted or gradient; empty on the background",
        "background": "the background's kind: gradient, grating, checker or noise; empty on objects",
        "glyph": "the letter or digit that covers most of the cell",
        "edge": "edge where an object's border runs through the cell, taking a tenth of it at least",
        "shadow": "shadow where a shadow lies on most of the cell",
        "main": "main where the main object covers most of the cell",
        **PIXEL_FIELDS,
    }
    classes = SHAPES

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Scenes:
        """Read the `[dataset]` of a catalog file: `size`."""
        return cls(**read_settings(settings, size=cls.size))

    @property
    def settings(self) -> dict[str, Any]:
        """The `[dataset]` of these scenes."""
        return {"name": SOURCE.name, "size": self.size}

    def count(self, seed: int) -> None:
        """Return None: there is no end to scenes."""

    def pixels(self, start: int, stop: int, seed: int) -> np.ndarray:
        """Draw the images' pixels, float32 `[n, 3, size, size]` in [-1, 1]."""
        images = np.empty((max(stop - start, 0), 3, self.size, self.size), dtype=np.float32)
        for first in range(start, stop, AT_ONCE):
            last = min(first + AT_ONCE, stop)
            images[first - start : last - start] = to_float(draw(plan(first, last, seed), self.size).pixels)
        return images

    def items(self, start: int, stop: int, seed: int, grid: tuple[int, int]) -> list[Item]:
        """Draw the images with their labels (`fields`) and tags."""
        items = []
        for first in range(start, stop, AT_ONCE):
            plans = plan(first, min(first + AT_ONCE, stop), seed)
            drawn = draw(plans, self.size)
            labels, tags, images = _label_cells(plans, drawn, grid), _tag_images(plans), to_float(drawn.pixels)
            items += [Item(first + i, grid, images[i], labels=labels[i], tags=tags[i]) for i in range(len(images))]
        return items


def _label_cells(plans: Plans, drawn: Drawn, grid: tuple[int, int]) -> list[dict[str, Sequence[str]]]:
    """Say what is true of the cells: for each image field -> one value per cell."""
    shown = np.where(drawn.owner >= 0, drawn.owner + 2, drawn.accent)  # 0 and 1: the background's colours
    pixels = counts(shown, 2 + MOST_OBJECTS, grid)  # [n, cell, what]
    behind, total = pixels[..., :2].sum(-1), pixels.sum(-1)
    # the background counts as one: by its two colours apart an object would win with less than half of a cell
    parts = np.concatenate((behind[..., None], pixels[..., 2:]), axis=-1)
    what = parts.argmax(-1)  # [n, cell]: 0 background, 1.. object
    is_object, slot = what > 0, np.maximum(what - 1, 0)
    image = np.arange(len(what))[:, None]

    def name(names: Sequence[str], numbers: np.ndarray) -> np.ndarray:
        return np.array(names, dtype=object)[numbers]

    shape = plans.shape[image, slot]
    glyph = is_object & (shape == SHAPES.index("glyph"))
    color = np.where(is_object, plans.color[image, slot], plans.background_color[image, pixels[..., :2].argmax(-1)])
    fields = {
        "object": np.where(is_object, name(SHAPES, shape), "background"),
        "color": name(COLORS, color),
        "texture": np.where(is_object, name(FILLS, plans.fill[image, slot]), ""),
        "background": np.where(is_object, "", name(BACKGROUNDS, plans.background)[:, None]),
        "glyph": np.where(glyph, name(GLYPHS, plans.glyph[image, slot]), ""),
        "edge": np.where(total - parts.max(-1) >= EDGE_SHARE * total, "edge", ""),
        "shadow": np.where(counts(drawn.shadow, 2, grid)[..., 1] * 2 > total, "shadow", ""),
        "main": np.where(what == 1, "main", ""),
    }
    pixel_fields = pixel_labels(drawn.pixels, grid)
    return [{**plan_fields, **more} for plan_fields, more in zip(by_image(fields), pixel_fields, strict=True)]


def _tag_images(plans: Plans) -> list[dict[str, str]]:
    """Say what is true of each image."""
    tags = []
    for row, (shape, first, second) in enumerate(zip(plans.shape[:, 0], *plans.background_color.T, strict=True)):
        colors = dict.fromkeys((COLORS[first], COLORS[second]))
        eighth = int(np.rint(plans.light[row] / (np.pi / 4))) % 8
        tags.append(
            {
                "class": SHAPES[shape],
                "color": COLORS[plans.color[row, 0]],
                "texture": FILLS[plans.fill[row, 0]],
                "size": ("small", "medium", "large")[int(np.searchsorted((0.5, 0.62), plans.radius[row, 0]))],
                "background": BACKGROUNDS[plans.background[row]],
                "background color": " and ".join(colors),
                "lighting": f"from {_LIGHTS[eighth]}" if plans.shade[row] else "flat",
                "objects": str(plans.objects[row]),
                "glyph": GLYPHS[plans.glyph[row, 0]] if SHAPES[shape] == "glyph" else "",
            }
        )
    return tags


SOURCE = DataSource(
    name="scenes",
    item="image",
    about="drawn scenes with known content",
    title="Drawn scenes",
    open=lambda settings, folder: Scenes.from_settings(settings),
)
