"""The codebook layer: replaces activations by codes (Tamkin et al., Codebook Features, ICML 2024, section 2).

For every group (attention head, chunk of the MLP output):
1. optionally normalise the activation with the group's own LayerNorm;
2. choose the k most similar rows of the group's table;
3. put out their mean or sum. The gradient of the output goes to the chosen codes and, as in the paper, straight through to
   the input; without that (`straight_through`) it is exact but for the choice, and what feeds nothing but the codebook
   learns by commitment alone.

Training adds the autoencoding loss `|codes - sg(activation)|^2`, a mean over positions (the paper's L_MSE), and, with a
commitment weight, the same pulling activations to codes. Both are divided by the mean square of the group's
activations, summed over groups: without that, one place whose activations are large (a factor of 30,000 between places
was measured in one small model) takes the whole gradient, and fine-tuning destroys the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from backend.nn.quantize import SIMILARITIES, Ban, Nearest, Ordering, Similarity, nearest, ordering, rows_of, score
from backend.types import Edit

Combine = Literal["mean", "sum"]


@dataclass(frozen=True)
class CodebookConfig:
    """Shape and rules of one codebook layer.

    Attributes:
        dim: width of the activation, all groups together.
        groups: independent codebooks that share the width evenly.
        codes: rows of each group's table.
        k: codes chosen at each position.
        similarity, combine: see the module's docstring.
        layer_norm: LayerNorm (weight, bias, eps 1e-5) of each group before the choice.
    """

    dim: int
    groups: int = 1
    codes: int = 1000
    k: int = 1
    similarity: Similarity = "euclidean"
    combine: Combine = "mean"
    layer_norm: bool = False

    def __post_init__(self) -> None:
        if self.groups < 1 or self.dim % self.groups:
            raise ValueError(f"{self.groups} groups do not divide a width of {self.dim}.")
        if not 1 <= self.k <= self.codes:
            raise ValueError(f"k = {self.k} codes cannot be chosen from {self.codes}.")
        if self.similarity not in SIMILARITIES:
            raise ValueError(f"Unknown similarity {self.similarity!r}; known: {', '.join(SIMILARITIES)}.")
        if self.combine not in ("mean", "sum"):
            raise ValueError(f"Unknown combination {self.combine!r}; known: mean, sum.")


@dataclass(frozen=True)
class PlacedEdit:
    """An edit of one group, resolved to the rows (positions of the flattened batch) it applies to.

    Attributes:
        group: which codebook of the layer.
        edit: what to do.
        rows: bool `[row]`.
        codes: int64 `[row]` or `[row, slot]`, a code of its own for each row, in place of `edit.code` (-1 empties the
            slot, -2 leaves it); None: the same for all.
        added: float `[dim / groups]`, with `add`: the sum of strength x code over all codes that are added at these rows.
    """

    group: int
    edit: Edit
    rows: Tensor
    codes: Tensor | None = None
    added: Tensor | None = None


class CodebookLayer(nn.Module):
    """A codebook layer over activations `[..., dim]`.

    Attributes:
        table: parameter float `[group, code, dim / groups]`.
        loss: autoencoding (and commitment) loss of the last training forward, a scalar; zero in evaluation.
        straight_through: in training, whether the gradient of the output reaches the input.
        usage: int64 `[group, code]`, how often each code was chosen since `usage` was last reset, in training.
    """

    usage: Tensor

    def __init__(self, config: CodebookConfig, autoencoding: float = 1.0, commitment: float = 0.0) -> None:
        """Make a layer with standard normal codes.

        Args:
            config: shape and rules.
            autoencoding: weight of the loss that moves codes to activations (the paper's lambda).
            commitment: weight of the loss that moves activations to codes.
        """
        super().__init__()
        self.config = config
        self.autoencoding = autoencoding
        self.commitment = commitment
        self.straight_through = True
        width = config.dim // config.groups
        self.table = nn.Parameter(torch.randn(config.groups, config.codes, width))
        if config.layer_norm:
            self.ln_weight = nn.Parameter(torch.ones(config.groups, width))
            self.ln_bias = nn.Parameter(torch.zeros(config.groups, width))
        self.register_buffer("usage", torch.zeros(config.groups, config.codes, dtype=torch.int64), persistent=False)
        self.loss: Tensor = torch.zeros(())
        self._ordering: tuple[tuple[object, ...], Ordering] | None = None

    def split(self, x: Tensor) -> Tensor:
        """Split activations `[..., dim]` into normalised rows `[group, row, dim / groups]`."""
        groups = self.config.groups
        rows = x.reshape(-1, groups, x.shape[-1] // groups).transpose(0, 1)  # [group, row, dim / groups]
        if not self.config.layer_norm:
            return rows
        rows = nn.functional.layer_norm(rows, rows.shape[-1:], eps=1e-5)
        return rows * self.ln_weight[:, None] + self.ln_bias[:, None]

    def combine(self, ids: Tensor, *, filled: bool = False) -> Tensor:
        """Combine codes `[group, row, slot]` into an output `[group, row, dim / groups]`.

        Args:
            ids: -1 is an empty slot: zero, but counted.
            filled: there are no empty slots, which saves some time.
        """
        codes = rows_of(self.table, ids if filled else ids.clamp_min(0))
        if not filled:
            codes = codes * (ids >= 0)[..., None]
        if ids.shape[-1] == 1:
            return codes[..., 0, :]
        return codes.mean(-2) if self.config.combine == "mean" else codes.sum(-2)

    def _nearest(self, rows: Tensor, *, full: bool = False, bans: Sequence[Ban] = ()) -> Nearest:
        """Find the nearest codes; what follows from the table alone is kept until the table changes."""
        table, rule = self.table.detach(), self.config.similarity
        # `_version` grows with every change in place
        state = (table.data_ptr(), self.table._version, table.dtype, table.device)
        if self.training or self._ordering is None or self._ordering[0] != state:
            self._ordering = (state, ordering(table, rule))
        return nearest(rows.detach(), table, self.config.k, rule, full=full, bans=bans, prepared=self._ordering[1])

    def forward(self, x: Tensor) -> Tensor:
        """Put codes in the place of activations `[..., dim]`, in training and plain inference."""
        rows = self.split(x)
        ids = self._nearest(rows).ids
        out = self.combine(ids, filled=True)
        if self.training:
            self.usage.scatter_add_(1, ids.flatten(1), torch.ones_like(ids).flatten(1))
            self.loss = self.autoencoding * _relative_error(out, rows.detach())
            if self.commitment:
                self.loss = self.loss + self.commitment * _relative_error(rows, out.detach(), rows.detach())
            if self.straight_through:  # adds zero, and the gradient of the output to that of the input
                out = out + rows - rows.detach()
        return out.transpose(0, 1).reshape(x.shape)

    @torch.no_grad()
    def edited(self, x: Tensor, edits: Sequence[PlacedEdit] = (), *, report: bool = True) -> tuple[Tensor, Nearest]:
        """Put codes in the place of activations with edits, and report what was chosen.

        Bans come first, then forces and zeros in the given order, then blends and adds, which change the output and not
        the ids.

        Args:
            x: activations `[..., dim]`.
            edits: what to change where.
            report: fill in scores and runners-up; without, the result holds ids alone and costs less.

        Returns:
            The output in the shape of `x`, and the codes in force after the edits.
        """
        rows = self.split(x)
        bans = [Ban(e.group, e.edit.code, e.rows) for e in edits if e.edit.action == "ban"]
        scarce = len(bans) > self.config.codes - self.config.k  # too few codes may be left to fill the slots
        full = report or scarce
        nearest_codes = self._nearest(rows, full=full, bans=bans)
        ids = nearest_codes.ids
        if scarce:  # a code that was banned although nothing could fill in leaves an empty slot
            ids = torch.where(nearest_codes.scores == -torch.inf, -1, ids)
        for placed in edits:
            if placed.edit.action in ("force", "zero"):
                ids = _replace(ids, placed)
        out = chosen = self.combine(ids, filled=ids is nearest_codes.ids)
        for placed in edits:
            if placed.edit.action == "blend":  # several blends add up, each measured from what was chosen
                target = self.combine(_replace(ids, placed))[placed.group]
                step = placed.edit.strength * (target - chosen[placed.group])
            elif placed.edit.action == "add":
                assert placed.added is not None
                step = placed.added
            else:
                continue
            step = step * placed.rows[:, None]
            out = out.index_add(0, torch.tensor([placed.group], device=out.device), step[None])
        scores = nearest_codes.scores
        if full and ids is not nearest_codes.ids:
            scores = torch.where(ids < 0, -torch.inf, score(rows, self.table, ids.clamp_min(0), self.config.similarity))
        result = Nearest(ids, scores, nearest_codes.runner_up, nearest_codes.runner_up_score)
        return out.transpose(0, 1).reshape(x.shape), result

    @torch.no_grad()
    def reset_dead_rows(self, rows: Tensor, noise: float = 0.01, generator: torch.Generator | None = None) -> int:
        """Overwrite codes not chosen since the last call by random rows plus relative noise.

        Args:
            rows: float `[group, row, dim / groups]`, as from `split`.
            noise: standard deviation of the factor that each new value is multiplied with, about 1.
            generator: CPU generator.

        Returns:
            How many codes were overwritten.
        """
        reset = 0
        for group in range(self.config.groups):
            dead = (self.usage[group] == 0).nonzero()[:, 0]
            picks = torch.randint(rows.shape[1], (len(dead),), generator=generator).to(rows.device)
            fresh = rows[group, picks]
            fresh = fresh * (1 + noise * torch.randn(fresh.shape, generator=generator).to(fresh))
            self.table[group, dead] = fresh.to(self.table.dtype)
            reset += len(dead)
        self.usage.zero_()
        return reset


def _relative_error(x: Tensor, goal: Tensor, scale: Tensor | None = None) -> Tensor:
    """Return the mean squared distance of rows `[group, row, dim]` over the mean square of `scale` (or the goal), summed."""
    error = (x - goal).square().sum(-1).mean(-1)
    return (error / (goal if scale is None else scale).square().sum(-1).mean(-1).clamp_min(1e-12)).sum()


def _replace(ids: Tensor, placed: PlacedEdit) -> Tensor:
    """Return ids `[group, row, slot]` with the edit's code (or an empty slot) where the edit applies."""
    edit = placed.edit
    hit = torch.zeros_like(ids, dtype=torch.bool)
    slots = slice(None) if edit.slot is None else slice(edit.slot, edit.slot + 1)
    hit[placed.group, :, slots] = placed.rows[:, None]
    if edit.action == "zero":
        return torch.where(hit & (ids == edit.code), -1, ids)
    if placed.codes is None:
        return torch.where(hit, edit.code, ids)
    codes = placed.codes if placed.codes.ndim == 2 else placed.codes[:, None]
    return torch.where(hit & (codes >= -1), codes, ids)
