"""Confidence intervals of proportions."""

from __future__ import annotations

import numpy as np

Z95 = 1.959963984540054  # of the standard normal distribution, two-sided 95 %


def wilson(hits: np.ndarray, n: np.ndarray, z: float = Z95) -> tuple[np.ndarray, np.ndarray]:
    """Compute Wilson's score interval of `hits / n` (Wilson 1927); NaN where n is 0.

    Args:
        hits: successes, any shape.
        n: trials, of a shape that broadcasts with it.
        z: quantile of the normal distribution.

    Returns:
        Lower and upper bound, 0 to 1.
    """
    hits, n = np.asarray(hits, np.float64), np.asarray(n, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = hits / n
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        reach = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = np.clip(middle - reach, 0, 1), np.clip(middle + reach, 0, 1)
    return np.where(p == 0, 0.0, low), np.where(p == 1, 1.0, high)  # exactly: rounding leaves 1e-17
