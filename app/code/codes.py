"""What is particular to the pages of codebooks and codes: heading, ways onward, and tables of what a code fires on."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from app.draw import html
from app.draw.item_view import ItemView
from app.draw.tables import Row, records
from app.steer.edit_list import first_edit
from backend.explorer import Explorer
from backend.types import CodeRef


def heading(ref: CodeRef, label: str) -> Markup:
    """The code's name, what people call it, and its model."""
    return Markup(
        '<div class="cs-title {}"><h1><span style="color:var(--c)">{}</span> <span class="mono">{}</span></h1>{}'
        '<span class="lead">{}</span></div>'
    ).format(
        html.colour_of(ref.site),
        ref.site,
        ref.code,
        Markup("<b>{}</b>").format(html.visible_label(label)) if label else "",
        ref.model,
    )


def actions(explorer: Explorer, ref: CodeRef, model: Row, view: ItemView) -> Markup:
    """Return where to go from a code: steer, search, try, next and previous live code.

    Args:
        explorer: the explorer.
        ref: the code.
        model: its model's row of `Explorer.models`.
        view: how the model's items are drawn.
    """
    before, after = explorer.previous_and_next(ref)
    ways = []
    if "steer" in model.capabilities:
        edit = first_edit(ref.site, ref.code, explorer.codebooks(ref.model))
        ways.append(("Steer with this code", "s", html.address("steer", model=ref.model, edit=str(edit))))
    ways.append(
        (
            "Search with it",
            "",
            html.address("search", model=ref.model, mode="codes", query=f"{ref.site}:{ref.code}"),
        )
    )
    if view.text:
        covered = html.address("search", model=ref.model, mode="covered", site=ref.site, code=ref.code)
        ways.append(("Passages it covers", "", covered))
    if view.reads_text(model):
        ways.append(("Try your own text", "", html.address("lens", model=ref.model, site=ref.site, code=ref.code)))
    if before is not None:
        ways.append(("Previous", "k", html.code_address(before)))
    if after is not None:
        ways.append(("Next", "j", html.code_address(after)))
    links = [
        html.link(href, Markup("{}{}").format(name, Markup("<kbd>{}</kbd>").format(key) if key else ""), "act", key=key)
        for name, key, href in ways
    ]
    return Markup('<div class="actions" style="margin-top:.4rem">{}</div>').format(Markup("").join(links))


def codebook_table(codebooks: pd.DataFrame, model: str, current: str) -> Markup:
    """All codebooks in the order of the forward pass; the current one is marked."""
    rows = []
    for row in records(codebooks):
        name = html.link(html.address("codebooks", model=model, site=row.site), row.site)
        css = html.colour_of(row.site)
        rows.append(
            [
                Markup('<span class="{}"><span style="color:var(--c)">■</span> {}</span>').format(
                    css, Markup("<b>{}</b>").format(name) if row.site == current else name
                ),
                row.place,
                f"{row.num_codes:,}",
                row.slots,
                f"{row.alive:,}",
                html.bar(float(row.dead_fraction)),
                f"{row.rare:,}",
                f"{row.entropy_bits:.2f}",
                f"{row.perplexity:,.0f}",
                html.compact(row.activations),
            ]
        )
    return html.table(
        [
            "Codebook",
            "Place",
            "Codes",
            "Slots",
            "Alive",
            "Dead",
            "Rare (1–4)",
            "Entropy, bits",
            "Perplexity",
            "Activations",
        ],
        rows,
        right=(2, 3, 4, 6, 7, 8, 9),
        caption=f"codebooks of {model}",
    )


def token_table(tokens: pd.DataFrame, ref: CodeRef) -> Markup:
    """The tokens under a code."""
    if tokens.empty:
        return html.empty("None.", "It never fires in this build.")
    css = html.colour_of(ref.site)
    rows = [
        [
            Markup('<span class="mono">{}</span>').format(html.visible(str(row.token))),
            f"{row.count:,}",
            html.coloured(css, html.bar(row.share)),
        ]
        for row in records(tokens)
    ]
    return html.table(["Token", "Count", "Share"], rows, right=(1,), caption=f"tokens under {ref}")


def label_table(truth: pd.DataFrame, ref: CodeRef) -> Markup:
    """The true labels under a code, each with a link to a search for it."""
    if truth.empty:
        return html.empty("None.", "The positions at which it fires carry no labels.")
    css = html.colour_of(ref.site)
    rows = [
        [
            row.field,
            html.link(
                html.address("search", model=ref.model, field=row.field, value=row.value),
                html.visible_label(str(row.value)),
                title="which codes fire on it?",
            ),
            f"{row.count:,}",
            html.coloured(css, html.bar(row.precision)),
            html.coloured(css, html.bar(row.recall)),
            f"{row.total:,}",
        ]
        for row in records(truth)
    ]
    return html.table(
        ["Field", "Value", "Count", "Precision", "Recall", "Positions with it"],
        rows,
        right=(2, 5),
        caption=f"labels under {ref}",
    )
