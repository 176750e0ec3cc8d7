"""What the explorer answers to "what does it stand for?": descriptions, first looks, topics, states, and what is drawn.

Frozen dataclasses over plain values, numpy arrays and pandas tables. Nothing in here computes or reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from backend.answers.stored import Context
from backend.types import CodeRef

DescriptionKind = Literal["label", "field", "token", "before", "shape", "ending"]


@dataclass(frozen=True)
class Description:
    """What a code fires on; chosen on half 0 of the items, every figure measured on half 1.

    Attributes:
        text: in words, e.g. `month = June`.
        kind: `label` (a value of a field), `field` (any value of it), `token`, `before` (the token before), `shape` or
            `ending` of the token.
        field: the label field; empty for the others.
        value: the label's value, the token, the shape or the ending; empty for `field`.
        precision: share of the code's activations at which the description is true; `low`, `high`: its 95 % interval.
        recall: share of the positions where the description is true at which the code fires.
        hits, n, matches: activations where it is true; all activations; positions where it is true.
        control: mean precision, for the description, of other codes of the same codebook that fire about as often and not
            together with it; NaN where there are none. `control_low`, `control_high`: the lowest and the highest.
        controls: how many codes these are.
        chance: share of all positions where the description is true.
        shuffled: precision of the best description of the same number of places elsewhere; NaN where there is none.
        good: whether it is above the floor; where it is not, nothing should be claimed of the code.
        objection: why it is not good, in words; empty where it is.
        held_out: always True: nothing here was measured on what it was chosen on.
    """

    text: str
    kind: DescriptionKind
    field: str
    value: str
    precision: float
    low: float
    high: float
    recall: float
    hits: int
    n: int
    matches: int
    control: float
    control_low: float
    control_high: float
    controls: int
    chance: float
    shuffled: float
    good: bool
    objection: str
    held_out: bool = True


@dataclass(frozen=True)
class FirstLook:
    """Where to open a model that somebody sees for the first time: its most meaningful codebook, and the best code in it.

    Attributes:
        site: the codebook.
        code: the code in it.
        text: what the code stands for, in words, e.g. `story topic = dragon`; where there are no labels its most
            frequent token in quotes; empty where nothing is known.
        precision: share of the code's activations at which that is true; measured on half 1, chosen on half 0.
        recall: share of the positions where it is true at which the code fires; NaN for a `token`.
        n: activations behind the precision.
        kind: `label`: a label value, held out; `token`: the most frequent token, over the whole build; `usage`: nothing
            but how often it fires.
    """

    site: str
    code: int
    text: str
    precision: float
    recall: float
    n: int
    kind: Literal["label", "token", "usage"]


@dataclass(frozen=True)
class Coverage:
    """The passages that a code covers.

    Attributes:
        items: how many items it covers by `min_share` at least, of `total` items with any position.
        total: items.
        table: the most covered ones: `item, share` (of the item's positions), `fires, positions, half, tags` (dict).
        passages: the same items in the same order, each a context that begins at its first position.
    """

    items: int
    total: int
    table: pd.DataFrame
    passages: tuple[Context, ...]


@dataclass(frozen=True)
class TopicItem:
    """An item that a code covers far beyond its share of the build.

    Attributes:
        item: its number.
        ref: the code that covers most of it.
        share: of the item's positions; `corpus_share`: of all positions; `lift`: the one over the other.
    """

    item: int
    ref: CodeRef
    share: float
    corpus_share: float
    lift: float


@dataclass(frozen=True)
class StateView:
    """How one codebook stands for the states of a machine. Codes are given to states on half 0 and tested on half 1.

    Attributes:
        states: names, in order.
        matrix: `state, code, count, share` (of the state's readings), all items; no rows for zero counts.
        codes: one row a code that fires at last digits or has an owner: `ref, code, owner` (state name or ''), `count` (all
            positions), `at_states` (at last digits), `purity` (share of `at_states` at its most frequent state),
            `precision` (held out: share of its positions at which its owner was just read; NaN where it never fires),
            in the order in which the matrix is drawn.
        by_state: one row a state: `state, readings` (held out), `codes` (owned), `precision, recall` (all its codes, held
            out), `single_precision, single_recall` (its most frequent own code), `main` (ref or '').
        transitions: `source, target, count` (held out, both ends read through the codes), `machine` (bool: the machine has
            it), `verdict`: `right`, `mistake` (seen, but the machine has none), `missed` (the machine has it, never seen).
        positions: held-out positions; `unread`: held-out readings at which no owned code fired.
        pure_codes, counted_codes: codes that fire for one state only, of those that fire at least twice at last digits.
    """

    states: list[str]
    matrix: pd.DataFrame
    codes: pd.DataFrame
    by_state: pd.DataFrame
    transitions: pd.DataFrame
    positions: int
    unread: int
    pure_codes: float
    counted_codes: int


@dataclass(frozen=True)
class DecodedCode:
    """One code, decoded.

    Attributes:
        alone: uint8 `[height, width, 3]`, one cell.
        everywhere: uint8 `[height, width, 3]`, a whole picture.
        own, elsewhere: uint8 `[height, width, 4]` each, the decoded cell among its neighbours.
        around: cells on each side of it there.
        own_spread, elsewhere_spread: see step 4 of the module; NaN where there is nothing to compare.
        cells: how many cells the denominator is taken over.
    """

    alone: np.ndarray
    everywhere: np.ndarray
    own: Sequence[np.ndarray]
    elsewhere: Sequence[np.ndarray]
    around: int
    own_spread: float
    elsewhere_spread: float
    cells: int
