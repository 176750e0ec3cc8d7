"""Where codebooks go in a model, and of what kind: what `codebooks.json` lists."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # a placement is known without torch
    from backend.nn.insertion.bottleneck import Combine
    from backend.nn.quantize import Similarity

Place = Literal["attn", "attn_out", "mlp", "block", "mlp_mid", "qkv", "attn_plus_mlp"]
PLACES: dict[Place, str] = {
    "attn": "attention, before the output projection; one codebook per head unless groups are given",
    "attn_out": "attention output, after the projection",
    "mlp": "feed-forward output, before it joins the residual stream",
    "block": "output of the whole layer: the residual stream itself",
    "mlp_mid": "feed-forward activation, between its two matrices",
    "qkv": "output of the fused query-key-value matrix, a third of the groups each",
    "attn_plus_mlp": "sum of attention and feed-forward output, before it joins the residual stream",
}


@dataclass(frozen=True)
class Placement:
    """Codebooks of one kind in some layers. What `codebooks.json` lists.

    Attributes:
        place: key of `PLACES`.
        layers: which layers, from 0; empty for all.
        groups: codebooks that share the width; 0 is one per attention head for `attn`, else 1.
        codes, k, similarity, combine, layer_norm: see `CodebookConfig`.
    """

    place: Place
    layers: tuple[int, ...] = ()
    groups: int = 0
    codes: int = 1000
    k: int = 1
    similarity: Similarity = "euclidean"
    combine: Combine = "mean"
    layer_norm: bool = False

    def __post_init__(self) -> None:
        if self.place not in PLACES:
            raise ValueError(f"Unknown place {self.place!r}; known: {', '.join(PLACES)}.")


def parse_placements(entries: Sequence[dict[str, Any]]) -> tuple[Placement, ...]:
    """Read the placements of a `codebooks.json`; an unknown key or value is a ValueError."""
    known = {f.name for f in dataclasses.fields(Placement)}
    placements = []
    for entry in entries:
        if unknown := sorted(entry.keys() - known):
            raise ValueError(f"Unknown keys {unknown} in a codebook placement; known: {sorted(known)}.")
        placements.append(Placement(**{**entry, "layers": tuple(entry.get("layers", ()))}))
    return tuple(placements)
