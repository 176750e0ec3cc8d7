"""Starting values of code tables: random numbers, random activations, or k-means on activations, layer after layer.

In the order of the forward pass, so that each table is fitted to activations that have come through the codes before it:

1. Forward passes that end at the layer give its activations.
2. k-means puts codes among them; where k > 1 codes are chosen by direction, they are refined (`backend.nn.kmeans`).

With many codes, or many layers, that takes longer than the fine-tuning: progress is told at every batch, round and step.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import torch
from torch import Tensor

from backend.families.transformer.training import work
from backend.families.transformer.training.batches import Batch
from backend.nn.insertion.bottleneck import CodebookLayer
from backend.nn.insertion.model import CodebookTransformer
from backend.nn.kmeans import data_codes, kmeans_codes, refine
from backend.types import Progress

SEQUENCES = 64  # that are drawn at once
PASS = 5.0  # seconds that a forward pass takes at most, about (`work`), so that progress does not stand still
SHARES = 1000  # of the whole, as progress is told


class _Enough(Exception):  # noqa: N818 - it is not an error
    """Ends a forward pass behind the layer that was asked for."""


@torch.no_grad()
def initialize(
    model: CodebookTransformer,
    batch: Batch,
    how: str,
    *,
    seed: int = 0,
    rows: int = work.ACTIVATIONS,
    progress: Progress | None = None,
) -> None:
    """Give the code tables starting values.

    Args:
        model: whose codebooks are set.
        batch: makes token ids.
        how: `random` (standard normal), `data` (random activations) or `kmeans` (centres of k-means on
            them; refined where k > 1 codes are chosen by direction).
        seed: of everything random in it.
        rows: activations that a table is fitted to; `work.ACTIVATIONS_A_CODE` for each code where that is more.
        progress: called with (what, done, total).
    """
    if how not in ("random", "data", "kmeans"):
        raise ValueError(f"Unknown initialisation {how!r}; known: random, data, kmeans.")
    if how == "random":
        return
    model.eval()
    draws = torch.Generator().manual_seed(seed)
    count = _Count(model, how, progress)
    for name in list(model.codebooks):
        layer = model.layer(name)
        config = layer.config
        needed = max(rows, work.ACTIVATIONS_A_CODE * config.codes)
        generator = torch.Generator(model.model.device).manual_seed(seed + 1)
        sample = _activations(model, name, batch, needed, generator, count.part(name, "activations")).float()
        if how == "data":
            table = data_codes(sample, config.codes, draws)
        else:
            table = kmeans_codes(sample, config.codes, draws, work.ROUNDS, count.part(name, "k-means", work.ROUNDS))
            if _is_refined(layer):
                tell = count.part(name, "refining", work.REFINING)
                table = refine(
                    sample,
                    table,
                    config.k,
                    config.similarity,
                    config.combine,
                    draws,
                    steps=work.REFINING,
                    progress=tell,
                )
        layer.table.copy_(table)


def _is_refined(layer: CodebookLayer) -> bool:
    return layer.config.k > 1 and layer.config.similarity != "euclidean"  # by distance, codes that move away die


def _size_of(model: CodebookTransformer) -> work.Size:
    layers = int(getattr(model.model.config.get_text_config(), "num_hidden_layers", 1))
    return work.Size(sum(p.numel() for p in model.model.parameters()), layers)


def _activations(
    model: CodebookTransformer,
    name: str,
    batch: Batch,
    needed: int,
    generator: torch.Generator,
    progress: Callable[[int, int], None],
) -> Tensor:
    """Return activations that reach a codebook layer: `[group, needed, dim]`."""
    size = _size_of(model)
    parts: list[Tensor] = []

    def take(activations: Tensor) -> None:
        parts.append(activations)
        raise _Enough  # what lies behind would be computed for nothing

    seen = 0
    with model.collecting(name, take):
        while seen < needed:
            tokens = batch(SEQUENCES, generator)
            sequences = max(1, int(PASS / size.forward(tokens.shape[1])))
            for part in tokens.split(min(SEQUENCES, sequences)):
                with suppress(_Enough):
                    model(input_ids=part, use_cache=False)
                seen += parts[-1].shape[1]
                progress(min(seen, needed), needed)
                if seen >= needed:
                    break
    return torch.cat(parts, dim=1)[:, :needed]


class _Count:
    """How much of all layers is done, by how long each part of each takes."""

    def __init__(self, model: CodebookTransformer, how: str, progress: Progress | None) -> None:
        self._progress = progress
        self._sites = {name: model.sites(name)[0].removesuffix(".h0") for name in model.codebooks}
        self._names = list(model.codebooks)
        size = _size_of(model)
        self._work: dict[tuple[str, str], float] = {}
        for number, name in enumerate(self._names, 1):
            config = model.layer(name).config
            book = work.Codebook(config.dim, config.groups, config.codes, config.k, _is_refined(model.layer(name)))
            passes = size.forward(book.rows) * number / len(self._names)
            self._work[name, "activations"] = passes
            if how == "kmeans":
                self._work[name, "k-means"], self._work[name, "refining"] = work.ROUNDS * book.round, book.refining
        self._total = sum(self._work.values())
        self._done = 0.0
        if progress:
            progress("first codes", 0, SHARES)

    def part(self, name: str, what: str, total: int = 0) -> Callable[..., None]:
        """Return what one part of a layer tells how many of `total` it has done; without a total that too."""
        number, before, seconds = self._names.index(name) + 1, self._done, self._work[name, what]
        self._done += seconds

        def tell(done: int, of: int = total) -> None:
            if self._progress:
                share = (before + seconds * done / of) / self._total
                place = f"{self._sites[name]} ({number} of {len(self._names)})"
                self._progress(f"first codes, {place}: {what} {done:,}/{of:,}", round(SHARES * share), SHARES)

        return tell
