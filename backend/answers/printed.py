"""Answers as plain text, for programs that print what a page shows. `show(explorer.examples(ref))` prints anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pandas as pd

from backend.answers.stored import Context, Example, ItemView, Patch, Token
from backend.types import Generated

ROWS = 50  # of a table or a list; how many more there are is said
WIDTH = 60  # characters of a cell
VECTOR, ARRAY = 12, 400  # values of an array of one axis, of several


def show(answer: Any, rows: int = ROWS) -> None:
    """Print an answer of the explorer or of a live model, with an empty line behind it.

    Args:
        answer: a table, a dataclass, a list or a mapping of them, an array, or a plain value.
        rows: of each table and list; how many more there are is said.
    """
    print(printed(answer, rows), end="\n\n")


def printed(answer: Any, rows: int = ROWS) -> str:
    """Return the text that `show` prints."""
    if isinstance(answer, pd.DataFrame):
        return _table(answer, rows)
    if isinstance(answer, Context):
        return _context(answer)
    if isinstance(answer, Patch):
        return _patch(answer)
    if isinstance(answer, Token):
        return repr(answer.text)
    if isinstance(answer, Generated):
        return answer.text
    if isinstance(answer, np.ndarray):
        most = VECTOR if answer.ndim == 1 else ARRAY
        return f"{answer.dtype} {list(answer.shape)}\n{np.array2string(answer, threshold=most, precision=4)}"
    if is_dataclass(answer) and not isinstance(answer, type) and not _is_short(answer):
        return _fields(answer, rows)
    if isinstance(answer, Mapping):
        return _list_pairs(answer.items(), rows) if answer else "none"
    if isinstance(answer, Sequence) and not isinstance(answer, str):
        return _list_values(answer, rows)
    if isinstance(answer, float):
        return f"{answer:.6g}"
    return str(answer)


def _table(table: pd.DataFrame, rows: int) -> str:
    if table.empty:
        return f"no rows ({', '.join(map(str, table.columns))})"
    text = table.head(rows).map(_cell).to_string(index=False, max_colwidth=WIDTH)
    return text + _more(len(table), rows)


def _cell(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    if isinstance(value, str):
        return repr(value)[1:-1]  # white space and control characters are seen, and do not break the table
    return str(value)


def _context(context: Context) -> str:
    def text(tokens: Sequence[Token]) -> str:
        return "".join(token.gap + token.text for token in tokens)

    where = f"item {context.item}, place {context.place}"
    if isinstance(context, Example):
        where += f", score {context.score:.3f}, margin {context.margin:.3f}"
    before, token, after = text(context.before), context.token, text(context.after)
    return f"{where}: {repr(before + token.gap)[1:-1]}[{repr(token.text)[1:-1]}]{repr(after)[1:-1]}"


def _patch(patch: Patch) -> str:
    labels = ", ".join(f"{field} = {value}" for field, value in patch.labels.items())
    return (
        f"item {patch.item}, row {patch.row}, column {patch.column}: code {patch.ref.code}, score {patch.score:.3f}, "
        f"margin {patch.margin:.3f}" + (f", {labels}" if labels else "")
    )


def _fields(answer: Any, rows: int) -> str:
    left_out = {"tokens"} if isinstance(answer, ItemView) else set()  # they say the text once more
    pairs = [(field.name, getattr(answer, field.name)) for field in fields(answer) if field.name not in left_out]
    return _list_pairs(pairs, rows)


def _list_pairs(pairs: Iterable[tuple[Any, Any]], rows: int) -> str:
    lines = []
    for number, (name, value) in enumerate(pairs):
        if number == rows:
            lines.append("...")
            break
        text = printed(value, rows)
        lines.append(f"{name}:\n{_indent(text)}" if "\n" in text else f"{name}: {text}")
    return "\n".join(lines)


def _list_values(answers: Sequence[Any], rows: int) -> str:
    if not len(answers):
        return "none"
    if isinstance(answers[0], Token):
        return repr("".join(token.gap + token.text for token in answers))
    if all(_is_short(value) for value in answers[:rows]):
        return ", ".join(printed(value) for value in answers[:rows]) + _more(len(answers), rows)
    return "\n".join(printed(value, rows) for value in answers[:rows]) + _more(len(answers), rows)


def _is_short(value: Any) -> bool:
    """Return whether a value is a word or a number, or writes itself as one (a code, an edit)."""
    return isinstance(value, str | int | float | np.generic) or (
        is_dataclass(value) and type(value).__str__ is not object.__str__
    )


def _more(length: int, rows: int) -> str:
    return f"\n... and {length - rows:,} more" if length > rows else ""


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.split("\n"))
