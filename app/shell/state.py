"""The only reader and writer of session state and URL parameters.

The address is the truth: a page reads its parameters from it, and a widget made with `bound` writes them back, so every
view has an address that shows it again. The session remembers only the last model, the person's name and what the
current run has asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from backend.calls import Call
from backend.errors import BadInput, NoBuild, UnknownModel
from backend.explorer import LIMITS
from backend.types import CodeRef, Edit

PAGES = Path(__file__).resolve().parents[2] / "pages"
LIMIT = 20_000  # characters that one parameter may have
MAX_EDITS = 200


class BadAddress(BadInput):
    """The address names something that does not exist; the message says what and what to do."""


class NoCodebooks(BadAddress):
    """The address names a model in which there are no codes to look at."""


@dataclass
class Trace:
    """What one run of a page has asked the explorer for.

    Attributes:
        started: clock at the start of the run, in seconds.
        calls: the calls in order; the second value is True where the answer came from the cache.
        live: how many questions the model itself was asked.
        drawn: keys of the widgets bound to the address.
        drawn_before: those of the run before.
    """

    started: float = field(default_factory=time.perf_counter)
    calls: list[tuple[Call, bool]] = field(default_factory=list)
    live: int = 0
    drawn: set[str] = field(default_factory=set)
    drawn_before: frozenset[str] = frozenset()


def begin() -> None:
    """Start a run: forget what the run before has asked for."""
    before = st.session_state.get("trace", Trace())
    st.session_state["trace"] = Trace(drawn_before=frozenset(before.drawn))


def trace() -> Trace:
    """What this run has asked for so far."""
    if "trace" not in st.session_state:
        begin()
    found: Trace = st.session_state["trace"]
    return found


# ---- parameters of the address


def text(name: str, default: str = "", limit: int = LIMIT) -> str:
    """A text; one that is too long is cut, and the page says so."""
    value = st.query_params.get(name, default)
    if len(value) > limit:
        st.warning(f"`{name}` has {len(value):,} characters; only the first {limit:,} are used.")
        return value[:limit]
    return value


def integer(name: str, default: int, low: int, high: int) -> int:
    """A whole number from `low` to `high`; anything else is said and replaced by the default."""
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
    """One of the options; anything else is said and replaced by the default."""
    raw = st.query_params.get(name)
    if raw is None:
        return default
    if raw not in options:
        _ignored(name, raw, "one of " + ", ".join(map(str, options[:12])), default)
        return default
    return raw


def many(name: str, options: Sequence[str] | None = None, limit: int = 200) -> list[str]:
    """A parameter that may stand several times; unknown values are said and left out."""
    values = st.query_params.get_all(name)[:limit]
    if options is None:
        return values
    for value in values:
        if value not in options:
            _ignored(name, value, "one of " + ", ".join(map(str, options[:12])), "nothing")
    return [value for value in values if value in options]


def flag(name: str, default: bool = False) -> bool:
    """A switch: 1 or 0."""
    return choice(name, ["0", "1"], "1" if default else "0") == "1"


def edits() -> list[Edit]:
    """The edits of the address (`edit`, repeated). Raises `BadAddress` where one cannot be read, or for too many."""
    found = []
    asked = st.query_params.get_all("edit")
    if len(asked) > MAX_EDITS:
        raise BadAddress(f"The address asks for {len(asked)} edits; at most {MAX_EDITS} are taken. Leave some out.")
    for raw in asked:
        try:
            found.append(Edit.parse(raw.replace(" ", "+")))  # a plus that was typed into an address comes as a space
        except BadInput as error:
            raise BadAddress(f"The address asks for an edit that cannot be read. {error}") from error
    return found


def bound(
    name: str, value: Any, default: Any = None, clears: Sequence[str] = (), then: Callable[[], Any] | None = None
) -> dict[str, Any]:
    """Arguments that tie a widget to a parameter of the address: `st.text_input("Pattern", **bound("pattern", p))`.

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

    def write() -> None:
        now = st.session_state[key]
        for other in clears:
            st.query_params.pop(other, None)
        if now == default or now is None or now == "" or now == []:
            st.query_params.pop(name, None)
        elif isinstance(now, (list, tuple)):
            st.query_params[name] = [str(v) for v in now]
        elif isinstance(now, bool):
            st.query_params[name] = "1" if now else "0"
        elif isinstance(now, float):
            st.query_params[name] = f"{now:g}"
        else:
            st.query_params[name] = str(now)
        if then is not None:
            then()

    return {"key": key, "on_change": write}


def draft(name: str, what: str, limit: int) -> str:
    """A text that is too long for an address and lives in the session alone; what lies beyond the limit is let go.

    Args:
        name: the session's name for it.
        what: what it is called where it is too long.
        limit: characters that are kept.
    """
    kept = str(st.session_state.get(f"draft.{name}", ""))
    if len(kept) > limit:
        st.warning(f"The {what} has {len(kept):,} characters; only the first {limit:,} are taken.")
        st.session_state[f"draft.{name}"] = kept = kept[:limit]
    return kept


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

    def write() -> None:
        now = str(st.session_state[key] or "")
        st.session_state[f"draft.{draft}"] = now if len(now) > limit else ""
        st.query_params.pop("place", None)
        if now and len(now) <= limit:
            st.query_params[name] = now
        else:
            st.query_params.pop(name, None)

    return {"key": key, "on_change": write}


