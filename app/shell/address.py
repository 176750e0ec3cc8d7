"""The only reader and writer of the address (its URL parameters).

The address is the truth: a page reads its parameters from it, and a widget made with `bound` writes them back, so every
view has an address that shows it again. How a value is written stands in one place, `app.draw.html.written`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from app.draw import html
from app.shell import session
from app.shell.pages import FOLDER
from app.shell.trace import trace
from backend.errors import BadInput
from backend.types import Edit

LIMIT = 20_000  # characters that one parameter may have
MAX_EDITS = 200


class BadAddress(BadInput):
    """The address names something that does not exist; the message says what and what to do."""


# ---- reading


def text(name: str, default: str = "", limit: int = LIMIT) -> str:
    """Return a text; one that is too long is cut, and the page says so."""
    value = st.query_params.get(name, default)
    if len(value) > limit:
        st.warning(f"`{name}` has {len(value):,} characters; only the first {limit:,} are used.")
        return value[:limit]
    return value


def integer(name: str, default: int, low: int, high: int) -> int:
    """Return a whole number from `low` to `high`; anything else is said and replaced by the default."""
    raw = st.query_params.get(name)
    if raw is None:
        return default
    try:
        value = int(raw[:20])
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        _ignored(name, raw, f"a whole number from {low:,} to {high:,}", str(default))
        return default
    return value


def choice(name: str, options: Sequence[str], default: str) -> str:
    """Return one of the options; anything else is said and replaced by the default."""
    raw = st.query_params.get(name)
    if raw is None:
        return default
    if raw not in options:
        _ignored(name, raw, "one of " + ", ".join(map(str, options[:12])), default)
        return default
    return raw


def many(name: str, options: Sequence[str] | None = None, limit: int = 200) -> list[str]:
    """Return the values of a parameter that may stand several times; unknown ones are said and left out."""
    values = st.query_params.get_all(name)[:limit]
    if options is None:
        return values
    for value in values:
        if value not in options:
            _ignored(name, value, "one of " + ", ".join(map(str, options[:12])), "nothing")
    return [value for value in values if value in options]


def flag(name: str, default: bool = False) -> bool:
    """Return a switch: 1 or 0."""
    return choice(name, ["0", "1"], "1" if default else "0") == "1"


def edits() -> list[Edit]:
    """Return the edits of the address (`edit`, repeated).

    Raises:
        BadAddress: one cannot be read, or there are too many.
    """
    texts = st.query_params.get_all("edit")
    if len(texts) > MAX_EDITS:
        raise BadAddress(f"The address asks for {len(texts)} edits; at most {MAX_EDITS} are taken. Leave some out.")
    try:
        return [Edit.parse(raw.replace(" ", "+")) for raw in texts]  # a plus typed into an address comes as a space
    except BadInput as error:
        raise BadAddress(f"The address asks for an edit that cannot be read. {error}") from error


def parameters() -> dict[str, list[str]]:
    """Return all parameters of the address as they stand."""
    return {name: st.query_params.get_all(name) for name in st.query_params}


def _ignored(name: str, raw: str, expected: str, instead: str) -> None:
    shown = raw[:60].replace("`", "'")
    st.warning(
        f"The address asks for `{name}` = `{shown}`; expected {expected}. Shown instead: {instead or 'nothing'}."
    )


# ---- writing


def write(**parameters: Any) -> None:
    """Set parameters of the address without leaving the page; None takes one out."""
    for name, value in parameters.items():
        text = html.written(value)
        if text is None:
            st.query_params.pop(name, None)
        else:
            st.query_params[name] = text


def go(page: str, **parameters: Any) -> None:
    """Open another page, or the same one with other parameters; those that are None are left out."""
    texts = {name: html.written(value) for name, value in parameters.items()}
    given = {name: text for name, text in texts.items() if text is not None}
    st.switch_page(FOLDER / f"{page or 'overview'}.py", query_params=given)


def bound(
    name: str, value: Any, default: Any = None, clears: Sequence[str] = (), then: Callable[[], Any] | None = None
) -> dict[str, Any]:
    """Return arguments that tie a widget to a parameter: `st.text_input("Pattern", **bound("pattern", p))`.

    Args:
        name: the parameter.
        value: what the widget shows now, as read from the address.
        default: what is left out of the address; None: an empty text or list.
        clears: parameters that mean nothing any more once this one changes.
        then: called after the address has been written.
    """
    key = f"w.{name}"
    reappears = key not in trace().drawn_before  # the browser has forgotten its value, even if the session has not
    trace().drawn.add(key)
    if reappears or key not in st.session_state or st.session_state[key] != value:
        st.session_state[key] = value

    def changed() -> None:
        now = st.session_state[key]
        write(**dict.fromkeys(clears), **{name: None if now == default else now})
        if then is not None:
            then()

    return {"key": key, "on_change": changed}


def bound_draft(name: str, draft: str, value: str, limit: int) -> dict[str, Any]:
    """Like `bound` for a long text: up to `limit` characters go into the address, a longer text into the session.

    Args:
        name: the parameter.
        draft: the session's name for it.
        value: what the widget shows now.
        limit: longest text of the address.
    """
    key = f"w.{name}"
    if st.session_state.get(key) != value:
        st.session_state[key] = value

    def changed() -> None:
        now = str(st.session_state[key] or "")
        fits = len(now) <= limit
        session.keep_draft(draft, "" if fits else now)
        write(place=None, **{name: now if fits else None})

    return {"key": key, "on_change": changed}


def say_not_in_address(what: str, value: str, limit: int) -> None:
    """Say that a text is too long to be part of the link.

    Call it below the text area: put above, it would make Streamlit build that anew, and what is said in it would be lost.
    """
    if len(value) > limit:
        st.caption(f"This {what} is longer than {limit:,} characters, so the address of this page does not contain it.")
