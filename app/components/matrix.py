"""A matrix with names on both sides as marks on a canvas: a click on one opens the address of its row or column.

A chart of elements takes half a second for 5,000 marks; a canvas takes 10 ms and holds ten times as many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from app.components import component

MAX_CELLS = 50_000
Colour = tuple[int, int, int, float]  # red, green, blue, opacity


@dataclass(frozen=True)
class Kind:
    """How a cell looks.

    Attributes:
        name: said when it is pointed at; empty: nothing is said.
        shape: `square`, `cross` or `diamond`.
        light: colours from the weakest cell to the strongest, on white.
        dark: the same on black; empty: as on white.
        fill: how much of its cell the mark takes, 0 to 1.
        least: but never less than that many pixels.
    """

    name: str
    shape: str
    light: Sequence[Colour]
    dark: Sequence[Colour] = ()
    fill: float = 1.0
    least: float = 1.0


def largest(frame: pd.DataFrame, value: str, most: int = MAX_CELLS) -> pd.DataFrame:
    """The rows with the largest values where there are too many to draw; the others as they are, in their order."""
    return frame if len(frame) <= most else frame.nlargest(most, value).sort_index()


def matrix_data(
    cells: pd.DataFrame,
    rows: Sequence[str],
    columns: Sequence[str],
    kinds: Mapping[str, Kind],
    *,
    titles: tuple[str, str],
    said: tuple[str, str],
    counted: str,
    totals: Mapping[str, int],
    alt: str,
    height: int,
    square: bool = False,
    notes: Sequence[str] = (),
    legend: str = "",
    opens: tuple[str, str] = ("", ""),
) -> dict[str, Any]:
    """What the matrix draws, as plain JSON values.

    Args:
        cells: `row, column` (names), `count`, `shade` (0 to 1), `kind` (a key of `kinds`).
        rows: all names from top to bottom.
        columns: all names from left to right.
        kinds: how the cells look; later ones lie on earlier ones.
        titles: what stands beside the rows and below the columns.
        said: what a row and a column are called where a cell is pointed at.
        counted: what `count` counts, out of the row's total.
        totals: of each row; a row that is not there has none, and its counts are not said.
        alt: what the picture shows, for screen readers.
        height: of the cells together, in pixels.
        square: they are as wide as high; else they take all the width there is.
        notes: said of each column.
        legend: what a shade of the first kind means; empty: nothing is said.
        opens: what a click opens: `row` or `column`, and an address to which its name is added.
    """
    at_row, at_column = ({name: i for i, name in enumerate(names)} for names in (rows, columns))
    number = {name: i for i, name in enumerate(kinds)}
    return {
        "rows": list(rows),
        "columns": list(columns),
        "row": cells["row"].map(at_row).tolist(),
        "column": cells["column"].map(at_column).tolist(),
        "count": cells["count"].tolist(),
        "shade": np.round(100 * cells["shade"].to_numpy(np.float64)).astype(int).tolist(),
        "kind": cells["kind"].map(number).tolist(),
        "kinds": [asdict(kind) | {"dark": kind.dark or kind.light} for kind in kinds.values()],
        "titles": list(titles),
        "said": list(said),
        "counted": counted,
        "totals": [int(totals.get(name, 0)) for name in rows],
        "alt": alt,
        "height": height,
        "square": square,
        "notes": list(notes),
        "legend": legend,
        "opens": list(opens),
    }


def matrix(data: dict[str, Any], *, key: str) -> None:
    """Draw what `matrix_data` made."""
    component("matrix")(key=key, data=data)
