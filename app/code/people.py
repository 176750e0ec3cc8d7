"""Labels, notes and lists of people, on the page of the code that they are about."""

from __future__ import annotations

import streamlit as st
from markupsafe import Markup

from app.draw import html
from app.lists.author import author_line
from app.search import concepts
from app.shell import session, widgets
from app.shell.parts import part
from backend.explorer import LIMITS, Explorer
from backend.types import CodeRef


@part
def panel(explorer: Explorer, ref: CodeRef) -> None:
    """Draw what people said of this code, and forms to add to it."""
    _said(explorer, ref)
    with st.popover("Add a label, a note or a list"):
        _forms(explorer, ref)


def described(explorer: Explorer, ref: CodeRef) -> None:
    """What the code fires on, found and tested by itself, and a button that keeps it as a label."""
    found = explorer.describe(ref)
    if found is None:
        widgets.draw(Markup('<p class="faint">{}</p>').format(concepts.UNDESCRIBED))
        return
    if not found.good:
        widgets.draw(concepts.description(found))
        return
    left, right = st.columns([6, 1], vertical_alignment="center")
    with left:
        widgets.draw(concepts.description(found))
    with right:
        kept = any(label.text == concepts.claim(found) for label in explorer.people.labels(ref))
        if st.button("Kept as label" if kept else "Keep as label", disabled=kept, key=f"keep-{ref}", width="stretch"):
            pattern = concepts.pattern(found)
            precision, recall, hits = (
                tested(explorer, ref, pattern) if pattern else (found.precision, found.recall, found.hits)
            )
            explorer.people.add_label(
                ref,
                concepts.claim(found)[: LIMITS["label"]],
                session.author(),
                build=explorer.build(ref.model),
                pattern=pattern,
                precision=precision,
                recall=recall,
                support=hits,
            )
            st.rerun()


def _said(explorer: Explorer, ref: CodeRef) -> None:
    labels, notes = explorer.people.labels(ref), explorer.people.notes(ref)
    lists = explorer.people.lists(ref)
    rows = [
        Markup('<div class="example"><div><b>{}</b>{}</div><div class="meta">{}</div></div>').format(
            html.visible_label(label.text),
            Markup(' <span class="faint">{}precision {}, recall {}</span>').format(
                Markup("claimed by <code>{}</code>, ").format(html.visible_label(label.pattern))
                if label.pattern
                else "",
                html.share(label.precision),
                html.share(label.recall),
            )
            if label.precision is not None
            else "",
            html.signed(label.author, label.created),
        )
        for label in labels
    ]
    rows += [
        Markup('<div class="example"><div>{}</div><div class="meta">{}</div></div>').format(
            html.visible_lines(note.text), html.signed(note.author, note.created)
        )
        for note in notes
    ]
    if lists:
        links = Markup(", ").join(
            html.link(html.address("lists", list=one.name), html.visible_label(one.name)) for one in lists
        )
        rows.append(Markup('<div class="example"><div>In the lists {}</div></div>').format(links))
    if rows:
        widgets.draw(*rows)
    else:
        widgets.empty(
            "Nobody has said anything about this code yet.", "Give it a label: a short claim that others can test."
        )


def _forms(explorer: Explorer, ref: CodeRef) -> None:
    author_line()
    with st.form(f"label-{ref}", border=False, clear_on_submit=True):
        first, second, third = st.columns([2, 2, 1], vertical_alignment="bottom")
        text = first.text_input("Label", max_chars=LIMITS["label"], placeholder="what it fires on")
        pattern = second.text_input("Tested by (regular expression, optional)", max_chars=LIMITS["pattern"])
        add_label = third.form_submit_button("Add label", width="stretch")
    with st.form(f"note-{ref}", border=False, clear_on_submit=True):
        first, second = st.columns([4, 1], vertical_alignment="bottom")
        note = first.text_area("Note", max_chars=LIMITS["note"], height=68)
        add_note = second.form_submit_button("Add note", width="stretch")
    second, third = st.columns([4, 1], vertical_alignment="bottom")
    names = [one.name for one in explorer.people.lists()]
    chosen = second.selectbox(
        "List", names, index=None, accept_new_options=True, placeholder="choose or write a new name", key=f"list-{ref}"
    )
    add_to_list = third.button("Add to list", width="stretch", key=f"add-{ref}")
    build = explorer.build(ref.model)
    if add_label and text.strip():
        precision = recall = support = None
        if pattern:
            precision, recall, support = tested(explorer, ref, pattern)
        explorer.people.add_label(
            ref,
            text,
            session.author(),
            build=build,
            pattern=pattern,
            precision=precision,
            recall=recall,
            support=support,
        )
        st.rerun()
    if add_note and note.strip():
        explorer.people.add_note(ref, note, session.author(), build=build)
        st.rerun(scope="fragment")
    if add_to_list and chosen:
        explorer.people.add_to_list(str(chosen), ref, session.author())
        st.rerun(scope="fragment")


def tested(explorer: Explorer, ref: CodeRef, pattern: str) -> tuple[float | None, float | None, int | None]:
    """Precision, recall and hits of the code on the pattern, over the held-out half of the build."""
    result = explorer.search(ref.model, pattern, sites=[ref.site], min_support=1, limit=100_000, baselines=0)
    found = result.codes[result.codes["code"] == ref.code]
    if found.empty:
        return 0.0, 0.0, 0
    row = found.iloc[0]
    return _number(row["held_out_precision"]), _number(row["held_out_recall"]), int(row["held_out_hits"])


def _number(value: float) -> float | None:
    return float(value) if value == value else None
