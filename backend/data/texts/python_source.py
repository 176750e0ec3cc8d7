"""Real text that is on every machine: the sources of Python's standard library, read where the running interpreter has them.

1. `PythonSource` lists the files (no tests, no installed packages, none above 400 kB) and cuts each into stretches of whole
   lines, about 2,000 characters long, where a top-level statement begins after a blank line if there is such a place.
2. A document is one stretch. No file is in both the training and the held-out part of the corpus.
3. Its truth comes from `tokenize` and `ast` over the whole file, when it is first asked for.

`FIELDS` says what is marked; `python_source_judging` judges code that a model wrote, which need not parse.
"""

from __future__ import annotations

import ast
import io
import keyword
import os
import re
import sysconfig
import tokenize
import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from backend.data.source import DataSource, Settings
from backend.data.texts.corpus import Document, FiniteCorpus, Mark
from backend.data.texts.python_source_judging import CONCEPTS, JUDGE, TRIAL
from backend.data.texts.settings import LENGTH_OPTION, check_settings, items_of, with_length

FIELDS = {
    "syntax": "comment, docstring, string, number, keyword, name, operator, newline, or indent (white space of a line)",
    "keyword": "the keyword itself",
    "definition": "function or class, on the name that is being defined",
    "import": "import or from, on all of such a statement",
    "role": "parameter, argument name, attribute, call or decorator, on that name",
    "block": "the innermost of function, class, if, for, while, with, try, except, module",
    "indent": "how many blocks deep the line is, from 0 to 6+",
}
Truth = tuple[int, int, str, str]  # first character, the one behind the last, field, value
MAX_FILE_BYTES = 400_000
LEAST, TARGET, MOST = 500, 800, 1_300  # characters of a stretch: some 250 tokens
_LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"}
_BLOCKS: dict[type[ast.AST], str] = {
    ast.FunctionDef: "function",
    ast.AsyncFunctionDef: "function",
    ast.ClassDef: "class",
    ast.If: "if",
    ast.For: "for",
    ast.AsyncFor: "for",
    ast.While: "while",
    ast.With: "with",
    ast.AsyncWith: "with",
    ast.Try: "try",
    ast.TryStar: "try",
    ast.ExceptHandler: "except",
}
_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
_LAYOUT = {tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
_STRINGS = {
    "STRING",
    "FSTRING_START",
    "FSTRING_MIDDLE",
    "FSTRING_END",
    "TSTRING_START",
    "TSTRING_MIDDLE",
    "TSTRING_END",
}
_KINDS = {"COMMENT": "comment", "NUMBER": "number", "OP": "operator", "NEWLINE": "newline", "NL": "newline"}


class PythonSource(FiniteCorpus):
    """The standard library's sources as documents."""

    def __init__(self, folder: Path | None = None) -> None:
        """Take the folder of the sources; by default that of the running interpreter's library.

        Where there are none, the first document asked for is a `BadInput`.
        """
        self.folder = Path(sysconfig.get_path("stdlib")) if folder is None else folder
        self._places: list[tuple[str, int, int, int]] = []  # file, its first line, characters from and to
        self._truth = lru_cache(maxsize=None)(self._truth_of_file)
        nothing = f"There are no Python sources in {self.folder}. Install Python with its library's .py files."
        super().__init__(self._look, self._stretch, nothing)

    def _look(self) -> list[str]:
        """Note where the files are cut, and return the file of each stretch."""
        files = sorted(_files(self.folder))
        self._places = [(name, *place) for name in files for place in _stretches(_read(self.folder / name))]
        return [name for name, *_ in self._places]

    def _stretch(self, number: int) -> Document:
        name, line, start, stop = self._places[number]
        text = _read(self.folder / name)[start:stop]
        return Document(text, _Marks(self, name, start, stop), {"module": name, "place": f"{name}:{line}"})

    def _truth_of_file(self, name: str) -> np.ndarray:
        """Find the truth about a file, int32 `[marks, 4]`: start, stop, number of the field in `FIELDS` and of the value."""
        fields = {field: number for number, field in enumerate(FIELDS)}
        rows = [
            (start, stop, fields[field], _VALUES.setdefault(value, len(_VALUES)))
            for start, stop, field, value in file_truth(_read(self.folder / name))
        ]
        return np.array(rows, dtype=np.int32).reshape(-1, 4)


_VALUES: dict[str, int] = {}  # value -> its number in the arrays that are kept


class _Marks(Sequence[Mark]):
    """The marks of a stretch, made when they are first looked at: training needs none, and `tokenize` takes its time."""

    def __init__(self, source: PythonSource, name: str, start: int, stop: int) -> None:
        self._where = source, name, start, stop

    @cached_property
    def _marks(self) -> list[Mark]:
        source, name, start, stop = self._where
        rows = source._truth(name)
        rows = rows[(rows[:, 0] < stop) & (rows[:, 1] > start)].copy()
        rows[:, :2] = rows[:, :2].clip(start, stop) - start
        fields, values = list(FIELDS), list(_VALUES)
        return [Mark(a, b, fields[field], values[value]) for a, b, field, value in rows.tolist()]

    def __len__(self) -> int:
        return len(self._marks)

    def __getitem__(self, index: Any) -> Any:
        return self._marks[index]


def _files(folder: Path) -> Iterator[str]:
    """Yield the paths of the sources below the folder, relative, with `/`."""
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in _LEFT_OUT]
        for name in files:
            path = Path(place, name)
            if name.endswith(".py") and path.stat().st_size <= MAX_FILE_BYTES and _read(path).strip():
                yield path.relative_to(folder).as_posix()


