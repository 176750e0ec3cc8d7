"""Which codes belong together: near each other in their table, or firing at the same positions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

_BLOCK_CELLS = 8_000_000
_GROUP = 64  # columns whose maximum is looked at first


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
    """Bring the rows of `[n, dim]` to length 1, float32; a row of zeros stays one."""
    vectors = np.asarray(vectors, np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def nearest_rows(vectors: np.ndarray, how_many: int, *, euclidean: bool = False) -> Neighbours:
    """Find the nearest rows of each row, itself left out; those equally near in order of number.

    1. A block of rows is compared with all rows by one matrix product; the dot product stands for nearness, for
       distances less half the other's squared length.
    2. Each row's comparisons are cut into groups; what is among the best `how_many` lies in the groups with the highest
       maxima, so only these are sorted. It is the exact answer, at a tenth of the time for 100,000 rows.
    3. Distances of those are taken again from the differences: rounding of the squares would hide the near ones.

    Args:
        vectors: `[n, dim]`.
        how_many: neighbours of each row, fewer where there are not so many rows.
        euclidean: nearest by distance; otherwise by cosine.
    """
    units = unit_rows(vectors)
    rows = np.asarray(vectors, np.float32) if euclidean else units
    n = len(rows)
    keep = min(how_many, n - 1)
    if keep < 1:
        return Neighbours(np.zeros(0, int), np.zeros(0, np.int16), np.zeros(0, int), np.zeros(0, np.float32))
    penalty = np.einsum("nd,nd->n", rows, rows) / 2 if euclidean else np.zeros(n, np.float32)
    groups = -(-n // _GROUP)
    numbers, cosines = [], []
    step = max(1, _BLOCK_CELLS // n)
    padded = np.full((min(step, n), groups * _GROUP), -np.inf, np.float32)
    for start in range(0, n, step):
        block = rows[start : start + step]
        here = np.arange(len(block))
        near = padded[: len(block)]
        near[:, :n] = block @ rows.T - penalty  # [block, n]
        near[here, start + here] = -np.inf
        likely = np.arange(groups)[None]
        if groups > keep:
            best = near.reshape(len(block), groups, _GROUP).max(axis=2)
            likely = np.sort(np.argpartition(best, groups - keep, axis=1)[:, groups - keep :], axis=1)
        number = (likely[:, :, None] * _GROUP + np.arange(_GROUP)).reshape(len(likely), -1)
        value = near[here[:, None], number]  # [block, numbers of likely groups]
        first = np.sort(np.argpartition(value, value.shape[1] - keep, axis=1)[:, value.shape[1] - keep :], axis=1)
        value = np.take_along_axis(value, first, axis=1)
        number = np.broadcast_to(number, (len(block), number.shape[1]))
        number = np.take_along_axis(number, first, axis=1)
        if euclidean:  # the squares above cancel where rows are near each other
            value = -np.linalg.norm(rows[number] - block[:, None], axis=2)
        order = np.argsort(-value, axis=1, kind="stable")
        number = np.take_along_axis(number, order, axis=1)
        numbers.append(number)
        value = np.take_along_axis(value, order, axis=1)
        cosines.append(np.einsum("bd,bkd->bk", units[start : start + step], units[number]) if euclidean else value)
    return Neighbours(
        np.repeat(np.arange(n), keep),
        np.tile(np.arange(1, keep + 1, dtype=np.int16), n),
        np.concatenate(numbers).ravel(),
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
    # Both factors are 0 or 1: a row of one is a code of the run and its activations, a row of the other what fires there.
    rows = np.searchsorted(local, np.arange(int(local[-1]) + 2 if len(local) else 1))
    firing = csr_array((np.ones(len(local), np.int32), np.arange(len(local)), rows), shape=(len(rows) - 1, len(local)))
    pairs = (firing @ here).tocoo()  # [code of the run, any code]: common positions
    often = pairs.data >= at_least
    code, other = pairs.row[often].astype(np.int64) + first, pairs.col[often].astype(np.int64)
    together = pairs.data[often].astype(np.int64)
    apart = code != other
    code, other, together = code[apart], other[apart], together[apart]
    pmi = np.log2(together * float(len(cells)) / (counts[code].astype(float) * counts[other]))
    order = np.lexsort((other, -together, -pmi, code))
    code, other, together, pmi = code[order], other[order], together[order], pmi[order]
    starts = np.flatnonzero(np.diff(code, prepend=-1))
    rank = np.arange(len(code)) - np.repeat(starts, np.diff(starts, append=len(code)))  # within the pairs of one code
    best = rank < keep
    return Together(code[best], other[best], together[best], pmi[best])
