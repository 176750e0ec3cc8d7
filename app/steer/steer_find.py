"""The Steer page's search for codes: which of them stand for something, and which edits bring it about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st
from markupsafe import Markup

from app.draw import html
from app.draw.tables import records
from app.shell import address, widgets
from app.shell.earlier import Earlier
from app.steer import judged, measured
from app.steer.edit_list import place_of
from app.steer.measured import Measured
from app.steer.steer_panels import question
from app.steer.steering import Kept
from backend.data.judging import FLUENT, LOSS, TRIES
from backend.explorer import MAX_PATTERN, Explorer
from backend.types import CodeRef, Edit

MAX_TRIES = 200
TRUTHS = {
    "now": "where it is true",
    "next": "right before it becomes true",
    "texts": "its texts, by descent",
    "samples": "its own samples, by practice",
}


def choices(explorer: Explorer, model: str, dataset: str) -> dict[str, list[str]]:
    """Field -> values that codes can be looked for by: what new text can be judged for, then the data's labels."""
    found = {field: list(values) for field, values in judged.values(dataset).items()}
    for field in explorer.label_fields(model)["field"]:
        values = explorer.label_values(model, field)["value"]
        found[field] = list(dict.fromkeys([*found.get(field, []), *values]))
    return found


def find_panel(
    explorer: Explorer, model: str, dataset: str, labels: Mapping[CodeRef, str], known: Sequence[Measured]
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Choose what to bring about, find the codes, and put them into the list; returns tables and Python.

    Args:
        explorer: the explorer.
        model: the model.
        dataset: its data set.
        labels: people's labels.
        known: what was found and measured before.
    """
    fields = choices(explorer, model, dataset)
    if not fields:
        return {}, []
    asked = address.flag("find") or "field" in address.parameters()
    with st.expander(
        "Find codes for something else" if known else "Find codes for something",
        expanded=asked or not (known or address.edits()),
    ):
        first, second, third, fourth, fifth = st.columns(
            [1.2, 1.4, 2.2, 1, 1], vertical_alignment="bottom", gap="small"
        )
        with first:
            field = address.choice("field", list(fields), next(iter(fields)))
            st.selectbox("Field", list(fields), **address.bound("field", field, clears=["value", "find"]))
        with second:
            value = address.choice("value", fields[field], fields[field][0])
            st.selectbox("Value", fields[field], **address.bound("value", value, clears=["find"]))
        by_itself = value in judged.values(dataset).get(field, ())
        with third:
            pattern = address.text("wanted", "", 10 * MAX_PATTERN)
            st.text_input(
                "Success: a pattern (RE2) in the new text",
                placeholder="the data's own truth" if by_itself else "needed: new text cannot be judged for this",
                **address.bound("wanted", pattern, clears=["find"]),
            )
        with fourth:
            tries = address.integer("tries", TRIES, 4, MAX_TRIES)
            help_text = "Every candidate writes so many texts, from prompts that are used for the search alone."
            st.number_input(
                "Samples of each", 4, MAX_TRIES, help=help_text, **address.bound("tries", tries, TRIES, clears=["find"])
            )
        with fifth:
            ready = bool(pattern) or by_itself
            st.button(
                "Find codes",
                on_click=address.write,
                kwargs={"find": "1", "field": field, "value": value},
                disabled=not ready,
                width="stretch",
            )
        earlier = Earlier(f"find.{model}", lambda found: _draw(found, model, labels))
        key = question("found", explorer, model, field, value, pattern, tries)
        if not (address.flag("find") and ready):
            ready_made = next((one for one in known if one.name == f"{field}={value}"), None)
            if ready_made and not pattern:
                _ready_made(ready_made, dataset)
            earlier.show(key, "found for something else, or with other settings; Find codes asks again")
            return {}, []
        with widgets.guarded():
            found = _found(explorer, model, key, field, value, pattern, tries, earlier)
            _draw(found, model, labels)
            earlier.keep(key, found)
            _chooser(found, f"{field}={value}" if by_itself and not pattern else "", pattern)
            again = f"found = explorer.live({model!r}).find_codes({field!r}, {value!r}, success={pattern!r}, samples={tries})"
            return {"codes": sites_table(found, model), "candidates": found.tried}, [again, "show(found.tried)"]
    return {}, []


def _ready_made(one: Measured, dataset: str) -> None:
    """What a search found and `evaluate` measured, ready to use as it was measured."""
    trial = judged.trial(dataset)
    left, right = st.columns([1.6, 5], vertical_alignment="center", gap="small")
    with left:
        name = f"Use the {len(one.edits)} measured edits"
        st.button(name, type="primary", width="stretch", help=one.about, **measured.use(one, dataset))
    with right:
        effect = Markup("<b>{}</b>. ").format(one.effect) if one.effect else ""
        said = "Found by a search, then measured on other prompts" + (
            f", {trial.new_tokens} new tokens at temperature {trial.temperature:g}: the button sets both."
            if trial
            else "."
        )
        widgets.draw(Markup('<p class="faint">{}{}</p>').format(effect, said))


def _use(edits: Sequence[str], judge: str, pattern: str) -> None:
    """The button that puts edits into the list."""
    kwargs = {"edit": list(edits), "judge": judge or None, "success": pattern or None, "measure": None, "run": None}
    name = f"Use its {len(edits)} edits"
    st.button(name, type="primary", on_click=address.write, kwargs=kwargs, width="stretch")


def _draw(found: Any, model: str, labels: Mapping[CodeRef, str]) -> None:
    widgets.draw(sites_html(found, model, labels), tried_html(found))


def _found(
    explorer: Explorer,
    model: str,
    key: tuple[Any, ...],
    field: str,
    value: str,
    pattern: str,
    tries: int,
    earlier: Earlier,
) -> Any:
    """What was found; while it is looked for, a bar that can be stopped, and what was found before."""
    found = Kept.shared().get(key)
    if found is None:
        area, before = st.empty(), st.empty()
        bar, stop = area.container().columns([6, 1], vertical_alignment="center")
        with stop:
            st.button("Stop", key="stop.find", on_click=address.write, kwargs={"find": None}, width="stretch")
        with bar:
            shown = st.progress(0.0, "Loading the model ...")
        with before.container():
            earlier.show(key, "found for something else, until the new codes are there")

        def progress(what: str, done: int, total: int) -> None:
            shown.progress(done / total if total else 0.0, f"{what.capitalize()} ... (a search takes some minutes)")

        found = explorer.live(model).find_codes(field, value, success=pattern, samples=tries, progress=progress)
        Kept.shared().put(key, found)
        area.empty()
        before.empty()
    return found


def _chooser(found: Any, judge: str, pattern: str) -> None:
    """A choice of the candidates that were tried, and the button that puts one of them into the list of edits."""
    best = int(found.tried["worth"].to_numpy().argmax())
    left, right, _ = st.columns([3, 1.6, 3], vertical_alignment="bottom", gap="small")
    with left:
        chosen = st.selectbox(
            "Candidate",
            range(len(found.tried)),
            index=best,
            format_func=lambda i: candidate_text(found.tried.iloc[i]) + (" (best)" if i == best else ""),
        )
    edits = list(found.tried["edits"].iloc[chosen])
    with right:
        _use(edits, judge, pattern)


def candidate_text(row: Any) -> str:
    """One candidate in words."""
    return f"{edited(row['edits'])}, {edited_where(row['edits'])}: {html.share(row['success'])}"


def edited(edits: Sequence[str]) -> str:
    """Which codebooks a candidate edits, and how often each: `L0.attn.h0 (6), L1.attn.h2 (4)`."""
    counts = Counter(Edit.parse(edit).site for edit in edits)
    return ", ".join(f"{site} ({count})" for site, count in counts.items())


def edited_where(edits: Sequence[str]) -> str:
    """At which positions a candidate edits; those of the strongest first."""
    return ", ".join(dict.fromkeys(place_of(Edit.parse(edit)) for edit in edits))


def sites_table(found: Any, model: str) -> pd.DataFrame:
    """The ranking for download: `site, code, rank, worth, precision, recall`."""
    rows = [
        (s.site, code, CodeRef(model, s.site, code), rank, s.worth, s.precision, s.recall)
        for s in found.sites
        for rank, code in enumerate(s.codes)
    ]
    return pd.DataFrame(rows, columns=["site", "code", "ref", "rank", "worth", "precision", "recall"])


def sites_html(found: Any, model: str, labels: Mapping[CodeRef, str], most: int = 12) -> Markup:
    """The best codebooks with their best codes."""
    rows: list[Sequence[Any]] = [
        [
            s.site,
            html.chips(widgets.chip(CodeRef(model, s.site, code), None, labels) for code in s.codes),
            f"{s.worth:.3f}",
            html.bar(s.precision),
            html.bar(s.recall),
        ]
        for s in found.sites[:most]
    ]
    more = len(found.sites) - most
    note = (
        f"Worth: what the codes add, in nats, to the divergence between where it is true and anywhere, over {found.items:,} "
        "items. Precision and recall: of one of them firing." + (f" {more} more in the download." if more > 0 else "")
    )
    heads = ["Codebook", "Codes, best first", "Worth", "Precision", "Recall"]
    return html.table(heads, rows, right=(2,), caption="codes by codebook") + Markup('<p class="faint">{}</p>').format(
        note
    )


def tried_html(found: Any) -> Markup:
    """What each candidate brought about."""
    fluent = bool(found.tried["perplexity_ratio"].notna().any())
    rows = [
        [
            edited(r.edits),
            edited_where(r.edits),
            TRUTHS[r.truth],
            html.bar(r.success),
            *([f"{r.perplexity_ratio:,.2f} x"] if fluent else []),
            f"{r.worth:.2f}",
        ]
        for r in records(found.tried)
    ]
    heads = [
        "Codebooks (edits)",
        "Where",
        "Codes of",
        f"Success of {found.samples}",
        *(["Perplexity"] if fluent else []),
        "Worth",
    ]
    note = (
        f"Worth: the share of successes, less {LOSS:g} times what the perplexity exceeds {FLUENT:g} x. "
        if fluent
        else ""
    )
    note += "Written from prompts that should not be measured on: " + ", ".join(
        f"“{html.visible_text(p)}”" for p in found.prompts
    )
    return html.table(heads, rows, caption="candidates that were tried") + Markup('<p class="faint">{}</p>').format(
        note
    )
