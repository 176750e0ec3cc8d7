"""What all sessions share: one explorer, and its answers cached by build.

Pages use `explorer()`, which has the methods of `backend.explorer.Explorer`. Its readings are cached by build id,
method and arguments, and noted in the run's trace for the foot of the page. What people write is never cached.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import streamlit as st

from app.shell.environment import DATA_DIR_VARIABLE, PROGRESS_VARIABLE
from app.shell.trace import trace
from backend import calls
from backend.catalog import DEFAULT_DATA_DIR
from backend.errors import CodescopeError
from backend.explorer import Explorer
from backend.types import CodeRef

LIVE = frozenset("lens steer stream generate compare arms find_codes effect believe encode decode".split())
REFRESH_SECONDS = 3
WARM_UP_SECONDS = 1.5  # after the first page


def data_dir() -> Path:
    """Return the data directory that the app was started with."""
    return Path(os.environ.get(DATA_DIR_VARIABLE) or DEFAULT_DATA_DIR)


@st.cache_resource(show_spinner=False)
def _explorer(data_dir: str) -> Explorer:
    return Explorer(Path(data_dir))


def shared_explorer() -> Explorer:
    """Return the explorer that all sessions share; what it is asked here is neither cached nor noted in a trace."""
    return _explorer(str(data_dir()))


def explorer() -> Explorer:
    """The explorer of the data directory; the same answers as the real one, faster and noted in the trace."""
    return cast(Explorer, _Cached(shared_explorer()))


def aside(explorer: Explorer) -> Explorer:
    """Return the same explorer for what only helps a page to draw something else: left out of the page's Python."""
    return cast(Explorer, _Cached(explorer._explorer, shown=False)) if isinstance(explorer, _Cached) else explorer


class _Cached:
    """Stands in front of an explorer: reads through the cache, passes everything else on."""

    def __init__(self, explorer: Explorer, shown: bool = True) -> None:
        self._explorer, self._shown = explorer, shown

    def __getattr__(self, name: str) -> Any:
        target = getattr(self._explorer, name)
        kept = getattr(target, "kept", None)  # only a question says how long its answers may be kept
        if kept == "by build":
            return functools.partial(self._read, name)
        if kept == "for moments":
            return functools.partial(self._answer, name, str(int(time.time() / REFRESH_SECONDS)))
        if kept == "never":
            return functools.partial(self._ask, target)
        return target

    def live(self, model: str) -> Any:
        """Return the model itself, with its questions counted in the trace."""
        found = self._explorer.live(model)
        keep_for_good(model)
        return _Counted(found)

    def _read(self, name: str, *args: Any, **kwargs: Any) -> Any:
        first = args[0] if args else next(iter(kwargs.values()))
        model = first.model if isinstance(first, CodeRef) else str(first)
        return self._answer(name, self._explorer.build(model), *args, **kwargs)

    def _ask(self, question: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with calls.recording() as made:
            answer = question(*args, **kwargs)
        for call in made:
            self._note(call, False, call.seconds)
        return answer

    def _answer(self, name: str, build: str, *args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        answer, call, made = _read(
            str(self._explorer.data_dir), build, name, repr((args, kwargs)), self._explorer, args, kwargs
        )
        cached = made < started
        if call is not None:
            self._note(call, cached, time.perf_counter() - started if cached else call.seconds)
        return answer

    def _note(self, call: calls.Call, cached: bool, seconds: float) -> None:
        trace().calls.append((dataclasses.replace(call, seconds=seconds, shown=self._shown), cached))


@functools.cache
def keep_for_good(what: str) -> None:
    """Leave what has been loaded, once for each `what`, out of the garbage collection that Streamlit does after every run.

    Looking through all that is loaded takes a quarter of a second, in which a click would wait.
    """
    gc.collect()
    gc.freeze()


class _Counted:
    """Stands in front of a live model: counts the questions, passes everything on."""

    def __init__(self, live: Any) -> None:
        self._live = live

    def __getattr__(self, name: str) -> Any:
        if name in LIVE:
            trace().live += 1
        return getattr(self._live, name)


@st.cache_resource(show_spinner=False)
def warm_up() -> None:
    """Load, under `python -m app`, once and soon after the first page, the first demo's model for the first click on it."""
    if os.environ.get(PROGRESS_VARIABLE):
        waiting = threading.Timer(WARM_UP_SECONDS, _load_first, [_explorer(str(data_dir()))])
        waiting.daemon = True
        waiting.start()


def _load_first(explorer: Explorer) -> None:
    models = explorer.models()
    able = models[(models["built"] != "") & (models["demo"] > 0)]
    able = able[["steer" in found for found in able["capabilities"]]]
    if len(able):
        with contextlib.suppress(CodescopeError):  # whoever asks for the model is told what is wrong
            explorer.live(str(able.sort_values("demo", kind="stable")["model"].iloc[0]))
    keep_for_good("what every page needs")


@st.cache_data(max_entries=2000, show_spinner=False)
def _read(
    data_dir: str, build: str, name: str, key: str, _explorer: Explorer, _args: tuple[Any, ...], _kwargs: dict[str, Any]
) -> tuple[Any, calls.Call | None, float]:
    """Return the answer, the call as it was recorded, and the clock when it was made; `key` stands for the arguments."""
    with calls.recording() as made:
        answer = getattr(_explorer, name)(*_args, **_kwargs)
    return answer, made[-1] if made else None, time.perf_counter()
