"""Nearest codes, exact, without ever building the full matrix of similarities.

Algorithm, for one or several independent tables at once:
1. Cut the rows into chunks, so that one block of similarities stays below `CHUNK_ELEMENTS`.
2. One matrix product a chunk gives a value that orders the codes as the similarity does.
3. Keep the best `k` (ties go to the lowest id for k <= 4) and, where asked for, the best one that was not chosen.
4. Compute the reported scores again from the chosen vectors alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Similarity = Literal["cosine", "inner_product", "euclidean"]
SIMILARITIES: tuple[Similarity, ...] = ("cosine", "inner_product", "euclidean")
CHUNK_ELEMENTS = 1 << 23


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


def nearest(
    x: Tensor,
    table: Tensor,
    k: int = 1,
    similarity: Similarity = "cosine",
    *,
    full: bool = False,
    bans: Sequence[Ban] = (),
) -> Nearest:
    """Find the k nearest codes of every row.

    Args:
        x: float `[group, row, dim]`.
        table: float `[group, code, dim]`.
        k: 1 to the number of codes.
        similarity: `cosine`: x.c / (|x| |c|); `inner_product`: x.c; `euclidean`: -|x - c|.
        full: also return scores and runners-up (a second pass over the similarities).
        bans: codes that may not be chosen in some rows; they are no runners-up there either.

    Returns:
        `Nearest`, on the device of `x`.
    """
    groups, rows, _ = x.shape
    codes = table.shape[1]
    weights, bias = _ordering(table, similarity)
    wanted = min(k + 1, codes) if full else k
    step = max(1, CHUNK_ELEMENTS // max(1, groups * codes))
    parts = []
    for start in range(0, rows, step):
        block = x[:, start : start + step]
        order = torch.bmm(block, weights) if bias is None else torch.baddbmm(bias, block, weights)
        for ban in bans:
            order[ban.group, :, ban.code].masked_fill_(ban.rows[start : start + step], -torch.inf)
        parts.append(_best(order, wanted))
    ids = torch.cat(parts, dim=1) if parts else x.new_zeros((groups, 0, wanted), dtype=torch.int64)
    if not full:
        return Nearest(ids, x.new_empty(0), ids.new_empty(0), x.new_empty(0))
    scores = score(x, table, ids, similarity)
    if bans:
        banned = torch.zeros_like(ids, dtype=torch.bool)
        for ban in bans:
            banned[ban.group] |= (ids[ban.group] == ban.code) & ban.rows[:, None]
        scores = scores.masked_fill(banned, -torch.inf)
    if wanted == k:
        runner_up = torch.full_like(ids[..., 0], -1)
        return Nearest(ids, scores, runner_up, torch.full_like(scores[..., 0], -torch.inf))
    runner_up = torch.where(scores[..., k] == -torch.inf, -1, ids[..., k])
    return Nearest(ids[..., :k], scores[..., :k], runner_up, scores[..., k])


def score(x: Tensor, table: Tensor, ids: Tensor, similarity: Similarity) -> Tensor:
    """Similarity of rows `[group, row, dim]` to given codes `[group, row, slot]` -> float32 `[group, row, slot]`."""
    groups = torch.arange(table.shape[0], device=ids.device)[:, None, None]
    chosen = table[groups, ids]  # [group, row, slot, dim]
    if similarity == "euclidean":
        return -(chosen - x[:, :, None]).norm(dim=-1)
    product = (chosen * x[:, :, None]).sum(-1)
    if similarity == "inner_product":
        return product
    return product / (chosen.norm(dim=-1) * x.norm(dim=-1)[..., None]).clamp_min(1e-12)


def _ordering(table: Tensor, similarity: Similarity) -> tuple[Tensor, Tensor | None]:
    """Weights `[group, dim, code]` and bias such that `x @ weights + bias` orders codes as the similarity does."""
    if similarity == "cosine":
        return (table / table.norm(dim=-1, keepdim=True).clamp_min(1e-12)).transpose(1, 2), None
    if similarity == "inner_product":
        return table.transpose(1, 2), None
    if similarity == "euclidean":
        return table.transpose(1, 2), -0.5 * table.square().sum(-1)[:, None]
    raise ValueError(f"Unknown similarity {similarity!r}; known: {', '.join(SIMILARITIES)}.")


def _best(order: Tensor, wanted: int) -> Tensor:
    """The `wanted` highest columns, best first; `order` is spoiled.

    Repeated max settles ties by the lowest id and beats torch's topk for few columns; topk, which settles them in no
    given way, serves the rest.
    """
    if wanted > 5:
        return order.topk(wanted, dim=-1).indices
    chosen = [order.argmax(dim=-1, keepdim=True)]
    while len(chosen) < wanted:
        order.scatter_(-1, chosen[-1], -torch.inf)
        chosen.append(order.argmax(dim=-1, keepdim=True))
    return torch.cat(chosen, dim=-1)
