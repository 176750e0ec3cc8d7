"""What a reader of a published language model hands back."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from transformers import PretrainedConfig

from backend.nn.insertion.placement import Placement


@dataclass(frozen=True)
class Imported:
    """A checkpoint of another program, in our terms.

    Attributes:
        config: Hugging Face configuration of the model without codebooks.
        placements: its codebooks.
        weights: all of them, under the names of `CodebookTransformer.state_dict()`.
        warnings: what a person should know.
    """

    config: PretrainedConfig
    placements: tuple[Placement, ...]
    weights: dict[str, Tensor]
    warnings: tuple[str, ...] = ()
