"""How a function of this folder becomes a question of `Explorer`: one line there, and nothing anywhere else.

`search = of_model(searching.search)` makes `explorer.search(model, ...)` from `search(reader, ...)`: signature and
docstring are the function's, with the model in place of its reader; calls are recorded for a page's foot and for "Copy as
Python". What else is to be known of a question is said in that line and can be read from it (`kept`, `shown`).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar

from backend.calls import recorded
from backend.store.archive import Archive
from backend.store.reader import Reader
from backend.types import CodeRef

P = ParamSpec("P")
R = TypeVar("R")
Lifetime = Literal["by build", "for moments", "never"]
# How long an answer may be kept by whoever asks often: as long as the build that gave it is the newest one; for some
# seconds, where it is of no one build or of what people change; not at all, where it is large and quickly made again.


class HasArchive(Protocol):
    """What a question is asked of: an explorer."""

    @property
    def archive(self) -> Archive:
        """What its data directory holds."""
        ...


def of_model(
    function: Callable[Concatenate[Reader, P], R], *, kept: Lifetime = "by build", shown: bool = True
) -> Callable[Concatenate[HasArchive, str, P], R]:
    """Make a question about a model from a function of its reader.

    Args:
        function: takes the reader first; its name is the question's.
        kept: how long its answers may be kept.
        shown: whether a page that asks it shows the answer; otherwise it only helps a page to draw its controls, and is
            left out of the page's Python.
    """

    def ask(explorer: HasArchive, model: str, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return function(explorer.archive.reader(model), *args, **kwargs)

    return _question(ask, function, inspect.Parameter("model", _EITHER, annotation="str"), kept, shown)


def of_code(
    function: Callable[Concatenate[Reader, CodeRef, P], R], *, kept: Lifetime = "by build", shown: bool = True
) -> Callable[Concatenate[HasArchive, CodeRef, P], R]:
    """Make a question about a code from a function of its model's reader and the code; see `of_model`."""

    def ask(explorer: HasArchive, ref: CodeRef, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return function(explorer.archive.reader(ref.model), ref, *args, **kwargs)

    return _question(ask, function, None, kept, shown)


def of_archive(
    function: Callable[Concatenate[Archive, P], R], *, kept: Lifetime = "for moments", shown: bool = True
) -> Callable[Concatenate[HasArchive, P], R]:
    """Make a question about several models, or what people say, from a function of the archive; see `of_model`."""

    def ask(explorer: HasArchive, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return function(explorer.archive, *args, **kwargs)

    return _question(ask, function, None, kept, shown)


_EITHER = inspect.Parameter.POSITIONAL_OR_KEYWORD


def _question(
    ask: Callable[..., Any],
    function: Callable[..., Any],
    model: inspect.Parameter | None,
    kept: Lifetime,
    shown: bool,
) -> Callable[..., Any]:
    """Dress `ask` as a method with the function's name, signature and docstring, and record its calls."""
    _, *rest = inspect.signature(function).parameters.values()  # without its reader or archive
    parameters = [inspect.Parameter("self", _EITHER), *([model] if model is not None else []), *rest]
    signature = inspect.signature(function).replace(parameters=parameters)

    def question(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)  # so that everything may be given by name, as copied Python does
        return ask(*bound.args, **bound.kwargs)

    described = "model: its name." if model is not None else ""
    question.__name__, question.__qualname__ = function.__name__, f"Explorer.{function.__name__}"
    question.__module__ = function.__module__
    question.__doc__ = re.sub(
        r"\n( *)(reader|archive): .*", rf"\n\g<1>{described}" if described else "", function.__doc__ or ""
    )
    question.__signature__ = signature  # type: ignore[attr-defined]
    registered = recorded(question)
    registered.kept, registered.shown = kept, shown  # type: ignore[attr-defined]
    return registered
