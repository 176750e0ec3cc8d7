"""Exact nearest codes of one large table, in memory that does not grow with it.

A matrix product orders codes by |z|^2 - 2 z.c + |c|^2, which loses digits where two codes are nearly as far; computing
every (z - c)^2 is right and far too slow. So:

1. For a chunk of rows and a panel of codes at a time, one matrix product gives z.c - |c|^2 / 2. Of every run of 16 to
   64 codes only the maximum, the run's peak, is kept.
2. The k best codes of a row lie in runs whose peak comes within the rounding error of its k-th highest peak: almost
   always k runs.
3. Inside these runs (z - c)^2 is summed outright. The smallest sums win, ties go to the lowest id.

The ids are those of `((z[:, None] - table) ** 2).sum(-1).argmin(-1)`. `backend.nn.quantize` searches many small tables
at once, as transformers need it; this module serves tables of which a chunk of similarities would not fit.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding

from backend.errors import BadInput

PANEL = 2048  # codes of one matrix product, a multiple of every run's length
ROWS = 512  # rows of one: 4 MB of products
EXACT_BYTES = 1 << 23  # of the vectors that are compared outright at once


class NearestCodes(NamedTuple):
    """The nearest codes of rows, best first.

    Attributes:
        ids: int64 `[row, topk]`.
        distances: float32 `[row, topk]`, euclidean and not squared.
    """

    ids: Tensor
    distances: Tensor

    @property
    def margins(self) -> Tensor:
        """float32 `[row]`: how much farther the second code is than the first; needs `topk` of at least 2."""
        return self.distances[:, 1] - self.distances[:, 0]


@torch.no_grad()
def nearest(z: Tensor, table: Tensor, topk: int = 1, *, rows: int = ROWS) -> NearestCodes:
    """Find the nearest codes of every row.

    Args:
        z: float32 `[row, dim]`.
        table: float32 `[code, dim]`. For cosine similarity normalise both first.
        topk: how many codes a row, 1 to the number of codes.
        rows: how many are looked at together; memory beyond the answer is some `rows x (PANEL + codes / 64) x 4` bytes.

    Raises:
        BadInput: the shapes do not fit, or `topk` is out of range.
    """
    z, table = _check(z, table, topk)
    bias, runs = -0.5 * table.square().sum(-1), _cut_into_runs(table)
    slack = _rounding_slack(z, table)
    parts = []
    for start in range(0, len(z), rows):
        block = z[start : start + rows]
        peaks = _find_peaks(block, table, bias)
        lowest = _kth_highest(peaks, min(topk, len(peaks)))
        parts.append(_settle(block, runs, (peaks >= lowest - slack[start : start + rows]).T, topk))
    if not parts:
        return NearestCodes(z.new_zeros((0, topk), dtype=torch.int64), z.new_zeros((0, topk)))
    return NearestCodes(torch.cat([p.ids for p in parts]), torch.cat([p.distances for p in parts]))


@torch.no_grad()
def nearly_nearest(z: Tensor, table: Tensor, *, rows: int = ROWS) -> Tensor:
    """Find one code a row as `nearest` does, without the exact second look: what a training step needs.

    Returns:
        int64 `[row]`. Where two codes are as near but for rounding, either may be given.
    """
    z, table = _check(z, table, 1)
    bias, runs = -0.5 * table.square().sum(-1), _cut_into_runs(table)
    ids = []
    for start in range(0, len(z), rows):
        block = z[start : start + rows]
        best = _find_peaks(block, table, bias).argmax(0)
        step = max(1, EXACT_BYTES // (runs[0].numel() * 4))
        for part, run in zip(block.split(step), best.split(step), strict=True):
            ids.append(run * runs.shape[1] + _squared_distances(part, runs, run[:, None]).argmin(-1))
    return torch.cat(ids) if ids else z.new_zeros(0, dtype=torch.int64)


def spread_over_equals(ids: Tensor, table: Tensor) -> Tensor:
    """Spread the rows of the most chosen code over all codes that equal it; ids `[row]`.

    Equal codes are equally near. A bridge that starts at zero makes all codes equal: if the lowest id won there, as in
    `nearly_nearest`, only its place in a token of the bridge would be trained, and many others would stay asleep.
    """
    most = ids.mode().values
    equal = (table.detach() == table[most].detach()).all(-1).nonzero()[:, 0]
    if len(equal) == 1:
        return ids
    rows = (ids == most).nonzero()[:, 0]
    # the seed follows from the table, so that a run that goes on from a saved state draws the same
    mixed = torch.randperm(len(equal), generator=torch.Generator().manual_seed(len(equal))).to(ids.device)
    return ids.index_copy(0, rows, equal[mixed[torch.arange(len(rows), device=ids.device) % len(equal)]])


def _check(z: Tensor, table: Tensor, topk: int) -> tuple[Tensor, Tensor]:
    if z.ndim != 2 or table.ndim != 2 or z.shape[1] != table.shape[1] or not len(table):
        raise BadInput(
            f"Rows {tuple(z.shape)} and a table {tuple(table.shape)} were given. Both must be [count, dim] with the "
            "same dim, and the table must not be empty."
        )
    if not 1 <= topk <= len(table):
        raise BadInput(f"A table of {len(table)} codes has no {topk} nearest ones. Give 1 to {len(table)}.")
    return z.detach().float().contiguous(), table.detach().float().contiguous()


def _rounding_slack(z: Tensor, table: Tensor) -> Tensor:
    """Bound how far rounding can move the values of two codes against each other, float32 `[row]`.

    Both the product form and the outright sum are off by at most about dim x 2^-24 x (|z| + max |c|)^2 a code; two
    codes are compared in two forms, and half the squared distance is what counts.
    """
    dim = z.shape[1]
    reach = z.norm(dim=-1) + table.norm(dim=-1).max()
    return (dim + 8) * 2.0**-23 * reach.square()


def _cut_into_runs(table: Tensor) -> Tensor:
    """Cut the codes into runs, `[run, code of the run, dim]`; past the table's end lie infinitely far ones."""
    length = _run_length(len(table))
    missing = -len(table) % length
    whole = torch.cat((table, table.new_full((missing, table.shape[1]), torch.inf))) if missing else table
    return whole.view(-1, length, table.shape[1])


