"""The foot of every page, drawn once, after the page: how long it took, what it read, downloads, and the same as Python.

1. A page hands over what is on the screen with `offer`, wherever it has it.
2. `app.main` draws the foot when the page has run, also when it stopped early.
3. The foot is a fragment that follows every part that runs alone (`app.shell.parts`), and says what that took.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Iterable, Mapping

import pandas as pd
import streamlit as st
from markupsafe import Markup

from app.components.follower import follow
from app.shell import resources, script
from app.shell.trace import Trace, trace
from backend.types import CodeRef

SHORTEST = 0.05  # seconds of earlier work that are worth a word
_KEY = "foot"


def offer(tables: Mapping[str, pd.DataFrame] | None = None, python: Iterable[str] = ()) -> None:
    """Hand over what the page shows; several parts of a page add to each other.

    Args:
        tables: name -> the data on the screen, offered as CSV and JSON.
        python: lines for "Copy as Python" beside the questions that were asked, e.g. of a live model.
    """
    trace().tables.update(tables or {})
    trace().python.extend(python)


def draw() -> None:
    """Draw it at the end of the page."""
    trace().ended = time.perf_counter()
    st.session_state[_KEY] = trace()
    _foot()


def take_over() -> None:
    """Say in the foot what a part of the page took that has just run alone, with its tables and its Python."""
    current = trace()
    current.ended = time.perf_counter()
    page: Trace | None = st.session_state.get(_KEY)
    if page is not None:
        current.tables = {**page.tables, **current.tables}
        if not current.python:  # it shows nothing new that could be asked again
            current.python, current.calls = page.python, [*page.calls, *current.calls]
    st.session_state[_KEY] = current


@st.fragment
def _foot() -> None:
    follow("foot")
    current: Trace = st.session_state[_KEY]
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="foot"):
        st.html(str(Markup('<div class="cs-foot">{}</div>').format(summary(current))), width="stretch")
        if current.tables:
            with st.popover("Download"):
                _downloads(current.tables)
        with st.popover("Copy as Python"):
            calls = [call for call, _ in current.calls]
            st.code(script.program(calls, current.python, resources.data_dir()), language="python")


def summary(current: Trace) -> str:
    """Return the foot's words: the time of this run, what was read and asked, and the work behind what was kept."""
    calls = [*current.calls, *current.besides]
    rows, cached = sum(call.rows for call, _ in calls), sum(kept for _, kept in calls)
    parts = [_time(current.ended - current.started)]
    parts.append(f"{rows:,} rows read in {len(calls)} questions" + (f" ({cached} from the cache)" if cached else ""))
    if current.live:
        parts.append(f"{current.live} to the model itself")
    if current.earlier >= SHORTEST:
        parts.append(f"what is shown from earlier took {_time(current.earlier)} then")
    return " · ".join(parts)


def _time(seconds: float) -> str:
    return f"{1000 * seconds:,.0f} ms" if seconds < 10 else f"{seconds:,.1f} s"


def _downloads(tables: Mapping[str, pd.DataFrame]) -> None:
    """One CSV a table and one JSON with all of them, made when they are clicked."""

    def plain(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.map(lambda v: str(v) if isinstance(v, CodeRef) else v) if len(frame) else frame

    def document() -> str:
        found = {name: json.loads(plain(frame).to_json(orient="records")) for name, frame in tables.items()}
        return json.dumps(found, ensure_ascii=False, indent=1)

    for name, frame in tables.items():
        csv = functools.partial(lambda table: plain(table).to_csv(index=False), frame)
        title = f"{name}.csv · {len(frame):,} rows"
        st.download_button(title, csv, f"{name}.csv", "text/csv", on_click="ignore", width="stretch")
    title = "all of it as JSON"
    st.download_button(title, document, "codescope.json", "application/json", on_click="ignore", width="stretch")
