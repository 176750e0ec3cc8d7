"""Which codes belong together: near each other in their table, or firing at the same positions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

_BLOCK_CELLS = 8_000_000


@dataclass(frozen=True)
class Neighbours:
    """Nearest rows, one entry a pair, in order of code and rank.

    Attributes:
        code, neighbour: int64, row numbers.
        rank: int16, 1 is the nearest.
        cosine: float32 in [-1, 1].
    """

    code: np.ndarray
    rank: np.ndarray
    neighbour: np.ndarray
    cosine: np.ndarray


@dataclass(frozen=True)
class Together:
    """Pairs of codes that fire at the same positions, in order of code, strongest first.

    Attributes:
        code, other: int64.
        together: int64, positions at which both fire.
        pmi: float64, log2 P(a, b) / (P(a) P(b)), over positions.
    """

    code: np.ndarray
    other: np.ndarray
    together: np.ndarray
    pmi: np.ndarray


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """The rows of `[n, dim]` at length 1, float32; a row of zeros stays one."""
    vectors = np.asarray(vectors, np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def nearest_rows(vectors: np.ndarray, how_many: int) -> Neighbours:
    """The rows with the highest cosine to each row, itself left out; those of equal cosine in order of number.

    Args:
        vectors: `[n, dim]`.
        how_many: neighbours of each row, fewer where there are not so many rows.
    """
    rows = unit_rows(vectors)
    n = len(rows)
    keep = min(how_many, n - 1)
    if keep < 1:
        return Neighbours(np.zeros(0, int), np.zeros(0, np.int16), np.zeros(0, int), np.zeros(0, np.float32))
    found, cosines = [], []
    step = max(1, _BLOCK_CELLS // n)
    for start in range(0, n, step):
        cosine = rows[start : start + step] @ rows.T  # [block, n]
        block = np.arange(len(cosine))
        cosine[block, start + block] = -np.inf
        best = np.argpartition(cosine, n - keep, axis=1)[:, n - keep :]
        best.sort(axis=1)
        values = np.take_along_axis(cosine, best, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        found.append(np.take_along_axis(best, order, axis=1))
        cosines.append(np.take_along_axis(values, order, axis=1))
    return Neighbours(
        np.repeat(np.arange(n), keep),
        np.tile(np.arange(1, keep + 1, dtype=np.int16), n),
        np.concatenate(found).ravel(),
        np.clip(np.concatenate(cosines).ravel(), -1, 1),
    )


def count_together(
    codes: np.ndarray,
    positions: np.ndarray,
    cells: np.ndarray,
    counts: np.ndarray,
    *,
    first: int,
    at_least: int,
    keep: int,
) -> Together:
    """Count, for a run of codes, the codes of any codebook that fire at the same positions.

    Codes are numbered through all codebooks. What is counted is positions, so a pair is as strong whichever way round.

    Args:
        codes: `[n]` ascending, from `first` on; with `positions` every activation of the run's codes.
        positions: `[n]`.
        cells: `[P, slots of all codebooks]`, the codes at every position; -1 is an empty slot.
        counts: `[codes of all codebooks]`, activations of each.
        first: the smallest code of the run.
        at_least: fewest common positions.
        keep: most partners of one code, by PMI, then by common positions.
    """
    total = len(counts)
    local = np.asarray(codes, np.int64) - first
    others = cells[positions]  # [n, slots of all codebooks]
    filled = others >= 0
    starts = np.append(0, np.cumsum(filled.sum(axis=1)))
    fires = others[filled]
    here = csr_array((np.ones(len(fires), np.int32), fires, starts), shape=(len(local), total))
    rows = np.searchsorted(local, np.arange(int(local[-1]) + 2 if len(local) else 1))
    owns = csr_array((np.ones(len(local), np.int32), np.arange(len(local)), rows), shape=(len(rows) - 1, len(local)))
    pairs = (owns @ here).tocoo()  # [code of the run, any code]: common positions
    often = pairs.data >= at_least
    code, other = pairs.row[often].astype(np.int64) + first, pairs.col[often].astype(np.int64)
    together = pairs.data[often].astype(np.int64)
    apart = code != other
    code, other, together = code[apart], other[apart], together[apart]
    pmi = np.log2(together * float(len(cells)) / (counts[code].astype(float) * counts[other]))
    order = np.lexsort((other, -together, -pmi, code))
    code, other, together, pmi = code[order], other[order], together[order], pmi[order]
    starts = np.flatnonzero(np.diff(code, prepend=-1))
    rank = np.arange(len(code)) - np.repeat(starts, np.diff(starts, append=len(code)))
    best = rank < keep
    return Together(code[best], other[best], together[best], pmi[best])
