"""What people said, as HTML and as tables for download."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from app.draw import html
from app.lists import withdrawing
from app.shell import resources
from backend.answers.people import CodeList, Label, Note
from backend.errors import CodescopeError
from backend.explorer import Explorer
from backend.types import CodeRef


def counts(explorer: Explorer, refs: Iterable[CodeRef]) -> dict[CodeRef, int]:
    """How often each code fires in the newest build; codes that no build knows any more are left out."""
    found = {}
    for ref in refs:
        try:
            codes = resources.aside(explorer).codes(ref.model, ref.site)
        except CodescopeError:
            continue
        if 0 <= ref.code < len(codes):
            found[ref] = int(codes["count"].iloc[ref.code])
    return found


def list_table(one: CodeList, labels: Sequence[Label], fires: Mapping[CodeRef, int]) -> Markup:
    """The codes of a list in their order."""
    newest = {label.ref: label.text for label in reversed(labels)}
    rows = [
        [
            html.chip(ref, fires.get(ref), newest.get(ref, ""), model=True),
            "" if ref in fires else Markup('<span class="faint">in no build that is here</span>'),
            withdrawing.out_link(ref, one.name),
        ]
        for ref in one.refs
    ]
    head = Markup('<p class="faint">Made by {}</p>').format(html.signed(one.author, one.created))
    return head + html.table([f"{len(rows)} codes", "", ""], rows, caption=f"codes of the list {one.name}")


def label_table(labels: Sequence[Label], current: str) -> Markup:
    """Labels as claims: code, text, pattern, its figures, who and when, on which build; `current`: the list that is shown."""
    rows = [
        [
            html.chip(label.ref, model=True),
            html.visible_label(label.text),
            html.link(
                html.address("search", model=label.ref.model, pattern=label.pattern),
                Markup("<code>{}</code>").format(html.visible_label(label.pattern)),
            )
            if label.pattern
            else "",
            "" if label.precision is None else html.share(label.precision),
            "" if label.recall is None else html.share(label.recall),
            Markup('<span class="faint" title="build {}">{}</span>').format(
                label.build, html.signed(label.author, label.created)
            ),
            withdrawing.link_of(label, current),
        ]
        for label in labels
    ]
    return html.table(
        ["Code", "Label", "Tested by", "Precision", "Recall", "Who, when", ""], rows, right=(3, 4), caption="labels"
    )


def note_list(notes: Sequence[Note], current: str) -> Markup:
    """Notes below each other; `current`: the list that is shown."""
    return Markup("").join(
        Markup('<div class="example"><div>{} {}</div><div class="meta">{}<br>{}</div></div>').format(
            html.chip(note.ref, model=True),
            html.visible_lines(note.text),
            html.signed(note.author, note.created),
            withdrawing.link_of(note, current),
        )
        for note in notes
    )


def tables(labels: Sequence[Label], notes: Sequence[Note], lists: Sequence[CodeList]) -> dict[str, pd.DataFrame]:
    """What is on the screen, for download."""
    return {
        "labels": _frame(labels),
        "notes": _frame(notes),
        "lists": pd.DataFrame(
            [{"list": one.name, "place": i, "ref": str(ref)} for one in lists for i, ref in enumerate(one.refs)]
        ),
    }


def _frame(entries: Sequence[Label | Note]) -> pd.DataFrame:
    return pd.DataFrame(
        [{**{f.name: getattr(e, f.name) for f in dataclasses.fields(e)}, "ref": str(e.ref)} for e in entries]
    )


def report(merged: Any) -> str:
    """What an import did, in one line."""
    return (
        "Imported: "
        + ", ".join(f"{f.name.replace('_', ' ')} {_short(getattr(merged, f.name))}" for f in dataclasses.fields(merged))
        + "."
    )


def _short(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return str(len(value))
    return str(value)
