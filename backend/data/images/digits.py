"""Handwritten digits that come inside scikit-learn; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from backend.analysis.seeds import HELD_OUT_SEED
from backend.data.images.cells import PIXEL_FIELDS, counts, pixel_labels
from backend.data.images.settings import read_settings, to_float
from backend.data.source import DataSource
from backend.types import Item

HELD_OUT_DIGITS = 360  # of scikit-learn's 1,797
_ORDER_SEED = 0


@dataclass(frozen=True)
class Digits:
    """The data set `digits`: scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, made larger, white on black.

    The last `HELD_OUT_DIGITS` of a fixed random order are shown by seeds from `HELD_OUT_SEED` on, the others by all
    others. A seed is an order; what it shows is the same.

    Attributes:
        size: pixels a side.
    """

    size: int = 32

    fields = {"digit": "which digit's ink covers at least half of the cell", **PIXEL_FIELDS}
    classes = tuple("0123456789")

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Digits:
        """Read the `[dataset]` of a catalog file: `size`."""
        return cls(**read_settings(settings, size=cls.size))

    def count(self, seed: int) -> int:
        """Count the digits that this seed shows: 1,437 to train on, 360 held out."""
        return len(self._rows(seed))

    def pixels(self, start: int, stop: int, seed: int) -> np.ndarray:
        """Return the digits' pixels, float32 `[n, 3, size, size]` in [-1, 1]."""
        return to_float(self._shown(start, stop, seed)[0])

    def items(self, start: int, stop: int, seed: int, grid: tuple[int, int]) -> list[Item]:
        """Return the digits, with their class as a tag and on the cells that their ink covers."""
        pixels, truth = self._shown(start, stop, seed)
        ink = counts((pixels[:, 0] >= 128).astype(np.int64), 2, grid)
        inked, images, pixel_fields = ink[..., 1] * 2 >= ink.sum(-1), to_float(pixels), pixel_labels(pixels, grid)
        items = []
        for row, digit in enumerate(map(str, truth)):
            labels: dict[str, Sequence[str]] = {"digit": np.where(inked[row], digit, "").tolist(), **pixel_fields[row]}
            items.append(Item(start + row, grid, images[row], labels=labels, tags={"class": digit}))
        return items

    def _rows(self, seed: int) -> np.ndarray:
        """Return the digits that this seed shows, in its order."""
        # first one order for all seeds, so that no seed trains on what another holds out; then the seed's own
        order = np.random.default_rng(_ORDER_SEED).permutation(len(self._digits[1]))
        part = order[-HELD_OUT_DIGITS:] if seed >= HELD_OUT_SEED else order[:-HELD_OUT_DIGITS]
        return np.random.default_rng(seed).permutation(part)

    def _shown(self, start: int, stop: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return pixels uint8 `[n, 3, size, size]` and the digits int64 `[n]`."""
        from PIL import Image

        rows = self._rows(seed)
        shown = rows[np.arange(start, max(stop, start)) % len(rows)]  # after the last digit it begins again
        pixels = np.empty((len(shown), 3, self.size, self.size), dtype=np.uint8)
        for place, ink in enumerate(self._digits[0][shown]):
            image = Image.fromarray(ink).resize((self.size, self.size), Image.Resampling.BICUBIC)
            pixels[place] = np.asarray(image)
        return pixels, self._digits[1][shown]

    @cached_property
    def _digits(self) -> tuple[np.ndarray, np.ndarray]:
        """uint8 `[1797, 8, 8]` and int64 `[1797]`."""
        from sklearn.datasets import load_digits

        digits = load_digits()  # shades of 0 to 16
        return np.rint(digits.images * (255 / 16)).astype(np.uint8), digits.target.astype(np.int64)


SOURCE = DataSource(
    name="digits",
    item="image",
    about="scikit-learn's handwritten digits",
    title="Handwritten digits",
    open=lambda settings, folder: Digits.from_settings(settings),
)
