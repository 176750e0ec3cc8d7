"""Two-dimensional maps of a codebook: PCA at once, and UMAP.

UMAP (McInnes, Healy and Melville 2018, arXiv:1802.03426) for some thousand points, in NumPy: it starts at once (the
reference implementation compiles for half a minute), and the same table gives the same map. Steps, with the paper's
section:

    1. exact nearest neighbours of every point by cosine or Euclidean distance
    2. a membership strength for every such pair, exp(-(d - rho) / sigma), with rho the distance to the nearest
       neighbour and sigma such that a point's strengths add up to log2 k (3.1)
    3. the strengths of both directions joined, a + b - a b (3.1)
    4. the map starts as the PCA, and is improved by moving points along pairs drawn by strength towards each other, and
       away from points drawn at random, by gradients of the cross entropy (3.2)

The one difference to the reference implementation: the moves of a part of an epoch are added up and done at once, not
one after the other.
"""

from __future__ import annotations

import numpy as np

from backend.analysis.neighbours import unit_rows

NEIGHBOURS = 15
EPOCHS = 200  # half as many above `_LARGE` points, which have as many more pairs to move along
_LARGE = 4096
_PARTS = 4  # moves are added up over a quarter of an epoch
_NEGATIVES = 3  # points that each end of a drawn pair is pushed away from
_A, _B = 1.5769, 0.8951  # min_dist 0.1, spread 1
_LONGEST_MOVE = np.float32(4)
_BLOCK_CELLS = 4_000_000


def pca(vectors: np.ndarray, fit: np.ndarray | None = None) -> np.ndarray:
    """Coordinates float32 `[n, 2]` on the two directions of most variance; signs are fixed, missing directions are 0.

    Args:
        vectors: `[n, dim]`.
        fit: bool `[n]`, the rows that decide the directions (the live codes); all where it is None or selects none.
    """
    vectors = np.asarray(vectors, np.float64)
    chosen = vectors[fit] if fit is not None and fit.any() else vectors
    centre = chosen.mean(axis=0)
    covariance = (chosen - centre).T @ (chosen - centre)
    _, directions = np.linalg.eigh(covariance)
    axes = directions[:, ::-1][:, :2]  # [dim, <= 2]
    strongest = np.abs(axes).argmax(axis=0)
    axes = axes * np.where(axes[strongest, np.arange(axes.shape[1])] < 0, -1, 1)
    placed = np.zeros((len(vectors), 2), np.float32)
    placed[:, : axes.shape[1]] = (vectors - centre) @ axes
    return placed


