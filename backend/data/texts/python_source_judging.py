"""What is true of Python that a model wrote, which need not parse, and how steering is tried on it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from backend.data.judging import Behaviour, Judge, Place, Trial

BEHAVIOURS = {
    "comment": "comments",
    "docstring": "strings that are a statement of their own",
    "string": "all other strings",
    "number": "numbers",
    "import": "statements that begin with import or from",
    "function": "definitions that begin with def",
    "class": "definitions that begin with class",
    "decorator": "lines that begin with @",
    "loop": "statements that begin with for or while",
    "condition": "statements that begin with if or elif",
    "exception": "statements that begin with try, except, finally or raise",
    "return": "statements that begin with return or yield",
}
_STATEMENTS = {
    "import": "import",
    "from": "import",
    "def": "function",
    "class": "class",
    "@": "decorator",
    "for": "loop",
    "while": "loop",
    "if": "condition",
    "elif": "condition",
    "try": "exception",
    "except": "exception",
    "finally": "exception",
    "raise": "exception",
    "return": "return",
    "yield": "return",
}
_PIECES = re.compile(
    r"""(?P<comment>\#[^\n]*)
    |(?P<string>(?:\b[rbfuRBFU]{1,2}(?=["']))?
        (?:\"{3}(?:\\.|[^\\])*?(?:\"{3}|\Z)|'{3}(?:\\.|[^\\])*?(?:'{3}|\Z)
          |"(?:\\.|[^"\\\n])*(?:"|$)|'(?:\\.|[^'\\\n])*(?:'|$)))
    |(?P<number>(?:\d|\.\d)(?:[eE][+-]\d|[\w.])*)
    |(?P<word>\w+)
    |(?P<line>\n)
    |(?P<space>(?:[^\S\n]|\\\n)+)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)


def behaviours(text: str) -> dict[str, int]:
    """Count how often each of `BEHAVIOURS` occurs in code that may be cut off or wrong anywhere; never fails.

    A string without an end goes on to the end of its line, with three quotes to the end of the text. Lines within brackets
    are one statement; `async` counts for what follows it.
    """
    counts = dict.fromkeys(BEHAVIOURS, 0)
    for name, _ in behaviour_places(text):
        counts[name] += 1
    return counts


def behaviour_places(text: str) -> list[tuple[str, tuple[int, int]]]:
    """Return each of `BEHAVIOURS` that `behaviours` counts, with its start and stop: of a statement its first word."""
    places: list[tuple[str, tuple[int, int]]] = []
    depth, begins = 0, True
    lone: tuple[int, int] | None = None  # a string that began a statement: a docstring unless something follows it
    for match in _PIECES.finditer(text):
        kind, piece, place = match.lastgroup, match[0], match.span()
        if kind == "space":
            continue
        if kind == "comment":
            places.append(("comment", place))
        elif kind == "line" or (piece == ";" and not depth):
            if not depth:
                places += [("docstring", lone)] if lone else []
                begins, lone = True, None
        elif kind == "string":
            if begins and not depth:
                lone = place
            else:
                places.append(("string", place))
            begins = False
        else:
            if lone and not depth:
                places.append(("string", lone))
                lone = None
            if kind == "number":
                places.append(("number", place))
            if begins and piece in _STATEMENTS:
                places.append((_STATEMENTS[piece], place))
            depth = max(0, depth + (piece in "([{") - (piece in ")]}"))
            begins = begins and piece == "async"
    return places + ([("docstring", lone)] if lone else [])


def _read(text: str) -> Mapping[str, frozenset[str]]:
    return {"syntax": frozenset(name for name, count in behaviours(text).items() if count)}


def _places(text: str, field: str, value: str) -> list[Place]:
    return sorted(place for name, place in behaviour_places(text) if (field, name) == ("syntax", value))


JUDGE = Judge({"syntax": tuple(BEHAVIOURS)}, _read, _places)  # `syntax` is everything that occurs
_TRUTHS = {  # behaviour -> the label that its codes are found by
    "comment": ("syntax", "comment"),
    "docstring": ("syntax", "docstring"),
    "string": ("syntax", "string"),
    "import": ("import", "import"),
    "class": ("keyword", "class"),
    "function": ("keyword", "def"),
}
TRIAL = Trial(
    choosing=("import os\n\n", "x = 1\n", "def run(self):\n    value = 0\n", "    return result\n\n"),
    testing=(
        "import sys\n",
        "y = 2\n\n",
        "def main(args):\n    count = 1\n",
        "    return True\n\n",
        "size = 10\n",
    ),
    behaviours=tuple(Behaviour("syntax", name, truth) for name, truth in _TRUTHS.items()),
    new_tokens=40,
    temperature=0.7,
)
CONCEPTS = (
    r"\n *(def) ",
    r"def (\w+)",
    r"class (\w+)",
    r"\n *(return)\b",
    r"\b(self)\b",
    r"self(\.)",
    r"self\.(\w+)",
    r"\b(import)\b",
    r"\bfrom (\w+)",
    r"(\):)\n",
    r"(\"\"\")",
    r"# (\w+)",
    r"\b(if) ",
    r"\b(not) ",
    r"\b(None)\b",
    r"\b(raise) ",
    r"raise (\w+)",
    r"(==)",
    r"( = )",
    r"(\[)\w",
    r"isinstance(\()",
    r"\n\n(    def)",
    r"__(\w+)__",
    r"(\d+)\)",
)