@lru_cache(maxsize=1024)
def _read(path: Path) -> str:
    """Read the text of a source file; empty where it cannot be read as one."""
    try:
        with tokenize.open(path) as file:
            return file.read()
    except (OSError, SyntaxError, UnicodeDecodeError):
        return ""


def _stretches(text: str) -> Iterator[tuple[int, int, int]]:
    """Cut a file: first line (from 1), first character, character behind the last."""
    # `splitlines` takes a form feed for the end of a line, Python's grammar does not
    lines = text.splitlines(keepends=True) if "\f" not in text else re.findall(r"[^\n]*\n|[^\n]+", text)
    at = np.cumsum([0, *map(len, lines)])
    after_blank = [i for i in range(1, len(lines)) if lines[i - 1].isspace() and not lines[i].isspace()]
    inside = _inside_strings(lines)
    outer = [i for i in after_blank if not lines[i][0].isspace() and not inside[i]]
    start = 0
    while start < len(lines):
        first, last = np.searchsorted(at, (at[start] + LEAST, at[start] + MOST), side="right")
        stop = len(lines)
        if at[-1] - at[start] > MOST:
            last = max(int(last), start + 2)  # a line may be longer than all of this
            # best is a new statement of the module, else what follows a blank line, else any line
            fitting = next(
                (
                    fit
                    for places in (outer, after_blank, range(start + 1, last))
                    if (fit := [i for i in places if first <= i < last])
                ),
                [start + 1],
            )
            stop = min(fitting, key=lambda i: abs(int(at[i] - at[start]) - TARGET))
        if text[at[start] : at[stop]].strip():
            yield start + 1, int(at[start]), int(at[stop])
        start = stop


def _inside_strings(lines: Sequence[str]) -> list[bool]:
    """Say which lines begin inside a string of three quotes, going by the quotes alone."""
    inside, quotes = [], ""
    for line in lines:
        inside.append(bool(quotes))
        if '"""' in line or "'''" in line:
            for mark in re.findall("\"\"\"|'''", line):
                quotes = "" if quotes == mark else quotes or mark
    return inside


# -- the truth about a file ----------------------------------------------------------------------------------------


