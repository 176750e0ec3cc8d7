"""What is in force and what is recorded while a model of codebooks is used: see `CodebookTransformer.session`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from backend.nn.quantize import Nearest
from backend.types import Edit


@dataclass
class Session:
    """Edits in force and what was recorded while a session lasted.

    Attributes:
        edits: in the order in which they apply.
        prompt_length: tokens that count as the prompt for `where`, one number or int64 `[batch, 1]`; None: all are prompt.
        forced: site -> int64 `[batch, length]` or `[batch, length, slot]`: a code for each position, for a single uncached
            forward pass; -1 empties the slot, -2 leaves it as it is. Applied before the edits.
        record: keep what the codebooks chose.
        recorded: layer name -> one `Nearest` per forward pass.
        probe: fill `probes`, and let gradients straight through to the activations before each layer.
        probes: layer name -> zeros that were added to what it put out in the last forward pass, for the gradient by it.
    """

    edits: tuple[Edit, ...] = ()
    prompt_length: int | Tensor | None = None
    forced: Mapping[str, Tensor] = field(default_factory=dict)
    record: bool = False
    recorded: dict[str, list[Nearest]] = field(default_factory=dict)
    probe: bool = False
    probes: dict[str, Tensor] = field(default_factory=dict)
