r"""Rewrites a pattern so that one global replacement shows where its first group lies.

`A(G)B` becomes `(A)(G)(B)`, and replacing by `\1<\2>\3` puts a mark on both sides of the group and changes nothing else.
That holds where the group stands at the top level, exactly once: no alternation around it, no repetition behind it.
"""

from __future__ import annotations

import re

import re2

_FLAGS = re.compile(r"\(\?[imsU-]+\)")
_CAPTURE = re.compile(r"\((?!\?)|\(\?P?<\w+>")
_MAX_GROUP = 9  # a replacement names groups by one digit


def marking(text: str, groups: int, marks: str) -> tuple[str, str] | None:
    """Return the pattern and the replacement that mark the first group, or the whole match of a pattern without groups.

    Args:
        text: a pattern that RE2 takes.
        groups: how many groups it has.
        marks: the two characters to put before and behind.

    Returns:
        None where the pattern is not of a form that can be marked.
    """
    before, behind = marks[0], marks[1]
    if groups == 0:
        return text, rf"{before}\0{behind}"
    flags = _FLAGS.match(text)
    prefix = flags.group() if flags else ""
    parts = _first_group(text[len(prefix) :])
    if parts is None:
        return None
    head, inner, tail, inner_groups = parts
    last = 3 + inner_groups
    if last > _MAX_GROUP:
        return None
    marked = f"{prefix}({head})({inner})({tail})"
    options = re2.Options()
    options.log_errors = False
    try:
        # RE2 has the last word: where its count of groups differs, the pattern was not understood here
        same = re2.compile(marked, options).groups == groups + 2
    except re2.error:
        return None
    finally:
        re2.purge()
    return (marked, rf"\1{before}\2{behind}\{last}") if same else None


def _first_group(text: str) -> tuple[str, str, str, int] | None:
    """Split at the first capturing group: before, in and behind it, and how many groups it holds; None if not simple."""
    depth, opened, closed, content, inner = 0, -1, -1, -1, 0
    at = 0
    while at < len(text):
        here = text[at]
        if here == "\\":
            if text[at + 1 : at + 2] in ("Q", "E"):  # quoted text: brackets mean nothing in it
                return None
            at += 2
            continue
        if here == "[":
            at = _behind_class(text, at)
            continue
        if here == "|" and depth == 0:
            return None
        if here == "(":
            capture = _CAPTURE.match(text, at)
            if capture is not None and opened < 0:
                if depth:
                    return None
                opened, content = at, capture.end()
            elif capture is not None and closed < 0:
                inner += 1
            elif _FLAGS.match(text, at) and depth == 0:  # flags would end with the bracket that is put around them
                return None
            depth += 1
        elif here == ")":
            depth -= 1
            if depth == 0 and opened >= 0 and closed < 0:
                closed = at
                if text[at + 1 : at + 2] in (
                    "*",
                    "+",
                    "?",
                    "{",
                ):  # of a repeated group only the last turn would be marked
                    return None
        at += 1
    if opened < 0 or closed < 0:
        return None
    return text[:opened], text[content:closed], text[closed + 1 :], inner


def _behind_class(text: str, at: int) -> int:
    """Return the place behind a character class that begins at `at`."""
    at += 1
    if text[at : at + 1] == "^":
        at += 1
    if text[at : at + 1] == "]":  # in first place it stands for itself: `[]a]`
        at += 1
    while at < len(text) and text[at] != "]":
        if text[at] == "\\":
            at += 2
        elif text.startswith("[:", at) and ":]" in text[at:]:
            at = text.index(":]", at) + 2
        else:
            at += 1
    return at + 1
