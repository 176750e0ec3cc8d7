"""Regular expressions of people, checked before they are used: what they may be, matched in linear time (RE2).

`compile_pattern` refuses what is too long, what RE2 does not know, and what matches the empty string.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import re2

from backend.errors import BadPattern

MAX_PATTERN = 300  # characters
MAX_REGEX_BYTES = 8 << 20  # of RE2's own tables
EMPTY = (
    "It matches the empty string, so it would match everywhere. Ask for at least one character, e.g. + in place of *."
)
_PROBES = (b"", b"a", b"a b", b"1.2\n_x", b" -")


@dataclass(frozen=True)
class Pattern:
    """A pattern that may be used.

    Attributes:
        text: as a person wrote it.
        group: the group whose first character names the token: 1, or 0 for the whole match.
        compiled: the automaton.
    """

    text: str
    group: int
    compiled: re2._Regexp


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
            f"Character {error.start} of the pattern is half a character (a lone surrogate). Remove it.", error.start
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
    for probe in _PROBES:  # some match the empty string in some texts only: `\b` does not in an empty one
        if any(match.start() == match.end() for match in compiled.finditer(probe)):
            raise BadPattern(EMPTY)
    return Pattern(text, min(compiled.groups, 1), compiled)


def _position(text: str, message: str) -> int | None:
    """Find where the mistake is: RE2 names the offending piece only, so Python's own parser is asked first."""
    try:
        re.compile(text)
    except re.error as error:
        if error.pos is not None:
            return error.pos
    except (RecursionError, OverflowError):
        return None
    piece = message.partition(": ")[2]
    return text.find(piece) if piece and piece in text else None
