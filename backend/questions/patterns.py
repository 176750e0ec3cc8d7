"""Regular expressions of people, matched against the texts of a build in linear time (RE2).

1. `compile_pattern` refuses what is too long, what RE2 does not know, and what matches the empty string.
2. `matching_positions` runs it over every item's text. The token that holds the first character of group 1 (of the
   whole match where the pattern has no group) is the match; a token counts once. Matches do not overlap and never reach
   from one item into the next.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import re2

from backend.analysis.marking import marking
from backend.errors import BadPattern
from backend.store.corpus import TextBlock, text_blocks
from backend.store.reader import Reader

MAX_PATTERN = 300  # characters
MAX_REGEX_BYTES = 8 << 20  # of RE2's own tables
_EMPTY = (
    "It matches the empty string, so it would match everywhere. Ask for at least one character, e.g. + in place of *."
)
_PROBES = (b"", b"a", b"a b", b"1.2\n_x", b" -")
_UNANCHORED = re2._re2.RE2.Anchor.UNANCHORED  # the module's own Match objects cost twice the matching itself


@dataclass(frozen=True)
class Pattern:
    """A pattern that may be used.

    Attributes:
        text: as it was given.
        group: the group whose first character names the token: 1, or 0 for the whole match.
        compiled: the automaton.
    """

    text: str
    group: int
    compiled: re2._Regexp


@dataclass(frozen=True)
class Matches:
    """Where a pattern matches.

    Attributes:
        positions: int64, ascending, each once.
        unplaced: matches whose first character belongs to no token, or whose group is empty or took no part.
    """

    positions: np.ndarray
    unplaced: int


def compile_pattern(text: str) -> Pattern:
    """Check a person's pattern.

    Raises:
        BadPattern: it cannot be used; `position` is the character where the mistake is, where that is known.
    """
    if not isinstance(text, str) or not text:
        raise BadPattern("The pattern is empty. Write a regular expression, e.g. ' (the) '.", 0)
    if len(text) > MAX_PATTERN:
        raise BadPattern(
            f"The pattern has {len(text):,} characters; the limit is {MAX_PATTERN}. Shorten it.", MAX_PATTERN
        )
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MAX_REGEX_BYTES
    try:
        compiled = re2.compile(text, options)
    except UnicodeEncodeError as error:
        raise BadPattern(
            f"Half a character (a lone surrogate) stands at {error.start}. Remove it.", error.start
        ) from None
    except re2.error as error:
        message = error.args[0] if error.args else ""
        message = message.decode("utf-8", "replace") if isinstance(message, bytes) else str(message)
        position = _position(text, message)
        where = "" if position is None else f" at character {position}"
        raise BadPattern(
            f"The pattern cannot be read{where}: {message}. The syntax is RE2's: no look-around, no back-references; "
            r"write \( for a bracket itself.",
            position,
        ) from None
    finally:
        re2.purge()  # the module would keep 128 automata, of up to 8 MiB each
    for probe in _PROBES:
        if any(match.start() == match.end() for match in compiled.finditer(probe)):
            raise BadPattern(_EMPTY)
    return Pattern(text, min(compiled.groups, 1), compiled)


def matching_positions(reader: Reader, pattern: Pattern) -> Matches:
    """All positions at which the pattern matches, over the whole build."""
    found, unplaced = [np.empty(0, np.int64)], 0
    for block in text_blocks(reader):
        first = _first_bytes(block, pattern)
        at = first[first >= 0]
        token = np.searchsorted(block.end, at, side="right")  # the first token that ends behind the byte
        inside = token < len(block.end)
        inside[inside] = block.start[token[inside]] <= at[inside]
        unplaced += len(first) - int(inside.sum())
        token = token[inside]  # ascending, as matches are found from left to right
        found.append(token[np.append(True, token[1:] > token[:-1])[: len(token)]] + block.first_pos)
    return Matches(np.concatenate(found), unplaced)


def _first_bytes(block: TextBlock, pattern: Pattern) -> np.ndarray:
    """For each match the byte of `block.data` where its group begins; -1 for a group that is empty or absent."""
    spans = _marked(block, pattern)
    if spans is None:
        return _first_bytes_one_by_one(block, pattern)
    start, stop = spans
    if pattern.group == 0 and (start == stop).any():
        raise BadPattern(_EMPTY)
    return np.where(start < stop, start, -1)


def _marked(block: TextBlock, pattern: Pattern) -> tuple[np.ndarray, np.ndarray] | None:
    """First and last byte of every match's group in `block.data`, by letting Arrow's RE2 put marks around it.

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


def _first_bytes_one_by_one(block: TextBlock, pattern: Pattern) -> np.ndarray:
    """The same as `_first_bytes`, match by match."""
    found: list[int] = []
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
                raise BadPattern(_EMPTY)
            first, last = spans[group]
            found.append(base + first if first < last else -1)
            at = stop
    return np.array(found, np.int64)


def _position(text: str, message: str) -> int | None:
    """Where the mistake is: RE2 names the offending piece only, so Python's own parser is asked first."""
    try:
        re.compile(text)
    except re.error as error:
        if error.pos is not None:
            return error.pos
    except (RecursionError, OverflowError):
        return None
    piece = message.partition(": ")[2]
    return text.find(piece) if piece and piece in text else None
