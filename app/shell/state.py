"""The address, the session, the chosen model and the trace under one name."""

from app.shell.address import (
    BadAddress,
    bound,
    bound_draft,
    choice,
    edits,
    flag,
    go,
    integer,
    many,
    parameters,
    say_not_in_address,
    text,
    write,
)
from app.shell.chosen import code, model, model_hint, site, usual_model
from app.shell.session import (
    author,
    author_widget,
    changed,
    draft,
    keep,
    kept,
    note,
    theme,
    triggered,
)
from app.shell.trace import begin, trace

__all__ = [
    "BadAddress", "author", "author_widget", "begin", "bound", "bound_draft", "changed", "choice", "code", "draft",
    "edits", "flag", "go", "integer", "keep", "kept", "many", "model", "model_hint", "note", "parameters",
    "say_not_in_address", "site", "text", "theme", "trace", "triggered", "usual_model", "write",
]  # fmt: skip
