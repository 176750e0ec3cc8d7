"""Taking something back on Lists: a link in its own row asks once more, and only the answer to that takes it back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import streamlit as st
from markupsafe import Markup

from app.draw import html
from app.shell import address, session, widgets
from backend.answers.people import CodeList, Label, Note
from backend.explorer import People
from backend.types import CodeRef

GONE = "It goes for everyone, and cannot be had back."


@dataclass(frozen=True)
class Withdrawal:
    """Something that a person may take back.

    Attributes:
        title: what is asked, e.g. `Withdraw the label`; the button that does it says the same.
        shown: what is taken back.
        warning: what that means.
        do: takes it back.
    """

    title: str
    shown: Markup
    warning: str
    do: Callable[[], object]


def link_of(entry: Label | Note, current: str) -> Markup:
    """The link in the row of a label or a note; `current`: the list that is shown, which stays."""
    return html.link(
        html.address("lists", list=current, withdraw=entry.uid),
        "withdraw",
        title="take it back; you are asked once more",
        css="whole",
    )


def out_link(ref: CodeRef, current: str) -> Markup:
    """The link in the row of a code of a list."""
    return html.link(
        html.address("lists", list=current, out=str(ref)),
        "take out",
        title="of this list; you are asked once more",
        css="whole",
    )


def ask(people: People, labels: Sequence[Label], notes: Sequence[Note], shown: CodeList | None) -> None:
    """Ask once more what the address asks for (`withdraw`: a label or note, `out`: a code of the list that is shown)."""
    uid, out = address.text("withdraw", limit=100), address.text("out", limit=300)
    if not uid and not out:
        return
    found = _label_or_note(people, labels, notes, uid) or (_code(people, shown, out) if shown else None)
    if found is None:
        widgets.empty("That is not here (any more).", "Somebody may have withdrawn it already.")
        address.write(withdraw=None, out=None)
        return
    _dialog(found)


def _label_or_note(people: People, labels: Sequence[Label], notes: Sequence[Note], uid: str) -> Withdrawal | None:
    for what, entries, remove in (("label", labels, people.remove_label), ("note", notes, people.remove_note)):
        for entry in entries:
            if entry.uid == uid:
                shown = Markup("<p>{} {}</p>").format(html.chip(entry.ref, model=True), html.visible_lines(entry.text))
                signed = Markup('<p class="faint">{}</p>').format(html.signed(entry.author, entry.created))
                return Withdrawal(f"Withdraw the {what}", shown + signed, GONE, partial(remove, uid))
    return None


def _code(people: People, shown: CodeList, out: str) -> Withdrawal | None:
    ref = next((ref for ref in shown.refs if str(ref) == out), None)
    if ref is None:
        return None
    drawn = Markup("<p>{}</p>").format(html.chip(ref, model=True))
    warning = f"Its labels and notes stay; the list “{html.visible_label(shown.name)}” loses it for everyone."
    return Withdrawal("Take it out", drawn, warning, partial(people.remove_from_list, shown.name, ref))


def _close() -> None:
    address.write(withdraw=None, out=None)


def _dialog(found: Withdrawal) -> None:
    @st.dialog(f"{found.title}?", on_dismiss=_close)
    def once_more() -> None:
        # a dialog lies outside of what Streamlit gives the theme's colours
        frame = Markup('<div style="color-scheme:{};color:var(--ink)">{}<p>{}</p></div>')
        widgets.draw(frame.format(session.theme(), found.shown, found.warning))
        first, second = st.columns(2)
        if first.button(found.title, type="primary", width="stretch"):
            found.do()
            _close()
            st.rerun()
        if second.button("Keep it", width="stretch"):
            _close()
            st.rerun()

    once_more()
