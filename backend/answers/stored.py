"""What the explorer answers with, where a table is not enough: frozen dataclasses over plain values and pandas tables.

Shown by pages, turned into JSON by commands. Nothing in here computes or reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from backend.types import CodebookInfo, CodeRef, Item

How = Literal["top", "random", "boundary"]
Operator = Literal["and", "and not", "then"]
Order = Literal["f1", "precision", "recall", "hits"]


class Token(NamedTuple):
    """One position (a token, an image cell) as it is shown; a tuple, as a page needs thousands of them at once.

    Attributes:
        text: the exact text of the token; empty for image cells.
        gap: the exact text between the token before it and this one, which belongs to no token (separators).
        pos: its number in the whole build; -1 where the text is not from the build.
        place: its number in its item, from 0.
        fires: whether the code in question fires here; False where no code is in question.
        score: similarity of the code in question; NaN where it does not fire.
        labels: field -> value, the truth about this position.
    """

    text: str
    gap: str = ""
    pos: int = -1
    place: int = -1
    fires: bool = False
    score: float = float("nan")
    labels: Mapping[str, str] = MappingProxyType({})


def tokens_of(item: Item) -> list[Token]:
    """Return the tokens of a text item, each with the text between it and the one before."""
    assert item.spans is not None
    tokens, end = [], 0
    for place, (start, stop) in enumerate(item.spans.tolist()):
        tokens.append(Token(item.text[start:stop], item.text[end:start], place=place))
        end = stop
    return tokens


@dataclass(frozen=True)
class Context:
    """One position of the build and what stands around it in the same item.

    Attributes:
        item: number of the item.
        pos: number of the position in the whole build.
        place: number of the position in its item, from 0.
        before, token, after: the tokens, in reading order.
    """

    item: int
    pos: int
    place: int
    before: Sequence[Token]
    token: Token
    after: Sequence[Token]


@dataclass(frozen=True)
class Example(Context):
    """A context in which a code fires at `token`.

    Attributes:
        score: similarity of the code at this position (see `CodebookInfo.similarity`); higher is nearer.
        margin: score minus that of the best code that was not chosen; small means that it nearly did not fire.
        slot: which of the k choices the code was, 0 the best.
    """

    score: float = float("nan")
    margin: float = float("nan")
    slot: int = 0


@dataclass(frozen=True)
class ItemView:
    """One whole item of the build.

    Attributes:
        item: its number.
        first_pos: number of its first position in the whole build.
        shape: the grid's shape: `(T,)` or `(H, W)`.
        half: 0 or 1; claims are made on half 0 and tested on half 1.
        text: the exact text; empty for images.
        tags: truth about the whole item.
        tokens: all positions in order; `labels` filled.
    """

    item: int
    first_pos: int
    shape: tuple[int, ...]
    half: int
    text: str
    tags: Mapping[str, str]
    tokens: Sequence[Token]


@dataclass(frozen=True)
class CodeStats:
    """The figures of one code over the whole build.

    Attributes:
        ref: the code.
        info: its codebook.
        count: activations (position-slots).
        items: items in which it fires at least once.
        share: count / positions, 0 to 1.
        entropy: bits, of the tokens under the code.
        positions, total_items: the denominators.
        rank: 1 + number of codes of the codebook that fire more often.
        vector: float32 `[dim]`, the row of the code table.
        label: the newest label a person gave it; empty where there is none.
        build: id of the build that says so.
    """

    ref: CodeRef
    info: CodebookInfo
    count: int
    items: int
    share: float
    entropy: float
    positions: int
    total_items: int
    rank: int
    vector: np.ndarray
    label: str
    build: str


@dataclass(frozen=True)
class HeldOut:
    """The honest version of "the best code": chosen on half 0 of the items, measured on half 1.

    Attributes:
        ref: the code that ranks first on half 0 alone, in the order that was asked for.
        precision, recall, f1: on half 0, where it was chosen.
        held_out_precision, held_out_recall, held_out_f1: on half 1.
        held_out_hits, held_out_count, held_out_matches: the counts behind these three.
    """

    ref: CodeRef
    precision: float
    recall: float
    f1: float
    held_out_precision: float
    held_out_recall: float
    held_out_f1: float
    held_out_hits: int
    held_out_count: int
    held_out_matches: int


@dataclass(frozen=True)
class SearchResult:
    """Which codes fire on a pattern; exact over the whole build.

    Attributes:
        pattern: as given.
        field, value: the label that a position must have as well; empty where none was asked for.
        matches: positions that match (each counts once); `matches_held_out`: those in half 1.
        unplaced: matches whose first character lies between two tokens, or whose group is empty; they count nowhere.
        positions: positions of the build.
        candidates: codes with at least `min_support` hits (of half 0 where `held_out` was asked for); `codes` holds the
            first `limit` of them.
        codes: one row a code, best first: `ref, site, code, precision, recall, f1, hits, count, precision_low,
            precision_high, recall_low, recall_high` (Wilson 95 % intervals), `held_out_precision, held_out_recall,
            held_out_hits, held_out_count` (the same on half 1; NaN where nothing is to be divided by); `control` (random
            codes of the same codebook that fire about as often and not together with it, their names with spaces
            between), `controls` (of how many the following are), `control_precision, control_recall` (their mean),
            `control_low, control_high` (the lowest and the highest precision); for the first
            `baselines` rows the best single neuron that reaches the code's recall: `neuron` (str such as
            `L1.mlp/17`), `neuron_precision, neuron_recall, neuron_n` (matching positions it was measured on).
        held_out: the best code chosen on half 0 and measured on half 1; None where none qualifies.
        neuron_positions: how many positions the neuron baseline covers, from the first on; 0 where there is none.
        seconds: how long the search took.
    """

    pattern: str
    field: str
    value: str
    matches: int
    matches_held_out: int
    unplaced: int
    positions: int
    candidates: int
    codes: pd.DataFrame
    held_out: HeldOut | None
    neuron_positions: int
    seconds: float


@dataclass(frozen=True)
class Clause:
    """One step of a boolean query; the first step's operator means nothing.

    Attributes:
        site, code: the code that fires.
        operator: `and`: at the same position; `and not`: not at the same position; `then`: within the next `within`
            positions of the same item.
        within: for `then`: how many positions at most, from 1.
    """

    site: str
    code: int
    operator: Operator = "and"
    within: int = 5


@dataclass(frozen=True)
class QueryResult:
    """Where a boolean query holds; exact over the whole build.

    Attributes:
        count: positions at which it holds (positions of the first clause's code).
        items: items with at least one of them.
        held_out: those of the positions that lie in half 1.
        positions: positions of the build.
        steps: one row a clause, plus one for the restriction: `step, count` (positions left after it).
        examples: a seeded random choice of the positions in their context, in order of position.
        seconds: how long it took.
    """

    count: int
    items: int
    held_out: int
    positions: int
    steps: pd.DataFrame
    examples: Sequence[Context]
    seconds: float


@dataclass(frozen=True)
class Patch:
    """One cell of a picture of the build, as the model was shown it, and what a codebook chose there.

    Attributes:
        ref: the code.
        item: number of the item.
        pos: number of the cell in the whole build.
        place: number of the cell in its item, row by row from 0.
        row, column: where in its picture's grid.
        pixels: uint8 `[height, width, 3]`, the cell alone.
        crop: uint8 `[height, width, 4]`, the cell with the cells around it; see-through where the picture ends.
        around: how many cells of `crop` there are on each side.
        score: similarity of the code (see `CodebookInfo.similarity`); higher is nearer.
        margin: score minus that of the runner-up.
        slot: which of the k choices the code was, 0 the best.
        labels: field -> value, the truth about the cell.
    """

    ref: CodeRef
    item: int
    pos: int
    place: int
    row: int
    column: int
    pixels: np.ndarray
    crop: np.ndarray
    around: int
    score: float
    margin: float
    slot: int
    labels: Mapping[str, str]