def umap(vectors: np.ndarray, *, cosine: bool = True, seed: int = 0, epochs: int | None = None) -> np.ndarray:
    """A UMAP of some points, float32 `[n, 2]`; the same call gives the same map.

    Args:
        vectors: `[n, dim]`, n at least 4.
        cosine: distances are 1 - cosine; otherwise Euclidean.
        seed: of the pairs drawn.
        epochs: passes over the pairs; decided by the number of points by default.
    """
    points = unit_rows(vectors) if cosine else np.asarray(vectors, np.float32)
    near, distances = _nearest(points, min(NEIGHBOURS, len(points) - 1), cosine)
    heads, tails, strengths = _join(near, _memberships(distances))
    start = pca(points).astype(np.float64)
    start = 10 * start / max(float(np.abs(start).max()), 1e-12)
    start += np.random.default_rng(seed).normal(scale=1e-3, size=start.shape)
    epochs = epochs or (EPOCHS if len(points) <= _LARGE else EPOCHS // 2)
    return _improve(start, heads, tails, strengths, epochs, seed)


def _nearest(points: np.ndarray, k: int, cosine: bool) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers `[n, k]` and distances `[n, k]` of the nearest other points, nearest first."""
    n = len(points)
    squares = np.einsum("nd,nd->n", points, points)
    near, distances = [], []
    step = max(1, _BLOCK_CELLS // n)
    for start in range(0, n, step):
        product = points[start : start + step] @ points.T
        if cosine:
            away = np.maximum(1 - product, 0)
        else:
            away = np.sqrt(np.maximum(squares[start : start + step, None] + squares - 2 * product, 0))
        block = np.arange(len(away))
        away[block, start + block] = np.inf
        best = np.argpartition(away, k - 1, axis=1)[:, :k]
        best.sort(axis=1)
        values = np.take_along_axis(away, best, axis=1)
        order = np.argsort(values, axis=1, kind="stable")
        near.append(np.take_along_axis(best, order, axis=1))
        distances.append(np.take_along_axis(values, order, axis=1))
    return np.concatenate(near), np.concatenate(distances).astype(np.float64)


def _memberships(distances: np.ndarray) -> np.ndarray:
    """Strengths `[n, k]` of the directed pairs; sigma by bisection."""
    beyond = np.maximum(distances - distances[:, :1], 0)
    target = np.log2(distances.shape[1] + 1)
    low, high = np.zeros(len(distances)), np.full(len(distances), np.inf)
    sigma = np.ones(len(distances))
    for _ in range(48):
        total = np.exp(-beyond / sigma[:, None]).sum(axis=1)
        high = np.where(total > target, sigma, high)
        low = np.where(total > target, low, sigma)
        sigma = np.where(np.isinf(high), sigma * 2, (low + high) / 2)
    least = 1e-3 * np.maximum(distances.mean(axis=1), distances.mean() + 1e-12)
    return np.exp(-beyond / np.maximum(sigma, least)[:, None])


def _join(near: np.ndarray, strengths: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Undirected pairs (head < tail) and the strength of each: a + b - a b over both directions."""
    n, k = near.shape
    rows = np.repeat(np.arange(n), k)
    columns = near.ravel()
    keys = np.minimum(rows, columns) * n + np.maximum(rows, columns)
    pairs, place = np.unique(keys, return_inverse=True)
    missing = np.ones(len(pairs))
    np.multiply.at(missing, place, 1 - strengths.ravel())
    return pairs // n, pairs % n, 1 - missing


def _improve(
    layout: np.ndarray, heads: np.ndarray, tails: np.ndarray, strengths: np.ndarray, epochs: int, seed: int
) -> np.ndarray:
    """Move the points; a pair is drawn in an epoch with the probability of its strength over the strongest one's."""
    n = len(layout)
    generator = np.random.default_rng(seed + 1)
    x, y = layout.astype(np.float32).T.copy()
    chances = (strengths / strengths.max()).astype(np.float32)
    heads, tails = heads.astype(np.int32), tails.astype(np.int32)
    for epoch in range(epochs):
        rate = np.float32(1 - epoch / epochs)
        for _ in range(_PARTS):
            drawn = np.flatnonzero(generator.random(len(chances), np.float32) < chances * np.float32(2 / _PARTS))
            head, tail = heads[drawn], tails[drawn]
            dx, dy = x[head] - x[tail], y[head] - y[tail]
            square = dx * dx + dy * dy + np.float32(1e-6)
            power = square ** np.float32(_B)
            pull = np.float32(-2 * _A * _B) * power / (square * (1 + np.float32(_A) * power))
            ends = np.concatenate([head, tail])
            moves = [np.concatenate([part, -part]) for part in (_clip(pull * dx), _clip(pull * dy))]
            pushed = np.repeat(ends, _NEGATIVES)
            other = generator.integers(0, n, len(pushed), np.int32)
            dx, dy = x[pushed] - x[other], y[pushed] - y[other]
            square = dx * dx + dy * dy
            push = np.float32(2 * _B) / ((np.float32(1e-3) + square) * (1 + np.float32(_A) * square ** np.float32(_B)))
            touched = np.concatenate([ends, pushed])
            for axis, pulled, pushed_by in ((x, moves[0], push * dx), (y, moves[1], push * dy)):
                total = np.bincount(touched, np.concatenate([pulled, _clip(pushed_by)]), n)
                axis += rate * _clip(total.astype(np.float32))
    return np.stack([x, y], axis=1)


def _clip(values: np.ndarray) -> np.ndarray:
    return np.minimum(np.maximum(values, -_LONGEST_MOVE), _LONGEST_MOVE)
