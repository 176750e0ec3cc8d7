"""The list of edits of the address: shown, added to, changed and taken from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, get_args

import pandas as pd
import streamlit as st
from markupsafe import Markup

from app.draw import html
from app.draw.tables import Row, records
from app.shell import address, widgets
from backend.edits.codes import MOVES, SLOTTED, STRONGEST, Action, Edit, first_generated
from backend.errors import BadInput
from backend.types import CodeRef

ROWS = 6  # more edits than that are folded away
STRONGEST_SHOWN = 4  # of each codebook, where there are many
MANY_SLOTS = 16  # beyond which one code in all slots would leave nothing of what the model says
ADDED_STRENGTH = 0.1  # at which it is added instead
ACTIONS: dict[str, str] = {
    "force": "force: in place of what was chosen",
    "blend": "blend: towards it, by strength",
    "add": "add: on top of what was chosen, by strength",
    "ban": "ban: the next best fills in",
    "zero": "zero: leave its slot empty",
}
PLACES = {"all": "everywhere", "prompt": "in the prompt", "generated": "in the new text", "positions": "at positions"}


def known(edits: Sequence[Edit], codebooks: pd.DataFrame) -> tuple[list[Edit], list[str]]:
    """The edits whose codebook, code and slot exist, and what is wrong with the others."""
    books = {row.site: row for row in records(codebooks)}
    good, wrong = [], []
    for edit in edits:
        book = books.get(edit.site)
        if book is None:
            wrong.append(f"{edit}: there is no codebook {edit.site}")
        elif not -1 <= edit.code < book.num_codes or (edit.code < 0 and edit.action != "force"):
            wrong.append(f"{edit}: the codes of {edit.site} are 0 to {book.num_codes - 1:,}")
        elif edit.slot is not None and edit.slot >= book.slots:
            wrong.append(f"{edit}: {edit.site} has {book.slots} slot{'s' if book.slots > 1 else ''}")
        else:
            good.append(edit)
    return good, wrong


def first_edit(site: str, code: int, codebooks: pd.DataFrame) -> Edit:
    """What to begin with: the code in place of the chosen ones, or beside them where they are many."""
    slots = int(codebooks.loc[codebooks["site"] == site, "slots"].iloc[0])
    return Edit(site, code, "add", ADDED_STRENGTH) if slots > MANY_SLOTS else Edit(site, code)


def with_action(edit: Edit, action: Action) -> Edit:
    """The edit with another action; a blend needs a strength other than 1, an add may have any, all others have 1."""
    strength = (0.8 if edit.strength == 1 else edit.strength) if action in MOVES else 1.0
    return replace(edit, action=action, strength=strength, slot=edit.slot if action in SLOTTED else None)


def in_proportion(edits: Sequence[Edit], strongest: float) -> list[Edit]:
    """The edits with all strengths multiplied so that this is the largest; all the same where they were zero."""
    before = max((e.strength for e in edits if e.has_strength), default=0.0)
    return [e.with_strength(round(strongest * (e.strength / before if before else 1.0), 6)) for e in edits]


def with_place(edit: Edit, place: str) -> Edit:
    """The edit somewhere else: `all`, `prompt`, `generated`, or positions as `Edit.parse` reads them."""
    return replace(edit, where=Edit.parse(f"x:0@{place}").where)


def place_of(edit: Edit) -> str:
    """Where an edit is made, as a person reads it."""
    if isinstance(edit.where, str):
        place, _, count = edit.where.partition(":")
        return PLACES[place] + (f", its first {count} tokens" if count else "")
    if edit.where == (-1,):
        return "at the last token of the prompt"
    return "at " + edit.written_where.replace(",", ", ")


def pinned(edits: Sequence[Edit], prompt_length: int, length: int) -> list[Edit]:
    """The same edits at absolute positions of a finished text, where prompt and new text are no longer told apart."""
    found = []
    for edit in edits:
        if edit.where == "prompt":
            places: Any = tuple(range(prompt_length))
        elif (new := first_generated(edit.where)) is not None:
            places = tuple(range(prompt_length, min(length, prompt_length + new)))
        elif isinstance(edit.where, str):
            places = edit.where
        else:
            places = tuple(p if p >= 0 else prompt_length + p for p in edit.where)
        if places:
            found.append(replace(edit, where=places))
    return found


def edit_chip(edit: Edit, model: str, labels: dict[CodeRef, str], *, placed: bool = True) -> Markup:
    """The code's chip with what is done to it, and where if `placed`."""
    what = f"{edit.action} {edit.strength:.3g}" if edit.action in MOVES else edit.action
    tail = what + (f", {place_of(edit)}" if placed else "") + ("" if edit.slot is None else f", slot {edit.slot}")
    ref = CodeRef(model, edit.site, edit.code)
    head = widgets.chip(ref, None, labels) if edit.code >= 0 else Markup("<b>{} emptied</b>").format(edit.site)
    return Markup('<span>{} <span class="faint">{}</span></span>').format(head, tail)


