"""All that can be said of a position: its label in each field, its token, the one before, the token's shape and ending."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.answers.meaning import DescriptionKind
from backend.store import numbered
from backend.store.numbered import Numbered
from backend.store.reader import Reader

SHAPES = (  # the first that matches; spaces around a token do not matter
    ("white space", r"\s+"),
    ("numbers", r"\d+"),
    ("punctuation", r"[^\w\s]+"),
    ("words in capitals", r"[^\W\d_a-z]{2,}"),
    ("words with a capital", r"[A-Z]\w*"),
    ("words in small letters", r"[^\W\d_A-Z]+"),
    ("names with digits or underscores", r"\w+"),
)
ENDINGS = ("ing", "ed", "ly", "est", "er", "tion", "ness", "'s", "n't", "s")


@dataclass(frozen=True)
class Feature:
    """One way to say something of a position, with all its values.

    Attributes:
        kind: what is said; a `label` may also be said as a whole (any value of the field), which is a `field`.
        name: the label field; empty for the others.
        values: what it says of every position.
    """

    kind: DescriptionKind
    name: str
    values: Numbered

    @property
    def any_value(self) -> int:
        """The number behind the last value, which stands for "any value"; only labels have it."""
        return len(self.values.names)

    @property
    def totals(self) -> np.ndarray:
        """Positions with each value by half, "any value" the last where there is one: int64 `[2, values]`."""
        totals = self.values.totals
        return np.append(totals, totals.sum(1, keepdims=True), axis=1) if self.kind == "label" else totals

    def is_true(self, value: np.ndarray | int, positions: np.ndarray) -> np.ndarray:
        """Return at which of some positions it has a value: bool `[positions]`."""
        there = self.values.number[positions]
        return np.where(np.asarray(value) == self.any_value, there >= 0, there == value)

    def words(self, value: int) -> str:
        """Say in words that it has a value, e.g. `month = June`."""
        if value == self.any_value:
            return f"any {self.name}"
        text = self.values.names[value]
        return {
            "label": f"{self.name} = {text}",
            "token": f"the token {text!r}",
            "before": f"whatever follows {text!r}",
            "shape": text,
            "ending": f"words in -{text}" if text.isalpha() else f"words in {text}",
        }[self.kind]


def features(reader: Reader) -> Sequence[Feature]:
    """Return all of them; items without text have labels alone."""
    known = [Feature("label", field, numbered.labels(reader, field)) for field in reader.fields]
    tokens = numbered.tokens(reader)
    if not tokens.names:
        return known

    def derived() -> tuple[tuple[Feature, ...], int]:
        before = np.append(-1, tokens.number[:-1])
        before[reader.items.first_pos[reader.items.first_pos < reader.positions]] = -1  # items begin after nothing
        shapes = np.array([_shape(name) for name in tokens.names] + [-1])  # the last for positions without a token
        endings = np.array([_ending(name) for name in tokens.names] + [-1])
        shape_names = tuple(name for name, _ in SHAPES)
        derivatives = (
            Feature("before", "", numbered.numbered(reader, tokens.names, before)),
            Feature("shape", "", numbered.numbered(reader, shape_names, shapes[tokens.number])),
            Feature("ending", "", numbered.numbered(reader, ENDINGS, endings[tokens.number])),
        )
        return derivatives, sum(feature.values.nbytes for feature in derivatives)

    return [*known, Feature("token", "", tokens), *reader.cache.get((reader.path, "features"), derived)]


def _shape(token: str) -> int:
    bare = token.strip() or token
    return next((i for i, (_, pattern) in enumerate(SHAPES) if re.fullmatch(pattern, bare)), -1)


def _ending(token: str) -> int:
    bare = token.strip()
    return next((i for i, ending in enumerate(ENDINGS) if bare.endswith(ending) and len(bare) > len(ending) + 1), -1)
