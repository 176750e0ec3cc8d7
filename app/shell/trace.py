"""What one run of a page has asked for and how long that took: for the foot of the page, and for what it repeats."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pandas as pd
import streamlit as st

from app.shell.pages import Page
from backend.calls import Call
from backend.types import CodeRef


@dataclass
class Trace:
    """What one run of a page has asked the explorer and its models for.

    Attributes:
        page: the page that runs; None before the first one.
        started: clock at the start of the run, in seconds.
        calls: the calls in order; the second value is True where the answer came from the cache.
        besides: calls that only helped to draw the page: they take time and read rows, and are not what it shows.
        live: how many questions the model itself was asked.
        unnamed: codes whose names were not known yet when their chips were drawn.
        unnamed_codebooks: models and codebooks that were drawn as a whole before their names were known.
        earlier: seconds of work behind answers that are shown again and were made in an earlier run.
        tables: name -> the data on the screen, which the foot offers.
        python: lines of "Copy as Python" beside the calls.
        ended: clock when it had run; 0 while it runs.
        drawn: keys of the widgets bound to the address.
        drawn_before: those of the run before.
    """

    page: Page | None = None
    started: float = field(default_factory=time.perf_counter)
    calls: list[tuple[Call, bool]] = field(default_factory=list)
    besides: list[tuple[Call, bool]] = field(default_factory=list)
    live: int = 0
    earlier: float = 0.0
    unnamed: set[CodeRef] = field(default_factory=set)
    unnamed_codebooks: set[tuple[str, str]] = field(default_factory=set)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    python: list[str] = field(default_factory=list)
    ended: float = 0.0
    drawn: set[str] = field(default_factory=set)
    drawn_before: frozenset[str] = frozenset()


def begin(page: Page | None = None) -> None:
    """Start a run: forget what the run before has asked for.

    Args:
        page: the page that runs; None: the same as before, where a part of it runs alone.
    """
    before: Trace = st.session_state.get("trace", Trace())
    now = Trace(page or before.page, drawn_before=frozenset(before.drawn))
    if page is None:  # all else on the page stands as it was
        now.drawn |= before.drawn
    st.session_state["trace"] = now


def trace() -> Trace:
    """Return what this run has asked for so far."""
    if "trace" not in st.session_state:
        begin()
    current: Trace = st.session_state["trace"]
    return current


@contextmanager
def aside() -> Iterator[None]:
    """Take what is asked inside the block for help in drawing the page, not for what the page shows."""
    current = trace()
    before = len(current.calls)
    try:
        yield
    finally:
        current.besides += current.calls[before:]
        del current.calls[before:]