def _find_peaks(z: Tensor, table: Tensor, bias: Tensor) -> Tensor:
    """Find the highest value of every run of codes, float32 `[run, row]`: a maximum over runs is fast this way round."""
    codes, length = len(table), _run_length(len(table))
    peaks = z.new_empty((-(-codes // length), len(z)))
    width = min(PANEL, len(peaks) * length)
    room = z.new_empty(width * len(z))
    for start in range(0, codes, width):
        stop = min(start + width, codes)
        whole = -(-(stop - start) // length) * length
        values = room[: whole * len(z)].view(whole, len(z))  # [code, row]: the maximum below is twice as fast this way
        values[stop - start :] = -torch.inf
        torch.addmm(bias[start:stop, None], table[start:stop], z.T, out=values[: stop - start])
        runs = peaks[start // length : (start + whole) // length]
        torch.amax(values.view(-1, length, len(z)), dim=1, out=runs)
    return peaks


def _kth_highest(peaks: Tensor, k: int) -> Tensor:
    """Find the k-th highest peak of every row, float32 `[row]`, or a lower one where some are equal."""
    if k > 4:
        return peaks.T.topk(k, dim=-1).values[:, -1]
    highest = peaks.amax(0)
    for _ in range(k - 1):
        below = peaks.masked_fill(peaks >= highest, -torch.inf).amax(0)
        highest = torch.where(below.isinf(), highest, below)  # there may be no lower one
    return highest


def _settle(z: Tensor, table: Tensor, maybe: Tensor, topk: int) -> NearestCodes:
    """Find the nearest codes of a table `[run, code, dim]` in the runs that are marked, bool `[row, run]`, outright."""
    counts = maybe.sum(-1)
    ids = z.new_empty((len(z), topk), dtype=torch.int64)
    squares = z.new_empty((len(z), topk))
    for count in counts.unique().tolist():  # rows of as many runs together: nearly all have topk, few have more
        which = (counts == count).nonzero()[:, 0]
        runs = maybe[which].nonzero()[:, 1].view(-1, count)  # in order of the codes
        step = max(1, EXACT_BYTES // (count * table[0].numel() * 4))
        for rows, near in zip(which.split(step), runs.split(step), strict=True):
            ids[rows], squares[rows] = _search_runs(z[rows], table, near, topk)
    return NearestCodes(ids, squares.sqrt())


def _search_runs(z: Tensor, table: Tensor, runs: Tensor, topk: int) -> tuple[Tensor, Tensor]:
    """Search the runs `[row, run]`: ids and squared distances `[row, topk]` of the nearest; ties by the lowest id."""
    length = table.shape[1]
    step = max(1, EXACT_BYTES // (len(z) * table[0].numel() * 4))
    best = z.new_zeros((len(z), 0), dtype=torch.int64), z.new_zeros((len(z), 0))
    for near in runs.split(step, dim=1):
        squares = _squared_distances(z, table, near)
        order = _lowest(squares, topk)
        # a column of `squares` is a run and a place in it; with the run's number it becomes the id in the table
        ids = near.gather(1, order // length) * length + order % length
        if best[0].shape[1]:
            ids, squares = torch.cat((best[0], ids), dim=1), torch.cat((best[1], squares.gather(1, order)), dim=1)
            order = _lowest(squares, topk)
            ids = ids.gather(1, order)
        best = ids, squares.gather(1, order)
    return best


def _lowest(values: Tensor, count: int) -> Tensor:
    """Find the columns of the lowest values of every row, the first of equal ones first: int64 `[row, count]`."""
    if count > 4:
        return values.sort(dim=-1, stable=True).indices[:, :count]
    left, columns = values, [values.argmin(-1, keepdim=True)]
    while len(columns) < min(count, values.shape[1]):
        left = left.scatter(1, columns[-1], torch.inf)
        columns.append(left.argmin(-1, keepdim=True))
    return torch.cat(columns, dim=1)


def _squared_distances(z: Tensor, table: Tensor, runs: Tensor) -> Tensor:
    """Compute squared distances to the codes of runs `[row, run]`, float32 `[row, code]`; infinite past the table's end."""
    codes = embedding(runs, table.flatten(1)).view(len(z), -1, table.shape[2])  # whole runs: far fewer, longer copies
    return codes.sub_(z[:, None]).square_().sum(-1)


def _run_length(codes: int) -> int:
    """Choose how many codes make a run: long ones cost more to look into, short ones more to find."""
    return 16 if codes <= 4096 else 32 if codes <= 32_768 else 64