def say_not_in_address(what: str, value: str, limit: int) -> None:
    """Say that a text is too long to be part of the link.

    Call it below the text area: put above, it would make Streamlit build that anew, and what is said in it would be lost.
    """
    if len(value) > limit:
        st.caption(f"This {what} is longer than {limit:,} characters, so the address of this page does not contain it.")


def write(**parameters: Any) -> None:
    """Set parameters of the address without leaving the page; None takes one out."""
    for name, value in parameters.items():
        if value is None or value == "" or value == []:
            st.query_params.pop(name, None)
        else:
            st.query_params[name] = [str(v) for v in value] if isinstance(value, (list, tuple)) else str(value)


def go(page: str, **parameters: Any) -> None:
    """Open another page, or the same one with other parameters; those that are None are left out."""
    kept = {
        name: [str(v) for v in value] if isinstance(value, (list, tuple)) else str(value)
        for name, value in parameters.items()
        if value is not None and value != "" and value != []
    }
    st.switch_page(PAGES / f"{page or 'overview'}.py", query_params=kept)


def parameters() -> dict[str, list[str]]:
    """All parameters of the address as they stand."""
    return {name: st.query_params.get_all(name) for name in st.query_params}


def _ignored(name: str, raw: str, expected: str, instead: str) -> None:
    shown = raw[:60].replace("`", "'")
    st.warning(
        f"The address asks for `{name}` = `{shown}`; expected {expected}. Shown instead: {instead or 'nothing'}."
    )


def changed(name: str, value: Any) -> bool:
    """Whether this session saw another value of that name the last time it was asked; the first time does not count."""
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
    """What `keep` was given."""
    return st.session_state.get(f"kept.{name}", default)


def triggered(key: str, name: str) -> Any:
    """What a component of that key has just reported under a name, inside its callback; None where it did not."""
    return getattr(st.session_state.get(key), name, None)


# ---- model, codebook, code


def model_hint() -> str:
    """The model of the address, else the one last looked at; not checked, for links only."""
    return str(st.query_params.get("model") or st.session_state.get("model", ""))[:100]


def model(models: pd.DataFrame, capability: str = "", pin: bool = True) -> str:
    """The model to show: of the address, else the one last looked at, else the first that is built.

    Args:
        models: what `Explorer.models` says.
        capability: the model must have it, where the page chooses by itself; one that is asked for is left to the page.
        pin: write the choice into the address, so that it shows the same model wherever it is opened.

    Raises:
        UnknownModel: the address names one that does not exist.
        NoCodebooks: it names one whose build has no codebooks.
        NoBuild: none is built yet.
    """
    asked = st.query_params.get("model")
    if asked is not None:
        if asked not in set(models["model"]):
            raise UnknownModel(
                f"There is no model {asked[:80]!r}. Choose one of those that are here from the list above."
            )
        about = models[models["model"] == asked].iloc[0]
        if not capability and about["built"] != "" and about["codebooks"] == 0:
            raise NoCodebooks(
                f"{asked} is a plain model without codebooks: it has no codes to show. Put some into it with python -m "
                f"backend train text --from {asked} --text YOUR-TEXT --places mlp --name {asked}-codes, then build that."
            )
        st.session_state["model"] = asked
        return asked
    usable = models[(models["built"] != "") & (models["codebooks"] > 0)]
    if capability:
        usable = usable[[capability in found for found in usable["capabilities"]]]
    if usable.empty:
        wanted = f" that can {capability}" if capability else ""
        raise NoBuild(
            f"No model{wanted} is built yet. The Overview shows what is being built; come back when one is done."
        )
    found = usual_model(usable)
    if pin:
        write(model=found)
    return found


def usual_model(usable: pd.DataFrame) -> str:
    """The one last looked at if it is among these models, else the first demo, else the first; empty if there is none."""
    if usable.empty:
        return ""
    remembered = st.session_state.get("model")
    if remembered in set(usable["model"]):
        return str(remembered)
    ordered = usable.assign(first=usable["demo"].where(usable["demo"] > 0, 10**6)).sort_values("first", kind="stable")
    return str(ordered["model"].iloc[0])


def site(codebooks: pd.DataFrame) -> str:
    """The codebook of the address, else the first. Raises `BadAddress` where it does not exist."""
    sites = list(codebooks["site"])
    raw = st.query_params.get("site")
    if raw is None:
        return str(sites[0])
    if raw not in sites:
        raise BadAddress(f"This model has no codebook {raw[:80]!r}. Its codebooks are {', '.join(sites[:12])}.")
    return raw


def code(model: str, codebooks: pd.DataFrame) -> CodeRef | None:
    """The code of the address; None where it names none. Raises `BadAddress` where it does not exist."""
    raw = st.query_params.get("code")
    if raw is None:
        return None
    chosen = site(codebooks)
    size = int(codebooks.loc[codebooks["site"] == chosen, "num_codes"].iloc[0])
    if not raw.isascii() or not raw.isdigit() or len(raw) > 9 or int(raw) >= size:
        raise BadAddress(f"{chosen} has no code {raw[:40]!r}. Its codes are the whole numbers from 0 to {size - 1:,}.")
    return CodeRef(model, chosen, int(raw))


# ---- the person


def author() -> str:
    """What the person calls themselves; empty where they have not said."""
    return str(st.session_state.get("author", ""))


def author_widget() -> dict[str, Any]:
    """Arguments that tie a text input to the person's name for the whole session."""
    return {"key": "author", "persist_state": "session", "max_chars": LIMITS["author"]}


def theme() -> str:
    """`light` or `dark`."""
    return "dark" if st.context.theme.type == "dark" else "light"
