"""Pure: the answers of a search as HTML. Every claim stands beside its controls."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from app.draw import html
from app.draw.tables import Row, records
from backend.answers.stored import QueryResult, SearchResult
from backend.types import CodeRef


def search_table(result: SearchResult, labels: Mapping[CodeRef, str], shown: int) -> Markup:
    """The best codes of a search: precision, recall and F1 with intervals, held out, beside their baselines.

    Args:
        result: the answer.
        labels: people's labels.
        shown: how many rows.
    """
    rows = [_search_row(row, labels) for row in records(result.codes.head(shown))]
    columns = [
        "Code",
        "Precision",
        "Recall",
        "F1",
        "Hits",
        "Held out: precision",
        "recall",
        "Best neuron: precision",
        "Other codes: precision",
    ]
    return html.table(columns, rows, right=(3, 4, 5, 6, 7, 8), caption="codes that fire on the pattern, best first")


def _search_row(row: Row, labels: Mapping[CodeRef, str]) -> list[Markup | str]:
    css = html.colour_of(row.ref.site)

    neuron = getattr(row, "neuron", None)
    has_neuron = isinstance(neuron, str) and bool(neuron)
    return [
        html.chip(row.ref, int(row.count), labels.get(row.ref, "")),
        html.coloured(css, html.bar(row.precision, row.precision_low, row.precision_high)),
        html.coloured(css, html.bar(row.recall, row.recall_low, row.recall_high)),
        f"{row.f1:.3f}",
        f"{int(row.hits):,}",
        html.share(row.held_out_precision),
        html.share(row.held_out_recall),
        Markup('<span title="{} at the same recall">{}</span>').format(neuron, html.share(row.neuron_precision))
        if has_neuron
        else "–",
        control(row),
    ]


def control(row: Row) -> Markup:
    """Return the mean precision of a row's control codes, below it their range; which codes they are stands in the title."""
    if not row.controls:
        return Markup("–")
    title = f"{row.controls} other codes that fire about as often: {row.control}"
    return Markup('<span title="{}">{}<br><span class="faint">{} to {}</span></span>').format(
        title, html.share(row.control_precision), html.share(row.control_low), html.share(row.control_high)
    )


def search_summary(result: SearchResult) -> Markup:
    """What matched, and how the best code does on text it was not chosen on."""
    figures = [
        (
            "matches",
            f"{result.matches:,}",
            f"of {result.positions:,} positions ({html.share(result.matches / max(1, result.positions))})",
        ),
        ("held out", f"{result.matches_held_out:,}", "of them in the half kept for testing"),
        ("codes", f"{result.candidates:,}", f"with enough hits; {len(result.codes):,} listed"),
    ]
    if result.held_out is not None:
        best = result.held_out
        figures.append(
            (
                "chosen on one half",
                f"{best.ref.site} {best.ref.code}",
                f"precision {html.share(best.precision)}, recall {html.share(best.recall)}",
            )
        )
        figures.append(
            (
                "tested on the other",
                html.share(best.held_out_precision),
                f"precision: {best.held_out_hits:,} of its {best.held_out_count:,} activations; "
                f"recall {html.share(best.held_out_recall)}",
            )
        )
    notes = []
    if result.unplaced:
        notes.append(
            f"{result.unplaced:,} further matches begin between two tokens or have an empty group and count nowhere."
        )
    if result.neuron_positions and result.neuron_positions < result.positions:
        notes.append(f"The neuron baseline is measured on the first {result.neuron_positions:,} positions.")
    tail = Markup('<p class="faint">{}</p>').format(" ".join(notes)) if notes else Markup("")
    return html.stats(figures) + tail


def query_summary(result: QueryResult) -> Markup:
    """How many positions are left after each step."""
    figures = [
        (
            "positions",
            f"{result.count:,}",
            f"of {result.positions:,} ({html.share(result.count / max(1, result.positions))})",
        ),
        ("in items", f"{result.items:,}", "items with at least one"),
        ("held out", f"{result.held_out:,}", "of the positions lie in the half kept for testing"),
    ]
    rows = [
        [str(row.step), f"{int(row.count):,}", html.bar(row.count / max(1, result.steps["count"].iloc[0]))]
        for row in records(result.steps)
    ]
    return html.stats(figures) + html.table(
        ["After the step", "Positions left", ""], rows, right=(1,), caption="steps of the query"
    )
