"""Pictures in rows, tokenizers in columns, one slider and one zoom for all: dragging in any picture moves it in every one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from app.draw import patches

_HERE = Path(__file__)


@dataclass(frozen=True)
class Shown:
    """One picture of a column.

    Attributes:
        picture: uint8 `[height, width, 3]`.
        alt: what it shows, for screen readers.
        note: a figure below it.
        wipes: the slider uncovers the original over it.
    """

    picture: np.ndarray
    alt: str
    note: str = ""
    wipes: bool = False


@dataclass(frozen=True)
class Line:
    """One row.

    Attributes:
        title: of the picture.
        href: where the title leads; empty: nowhere.
        notes: lines below the title.
        original: uint8 `[height, width, 3]`.
        cells: one a column.
    """

    title: str
    href: str
    notes: Sequence[str]
    original: np.ndarray
    cells: Sequence[Shown]


def wipe_data(
    columns: Sequence[tuple[str, str]], lines: Sequence[Line], *, right: str = "", note: str = "", side: int = 300
) -> dict[str, Any]:
    """What is drawn, as plain JSON values.

    Args:
        columns: heading and a figure beside it, each.
        lines: the rows.
        right: what the slider shows on its right, where it has something to show.
        note: stands beside the slider.
        side: longest side of a picture in pixels.
    """
    return {
        "columns": [{"title": title, "note": figure} for title, figure in columns],
        "rows": [
            {
                "title": line.title,
                "href": line.href,
                "notes": list(line.notes),
                "original": patches.data_uri(line.original),
                "cells": [
                    {"url": patches.data_uri(one.picture), "alt": one.alt, "note": one.note, "wipes": one.wipes}
                    for one in line.cells
                ],
            }
            for line in lines
        ],
        "wipes": any(one.wipes for line in lines for one in line.cells),
        "right": right,
        "note": note,
        "side": side,
    }


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    css, js = _HERE.with_suffix(".css").read_text(), _HERE.with_suffix(".js").read_text()
    return st.components.v2.component("codescope.wipe", css=css, js=js)


def wipe(data: dict[str, Any], *, key: str) -> None:
    """Draw what `wipe_data` made."""
    _component()(key=key, data=data)