def summary(edits: Sequence[Edit], model: str, labels: dict[CodeRef, str]) -> Markup:
    """Draw many edits so that they can be read: by codebook, the strongest first, the rest of each behind "and N more"."""
    places = Counter(edit.where for edit in edits)
    most, count = places.most_common(1)[0]
    by_site: dict[str, list[Edit]] = {}
    for edit in sorted(edits, key=lambda e: -e.strength):
        by_site.setdefault(edit.site, []).append(edit)  # the codebook of the strongest edit first
    lines = []
    for site, some in by_site.items():
        chips = [edit_chip(e, model, labels, placed=e.where != most) for e in some]
        rest = Markup("")
        if len(some) > STRONGEST_SHOWN + 1:  # "and 1 more" would take as much room as the edit itself
            chips, hidden = chips[:STRONGEST_SHOWN], chips[STRONGEST_SHOWN:]
            rest = Markup("<details><summary>and {} more</summary>{}</details>").format(len(hidden), html.chips(hidden))
        head = Markup(
            '<span class="{} site"><span style="color:var(--c)">■</span> {} <span class="faint">{}</span></span>'
        )
        lines.append(
            Markup('<div class="edits">{}{}{}</div>').format(
                head.format(html.colour_of(site), site, _many(some)), html.chips(chips), rest
            )
        )
    where = place_of(next(edit for edit in edits if edit.where == most))
    note = f"All {len(edits)} {where}." if count == len(edits) else f"Where nothing else is said: {where}."
    return Markup('{}<p class="faint">{}</p>').format(Markup("").join(lines), note)


def _many(edits: Sequence[Edit]) -> str:
    """How many there are and how strong, in words."""
    strengths = [e.strength for e in edits if e.action in MOVES]
    low, high = (min(strengths), max(strengths)) if strengths else (0.0, 0.0)
    how = f", strength {high:.2g}" if low == high else f", strengths {low:.2g} to {high:.2g}"
    return f"{len(edits)} {'edit' if len(edits) == 1 else 'edits'}{how if strengths else ''}"


def editor(edits: Sequence[Edit], codebooks: pd.DataFrame, model: str, labels: dict[CodeRef, str]) -> None:
    """Draw the list with everything that changes it; each change goes into the address."""
    if len(edits) > 1:
        _list(edits, codebooks, model, labels)
    else:
        _rows(edits, codebooks, model, labels)
        _adder(edits, codebooks)


def _list(edits: Sequence[Edit], codebooks: pd.DataFrame, model: str, labels: dict[CodeRef, str]) -> None:
    """What is in force, a strength for all together, and each edit with what changes it."""
    strengths = [e.strength for e in edits if e.has_strength]
    left, middle, right = st.columns([4.4, 1.6, 0.9], gap="medium")
    with left:
        widgets.draw(summary(edits, model, labels))
    with middle:
        if strengths:
            most, same = max(strengths), len(set(strengths)) == 1
            tied = _tied(f"all.{most}", most, lambda s: _write(in_proportion(edits, s)))
            title = f"Strength of all {len(strengths)}" if same else "Strength of the strongest"
            about = None if same else f"All {len(strengths)} are changed in proportion."
            st.slider(
                title, 0.0 if same else min(0.01, most), STRONGEST, step=0.05 if same else 0.01, help=about, **tied
            )
    with right:
        st.button("Remove all", on_click=_write, args=([],), width="stretch")
    with st.expander("Change them one by one, or add one", expanded=len(edits) <= ROWS):
        _rows(edits, codebooks, model, labels)
        _adder(edits, codebooks)


def _rows(edits: Sequence[Edit], codebooks: pd.DataFrame, model: str, labels: dict[CodeRef, str]) -> None:
    """A row for each edit; of many, one that is chosen: hundreds of widgets would be slow."""
    books = {row.site: row for row in records(codebooks)}
    several = any(books[e.site].slots > 1 for e in edits)
    chosen = range(len(edits))
    if len(edits) > ROWS:
        one = st.selectbox(f"Which of the {len(edits)}", chosen, format_func=lambda i: f"{i + 1}: {edits[i]}")
        chosen = range(one, one + 1)
    for place, number in enumerate(chosen):
        _row(number, edits[number], edits, books[edits[number].site], several, model, labels, headed=place == 0)


