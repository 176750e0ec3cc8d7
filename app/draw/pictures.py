"""Pure: values in colour, and cuts of pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Black to yellow; equal steps look equal, for colour-blind people and on black-and-white prints too.
_HEAT = np.array(
    [
        (13, 8, 35),
        (58, 15, 110),
        (112, 31, 129),
        (165, 48, 125),
        (215, 72, 103),
        (245, 116, 83),
        (253, 173, 95),
        (252, 253, 191),
    ],
    dtype=np.float64,
)


def heat(values: np.ndarray, top: float) -> np.ndarray:
    """Values from 0 (dark) to `top` (bright) and beyond, `[height, width]` -> uint8 `[height, width, 3]`."""
    at = np.clip(np.nan_to_num(values.astype(np.float64)) / max(top, 1e-12), 0, 1) * (len(_HEAT) - 1)
    low = np.minimum(at.astype(int), len(_HEAT) - 2)
    share = (at - low)[..., None]
    return np.rint(_HEAT[low] * (1 - share) + _HEAT[low + 1] * share).astype(np.uint8)


def places_to_rgb(places: np.ndarray) -> np.ndarray:
    """Places on three axes, -1 to 1, `[H, W, 3]` -> uint8 colours of one brightness range."""
    return np.rint(128 + 112 * np.clip(places, -1, 1)).astype(np.uint8)


def around(picture: np.ndarray, row: int, column: int, cell: Sequence[int], margin: int = 1) -> np.ndarray:
    """A cell and `margin` cells on each side, cut from a picture `[height, width, ...]`; cut off at its borders."""
    top, left = max(0, row - margin) * cell[0], max(0, column - margin) * cell[1]
    return picture[top : (row + margin + 1) * cell[0], left : (column + margin + 1) * cell[1]]


def by_cell(values: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Mean of a map `[height, width]` over each cell of a grid."""
    rows, columns = grid
    return values.reshape(rows, values.shape[0] // rows, columns, values.shape[1] // columns).mean((1, 3))
