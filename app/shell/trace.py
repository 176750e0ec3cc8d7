"""What one run of a page has asked for and how long that took: for the foot of the page, and for what it repeats."""

from __future__ import annotations

import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import streamlit as st

from app.shell.pages import Page
from backend.calls import Call


@dataclass
class Trace:
    """What one run of a page has asked the explorer and its models for.

    Attributes:
        page: the page that runs; None before the first one.
        started: clock at the start of the run, in seconds.
        calls: the calls in order; the second value is True where the answer came from the cache.
        live: how many questions the model itself was asked.
        waiting: what the page would show if it were known, and is still being found.
        earlier: seconds of work behind answers that are shown again and were made in an earlier run.
        tables: name -> the data on the screen, which the foot offers.
        python: lines of "Copy as Python" beside the calls.
        done: the foot has been drawn; what runs now is a part of the page alone.
        drawn: keys of the widgets bound to the address.
        drawn_before: those of the run before.
    """

    page: Page | None = None
    started: float = field(default_factory=time.perf_counter)
    calls: list[tuple[Call, bool]] = field(default_factory=list)
    live: int = 0
    earlier: float = 0.0
    waiting: list[Future[Any]] = field(default_factory=list)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    python: list[str] = field(default_factory=list)
    done: bool = False
    drawn: set[str] = field(default_factory=set)
    drawn_before: frozenset[str] = frozenset()


def begin(page: Page | None = None) -> None:
    """Start a run: forget what the run before has asked for.

    Args:
        page: the page that runs; None: the same as before, where a part of it runs alone.
    """
    before: Trace = st.session_state.get("trace", Trace())
    st.session_state["trace"] = Trace(page or before.page, drawn_before=frozenset(before.drawn))


def trace() -> Trace:
    """Return what this run has asked for so far."""
    if "trace" not in st.session_state:
        begin()
    current: Trace = st.session_state["trace"]
    return current
