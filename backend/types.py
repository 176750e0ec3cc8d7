"""The vocabulary of the house: frozen dataclasses over numpy arrays, never torch.

A model turns an *item* (a text, an image) into, for each of its *codebooks*, a grid of *code ids*. All grids of one
item have the item's shape; arrays are kept flat over positions (`P` = positions of all items together, in order), so
that position `p` here is position `p` in the store.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from backend.edits.codes import Edit
from backend.errors import BadInput

Progress = Callable[[str, int, int], None]  # called with (what, done, total); a total of 0 is a message without a count
MAX_SAMPLES = 1_000  # sequences that are generated at once


@dataclass(frozen=True)
class ModelSpec:
    """What the catalog says of one model. Written as one TOML file; an unknown key is an error.

    Attributes:
        name: the model's name everywhere: URLs, commands, file names. Letters, digits, `.`, `_` and `-`.
        family: key of `backend.families.FAMILIES`.
        kind: what its items are, the `item` of its family: `text`, `image`.
        title: one line for people.
        about: one sentence for somebody who sees the model for the first time; the title stands in for it.
        dataset: settings of the items it is shown on; `dataset["name"]` is a key of `backend.data.datasets.SOURCES`.
        checkpoint: folder of the weights, relative to the data directory.
        base: name of the model without codebooks that losses are compared with; empty where there is none.
        settings: family settings that are not in the checkpoint.
        published: figures of the paper's own model of this kind, shown in their own labelled column, never mixed with ours.
        demo: place in the Overview's gallery, ascending; `python -m app` builds the first few on first start. 0: it stands
            in the tables alone and is built when somebody asks for it.
    """

    name: str
    family: str
    kind: str
    title: str
    dataset: Mapping[str, Any]
    checkpoint: str
    base: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    published: Mapping[str, Any] = field(default_factory=dict)
    demo: int = 0
    about: str = ""


@dataclass(frozen=True)
class CodebookInfo:
    """One codebook of a model.

    Attributes:
        site: its name in the model, e.g. `L3.attn.h2`, `L1.mlp`, `vq`.
        num_codes: C, rows of its table.
        dim: length of a code vector.
        slots: k, codes chosen at each position.
        layer, head: where it sits; None where that means nothing.
        place: the kind of place, e.g. `attn`, `mlp`, `block`, for grouping sites on a page.
        similarity: what `scores` mean: `cosine`, `inner_product` or `euclidean` (then the negative distance).
    """

    site: str
    num_codes: int
    dim: int
    slots: int
    layer: int | None = None
    head: int | None = None
    place: str = ""
    similarity: str = "cosine"


@dataclass(frozen=True, order=True)
class CodeRef:
    """The only identity of a code. Its one string form `model/site/code` is used in URLs, commands, notes and logs.

    A site may itself contain slashes (`layers.4.fc1/g2`): the model is what stands before the first, the code what
    stands behind the last.
    """

    model: str
    site: str
    code: int

    def __str__(self) -> str:
        return f"{self.model}/{self.site}/{self.code}"

    @classmethod
    def parse(cls, text: str) -> CodeRef:
        """Read `model/site/code`.

        Raises:
            BadInput: the text has another form.
        """
        match = re.fullmatch(r"([\w.-]{1,100})/([\w./-]{1,200})/(\d{1,9})", text.strip(), re.ASCII)
        if match is None:
            raise BadInput(f"{text[:80]!r} is not a code. Write model/site/code, e.g. tokfsm-attn-mlp-k1/L1.mlp/417.")
        return cls(match[1], match[2], int(match[3]))


@dataclass(frozen=True)
class Item:
    """One thing a model is shown, with what is true about it.

    Attributes:
        index: its number in the data set; with the data set's seed it determines the item.
        shape: the grid's shape: `(T,)` for text, `(H, W)` for images.
        payload: token ids int64 `[T]`, or pixels float32 `[3, height, width]` in [-1, 1].
        text: text items: the exact text. Text between two tokens' spans belongs to no token (separators).
        spans: text items: int64 `[T, 2]`, character start and end of each token in `text`.
        labels: per-position truth: field -> one value per position; the empty string where the field does not apply.
        tags: truth about the whole item: field -> value.
    """

    index: int
    shape: tuple[int, ...]
    payload: np.ndarray
    text: str = ""
    spans: np.ndarray | None = None
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def positions(self) -> int:
        """Number of grid cells."""
        return math.prod(self.shape)


def concatenate(parts: Sequence[Any], empty: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Put arrays behind each other; no parts make an array of the shape `empty`, which numpy would refuse."""
    return np.concatenate(parts) if parts else np.zeros(empty, dtype=dtype)


