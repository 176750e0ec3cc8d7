"""Nearest codes, exact, without ever building the full matrix of similarities.

Algorithm, for one or several independent tables at once:
1. Cut the rows into chunks, so that one block of similarities stays in the processor's cache.
2. One matrix product a chunk gives a value that orders the codes as the similarity does.
3. Keep the best `k` (ties go to the lowest id for k <= 4) and, where asked for, the best one that was not chosen. For
   many codes: the maximum of every block of some 64 of them, which is fast, and a search inside the winning block.
4. Compute the reported scores again from the chosen vectors alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
from torch import Tensor, nn

Similarity = Literal["cosine", "inner_product", "euclidean"]
Ordering = tuple[Tensor, Tensor | None]
SIMILARITIES: tuple[Similarity, ...] = ("cosine", "inner_product", "euclidean")
CPU_CHUNK = 1 << 20  # similarities: 4 MB, measured best of 2^16 to 2^23 on a processor with 16 MB of cache a core
DEVICE_CHUNK = 1 << 23
BLOCKS = range(32, 129)  # codes of which the maximum is taken at once, where such a number divides that of all codes
_WORTH_BLOCKS = 1 << 15  # similarities of a chunk from which that is faster than a plain argmax


@dataclass(frozen=True)
class Nearest:
    """The chosen codes of rows `[group, row]`, best first.

    Attributes:
        ids: int64 `[group, row, k]`.
        scores: float32 `[group, row, k]`; higher is nearer. Empty where not asked for, as are the runners-up.
        runner_up: int64 `[group, row]`, -1 where all codes were chosen or banned.
        runner_up_score: float32 `[group, row]`, -inf where there is none.
    """

    ids: Tensor
    scores: Tensor
    runner_up: Tensor
    runner_up_score: Tensor


@dataclass(frozen=True)
class Ban:
    """A code that may not be chosen in some rows of one group. `rows`: bool `[row]`."""

    group: int
    code: int
    rows: Tensor


@torch.no_grad()
def nearest(
    x: Tensor,
    table: Tensor,
    k: int = 1,
    similarity: Similarity = "cosine",
    *,
    full: bool = False,
    bans: Sequence[Ban] = (),
    prepared: Ordering | None = None,
) -> Nearest:
    """Find the k nearest codes of every row.

    Args:
        x: float `[group, row, dim]`.
        table: float `[group, code, dim]`.
        k: 1 to the number of codes.
        similarity: `cosine`: x.c / (|x| |c|); `inner_product`: x.c; `euclidean`: -|x - c|.
        full: also return scores and runners-up.
        bans: codes that may not be chosen in some rows, and may not be runners-up there either.
        prepared: `ordering(table, similarity)`, where it is at hand.

    Returns:
        `Nearest`, on the device of `x`.
    """
    groups, rows, _ = x.shape
    codes = table.shape[1]
    weights, bias = prepared or ordering(table, similarity)
    count = min(k + 1, codes) if full else k
    parts, scored = [], []
    step = max(1, min(rows, (CPU_CHUNK if x.device.type == "cpu" else DEVICE_CHUNK) // max(1, groups * codes)))
    room = x.new_empty(groups * step * codes)  # one for all chunks: a fresh one each time would not be in the cache
    for start in range(0, rows, step):
        block = x[:, start : start + step]
        order = room[: groups * block.shape[1] * codes].view(groups, -1, codes)
        if bias is None:
            torch.bmm(block, weights, out=order)
        else:
            torch.baddbmm(bias, block, weights, out=order)
        for ban in bans:
            order[ban.group, :, ban.code].masked_fill_(ban.rows[start : start + step], -torch.inf)
        parts.append(_best(order, count))
        if full:  # here, while the rows are in the cache
            scored.append(score(block, table, parts[-1], similarity))
    ids = torch.cat(parts, dim=1) if parts else x.new_zeros((groups, 0, count), dtype=torch.int64)
    if not full:
        return Nearest(ids, x.new_empty(0), ids.new_empty(0), x.new_empty(0))
    scores = torch.cat(scored, dim=1) if scored else x.new_zeros((groups, 0, count))
    if bans:
        banned = torch.zeros_like(ids, dtype=torch.bool)
        for ban in bans:
            banned[ban.group] |= (ids[ban.group] == ban.code) & ban.rows[:, None]
        scores = scores.masked_fill(banned, -torch.inf)
    if count == k:
        runner_up = torch.full_like(ids[..., 0], -1)
        return Nearest(ids, scores, runner_up, torch.full_like(scores[..., 0], -torch.inf))
    runner_up = torch.where(scores[..., k] == -torch.inf, -1, ids[..., k])
    return Nearest(ids[..., :k], scores[..., :k], runner_up, scores[..., k])


def score(x: Tensor, table: Tensor, ids: Tensor, similarity: Similarity) -> Tensor:
    """Compute the similarity of rows `[group, row, dim]` to codes `[group, row, slot]`, float32 `[group, row, slot]`."""
    chosen = rows_of(table, ids)  # [group, row, slot, dim]
    if similarity == "euclidean":
        return -(chosen - x[:, :, None]).norm(dim=-1)
    product = (chosen * x[:, :, None]).sum(-1)
    if similarity == "inner_product":
        return product
    return product / (chosen.norm(dim=-1) * x.norm(dim=-1)[..., None]).clamp_min(1e-12)


def rows_of(table: Tensor, ids: Tensor) -> Tensor:
    """Look up rows of tables `[group, code, dim]` by ids `[group, row, slot]` -> `[group, row, slot, dim]`."""
    groups, codes, dim = table.shape
    first = torch.arange(0, groups * codes, codes, device=ids.device)[:, None, None]
    return nn.functional.embedding(ids + first, table.reshape(groups * codes, dim))


def ordering(table: Tensor, similarity: Similarity) -> Ordering:
    """Return weights `[group, dim, code]` and bias such that `x @ weights + bias` orders codes as the similarity does."""
    if similarity == "cosine":
        return (table / table.norm(dim=-1, keepdim=True).clamp_min(1e-12)).transpose(1, 2), None
    if similarity == "inner_product":
        return table.transpose(1, 2), None
    if similarity == "euclidean":  # -|x - c|^2 / 2 without |x|^2 / 2, which is the same for all codes
        return table.transpose(1, 2), -0.5 * table.square().sum(-1)[:, None]
    raise ValueError(f"Unknown similarity {similarity!r}; known: {', '.join(SIMILARITIES)}.")


def _best(order: Tensor, count: int) -> Tensor:
    """Find the `count` highest columns, best first; `order` is spoiled.

    Repeated max settles ties by the lowest id and beats torch's topk for few columns; topk, which settles them in no
    given way, serves the rest.
    """
    groups, rows, codes = order.shape
    if count > 5:
        return order.topk(count, dim=-1).indices
    size = _block_of(codes) if order.numel() >= _WORTH_BLOCKS else 0
    if not size:
        chosen = [order.argmax(dim=-1, keepdim=True)]
        while len(chosen) < count:
            order.scatter_(-1, chosen[-1], -torch.inf)
            chosen.append(order.argmax(dim=-1, keepdim=True))
        return torch.cat(chosen, dim=-1)
    # One look at everything gives the peak of each block; each further code needs a look into one block only.
    blocks = order.view(-1, size)  # [group x row x block of a row, code of the block]
    peaks = blocks.amax(dim=-1).view(groups * rows, -1)
    first = torch.arange(0, len(blocks), peaks.shape[1], device=order.device)[:, None]
    chosen = []
    while True:
        block = peaks.argmax(dim=-1, keepdim=True)
        place = (first + block)[:, 0]
        values = blocks.index_select(0, place)
        best = values.argmax(dim=-1, keepdim=True)
        chosen.append(block * size + best)
        if len(chosen) == count:
            return torch.cat(chosen, dim=-1).view(groups, rows, count)
        values.scatter_(-1, best, -torch.inf)  # the winner is out; its block gets the peak of what is left
        blocks.index_copy_(0, place, values)
        peaks.scatter_(-1, block, values.amax(dim=-1, keepdim=True))


@cache
def _block_of(codes: int) -> int:
    """Choose how many codes make a block; 0 where no number of `BLOCKS` divides them, or they are few."""
    sizes = [size for size in BLOCKS if codes % size == 0 and codes >= 4 * size]
    return min(sizes, key=lambda size: (size % 8 > 0, abs(size - 64)), default=0)
