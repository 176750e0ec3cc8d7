"""Where a pattern (`backend.analysis.patterns`) matches in the texts of a build.

The token that holds the first character of group 1 (of the whole match where the pattern has no group) is the match; a
token counts once. Matches do not overlap and never reach from one item into the next.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import re2

from backend.analysis.marking import marking
from backend.analysis.patterns import EMPTY, Pattern
from backend.errors import BadInput, BadPattern
from backend.store.corpus import TextBlock, text_blocks
from backend.store.reader import Reader

_UNANCHORED = re2._re2.RE2.Anchor.UNANCHORED  # the module's own Match objects cost twice the matching itself


@dataclass(frozen=True)
class Matches:
    """Where a pattern matches.

    Attributes:
        positions: int64, ascending, each once.
        unplaced: matches whose first character belongs to no token, or whose group is empty or took no part.
    """

    positions: np.ndarray
    unplaced: int


def matching_positions(reader: Reader, pattern: Pattern) -> Matches:
    """Return all positions at which the pattern matches, over the whole build; raises `BadInput` where no item has text."""
    if not len(reader.arrays("SELECT item FROM items WHERE text <> '' LIMIT 1")["item"]):
        raise BadInput(
            f"The items of {reader.model!r} have no text, so that no pattern can match. "
            "Leave the pattern empty and search by a label or a tag."
        )
    positions, unplaced = [np.empty(0, np.int64)], 0
    for block in text_blocks(reader):
        first = _first_bytes(block, pattern)
        at = first[first >= 0]
        token = np.searchsorted(block.end, at, side="right")  # the first token that ends behind the byte
        inside = token < len(block.end)
        inside[inside] = block.start[token[inside]] <= at[inside]
        unplaced += len(first) - int(inside.sum())
        token = token[inside]  # ascending, as matches are found from left to right
        positions.append(token[np.append(True, token[1:] > token[:-1])[: len(token)]] + block.first_pos)
    return Matches(np.concatenate(positions), unplaced)


def _first_bytes(block: TextBlock, pattern: Pattern) -> np.ndarray:
    """Return the byte of `block.data` where each match's group begins; -1 for a group that is empty or absent."""
    spans = _marked(block, pattern)
    if spans is None:
        return _first_places_one_by_one(block, pattern)
    start, stop = spans
    if pattern.group == 0 and (start == stop).any():
        raise BadPattern(EMPTY)
    return np.where(start < stop, start, -1)


def _marked(block: TextBlock, pattern: Pattern) -> tuple[np.ndarray, np.ndarray] | None:
    """Return first and last byte of every match's group in `block.data`, by letting Arrow's RE2 put marks around it.

    The k-th mark has moved k bytes to the right. None where the pattern cannot be marked, no marks are free, or Arrow's
    RE2 knows less syntax: then matches are taken one by one, which is some three times slower.
    """
    rewritten = marking(pattern.text, pattern.compiled.groups, block.marks) if block.marks else None
    if rewritten is None:
        return None
    try:
        marked = pc.replace_substring_regex(block.texts, *rewritten)
    except pa.ArrowInvalid:
        return None
    data = marked.buffers()[2]
    array = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    at = np.flatnonzero((array == ord(block.marks[0])) | (array == ord(block.marks[1])))
    at = at - np.arange(len(at))
    return at[0::2], at[1::2]


def _first_places_one_by_one(block: TextBlock, pattern: Pattern) -> np.ndarray:
    """Return the same as `_first_bytes`, match by match."""
    places: list[int] = []
    match, group = pattern.compiled._regexp.Match, pattern.group
    bounds = block.base.tolist()
    for base, stop_at in zip(bounds[:-1], bounds[1:], strict=True):
        text, at = block.data[base:stop_at], 0
        while at < len(text):
            spans = match(_UNANCHORED, text, at, len(text))
            start, stop = spans[0]
            if start < 0:
                break
            if start == stop:
                raise BadPattern(EMPTY)
            first, last = spans[group]
            places.append(base + first if first < last else -1)
            at = stop
    return np.array(places, np.int64)
