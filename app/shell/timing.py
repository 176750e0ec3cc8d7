"""How long a live model takes, so that a page answers at once where it can and asks first where it cannot."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

PATIENCE = 1.5  # seconds that a page may think without being asked


class Pace:
    """The quickest of a model's last runs, scaled by the work asked for; shared by all sessions of the process.

    The first run does not count: it loads the model and counts what later runs reuse.
    """

    def __init__(self) -> None:
        self._runs: list[tuple[float, float]] = []
        self._warm = False

    @staticmethod
    @st.cache_resource(show_spinner=False)
    def of(model: str) -> Pace:
        """The pace of one model."""
        return Pace()

    @contextmanager
    def timed(self, work: float) -> Iterator[None]:
        """Measure one run of that much work."""
        started = time.perf_counter()
        yield
        if not self._warm:
            self._warm = True
            return
        self._runs = [*self._runs[-4:], (time.perf_counter() - started, max(1.0, work))]

    def seconds(self, work: float) -> float:
        """How long a run will probably take; 0 where none was measured yet."""
        return min((seconds * max(1.0, work / size) for seconds, size in self._runs), default=0.0)
