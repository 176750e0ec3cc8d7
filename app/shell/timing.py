"""How long a live model takes, so that a page answers at once where it can and asks first where it cannot."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import streamlit as st

from app.shell.trace import trace

P = ParamSpec("P")
R = TypeVar("R")
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


class Clock:
    """How long the work behind a kept answer took, over all runs that worked on it."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._began = self._ended = time.perf_counter()

    def asked(self) -> None:
        """Note that somebody asks: work may begin, and what was done in earlier runs of the page is told to its foot."""
        self._began = time.perf_counter()
        if self._ended < trace().started:
            trace().earlier += self._seconds

    def answered(self) -> None:
        """Note that the answer, or more of it, is there."""
        self._ended = time.perf_counter()
        self._seconds += self._ended - self._began
        self._began = self._ended


def remembered(entries: int, *, copied: bool = True) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Keep a function's answers like `st.cache_data`, and tell the foot what an answer took that was made earlier.

    Args:
        entries: how many answers are kept.
        copied: whoever asks has a copy of their own, which may be changed; else all share one, which is faster.
    """

    def keep(function: Callable[P, R]) -> Callable[P, R]:
        cache = st.cache_data if copied else st.cache_resource

        @cache(max_entries=entries, show_spinner=False)
        @functools.wraps(function)
        def timed(*args: P.args, **kwargs: P.kwargs) -> tuple[R, float, float]:
            started = time.perf_counter()
            answer = function(*args, **kwargs)
            ended = time.perf_counter()
            return answer, ended - started, ended

        @functools.wraps(function)
        def ask(*args: P.args, **kwargs: P.kwargs) -> R:
            started = time.perf_counter()
            answer, seconds, ended = timed(*args, **kwargs)
            if ended < started:
                trace().earlier += seconds
            return answer

        return ask

    return keep
