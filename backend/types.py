"""The vocabulary of the house: frozen dataclasses over numpy arrays, never torch.

A model turns an *item* (a text, an image) into, for each of its *codebooks*, a grid of *code ids*. All grids of one
item have the item's shape; arrays are kept flat over positions (`P` = positions of all items together, in order), so
that position `p` here is position `p` in the store.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from backend.errors import BadInput

Kind = Literal["text", "image"]
Action = Literal["force", "ban", "zero", "blend"]


@dataclass(frozen=True)
class ModelSpec:
    """What the catalog says of one model. Written as one TOML file; an unknown key is an error.

    Attributes:
        name: the model's name everywhere: URLs, commands, file names. Letters, digits, `.`, `_` and `-`.
        family: key of `backend.families.FAMILIES`.
        kind: what its items are.
        title: one line for people.
        dataset: settings of the items it is shown on; `dataset["name"]` is a key of `backend.data.DATASETS`.
        checkpoint: folder of the weights, relative to the data directory.
        base: name of the model without codebooks that losses are compared with; empty where there is none.
        settings: family settings that are not in the checkpoint.
        published: figures of the paper's own model of this kind, shown in their own labelled column, never mixed with ours.
        demo: built by `python -m app` on first start, in ascending order; 0 is never built by itself.
    """

    name: str
    family: str
    kind: Kind
    title: str
    dataset: Mapping[str, Any]
    checkpoint: str
    base: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    published: Mapping[str, Any] = field(default_factory=dict)
    demo: int = 0


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
class Edit:
    """One change to the codes of a forward pass.

    Attributes:
        site: the codebook.
        code: the code that is forced, banned, zeroed or blended in; -1 with `force` empties the slot.
        action: `force` puts the code in place of the chosen ones; `ban` makes it lose (the next best fills in); `zero`
            leaves an empty slot where it was chosen (a zero vector that still counts in a mean over k codes);
            `blend` moves the layer's output from what was chosen towards the code: `(1 - s) * chosen + s * code`.
        strength: s of `blend`, 0 to 1.5; `force` is blend at 1, with the ids changed too.
        where: `all`, `prompt`, `generated`, or a tuple of positions counted from the first token; negative ones count
            from the end of the prompt (-1 is its last token).
        slot: which of the k slots is replaced; None replaces all.
    """

    site: str
    code: int
    action: Action = "force"
    strength: float = 1.0
    where: Literal["all", "prompt", "generated"] | tuple[int, ...] = "all"
    slot: int | None = None

    def __str__(self) -> str:
        where = self.where if isinstance(self.where, str) else ",".join(map(str, self.where))
        what = {
            "force": "",
            "ban": ":ban",
            "zero": ":zero",
            "blend": ":" + (f"{self.strength:.6f}".rstrip("0").rstrip(".") or "0"),
        }[self.action]
        return (
            f"{self.site}:{self.code}{what}"
            + ("" if where == "all" else f"@{where}")
            + ("" if self.slot is None else f"#{self.slot}")
        )

    @classmethod
    def parse(cls, text: str) -> Edit:
        """Read `SITE:CODE[:STRENGTH|:ban|:zero][@WHERE][#SLOT]`, the form of commands and URLs; `str(edit)` writes it.

        `WHERE` is `all`, `prompt`, `generated` or positions such as `3`, `-1`, `2,5` or `4..9` (both ends included).
        A strength of 1 is a force.

        Raises:
            BadInput: the text has another form, or the strength is out of range.
        """
        match = re.fullmatch(
            r"([\w./-]{1,200}):(-1|\d{1,9})(?::(ban|zero|force|[0-9.]{1,12}))?(?:@([\w,.-]{1,400}))?(?:#(\d{1,4}))?",
            text.strip(),
            re.ASCII,
        )
        if match is None:
            raise BadInput(
                f"{text[:80]!r} is not an edit. Write SITE:CODE, SITE:CODE:STRENGTH, SITE:CODE:ban or SITE:CODE:zero, "
                "with @all, @prompt, @generated or @positions behind it, e.g. L1.mlp:417:0.8@generated."
            )
        action: Action = "force"
        strength = 1.0
        if match[3] in ("ban", "zero"):
            action = match[3]  # type: ignore[assignment]
        elif match[3] not in (None, "force"):
            try:
                strength = float(match[3])
            except ValueError:
                raise BadInput(f"{match[3]!r} is not a strength. Give a number from 0 to 1.5.") from None
            if not 0 <= strength <= 1.5:
                raise BadInput(f"Strength {strength:g} is out of range. Give a number from 0 to 1.5.")
            action = "force" if strength == 1 else "blend"
        return cls(
            site=match[1],
            code=int(match[2]),
            action=action,
            strength=strength,
            where=_parse_where(match[4] or "all"),
            slot=None if match[5] is None else int(match[5]),
        )


def _parse_where(text: str) -> Literal["all", "prompt", "generated"] | tuple[int, ...]:
    if text in ("all", "prompt", "generated"):
        return text  # type: ignore[return-value]
    positions: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(-?\d{1,7})(?:\.\.(-?\d{1,7}))?", part)
        if match is None:
            raise BadInput(f"{text[:80]!r} is not a place. Write all, prompt, generated, 3, -1, 2,5 or 4..9.")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last - first > 100_000:
            raise BadInput(
                f"The positions {part!r} run backwards or are too many. Write the smaller one first, e.g. 4..9."
            )
        positions.extend(range(first, last + 1))
    return tuple(positions)


@dataclass(frozen=True)
class Generated:
    """One generated continuation.

    Attributes:
        text: prompt and continuation.
        tokens: all token ids, prompt included.
        prompt_length: how many of them are the prompt.
    """

    text: str
    tokens: tuple[int, ...]
    prompt_length: int


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
        """All codebooks, in the order in which the forward pass meets them."""
        ...

    def table(self, site: str) -> np.ndarray:
        """float32 `[num_codes, dim]`: the code vectors of one codebook."""
        ...

    def items(self, start: int, stop: int, seed: int) -> Sequence[Item]:
        """Items `start` to `stop` of the model's data set; item i is the same whatever range it is asked in."""
        ...

    def encode(
        self, items: Sequence[Item], edits: Iterable[Edit] = (), *, logits: bool = False, neurons: bool = False
    ) -> Encoded:
        """One batched forward pass over the items. Deterministic for the same list of items."""
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
