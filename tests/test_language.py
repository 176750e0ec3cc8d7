"""How the code reads, held where a machine can hold it: names, the first words of docstrings, the English of messages.

`ROOMS` obey all of it; a room that is not listed yet is cleaned first and then added.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("backend", "app/help", "app/items.py", "app/main.py")
# These say when something was got, and not what it is. As a part of a longer name they may be right (`is_own`).
EMPTY_NAMES = frozenset("asked found given got kept made one own said told usual".split())
PUBLISHED = {
    "backend/answers/meaning.py": {"own"},
    "backend/questions/question.py": {"kept"},
}  # in people's programs and in JSON: these stay
# What functions do. A verb that is missing is added here; a noun is not.
VERBS = frozenset(
    """
    Add Append Apply Ask Assign Be Begin Bound Bring Build Call Cast Change Check Choose Close Collect Combine Compact
    Compare Compute Count Cut Decode Delete Describe Do Draw Dress Encode End Estimate Fill Find Fit Flush Fold Follow Forget
    Form Gather Generate Give Go Group Hand Hash Hold Ignore Import Insert Invite Join Keep Leave Let List Listen Load
    Look Make Map Mark Measure Merge Mount Move Name Note Number Open Order Overwrite Paint Parse Plan Practise Precompute Prepare
    Print Project Put Raise Rank Read Record Refuse Release Remember Remove Rename Repeat Replace Report Resolve Restart
    Return Run Say Scale Scroll Search See Send Set Show Sort Split Spread Start Stop Summarise Switch Take Tell Test Tokenise
    Touch Train Try Turn Wait Warn Work Wrap Write Yield
    """.split()
)
# Slips of people who think in another language: "is no number" where a colleague would say "is not a number".
NOT_ENGLISH = re.compile(
    r"(?<!\bthere )\b(?:is|are|was|were) no (?!longer\b|more\b|less\b|fewer\b|better\b|worse\b)[a-z]+", re.I
)


def files(place: str) -> list[Path]:
    path = ROOT / place
    return [path] if path.suffix else sorted(path.rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def names(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and name of all variables, parameters, functions and classes that a module binds."""
    for node in ast.walk(module):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr


def first_words(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and first word of the docstrings of all functions; properties are things and may be called so."""
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef) and (docstring := ast.get_docstring(node)):
            if not any("property" in ast.unparse(decorator) for decorator in node.decorator_list):
                yield node.lineno, docstring.split()[0].rstrip(".,:;")


def texts(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and text of all strings, those with values in them as they stand in the source."""
    parts = {part for node in ast.walk(module) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in parts:
            yield node.lineno, node.value
        elif isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(v.value if isinstance(v, ast.Constant) else "{}" for v in node.values)


def nondescript(path: Path) -> list[str]:
    empty = EMPTY_NAMES - PUBLISHED.get(name(path), set())
    return [f"{name(path)}:{line} {word}" for line, word in names(tree(path)) if word.strip("_").lower() in empty]


def verbless(path: Path) -> list[str]:
    return [f"{name(path)}:{line} {word}" for line, word in first_words(tree(path)) if word not in VERBS]


def foreign(path: Path) -> list[str]:
    matches = ((line, match) for line, text in texts(tree(path)) for match in NOT_ENGLISH.finditer(text))
    return [f"{name(path)}:{line} {match[0]}" for line, match in matches]


@pytest.mark.parametrize("room", ROOMS)
def test_names_say_what_a_thing_is_and_not_when_it_was_got(room: str) -> None:
    assert files(room), room
    assert [slip for path in files(room) for slip in nondescript(path)] == []


@pytest.mark.parametrize("room", ROOMS)
def test_docstrings_of_functions_begin_with_a_verb(room: str) -> None:
    assert [slip for path in files(room) for slip in verbless(path)] == []


@pytest.mark.parametrize("room", ROOMS)
def test_texts_are_plain_english(room: str) -> None:
    assert [slip for path in files(room) for slip in foreign(path)] == []


def test_the_rules_see_what_they_are_for() -> None:
    source = '''
def found(one):
    """The sum."""
    kept = [said for said in one]
    raise ValueError(f"{kept} is no number, and there is no other")
'''
    module = ast.parse(source)
    assert {word for _, word in names(module)} & EMPTY_NAMES == {"found", "one", "kept", "said"}
    assert [word for _, word in first_words(module)] == ["The"] and "The" not in VERBS
    assert [match[0] for _, text in texts(module) for match in NOT_ENGLISH.finditer(text)] == ["is no number"]
    assert not NOT_ENGLISH.search("It is no longer there, and there is no file.")
