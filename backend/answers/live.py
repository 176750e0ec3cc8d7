"""What a live model answers with: frozen dataclasses over numpy and pandas, no torch.

Shown by pages, turned into JSON by commands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from backend.answers.stored import Token
from backend.edits.codes import HeldNeuron
from backend.types import CodebookInfo, CodeGrid, Edit, Generated, ModelSpec


@dataclass(frozen=True)
class Lens:
    """What every codebook chose over a person's own text.

    Attributes:
        text: as the model read it.
        ids: token ids int64 `[T]`.
        tokens: one per position, with its gap; `labels` filled where the data set knows the truth of any text.
        grids: site -> codes over the `T` positions, edits in force.
        before: the same without edits; equal to `grids` where there are none.
        changed: site -> number of positions at which a codebook chose other codes because of the edits, whatever their order.
        kl: float64 `[T]`: nats, divergence of each next-token distribution from the unedited one.
        next: most likely next tokens after the last: `token_id, token, before, after` (probabilities).
    """

    text: str
    ids: np.ndarray
    tokens: Sequence[Token]
    grids: Mapping[str, CodeGrid]
    before: Mapping[str, CodeGrid]
    changed: Mapping[str, int]
    kl: np.ndarray
    next: pd.DataFrame


@dataclass(frozen=True)
class Arm:
    """Generations under one condition and how often they succeed.

    Attributes:
        name: `unsteered`, `steered`, `control` (random codes), `neuron`, or `dose` and a share.
        edits: in force.
        generated: the samples.
        hits: how many succeed; None where no success was defined.
        low, high: Wilson 95 % interval of hits / n.
        perplexity: of the new tokens under the base model, mean over samples of each sample's own; NaN without a base.
        seconds: how long generating took.
        neurons: held instead of edits.
        strength: the share of the edits' strength, of a dose.
    """

    name: str
    edits: Sequence[Edit]
    generated: Sequence[Generated]
    hits: int | None
    low: float
    high: float
    perplexity: float
    seconds: float
    neurons: Sequence[HeldNeuron] = ()
    strength: float = 1.0

    @property
    def rate(self) -> float:
        """Share of samples that succeed; NaN where no success was defined."""
        return float("nan") if self.hits is None else self.hits / max(1, len(self.generated))


@dataclass(frozen=True)
class Comparison:
    """The conditions of `backend.families.transformer.conditions`, with the same prompt and seed.

    Attributes:
        unsteered, steered, control: without edits, with them, and with random codes in their place.
        neuron: the best neurons held; None where no success was defined or it is true nowhere.
        dose: the edits at shares of their strength, as far as asked for.
        warnings: where something differs from the request, a sentence each.
    """

    unsteered: Arm
    steered: Arm
    control: Arm
    neuron: Arm | None = None
    dose: Sequence[Arm] = ()
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class Belief:
    """A machine's walk is in state A; what does the model expect when it is made to believe that it is in B?

    Attributes:
        walk: the states read.
        actual: A, the state at the edited position.
        target: B.
        edits: what was forced or blended.
        next: one row a state: `state` (name), `before`, `after`, `target` (probability to come next: as it is, with the
            edits, and where the walk really stood in B), `from_actual`, `from_target` (bool: the machine goes there from A, B).
        divergence: Jensen-Shannon, nats, of `after` to `target` over next states; `unpatched`: of `before` to `target`.
        normalized: divergence / unpatched; 0: believes it fully, 1: as without edits.
        token_normalized: the same over the next token alone, the paper's measure.
        controls: `control, normalized, token_normalized`: with random live codes, and with the codes of a third state.
        continued: sampled continuations with the edits in force at that position: `text`, `first` (name of the first
            state written, or the digits that form none), `valid_from_target`, `valid_from_actual` (bool, the first
            transition), `rest_valid`, `rest` (valid and all later transitions).
        continued_before: the same without edits.
    """

    walk: Sequence[str]
    actual: str
    target: str
    edits: Sequence[Edit]
    next: pd.DataFrame
    divergence: float
    unpatched: float
    normalized: float
    token_normalized: float
    controls: pd.DataFrame
    continued: pd.DataFrame
    continued_before: pd.DataFrame


@dataclass(frozen=True)
class TokenMap:
    """What one codebook of an image model chose over n pictures of one size.

    Attributes:
        codes: int32 `[n, H, W]`; -1 is an empty cell.
        margins: float32 `[n, H, W]`: how much farther the runner-up is than the chosen code.
        runner_up: int32 `[n, H, W]`; -1 where there is none.
    """

    codes: np.ndarray
    margins: np.ndarray
    runner_up: np.ndarray


class Tokenizer(Protocol):
    """A live model of any family that turns pictures into tokens and back."""

    spec: ModelSpec
    capabilities: frozenset[str]

    @property
    def cell(self) -> int:
        """Pixels along one side of a code's cell."""
        ...

    @property
    def size(self) -> int:
        """Pixels a side of the pictures of its data set."""
        ...

    def codebooks(self) -> Sequence[CodebookInfo]:
        """List the codebooks, in the order of the forward pass."""
        ...

    def encode(self, pixels: np.ndarray) -> Mapping[str, TokenMap]:
        """Turn pictures, float32 `[n, 3, height, width]` in [-1, 1], into tokens, by site."""
        ...

    def decode(self, tokens: Mapping[str, np.ndarray]) -> np.ndarray:
        """Turn tokens int `[n, H, W]`, by site, into pictures float32 `[n, 3, height, width]` in [-1, 1]."""
        ...
