"""Rows of a table by attribute."""

from __future__ import annotations

from typing import Any

import pandas as pd


class Row:
    """One row by attribute; unlike a named tuple it may have a column called `count`."""

    def __init__(self, values: dict[str, Any]) -> None:
        """Take the values by column."""
        self.__dict__.update(values)

    def __getattr__(self, name: str) -> Any:
        """A column that is not there."""
        raise AttributeError(f"There is no column {name!r}. Columns: {', '.join(self.__dict__)}.")


def records(frame: pd.DataFrame) -> list[Row]:
    """All rows of a table, in order."""
    names = [str(c) for c in frame.columns]
    return [Row(dict(zip(names, values, strict=True))) for values in frame.itertuples(index=False, name=None)]


def row(frame: pd.DataFrame, column: str, value: Any) -> Row:
    """The first row whose `column` is `value`; it has to be there."""
    return records(frame[frame[column] == value].head(1))[0]
