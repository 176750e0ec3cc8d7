"""Token maps in colour: alike codes get alike colours, and maps of several tokenizers colours that agree.

1. Each cell's place on the three main axes of the code vectors in use is its colour.
2. Those axes are another tokenizer's only up to a turn: the colours of one map are turned so that they agree as well as
   they can with those of another (orthogonal Procrustes).
"""

from __future__ import annotations

import numpy as np


def code_colours(tokens: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Return each cell's place on the three main axes of the code vectors in use, from -1 to 1 on each.

    Args:
        tokens: int `[n, H, W]`.
        table: float32 `[num_codes, dim]`.

    Returns:
        float64 `[n, H, W, 3]`; alike colours are alike codes.
    """
    rows = table[np.maximum(tokens, 0)].reshape(-1, table.shape[1]).astype(np.float64)
    rows -= rows.mean(0)
    axes = np.linalg.svd(rows.T @ rows)[2][:3]  # of [dim, dim]: there may be a million cells
    places = np.zeros((len(rows), 3))
    places[:, : len(axes)] = rows @ axes.T
    places /= np.maximum(1e-9, 2 * places.std(0))  # two standard deviations fill the range; what lies beyond is clipped
    return places.clip(-1, 1).reshape(*tokens.shape, 3)


def turned_towards(colours: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Return the colours of one token map turned so that they agree as well as they can with those of another.

    Args:
        colours: float `[n, H, W, 3]`.
        goal: of the same pictures; its grid may be another.
    """
    rows = np.arange(colours.shape[1]) * goal.shape[1] // colours.shape[1]
    columns = np.arange(colours.shape[2]) * goal.shape[2] // colours.shape[2]
    there = goal[:, rows][:, :, columns].reshape(-1, 3)  # the nearest cell where the grids differ
    left, _, right = np.linalg.svd(colours.reshape(-1, 3).T @ there)
    return (colours @ (left @ right)).clip(-1, 1)
