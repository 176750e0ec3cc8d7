"""Cells cut out of pictures, and how alike they are."""

from __future__ import annotations

import numpy as np


def crop_cell(picture: np.ndarray, place: tuple[int, int], cell: tuple[int, int], around: int) -> np.ndarray:
    """Cut out a cell of a picture and the cells around it.

    Args:
        picture: uint8 `[height, width, 3]`.
        place: row and column of the cell.
        cell: height and width of a cell in pixels.
        around: cells on each side.

    Returns:
        uint8 `[height, width, 4]`; alpha is 0 where the picture has ended.
    """
    size = (2 * around + 1) * cell[0], (2 * around + 1) * cell[1]
    top, left = (place[0] - around) * cell[0], (place[1] - around) * cell[1]
    patch = np.zeros((*size, 4), np.uint8)
    y, x = max(0, top), max(0, left)
    inside = picture[y : top + size[0], x : left + size[1]]
    target = patch[y - top : y - top + inside.shape[0], x - left : x - left + inside.shape[1]]
    target[..., :3], target[..., 3] = inside, 255
    return patch


def all_cells(pictures: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Cut pictures `[n, height, width, 3]` into the cells of a grid `(H, W)`: `[n * H * W, height / H, width / W, 3]`."""
    count, height, width, channels = pictures.shape
    rows, columns = grid
    cut = pictures.reshape(count, rows, height // rows, columns, width // columns, channels)
    return cut.transpose(0, 1, 3, 2, 4, 5).reshape(-1, height // rows, width // columns, channels)


def spread(cells: np.ndarray) -> float:
    """Return the mean over pixels and channels of the variance among some cells `[n, height, width, 3]`."""
    return float(np.asarray(cells, np.float64).var(axis=0).mean()) if len(cells) else float("nan")
