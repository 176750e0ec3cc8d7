"""How each method produces its table of codes while it trains. Afterwards `table()` is kept and the rest thrown away.

`METHODS` lists them: a method is one small module with a table that gradients can flow through, its loss weights, and
where it needs them two hooks: `start` (once, when the quantizer sets in) and `learn` (after every step).

| method | the table is | paper |
|---|---|---|
| `vq` | a parameter | van den Oord et al., 2017 |
| `ema` | a running mean of the latents that chose each code | ibid., appendix A.1 |
| `reset` | a parameter; codes that nothing chose restart at recent latents | Dhariwal et al., 2020 |
| `fc` | a parameter of low dimension, brought to length 1 | Yu et al., 2022 |
| `simvq` | frozen gaussian codes times a trained matrix | Zhu et al., 2024 |
| `fvq` | trained codes sent through the VQBridge | arXiv 2509.10140 |
| `lc` | frozen features of pictures times a trained projector | Zhu et al., 2024 (VQGAN-LC) |
| `fsq` | all combinations of a few values a dimension, fixed | Mentzer et al., 2023 |
| `rvq` | several plain tables, each for what the ones before leave over | Lee et al., 2022 |
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from backend.errors import UsageError
from backend.nn.bridge import VQBridge, codes_a_token
from backend.nn.image_net import fsq_table

SHARE_BEFORE_START = 0.1  # of the steps, in which a method with `warms_up` trains without a quantizer


class CodeTable(nn.Module):
    """A plain trainable table, and what all methods share.

    Attributes:
        codebook, commitment: weights of |sg(z) - c|^2 and |z - sg(c)|^2 in the loss; see its training.
        normalized: latents and codes are brought to length 1.
        warms_up: the network trains without a quantizer for the first tenth of the steps.
        produced: the table is made from other weights, so that folding it is something to check.
    """

    codebook, commitment = 1.0, 0.25
    normalized = warms_up = produced = False

    def __init__(self, codes: int, dim: int) -> None:
        """Draw codes uniformly in +-1/K, as all published plain VQ tokenizers start."""
        super().__init__()
        self.codes = nn.Parameter(torch.empty(codes, dim).uniform_(-1 / codes, 1 / codes))

    def table(self) -> Tensor:
        """Return the codes, float32 `[code, dim]`; gradients reach whatever they are made from."""
        return self.codes

    def start(self, latents: Tensor, features: Tensor | None) -> None:
        """Fit the table, once, to latents `[row, dim]` of the warmed-up encoder and features `[row, any]` of their cells."""

    def learn(self, latents: Tensor, ids: Tensor) -> None:
        """Follow a step of training: its latents `[row, dim]` and the ids `[row]` of what they chose."""


class EmaTable(CodeTable):
    """Codes follow the mean of the latents that choose them (decay 0.99); no gradient."""

    codebook = 0.0
    decay, epsilon = 0.99, 1e-5
    counts: Tensor
    sums: Tensor

    def __init__(self, codes: int, dim: int) -> None:
        """Start as a plain table: of standard normal codes, as in the original, far fewer came to life."""
        super().__init__(codes, dim)
        self.codes.requires_grad_(False)
        self.register_buffer("counts", torch.zeros(codes))
        self.register_buffer("sums", self.codes.detach().clone())

    @torch.no_grad()
    def learn(self, latents: Tensor, ids: Tensor) -> None:
        """Move the running counts and sums, without a one-hot matrix; see `CodeTable.learn`."""
        self.counts.mul_(self.decay).index_add_(0, ids, torch.full_like(latents[:, 0], 1 - self.decay))
        self.sums.mul_(self.decay).index_add_(0, ids, latents * (1 - self.decay))
        total = self.counts.sum()
        # Laplace smoothing: a code that nothing chooses keeps a count above 0, and its mean does not blow up
        smoothed = (self.counts + self.epsilon) / (total + len(self.counts) * self.epsilon) * total
        self.codes.copy_(self.sums / smoothed[:, None])


class ResetTable(CodeTable):
    """A plain table of which the codes that nothing chose for a while restart at recent latents."""

    patience = 4  # tokens a code must be seen to lose, on average, before it counts as dead
    chosen: Tensor
    recent: Tensor
    seen: Tensor

    def __init__(self, codes: int, dim: int) -> None:
        """Start as a plain table."""
        super().__init__(codes, dim)
        self.register_buffer("chosen", torch.zeros(codes, dtype=torch.bool))
        self.register_buffer("recent", torch.zeros(codes, dim))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def learn(self, latents: Tensor, ids: Tensor) -> None:
        """Note what was chosen; every `patience * K` tokens restart the rest; see `CodeTable.learn`."""
        codes = len(self.codes)
        self.chosen[ids] = True
        place = (self.seen + torch.arange(len(latents), device=latents.device)) % codes
        self.recent[place] = latents
        self.seen += len(latents)
        if self.seen >= self.patience * codes:
            dead = (~self.chosen).nonzero()[:, 0]
            # the seed is the number of dead codes, so that a run that goes on from a saved state restarts the same way
            picks = torch.randperm(codes, generator=torch.Generator().manual_seed(int(dead.sum())))[: len(dead)]
            self.codes[dead] = self.recent[picks.to(dead.device)]
            self.chosen.zero_()
            self.seen.zero_()


class FactorisedTable(CodeTable):
    """Low-dimensional codes of length 1 (the tokenizer's `dim` is chosen low, 8 by default)."""

    normalized = True

    def table(self) -> Tensor:
        """Return the codes at length 1, `[code, dim]`."""
        return normalize(self.codes, dim=-1)


class SimVQTable(CodeTable):
    """Frozen gaussian codes times one trained matrix, so that every gradient moves all codes."""

    produced = True

    def __init__(self, codes: int, dim: int) -> None:
        """Draw codes of standard deviation dim^-0.5 and a default linear layer without a constant."""
        super().__init__(codes, dim)
        self.codes = nn.Parameter(torch.randn(codes, dim) * dim**-0.5, requires_grad=False)
        self.matrix = nn.Linear(dim, dim, bias=False)

    def table(self) -> Tensor:
        """Return the transformed codes, `[code, dim]`."""
        return self.matrix(self.codes)


class BridgeTable(CodeTable):
    """FVQ: trained codes, sent through a small transformer that mixes all of them.

    The codes start tiny and the bridge's last layer at zero, as released: with other starts usage collapses.
    """

    produced = True

    def __init__(self, codes: int, dim: int, hidden: int = 64, depth: int = 2, zero: bool = True) -> None:
        """Start with plain codes and a bridge.

        Args:
            codes: K, a perfect square.
            dim: length of a code.
            hidden: width of the bridge.
            depth: its blocks.
            zero: start the last layer at zero, as released.

        Raises:
            UsageError: K is not the square of a number that the bridge can cut.
        """
        super().__init__(codes, dim)
        self.bridge = VQBridge(codes, dim, codes_a_token(codes), hidden, depth, zero)

    def table(self) -> Tensor:
        """Return the codes behind the bridge, `[code, dim]`."""
        return self.bridge(self.codes)


class FeatureTable(CodeTable):
    """VQGAN-LC style: frozen features of real patches, brought to the latents' space by a trained linear projector."""

    codebook, commitment = 0.1, 0.033
    warms_up = produced = True
    ridge = 1e-2  # weight of the penalty, as a share of the features' mean square

    def __init__(self, features: Tensor, dim: int, projector: bool = True) -> None:
        """Keep the features.

        Args:
            features: float32 `[code, any]`.
            dim: length of a code.
            projector: without one the codes are the features themselves, which must then have the codes' length.

        Raises:
            UsageError: there is no projector and the lengths differ.
        """
        super().__init__(len(features), dim)
        if not projector and features.shape[1] != dim:
            raise UsageError(
                f"Features of length {features.shape[1]} cannot be codes of length {dim} without a projector. "
                f"Give --dim {features.shape[1]}."
            )
        self.codes = nn.Parameter(features.float(), requires_grad=False)
        self.projector = nn.Linear(features.shape[1], dim) if projector else None
        if self.projector is not None:
            nn.init.normal_(self.projector.weight, std=dim**-0.5)

    def table(self) -> Tensor:
        """Return the projected features, `[code, dim]`."""
        return self.codes if self.projector is None else self.projector(self.codes)

    @torch.no_grad()
    def start(self, latents: Tensor, features: Tensor | None) -> None:
        """Fit the projector, so that the codes start where the latents are.

        With features of the same cells by ridge regression; without, by matching mean and standard deviation.
        """
        if self.projector is None:
            return
        if features is None:
            codes = self.table()
            scale = latents.std(0) / codes.std(0).clamp_min(1e-6)
            self.projector.weight.mul_(scale[:, None])
            self.projector.bias.copy_(latents.mean(0) - (codes.mean(0) - self.projector.bias) * scale)
            return
        middle, goal = features.mean(0), latents.mean(0)
        # in doubles: the normal equations square the rounding errors
        x, y = (features - middle).double(), (latents - goal).double()
        penalty = self.ridge * len(x) * x.square().mean() * torch.eye(x.shape[1], dtype=x.dtype)
        weight = torch.linalg.solve(x.T @ x + penalty, x.T @ y).T.float()
        self.projector.weight.copy_(weight)
        self.projector.bias.copy_(goal - weight @ middle)


class FixedTable(CodeTable):
    """FSQ: nothing to learn and no loss of its own."""

    codebook = commitment = 0.0

    def __init__(self, levels: tuple[int, ...]) -> None:
        """List all combinations of the levels."""
        super().__init__(math.prod(levels), len(levels))
        self.codes = nn.Parameter(fsq_table(levels), requires_grad=False)


METHODS: dict[str, tuple[str, type[CodeTable]]] = {  # name -> what people call it, the table it trains
    "vq": ("plain VQ", CodeTable),
    "ema": ("VQ with running means", EmaTable),
    "reset": ("VQ with restarts of dead codes", ResetTable),
    "fc": ("factorised, normalised codes (FC)", FactorisedTable),
    "simvq": ("SimVQ", SimVQTable),
    "fvq": ("FVQ (VQBridge)", BridgeTable),
    "lc": ("VQGAN-LC style", FeatureTable),
    "fsq": ("FSQ", FixedTable),
    "rvq": ("residual VQ", CodeTable),
}
FSQ_LEVELS = {1000: (8, 5, 5, 5), 4375: (7, 5, 5, 5, 5), 15360: (8, 8, 8, 6, 5), 64000: (8, 8, 8, 5, 5, 5)}


def make_table(method: str, codes: int, dim: int, settings: Mapping[str, Any], features: Tensor | None) -> CodeTable:
    """Make a fresh table.

    Args:
        method: key of `METHODS`.
        codes: K.
        dim: length of a code.
        settings: of the method: `hidden depth zero` (`fvq`), `projector` (`lc`).
        features: `lc`: float32 `[K, any]`.

    Raises:
        UsageError: an unknown method, or sizes that it cannot have.
    """
    if method not in METHODS:
        raise UsageError(f"There is no method {method!r}. Known: {', '.join(METHODS)}.")
    kind = METHODS[method][1]
    if issubclass(kind, FixedTable):
        return kind(fsq_levels(codes))
    if issubclass(kind, FeatureTable):
        if features is None:
            raise UsageError(f"The method {method} needs features of pictures to make its codes from. Give them.")
        return kind(features, dim, **settings)
    return kind(codes, dim, **settings)


def fsq_levels(codes: int) -> tuple[int, ...]:
    """Look up the levels of FSQ with that many codes.

    Raises:
        UsageError: no list of levels is known for that number.
    """
    if codes not in FSQ_LEVELS:
        raise UsageError(f"FSQ has a table of {', '.join(map(str, FSQ_LEVELS))} codes, not of {codes}.")
    return FSQ_LEVELS[codes]
