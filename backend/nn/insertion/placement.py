"""Where codebooks go in a model, and of what kind: what `codebooks.json` lists."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # a placement is known without torch
    from backend.nn.insertion.bottleneck import Combine
    from backend.nn.quantize import Similarity

Place = Literal["qkv", "attn", "attn_out", "mlp_mid", "mlp", "attn_plus_mlp", "block"]


@dataclass(frozen=True)
class PlaceKind:
    """All that is said of one place in a decoder layer: to people, and to whoever hooks or names it.

    Attributes:
        about: for people.
        part: field of `backend.nn.insertion.anatomy.LayerParts` that holds the module.
        side: which activation of that module is meant: its `input`, its `output`, or the `change` from one to the other.
        by_head: one codebook per attention head, `h0`, `h1` and so on, unless groups are given.
    """

    about: str
    part: str
    side: Literal["input", "output", "change"] = "output"
    by_head: bool = False


# in the order in which a forward pass meets them
PLACES: dict[Place, PlaceKind] = {
    "qkv": PlaceKind("output of the fused query-key-value matrix, a third of the groups each", "qkv"),
    "attn": PlaceKind(
        "attention, before the output projection; one codebook per head unless groups are given",
        "out_projection",
        "input",
        by_head=True,
    ),
    "attn_out": PlaceKind("attention output, after the projection", "attention"),
    "mlp_mid": PlaceKind("feed-forward activation, between its two matrices", "activation"),
    "mlp": PlaceKind("feed-forward output, before it joins the residual stream", "mlp"),
    "attn_plus_mlp": PlaceKind(
        "sum of attention and feed-forward output, before it joins the residual stream", "layer", "change"
    ),
    "block": PlaceKind("output of the whole layer: the residual stream itself", "layer"),
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