@dataclass(frozen=True)
class CodeGrid:
    """What one codebook chose at every position of a run of items, flat over positions.

    Attributes:
        site: the codebook.
        codes: int32 `[P, slots]`, best first. -1 is an empty slot (its code was banned and not replaced).
        scores: float32 `[P, slots]`, similarity of each chosen code (see `CodebookInfo.similarity`); higher is nearer.
        runner_up: int32 `[P]`, the best code that was not chosen; -1 where every code was chosen.
        runner_up_score: float32 `[P]`; the margin of slot s is `scores[:, s] - runner_up_score`.
    """

    site: str
    codes: np.ndarray
    scores: np.ndarray
    runner_up: np.ndarray
    runner_up_score: np.ndarray

    @classmethod
    def concatenate(cls, site: str, slots: int, pieces: Sequence[CodeGrid]) -> CodeGrid:
        """Put grids of one codebook behind each other; no pieces make a grid without positions."""
        return cls(
            site,
            concatenate([p.codes for p in pieces], (0, slots), np.int32),
            concatenate([p.scores for p in pieces], (0, slots), np.float32),
            concatenate([p.runner_up for p in pieces], (0,), np.int32),
            concatenate([p.runner_up_score for p in pieces], (0,), np.float32),
        )

    @property
    def margins(self) -> np.ndarray:
        """float32 `[P, slots]`: how far each chosen code was ahead of the best one that was not chosen."""
        return self.scores - self.runner_up_score[:, None]


@dataclass(frozen=True)
class Encoded:
    """Everything one forward pass says about some items.

    Attributes:
        grids: site -> grid over all positions of the items.
        logits: text, only where asked for: float32 `[P, vocabulary]`.
        neurons: only where asked for: name of a neuron site (`L1.mlp`) -> float32 `[P, width]`, the activations that a
            neuron baseline thresholds.
    """

    grids: Mapping[str, CodeGrid]
    logits: np.ndarray | None = None
    neurons: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Sampling:
    """How to generate.

    Attributes:
        samples: sequences side by side, 1 to `MAX_SAMPLES`.
        max_new_tokens: of each, from 1; fewer are made where the model's context ends.
        temperature: 0 to 100; 0 takes the most likely token.
        top_k: only so many of the most likely tokens, from 1; None for all.
        seed: 0 to 2**63 - 1; the same seed and the same distribution, the same choice.

    Raises:
        BadInput: one is out of range.
    """

    samples: int = 1
    max_new_tokens: int = 60
    temperature: float = 1.0
    top_k: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.samples <= MAX_SAMPLES:
            raise BadInput(f"{self.samples} samples cannot be made at once: give 1 to {MAX_SAMPLES}.")
        if not (0 <= self.temperature <= 100 and self.max_new_tokens >= 1 and (self.top_k is None or self.top_k >= 1)):
            raise BadInput("The temperature must be 0 to 100, and new tokens and top-k at least 1.")
        if not 0 <= self.seed < 2**63:
            raise BadInput(f"The seed {str(self.seed)[:40]} is out of range: give 0 to {2**63 - 1}.")


@dataclass(frozen=True)
class Generated:
    """One generated continuation. Its texts are rendered when they are first looked at.

    Attributes:
        tokens: all token ids, prompt included.
        prompt_length: how many of them are the prompt.
        render: token ids -> their text.
    """

    tokens: tuple[int, ...]
    prompt_length: int
    render: Callable[[Sequence[int]], str] = field(repr=False, compare=False)

    @cached_property
    def text(self) -> str:
        """Prompt and continuation."""
        return self.render(self.tokens)

    @cached_property
    def new_text(self) -> str:
        """What follows the prompt."""
        # cut out of the whole: rendered alone, the first new token may lose its space or half of a character
        return self.text[len(self.render(self.tokens[: self.prompt_length])) :]


@dataclass(frozen=True)
class Steered:
    """The same forward pass without and with edits.

    Attributes:
        before, after: log-probabilities of the next token, float32 `[P, vocabulary]`.
        grids_before, grids_after: site -> grid.
    """

    before: np.ndarray
    after: np.ndarray
    grids_before: Mapping[str, CodeGrid]
    grids_after: Mapping[str, CodeGrid]


@dataclass(frozen=True)
class Metric:
    """One measured number with everything needed to believe it.

    Attributes:
        value: the mean over evaluation seeds.
        low, high: smallest and largest value over the seeds.
        n: how many cases one seed looks at.
        seeds: how many seeds.
        definition: one sentence: what is counted, over what.
    """

    value: float
    low: float
    high: float
    n: int
    seeds: int
    definition: str


class Family(Protocol):
    """A trained model of one family, loaded and ready. `backend.families.open_family` makes one from a `ModelSpec`."""

    spec: ModelSpec

    @property
    def capabilities(self) -> frozenset[str]:
        """Of `encode`, `neurons`, `logits`, `generate`, `steer`, `states`; written into the store."""
        ...

    def codebooks(self) -> Sequence[CodebookInfo]:
        """List the codebooks, in the order in which the forward pass meets them."""
        ...

    def table(self, site: str) -> np.ndarray:
        """Return the code vectors of one codebook, float32 `[num_codes, dim]`."""
        ...

    def items(self, start: int, stop: int, seed: int) -> Sequence[Item]:
        """Return items `start` to `stop` of the model's data set, fewer where it ends; item i is the same in any range."""
        ...

    def encode(
        self, items: Sequence[Item], edits: Iterable[Edit] = (), *, logits: bool = False, neurons: bool = False
    ) -> Encoded:
        """Run one batched forward pass over the items. Deterministic for the same list of items."""
        ...


@dataclass(frozen=True)
class BuildReport:
    """What `precompute.build` did: the JSON of the `build` command."""

    model: str
    build: str
    store: Path
    items: int
    positions: int
    activations: int
    seconds: float
    checks: Mapping[str, str]
