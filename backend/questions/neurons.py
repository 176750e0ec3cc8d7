"""The best single neuron that says the same as a code: the control for "a code is cleaner than a neuron".

The build keeps, for the first `neuron_positions` positions, the rank of every neuron's activation among these
positions.

1. A code with recall r over the matching positions covered asks for `need = ceil(r * matching)` hits.
2. A neuron that is "on" above a threshold has `need` hits when the threshold is the need-th highest rank among the
   matching positions; it is on at `positions - rank` positions then, so its precision is `need / (positions - rank)`.
3. The best neuron has the highest precision, over all neurons of all sites.

It is chosen and measured on the same positions, which favours the neuron. Only high activations count as "on".
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd

from backend.calls import count_rows
from backend.store.reader import Reader

CHUNK = 256  # neurons at a time: bounds memory


def best_neurons(reader: Reader, codes: pd.DataFrame, positions: np.ndarray, baselines: int) -> int:
    """Add `neuron, neuron_precision, neuron_recall, neuron_n` to the first `baselines` rows of a table of codes.

    Args:
        reader: the build.
        codes: rows with `recall`, best first; changed in place. Rows without a baseline get '', NaN and 0.
        positions: all matching positions, ascending.
        baselines: how many rows.

    Returns:
        How many positions the neurons cover; 0 where the build has none.
    """
    codes["neuron"], codes["neuron_precision"], codes["neuron_recall"] = "", np.nan, np.nan
    codes["neuron_n"] = 0
    covered = coverage(reader)
    inside = positions[: np.searchsorted(positions, covered)]
    rows = min(len(codes), max(0, baselines))
    if not len(inside) or not rows:
        return covered
    recall = codes["recall"].to_numpy()[:rows]
    needed = np.clip(np.ceil(recall * len(inside) - 1e-9), 1, len(inside)).astype(np.int64)
    best, name = np.full(rows, -1, np.int64), np.full(rows, "", object)  # rank of the threshold, and whose it is
    for site, first, ranks in _chunks(reader):
        matching = np.sort(ranks.take(inside, axis=1), axis=1, kind="stable")  # by radix: 16 bits
        count_rows(matching.size)
        thresholds = matching[:, len(inside) - needed].astype(np.int64)  # [neuron, row of `codes`]
        top = thresholds.argmax(axis=0)
        highest = thresholds[top, np.arange(rows)]
        better = highest > best
        best[better] = highest[better]
        name[better] = [f"{site}/{first + neuron}" for neuron in top[better]]
    index = codes.index[:rows]
    codes.loc[index, "neuron"] = name
    codes.loc[index, "neuron_precision"] = needed / (covered - best)
    codes.loc[index, "neuron_recall"] = needed / len(inside)
    codes.loc[index, "neuron_n"] = len(inside)
    return covered


def coverage(reader: Reader) -> int:
    """Return how many positions, from the first on, the neurons cover."""

    def load() -> tuple[int, int]:
        lengths = reader.arrays("SELECT octet_length(ranks) // 2 AS n FROM neurons LIMIT 1")["n"]
        return (int(lengths[0]) if len(lengths) else 0), 8

    return reader.cache.get((reader.path, "neuron coverage"), load)


def _chunks(reader: Reader) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yield some neurons at a time: their site, the number of the first one, and uint16 ranks `[neuron, position]`."""
    shape = reader.arrays("SELECT site, count(*) AS n FROM neurons GROUP BY site ORDER BY site")
    for site, width in zip(shape["site"], shape["n"], strict=True):
        for first in range(0, int(width), CHUNK):
            key = (reader.path, "neurons", site, first)
            yield site, first, reader.cache.get(key, partial(_load, reader, site, first))


def _load(reader: Reader, site: str, first: int) -> tuple[np.ndarray, int]:
    blobs = reader.arrays(
        "SELECT ranks FROM neurons WHERE site = ? AND neuron >= ? AND neuron < ? ORDER BY neuron",
        [site, first, first + CHUNK],
    )["ranks"]
    ranks = np.stack([np.frombuffer(blob, "<u2") for blob in blobs])
    return ranks, ranks.nbytes
