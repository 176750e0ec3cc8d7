"""What one session remembers beside its address: the person's name, their own files, and words from run to run."""

from __future__ import annotations

from typing import Any

import streamlit as st

from backend.explorer import LIMITS


def changed(name: str, value: Any) -> bool:
    """Return whether this session saw another value of that name last time; the first time does not count."""
    key = f"seen.{name}"
    before = st.session_state.get(key, value)
    st.session_state[key] = value
    return bool(before != value)


def note(name: str, text: str = "") -> str:
    """Leave a text for the next run, or take the one that was left."""
    if text:
        st.session_state[f"note.{name}"] = text
        return text
    return str(st.session_state.pop(f"note.{name}", ""))


def keep(name: str, value: Any) -> None:
    """Keep something for this session alone, e.g. a person's own picture; `kept` gives it back."""
    st.session_state[f"kept.{name}"] = value


def kept(name: str, default: Any = None) -> Any:
    """Return what `keep` was given."""
    return st.session_state.get(f"kept.{name}", default)


def draft(name: str, what: str, limit: int) -> str:
    """Return a text that is too long for an address and lives in the session alone, cut to the limit.

    Args:
        name: the session's name for it.
        what: what it is called where it is too long.
        limit: characters that are kept.
    """
    text = str(st.session_state.get(f"draft.{name}", ""))
    if len(text) > limit:
        st.warning(f"The {what} has {len(text):,} characters; only the first {limit:,} are taken.")
        st.session_state[f"draft.{name}"] = text = text[:limit]
    return text


def keep_draft(name: str, text: str) -> None:
    """Keep a text that is too long for an address, or let go of it where it is empty."""
    st.session_state[f"draft.{name}"] = text


def triggered(key: str, name: str) -> Any:
    """Return what a component of that key has just reported under a name, inside its callback; None where it did not."""
    return getattr(st.session_state.get(key), name, None)


def author() -> str:
    """Return what the person calls themselves; empty where they have not said."""
    return str(st.session_state.get("author", ""))


def author_widget() -> dict[str, Any]:
    """Return the arguments that tie a text input to the person's name for the whole session."""
    return {"key": "author", "persist_state": "session", "max_chars": LIMITS["author"]}


def theme() -> str:
    """Return `light` or `dark`."""
    return "dark" if st.context.theme.type == "dark" else "light"
