"""Pure: the table of concepts and the description of a code as HTML. Every claim stands beside its controls."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import pandas as pd
from markupsafe import Markup

from app.draw import html
from app.draw.tables import Row, records
from app.search import results
from app.shell import script
from backend.explorer import MAX_PATTERN, Description
from backend.types import CodeRef

UNDESCRIBED = (
    "No label, token, shape or ending describes this code: none that is true of few positions stands out under it on "
    "one half of the items."
)
ORDERS = {
    "f1": "F1",
    "precision": "Precision",
    "recall": "Recall",
    "support": "Positions",
    "gain": "Above its control",
    "value": "Name",
}


def ordered(found: pd.DataFrame, order: str) -> pd.DataFrame:
    """The concepts in the order of a key of `ORDERS`; names ascending, figures descending, unknown figures last."""
    if order == "value":
        return found.sort_values(["field", "value"], kind="stable")
    by = found["precision"] - found["control_precision"].fillna(0.0) if order == "gain" else found[order]
    return found.loc[by.sort_values(ascending=False, kind="stable", na_position="last").index]


def python(model: str, field: str, support: int, neurons: bool, words: str, order: str, rows: int) -> list[str]:
    """The same concepts, filtered and in the same order, as Python; the arguments are those of the page's address."""
    question = script.asked("concepts", model=model, field=field or None, min_support=support, neurons=neurons)
    lines = [f"concepts = {question}"]
    if words:
        lines += [
            'named = concepts["field"] + " = " + concepts["value"]',
            f"concepts = concepts[named.str.contains({words!r}, case=False, regex=False)]",
        ]
    if order == "value":
        lines.append('concepts = concepts.sort_values(["field", "value"], kind="stable")')
    elif order == "gain":
        lines += [
            'gain = concepts["precision"] - concepts["control_precision"].fillna(0)',
            'concepts = concepts.loc[gain.sort_values(ascending=False, kind="stable").index]',
        ]
    else:
        lines.append(f'concepts = concepts.sort_values({order!r}, ascending=False, kind="stable")')
    return [*lines, f"show(concepts, rows={rows})"]


def summary(found: pd.DataFrame, min_support: int) -> Markup:
    """How many concepts there are and how well single codes stand for them."""

    def mean(column: str) -> str:
        return html.share(float(found[column].mean())) if len(found) else "–"

    figures = [
        ("concepts", f"{len(found):,}", f"label values with at least {min_support:,} positions on each half"),
        ("precision", mean("precision"), "mean of the best codes, held out"),
        ("recall", mean("recall"), "mean of the same codes, held out"),
        ("control", mean("control_precision"), "mean precision of other codes that fire as often"),
    ]
    if "neuron_precision" in found:
        figures.append(("best neuron", mean("neuron_precision"), "mean precision at the code's recall"))
    return html.stats(figures)


def concept_table(
    found: pd.DataFrame,
    model: str,
    labels: Mapping[CodeRef, str],
    steer: Callable[[CodeRef, str, str], str] | None = None,
) -> Markup:
    """One row a concept, each with the code that stands for it best.

    Args:
        found: what `Explorer.concepts` says.
        model: the model.
        labels: people's labels.
        steer: code, field and value -> the address that steers towards it with the code; None: it cannot be steered.
    """
    has_neurons = "neuron_precision" in found
    columns = ["Concept", "Best code", "Precision", "Recall", "F1", "Hits of activations", "Positions with it"]
    columns += ["Chance", "Control: precision"] + (["Best neuron: precision"] if has_neurons else [])
    rows = [_concept_row(row, model, labels, has_neurons, steer) for row in records(found)]
    return html.table(columns, rows, right=tuple(range(4, len(columns))), caption="the best code of every concept")


