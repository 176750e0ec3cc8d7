"""Pictures cut into cells, side by side, pointed at together: every pane shows the same cells at the same zoom.

1. Hovering tells a cell's code and outlines the cells that have the same one.
2. A click or a dragged rectangle is reported; with the brush a stroke is, which is every cell that the pointer touched,
   however fast it went.
3. A double click opens the code's page, and so does O anywhere on the page: of the cell that is pointed at, else of the
   chosen one.
4. Arrow keys move from cell to cell (with Shift they stretch a rectangle), Enter reports it, + and - zoom, Ctrl and the
   wheel zoom too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from app.draw import html, patches

_HERE = Path(__file__)
SMALLEST = 200  # pixels of a pane's side below which panes go to another line


@dataclass(frozen=True)
class Pane:
    """One picture of the map.

    Attributes:
        id: what a click reports.
        title: stands above it, with `note` in a fainter colour.
        picture: uint8 `[height, width, 3]`.
        alt: what it shows, for screen readers.
        note: a figure.
        codes: `before` or `after`: which codes are written on it where they are large enough; empty: none.
        overlay: the overlay lies on it.
        edited: edited cells are framed on it.
    """

    id: str
    title: str
    picture: np.ndarray
    alt: str
    note: str = ""
    codes: str = ""
    overlay: bool = False
    edited: bool = False


@dataclass(frozen=True)
class Cells:
    """What is known of every cell, int or float `[H, W]`.

    Attributes:
        site: the codebook.
        before, after: its codes without and with the changes.
        runner_up, margin: of `before`.
        counts: how often the code of `after` fires.
        counted: in what, e.g. `times in the build`.
        error: mean |difference| to the original, a share of the range.
        other: codes of the other picture, where there is one.
    """

    site: str
    before: np.ndarray
    after: np.ndarray
    runner_up: np.ndarray
    margin: np.ndarray
    counts: np.ndarray
    counted: str
    error: np.ndarray
    other: np.ndarray | None = None


def map_data(
    panes: Sequence[Pane],
    cells: Cells,
    *,
    model: str,
    tool: str,
    selected: int | None = None,
    overlay: np.ndarray | None = None,
    look: Mapping[str, bool] | None = None,
    region: Sequence[int] | None = None,
    answer: str = "",
    version: str = "",
    hint: str = "",
    side: int = 420,
) -> dict[str, Any]:
    """What the map draws, as plain JSON values.

    Args:
        panes: from left to right.
        cells: what is known of the cells.
        model: the model.
        tool: what a click means; only with `look` does a double click open a code, only with `paint` is a drag a stroke.
        selected: the framed cell.
        overlay: uint8 `[H, W, 3]`, one colour a cell.
        look: `lines` and `ids`: draw the grid, write the codes.
        region: top, left, bottom, right: framed on the pane `other`.
        answer: the pane in which a change is seen; the time until then is measured.
        version: changes whenever a click has changed something.
        hint: what stands below while nothing is pointed at.
        side: longest side of a pane in pixels.
    """
    rows, columns = cells.before.shape

    def flat(values: np.ndarray, digits: int | None = None) -> list[Any]:
        plain = values.reshape(-1).tolist()
        return plain if digits is None else [f"{v:.{digits}f}" if v == v else "–" for v in plain]

    return {
        "rows": rows,
        "cols": columns,
        "panes": [
            {
                "id": pane.id,
                "title": pane.title,
                "note": pane.note,
                "alt": pane.alt,
                "url": patches.data_uri(pane.picture),
                "codes": pane.codes,
                "overlay": pane.overlay,
                "edited": pane.edited,
            }
            for pane in panes
        ],
        "site": cells.site,
        "before": flat(cells.before),
        "after": flat(cells.after),
        "runner_up": flat(cells.runner_up),
        "margin": flat(cells.margin, 3),
        "counts": [f"{int(n):,}" for n in cells.counts.reshape(-1)],
        "counted": cells.counted,
        "error": [html.share(v).replace(" ", "\xa0") for v in cells.error.reshape(-1).tolist()],
        "other": None if cells.other is None else flat(cells.other),
        "edited": [int(i) for i in np.flatnonzero(cells.before != cells.after)],
        "selected": -1 if selected is None else selected,
        "overlay": "" if overlay is None else patches.data_uri(overlay),
        "opacity": 0.7,
        "lines": bool(look and look.get("lines")),
        "ids": bool(look and look.get("ids")),
        "region": None if region is None else list(region),
        "href": html.address("code", model=model, site=cells.site) + "&code=",
        "tool": tool,
        "strokes": tool == "paint",
        "smallest": SMALLEST,
        "answer": answer,
        "version": version,
        "hint": hint,
        "side": side,
    }


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    return st.components.v2.component(
        "codescope.token_map", css=_HERE.with_suffix(".css").read_text(), js=_HERE.with_suffix(".js").read_text()
    )


def token_map(data: dict[str, Any], *, key: str, on_pick: Callable[[], None]) -> None:
    """Draw what `map_data` made.

    Args:
        data: what to draw.
        key: names this map on the page.
        on_pick: called before the page runs again, when cells were chosen: `state.triggered(key, "picked")` is
            `{"pane", "box"}`, the box as top, left, bottom, right; of a stroke also `cells`, in the order of the stroke.
    """
    _component()(key=key, data=data, on_picked_change=on_pick)


@st.cache_resource(show_spinner=False)
def _watch() -> Any:
    return st.components.v2.component("codescope.settled", js=_HERE.with_name("settled.js").read_text())


def runs_when_settled(key: str) -> None:
    """Run the fragment that calls this again when the answer to the last choice has been in sight for a moment."""
    _watch()(key=key, height=1, on_settled_change=lambda: None)
