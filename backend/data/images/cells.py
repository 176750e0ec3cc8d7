"""What is true of the cells of a grid laid over images: from maps of pixels to labels, for any grid.

A cell is the pixels whose middles lie in it. Grids are `(H, W)`; cells are numbered row by row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from backend.data.images.colors import name_colors
from backend.errors import BadInput

PIXEL_FIELDS = {
    "shown color": "the name of the cell's mean colour",
    "brightness": "the cell's mean luminance: dark, dim, mid, light or bright",
    "detail": "how much neighbouring pixels differ in the cell: smooth, soft, busy or sharp",
    "orientation": "which way the lines in the cell run: -, \\, | or /; empty where it has none",
    "position": "where the cell lies in the image, in thirds",
}
_BRIGHTNESS = np.array(("dark", "dim", "mid", "light", "bright"), dtype=object)
_DETAIL = np.array(("smooth", "soft", "busy", "sharp"), dtype=object)
_DETAIL_ENDS = (0.008, 0.03, 0.09)  # mean step of luminance between neighbouring pixels
_ORIENTATIONS = np.array(("|", "/", "-", "\\"), dtype=object)
_THIRDS = (("top left", "top", "top right"), ("left", "middle", "right"), ("bottom left", "bottom", "bottom right"))


@lru_cache(maxsize=32)
def cell_of_pixel(size: int, grid: tuple[int, int]) -> np.ndarray:
    """Return the cell of each pixel, int64 `[size, size]`, read-only.

    Raises:
        BadInput: the grid has more rows or columns than the image, or none.
    """
    rows, columns = grid
    if not (1 <= rows <= size and 1 <= columns <= size):
        raise BadInput(
            f"A grid of {rows} x {columns} cells does not fit on {size} x {size} pixels. Give 1 to {size} rows and columns."
        )
    along = np.arange(size)
    cells = (along * rows // size)[:, None] * columns + along * columns // size
    cells.flags.writeable = False
    return cells


def counts(values: np.ndarray, kinds: int, grid: tuple[int, int]) -> np.ndarray:
    """Count the pixels of each value in every cell.

    Args:
        values: int `[n, size, size]` in 0 .. kinds - 1.
        kinds: how many values there are.
        grid: H, W.

    Returns:
        int64 `[n, H * W, kinds]`.
    """
    images, size = len(values), values.shape[-1]
    cells = grid[0] * grid[1]
    # One number for image, cell and value together, so that a single bincount does all images at once.
    place = cell_of_pixel(size, grid) + cells * np.arange(images)[:, None, None]  # [n, size, size]
    flat = np.bincount((place * kinds + values).ravel(), minlength=images * cells * kinds)
    return flat.reshape(images, cells, kinds)


def means(values: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Return the mean of a map of pixels `[n, size, size]` in each cell, float64 `[n, H * W]`."""
    images, size = len(values), values.shape[-1]
    cells = cell_of_pixel(size, grid)
    place = (cells + grid[0] * grid[1] * np.arange(images)[:, None, None]).ravel()
    sums = np.bincount(place, weights=values.ravel(), minlength=images * grid[0] * grid[1])
    return sums.reshape(images, grid[0] * grid[1]) / np.bincount(cells.ravel())


def pixel_labels(pixels: np.ndarray, grid: tuple[int, int]) -> list[dict[str, Sequence[str]]]:
    """Read the fields of `PIXEL_FIELDS`, which need nothing but the picture.

    Args:
        pixels: uint8 `[n, 3, size, size]`.
        grid: H, W.

    Returns:
        For each image field -> H * W values.
    """
    shades = pixels.astype(np.float32) / 255
    colors = np.stack([means(shades[:, channel], grid) for channel in range(3)], axis=-1)
    luminance = np.tensordot(shades, np.array((0.299, 0.587, 0.114), np.float32), axes=(1, 0))
    step_y, step_x = np.gradient(luminance, axis=(1, 2)) if pixels.shape[-1] > 1 else (0 * luminance, 0 * luminance)
    detail = np.searchsorted(_DETAIL_ENDS, means(np.hypot(step_x, step_y), grid), side="right")
    # The structure tensor: its doubled angle is that of the lines' normal. Angles are doubled because a line that runs up
    # and one that runs down are the same, so that means of plain angles would cancel out.
    along, across = means(step_x**2 - step_y**2, grid), means(2 * step_x * step_y, grid)
    # A direction counts where most steps agree on it: without the floor noise has an orientation too.
    clear = np.hypot(along, across) > 0.5 * means(step_x**2 + step_y**2, grid)
    quarter = np.rint(np.arctan2(across, along) / (np.pi / 2)).astype(np.int64) % 4
    fields = {
        "shown color": name_colors(colors),
        "brightness": _BRIGHTNESS[np.minimum((means(luminance, grid) * 5).astype(np.int64), 4)],
        "detail": _DETAIL[detail],
        "orientation": np.where(clear & (detail > 0), _ORIENTATIONS[quarter], ""),
    }
    position = positions(grid)
    return by_image(fields, {"position": position})


def positions(grid: tuple[int, int]) -> tuple[str, ...]:
    """Say where each cell lies, in thirds of the image: `top left` ... `bottom right`."""
    rows, columns = grid
    return tuple(
        _THIRDS[(2 * row + 1) * 3 // (2 * rows)][(2 * column + 1) * 3 // (2 * columns)]
        for row in range(rows)
        for column in range(columns)
    )


def by_image(
    fields: Mapping[str, np.ndarray], shared: Mapping[str, Sequence[str]] | None = None
) -> list[dict[str, Sequence[str]]]:
    """Turn fields `[n, H * W]` of names into field -> values for each image; `shared` fields are added to every image."""
    images = len(next(iter(fields.values())))
    lists = {name: values.tolist() for name, values in fields.items()}
    return [{**{name: values[row] for name, values in lists.items()}, **(shared or {})} for row in range(images)]
