"""Two-dimensional maps of a codebook: PCA at once, and UMAP (McInnes, Healy and Melville 2018, arXiv:1802.03426).

UMAP is umap-learn's, started from the PCA and given exact nearest neighbours (a matrix product is faster than its own
search at these sizes, and needs less of what is compiled at the first call). The same table gives the same map.
"""

from __future__ import annotations

import numpy as np

from backend.analysis.neighbours import unit_rows

NEIGHBOURS = 15  # of a point, itself included
EPOCHS = 200
_BLOCK_CELLS = 4_000_000


def pca(vectors: np.ndarray, fit: np.ndarray | None = None) -> np.ndarray:
    """Project on the two directions of most variance, float32 `[n, 2]`; signs are fixed, missing directions are 0.

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
    # an eigenvector is right with either sign: its strongest component is made positive, so that maps do not flip
    strongest = np.abs(axes).argmax(axis=0)
    axes = axes * np.where(axes[strongest, np.arange(axes.shape[1])] < 0, -1, 1)
    coordinates = np.zeros((len(vectors), 2), np.float32)
    coordinates[:, : axes.shape[1]] = (vectors - centre) @ axes
    return coordinates


def umap(vectors: np.ndarray, *, cosine: bool = True, seed: int = 0) -> np.ndarray:
    """Map some points by UMAP, float32 `[n, 2]`; the same call gives the same map.

    The first call of a process imports and compiles for some ten seconds; `backend.build.map_process` hides that.

    Args:
        vectors: `[n, dim]`, n at least 4.
        cosine: distances are 1 - cosine; otherwise Euclidean.
        seed: of the pairs drawn.
    """
    from umap import UMAP

    points = unit_rows(vectors) if cosine else np.asarray(vectors, np.float32)
    near, distances = _nearest(points, min(NEIGHBOURS, len(points) - 1))
    if cosine:
        distances = distances**2 / 2  # of unit vectors
    start = pca(points).astype(np.float64)
    start = 10 * start / max(float(np.abs(start).max()), 1e-12)
    # Codes that are equal start apart by a hair: umap-learn divides by the spread of the start.
    start += np.random.default_rng(seed).normal(scale=1e-3, size=start.shape)
    fit = UMAP(
        n_neighbors=near.shape[1],
        n_epochs=EPOCHS,
        metric="cosine" if cosine else "euclidean",
        init=start.astype(np.float32),
        random_state=seed,
        n_jobs=1,  # several threads would add up in another order each time
        precomputed_knn=(near, distances),
    )
    return np.asarray(fit.fit_transform(points), np.float32)


def _nearest(points: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest points, each itself first: row numbers int32 `[n, k]`, and Euclidean distances float32."""
    n = len(points)
    squares = np.einsum("nd,nd->n", points, points)
    near = np.empty((n, k), np.int32)
    distances = np.empty((n, k), np.float32)
    step = max(1, _BLOCK_CELLS // n)
    for start in range(0, n, step):
        block = points[start : start + step]
        order = squares - 2 * (block @ points.T)  # [block, n], orders as the distance does
        rows = np.arange(len(block))
        order[rows, start + rows] = -np.inf
        best = np.argpartition(order, k - 1, axis=1)[:, :k]
        best.sort(axis=1)
        # Again from the differences: what is nearly equal would drown in the rounding of the squares.
        away = np.stack([np.linalg.norm(points[best[:, i]] - block, axis=1) for i in range(k)], axis=1)
        away[best == (start + rows)[:, None]] = -1
        chosen = np.argsort(away, axis=1, kind="stable")
        near[start : start + step] = np.take_along_axis(best, chosen, axis=1)
        distances[start : start + step] = np.maximum(np.take_along_axis(away, chosen, axis=1), 0)
    return near, distances