def file_truth(text: str) -> list[Truth]:
    """Find all that is true of a source file, fields as in `FIELDS`; nothing where it does not parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old escapes in old sources
            tree = ast.parse(text)
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (SyntaxError, tokenize.TokenError, ValueError, RecursionError):
        return []
    lines = _Lines(text)
    nodes = list(ast.walk(tree))  # from the outside in
    return [*_of_tokens(tokens, _docstrings(nodes), lines), *_of_lines(tokens, lines), *_of_tree(nodes, lines)]


class _Lines:
    """Turns places in a file, by line and column, into characters from its start."""

    def __init__(self, text: str) -> None:
        self.text = text.split("\n")
        self.at = np.cumsum([0, *(len(line) + 1 for line in self.text)]).clip(max=len(text)).tolist()
        self._ascii = text.isascii()

    def byte(self, line: int, column: int) -> int:
        """Return the character at a place of `ast`: lines from 1, columns in UTF-8 bytes."""
        if not self._ascii and not (text := self.text[line - 1]).isascii():
            column = len(text.encode()[:column].decode())
        return self.at[line - 1] + column

    def extent(self, node: Any) -> tuple[int, int]:
        """Return the first character of a node, and the one behind its last."""
        return self.byte(node.lineno, node.col_offset), self.byte(node.end_lineno, node.end_col_offset)

    def last_name(self, node: ast.Name | ast.Attribute) -> tuple[int, int]:
        """Return where `c` of `a.b.c` is."""
        start, stop = self.extent(node)
        return (start if isinstance(node, ast.Name) else stop - len(node.attr)), stop


def _docstrings(nodes: Sequence[ast.AST]) -> set[tuple[int, int]]:
    """Return line and column where docstrings begin."""
    firsts = (node.body[0] for node in nodes if isinstance(node, _DOCUMENTED) and node.body)
    return {
        (first.lineno, first.col_offset)
        for first in firsts
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    }


def _of_tokens(
    tokens: Sequence[tokenize.TokenInfo], docstrings: set[tuple[int, int]], lines: _Lines
) -> Iterator[Truth]:
    before = ""
    for number, string, (line, column), (end_line, end_column), _ in tokens:
        kind = tokenize.tok_name[number]
        start, stop = lines.at[line - 1] + column, lines.at[end_line - 1] + end_column
        if kind == "NAME":
            is_keyword = keyword.iskeyword(string)
            yield start, stop, "syntax", "keyword" if is_keyword else "name"
            if is_keyword:
                yield start, stop, "keyword", string
            elif before in ("def", "class"):
                yield start, stop, "definition", "class" if before == "class" else "function"
        elif kind in _STRINGS:
            yield start, stop, "syntax", "docstring" if (line, column) in docstrings else "string"
        elif kind in _KINDS and string:
            yield start, stop, "syntax", _KINDS[kind]
        before = string


def _of_lines(tokens: Sequence[tokenize.TokenInfo], lines: _Lines) -> Iterator[Truth]:
    """Mark white space in front of lines, and how deep each line is; lines of a statement are as deep as its first."""
    depth = 0
    depths: dict[int, int] = {}
    waiting: list[int] = []  # lines of comments alone: as deep as what follows
    inside: set[int] = set()  # lines that begin inside a token
    for kind, _, (first, _), (last, _), _ in tokens:
        if kind in _LAYOUT:
            depth += (kind == tokenize.INDENT) - (kind == tokenize.DEDENT)
        elif kind == tokenize.COMMENT and first not in depths:
            waiting.append(first)
        elif last not in depths:
            depths.update(dict.fromkeys(waiting, depth))
            waiting.clear()
            inside.update(range(first + 1, last + 1))
            for line in range(first, last + 1):
                depths.setdefault(line, depth)
    depths.update(dict.fromkeys(waiting, depth))
    for line, deep in depths.items():
        text, start = lines.text[line - 1], lines.at[line - 1]
        yield start, lines.at[line], "indent", str(deep) if deep < 6 else "6+"
        if (width := len(text) - len(text.lstrip())) and line not in inside:
            yield start, start + width, "syntax", "indent"


def _of_tree(nodes: Sequence[ast.AST], lines: _Lines) -> Iterator[Truth]:
    yield 0, lines.at[-1], "block", "module"
    named: set[ast.AST] = set()  # the role of their names follows from what they stand in
    for node in nodes:
        if block := _BLOCKS.get(type(node)):
            decorators = getattr(node, "decorator_list", [])
            top: Any = min([node, *decorators], key=lambda part: part.lineno)
            start = lines.extent(node)[0] if top is node else lines.at[top.lineno - 1]
            yield start, lines.at[node.end_lineno], "block", block  # type: ignore[attr-defined]
            for decorator in decorators:
                target = decorator.func if isinstance(decorator, ast.Call) else decorator
                yield *lines.extent(target), "role", "decorator"
                named.update(ast.walk(target), [decorator])
        elif isinstance(node, ast.Call) and node not in named and isinstance(node.func, ast.Name | ast.Attribute):
            yield *lines.last_name(node.func), "role", "call"
            named.add(node.func)
        elif isinstance(node, ast.Attribute) and node not in named:
            yield *lines.last_name(node), "role", "attribute"
        elif isinstance(node, ast.arg | ast.keyword) and node.arg is not None:
            start, _ = lines.extent(node)
            yield start, start + len(node.arg), "role", "parameter" if isinstance(node, ast.arg) else "argument name"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield *lines.extent(node), "import", "import" if isinstance(node, ast.Import) else "from"


def _corpus(settings: Settings) -> PythonSource:
    check_settings(settings)
    return PythonSource()


SOURCE = DataSource(
    name="python-source",
    item="text",
    about="the sources of Python's standard library, read from the running interpreter",
    title="Python's standard library",
    open=items_of(_corpus),
    corpus=_corpus,
    judge=JUDGE,
    trial=TRIAL,
    concepts=CONCEPTS,
    options=(LENGTH_OPTION,),
    resolve=with_length,
    slug=lambda settings: "python",
)