def _concept_row(
    row: Row,
    model: str,
    labels: Mapping[CodeRef, str],
    has_neurons: bool,
    steer: Callable[[CodeRef, str, str], str] | None,
) -> list[Markup | str]:
    css = html.colour_of(row.site)

    name = Markup('<span class="faint">{} =</span> {}').format(row.field, html.visible_label(str(row.value)))
    where = html.address("search", model=model, field=row.field, value=row.value)
    cells: list[Markup | str] = [
        html.link(where, name, title="all codes that fire on it"),
        html.chip(row.ref, None, labels.get(row.ref, "")) + _steer_link(row, steer),
        html.coloured(css, html.bar(row.precision, row.precision_low, row.precision_high)),
        html.coloured(css, html.bar(row.recall, row.recall_low, row.recall_high)),
        html.number(row.f1),
        f"{int(row.hits):,} of {int(row.count):,}",
        f"{int(row.matches):,}",
        html.share(row.chance),
        results.control(row),
    ]
    if has_neurons:
        cells.append(
            Markup('<span title="{} at recall {}">{}</span>').format(
                row.neuron, html.share(row.neuron_recall), html.share(row.neuron_precision)
            )
        )
    return cells


def _steer_link(row: Row, steer: Callable[[CodeRef, str, str], str] | None) -> Markup:
    if steer is None:
        return Markup("")
    href = steer(row.ref, row.field, str(row.value))
    title = f"write with this code put in, towards {row.field} = {html.visible_label(str(row.value))}"
    return Markup(" ") + html.link(href, "steer", "", title)


def descriptions_table(found: pd.DataFrame, model: str, site: str, labels: Mapping[CodeRef, str]) -> Markup:
    """What the codes of a codebook fire on, as `Explorer.descriptions` found it; good ones first, the most precise first."""
    css = html.colour_of(site)
    rows = [
        [
            html.chip(CodeRef(model, site, int(row.code)), None, labels.get(CodeRef(model, site, int(row.code)), "")),
            html.visible_label(row.text)
            if row.good
            else Markup('<span class="faint" title="{}">no good description; best: {}</span>').format(
                row.objection, html.visible_label(row.text)
            ),
            html.coloured(css, html.bar(row.precision)),
            html.coloured(css, html.bar(row.recall)),
            f"{int(row.n):,}",
        ]
        for row in records(found.sort_values(["good", "precision", "n"], ascending=False, kind="stable"))
    ]
    columns = ["Code", "Fires on", "Precision", "Recall", "Held-out activations"]
    return html.table(columns, rows, right=(4,), caption=f"what the codes of {site} fire on")


def claim(found: Description) -> str:
    """The description as a label that a person might keep."""
    return f"fires on {shown(found)}"


def pattern(found: Description) -> str:
    """The regular expression that says the same, for a token; empty where none does."""
    escaped = re.escape(found.value)
    return f"({escaped})" if found.kind == "token" and found.value.strip() and len(escaped) < MAX_PATTERN - 1 else ""


def shown(found: Description) -> str:
    """The description in words, characters that cannot be seen made visible."""
    value = html.visible_text(found.value)
    return {
        "label": f"{found.field} = {html.visible_label(found.value)}",
        "field": f"any {found.field}",
        "token": f"the token {value}",
        "before": f"what follows {value}",
        "shape": found.value,
        "ending": f"words that end in {value}",
    }[found.kind]


def description(found: Description) -> Markup:
    """What the code fires on and how precisely; below it how that was found, and what chance and others would reach."""
    others = [f"{html.share(found.chance)} of all positions"]
    if found.controls:
        others.append(
            f"{html.share(found.control)} of the activations of {found.controls} other codes that fire as often "
            f"({html.share(found.control_low)} to {html.share(found.control_high)})"
        )
    if found.shuffled == found.shuffled:
        others.append(f"{html.share(found.shuffled)} for the best description of as many places elsewhere")
    comparison = Markup(
        '<br><span class="faint">Found on one half of the items, tested on the other. For comparison: {}.</span>'
    )
    if not found.good:
        return Markup("<p><b>No good description</b>: the best is <b>{}</b>, but {}.{}</p>").format(
            shown(found), found.objection, comparison.format("; ".join(others))
        )
    return Markup(
        '<p>Fires on <b>{}</b>: <b>{}</b> of its {:,} held-out activations <span class="faint">({} to {}), {} of the {:,} '
        "positions that are so.</span>{}</p>"
    ).format(
        shown(found),
        html.share(found.precision),
        found.n,
        html.share(found.low),
        html.share(found.high),
        html.share(found.recall),
        found.matches,
        comparison.format("; ".join(others)),
    )
