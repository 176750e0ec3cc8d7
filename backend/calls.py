"""Which public calls were made, how long each took and how many rows it read: for a page's foot and "copy as Python".

`with recording() as calls:` collects the calls of this thread (of this context, exactly); without it nothing is kept,
and two threads never see each other's.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from backend.types import CodeRef

MAX_CALLS = 500  # a recording that nobody ends must not grow for ever

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Call:
    """One public call of the explorer.

    Attributes:
        name: the method.
        arguments: the arguments that were given, by name.
        seconds: how long it took.
        rows: rows read from the store for it (positions looked up in cached columns included).
        shown: whether whoever asked shows the answer; otherwise it only helped to ask or to draw something else.
    """

    name: str
    arguments: Mapping[str, Any]
    seconds: float
    rows: int
    shown: bool = True


_calls: ContextVar[list[Call] | None] = ContextVar("codescope_calls", default=None)
_rows: ContextVar[list[int] | None] = ContextVar("codescope_rows", default=None)  # the counter of the running call


@contextmanager
def recording() -> Iterator[list[Call]]:
    """Collect the calls made inside the block; the list fills as they end."""
    calls: list[Call] = []
    token = _calls.set(calls)
    try:
        yield calls
    finally:
        _calls.reset(token)


def count_rows(rows: int) -> None:
    """Add to the rows that the running call has read."""
    counter = _rows.get()
    if counter is not None:
        counter[0] += int(rows)


def recorded(method: Callable[P, R]) -> Callable[P, R]:
    """Record the calls of a method; a call inside a recorded call belongs to the outer one."""
    signature = inspect.signature(method)

    @functools.wraps(method)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        calls = _calls.get()
        if calls is None or _rows.get() is not None:
            return method(*args, **kwargs)
        counter = [0]
        token = _rows.set(counter)
        started = time.perf_counter()
        try:
            return method(*args, **kwargs)
        finally:
            _rows.reset(token)
            if len(calls) < MAX_CALLS:
                bound = dict(signature.bind(*args, **kwargs).arguments)
                bound.pop("self", None)
                calls.append(Call(method.__name__, bound, time.perf_counter() - started, counter[0]))

    return wrapper


def as_python(call: Call) -> str:
    """Return the line of Python that makes the call again, for an explorer called `explorer`."""
    arguments = ", ".join(f"{name}={_literal(value)}" for name, value in call.arguments.items())
    return f"explorer.{call.name}({arguments})"


def _literal(value: Any) -> str:
    if isinstance(value, CodeRef):
        return f"CodeRef.parse({str(value)!r})"
    if isinstance(value, list | tuple):
        inner = ", ".join(_literal(v) for v in value)
        return f"[{inner}]"
    return repr(value)
