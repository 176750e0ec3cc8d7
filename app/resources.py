"""What all sessions share: one explorer, and its answers cached by build.

Pages use `explorer()`, which has the methods of `backend.explorer.Explorer`. Its readings are cached by build id,
method and arguments, and noted in the run's trace for the foot of the page. What people write is never cached.
"""

from __future__ import annotations

import functools
import json
import os
import time
from pathlib import Path
from typing import Any, cast

import streamlit as st

from app import state
from app.environment import DATA_DIR_VARIABLE, PROGRESS_VARIABLE
from backend import calls
from backend.catalog import DEFAULT_DATA_DIR
from backend.explorer import Explorer
from backend.types import CodeRef

CACHED = frozenset(
    (
        "facts metrics published codebooks codes code examples tokens_of labels_of neighbours together alike search "
        "query context item codes_at codes_of_item label_fields label_values label_matrix code_totals states"
    ).split()
)


def data_dir() -> Path:
    """The data directory that the app was started with."""
    return Path(os.environ.get(DATA_DIR_VARIABLE) or DEFAULT_DATA_DIR)


@st.cache_resource(show_spinner=False)
def _explorer(data_dir: str) -> Explorer:
    return Explorer(Path(data_dir))


def explorer() -> Explorer:
    """The explorer of the data directory; the same answers as the real one, faster and noted in the trace."""
    return cast(Explorer, _Cached(_explorer(str(data_dir()))))


class _Cached:
    """Stands in front of an explorer: reads through the cache, passes everything else on."""

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer

    def __getattr__(self, name: str) -> Any:
        target = getattr(self._explorer, name)
        if name == "models":
            return functools.partial(self._answer, name, str(int(time.time() / 3)))
        if name in CACHED:
            return functools.partial(self._read, name)
        return target

    def _read(self, name: str, *args: Any, **kwargs: Any) -> Any:
        first = args[0] if args else next(iter(kwargs.values()))
        model = first.model if isinstance(first, CodeRef) else str(first)
        return self._answer(name, self._explorer.build(model), *args, **kwargs)

    def _answer(self, name: str, build: str, *args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        answer, call, made = _read(
            str(self._explorer.data_dir), build, name, repr((args, kwargs)), self._explorer, args, kwargs
        )
        cached = made < started
        if call is not None:
            seconds = time.perf_counter() - started if cached else call.seconds
            state.trace().calls.append((calls.Call(call.name, call.arguments, seconds, call.rows), cached))
        return answer


@st.cache_data(max_entries=2000, show_spinner=False)
def _read(
    data_dir: str, build: str, name: str, key: str, _explorer: Explorer, _args: tuple[Any, ...], _kwargs: dict[str, Any]
) -> tuple[Any, calls.Call | None, float]:
    """The answer, the call as it was recorded, and the clock when it was made; `key` stands for the arguments."""
    with calls.recording() as made:
        answer = getattr(_explorer, name)(*_args, **_kwargs)
    return answer, made[-1] if made else None, time.perf_counter()


def builds_under_way() -> list[dict[str, Any]]:
    """What `python -m app` is building: `{"model", "state", "share", "line"}` each; empty where nothing is.

    `state` is `waiting`, `building`, `done` or `failed`; `share` is from 0 to 1 or None; `line` is its last word.
    """
    path = os.environ.get(PROGRESS_VARIABLE)
    if not path:
        return []
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [entry for entry in found if isinstance(entry, dict) and "model" in entry] if isinstance(found, list) else []