def _row(
    number: int,
    edit: Edit,
    edits: Sequence[Edit],
    book: Row,
    several: bool,
    model: str,
    labels: dict[CodeRef, str],
    *,
    headed: bool,
) -> None:
    """One edit with its action, strength, place, slot and the button that takes it away."""

    def change(new: Callable[[Any], Edit]) -> Callable[[Any], None]:
        return lambda value: _write([new(value) if i == number else e for i, e in enumerate(edits)])

    name, seen = f"{number}.{edit}", "visible" if headed else "collapsed"
    widths = [1.5, 2.2, 1.7, 1.3, 1.2, *([0.9] if several else []), 0.8]
    columns = iter(st.columns(widths, vertical_alignment="bottom", gap="small"))
    with next(columns):
        widgets.draw(
            Markup('<div style="padding-bottom:.45rem">{}</div>').format(
                widgets.chip(CodeRef(model, edit.site, edit.code), None, labels)
            )
            if edit.code >= 0
            else Markup("<b>{} emptied</b>").format(edit.site)
        )
    with next(columns):
        tied = _tied(f"action.{name}", edit.action, change(lambda v: with_action(edit, v)), seen)
        st.selectbox("Action", get_args(Action), format_func=ACTIONS.__getitem__, **tied)
    with next(columns):
        tied = _tied(f"strength.{name}", edit.strength, change(lambda v: edit.with_strength(round(v, 2))), seen)
        st.slider("Strength", 0.0, STRONGEST, step=0.01, disabled=not edit.has_strength, **tied)
    fixed = edit.where not in PLACES
    with next(columns):
        current = "positions" if fixed else str(edit.where)
        tied = _tied(
            f"where.{name}", current, change(lambda v: with_place(edit, "-1" if v == "positions" else v)), seen
        )
        st.selectbox("Where", list(PLACES), format_func=PLACES.__getitem__, **tied)
    with next(columns):
        written = edit.written_where if fixed else ""
        tied = _tied(f"places.{name}", written, lambda v: _place(v, change(lambda p: with_place(edit, p))), seen)
        st.text_input(
            "Positions",
            disabled=not fixed,
            max_chars=400,
            help="Counted from 0, a mark before the text where the model has one; -1: the prompt's last; 4..9: six; "
            "generated:40: the first 40 new ones.",
            **tied,
        )
    if several:
        with next(columns):
            slots = [None, *range(book.slots)]
            tied = _tied(f"slot.{name}", edit.slot, change(lambda v: replace(edit, slot=v)), seen)
            st.selectbox(
                "Slot",
                slots,
                disabled=edit.action not in SLOTTED,
                format_func=lambda v: "all" if v is None else str(v),
                placeholder="all",
                **tied,
            )
    with next(columns):
        st.button(
            "Remove",
            key=f"remove.{name}",
            on_click=_write,
            args=([e for i, e in enumerate(edits) if i != number],),
            width="stretch",
        )


def _place(text: str, write: Callable[[str], None]) -> None:
    """Take new positions, or say why not."""
    try:
        write(text.replace(" ", "") or "all")
    except BadInput as error:
        st.toast(str(error))


def _adder(edits: Sequence[Edit], codebooks: pd.DataFrame) -> None:
    """Choose a codebook and a code and put it at the end of the list."""
    sites = list(codebooks["site"])
    last = edits[-1].site if edits else str(codebooks.sort_values("place")["site"].iloc[-1])
    first, second, third, _ = st.columns([1.5, 1.2, 0.9, 4], vertical_alignment="bottom", gap="small")
    with first:
        site = st.selectbox("Codebook", sites, index=sites.index(last), key=f"add.site.{last}")
    size = int(codebooks.loc[codebooks["site"] == site, "num_codes"].iloc[0])
    with second:
        title = f"Code, 0 to {size - 1:,}"
        code = st.number_input(title, 0, size - 1, value=None, placeholder="number", key=f"add.code.{site}")
    with third:
        added = [*edits, first_edit(str(site), int(code), codebooks)] if code is not None else list(edits)
        st.button("Add edit", on_click=_write, args=(added,), disabled=code is None, width="stretch")


def _write(edits: Sequence[Edit]) -> None:
    address.write(edit=[str(e) for e in edits], measure=None, run=None)


def _tied(key: str, value: Any, then: Callable[[Any], None], label: str = "visible") -> dict[str, Any]:
    """Ties a widget to a value that stands in the address under another name; `label`: whether its label is seen."""
    st.session_state[key] = value
    return {"key": key, "on_change": lambda: then(st.session_state[key]), "label_visibility": label}
