"""Everything about one code of images: what it was chosen for, where, what it draws, and which codes lie near it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st
from markupsafe import Markup

from app.code import people
from app.code.any_code import Names, label_columns
from app.draw import html, patches
from app.draw.tables import Row
from app.shell import address, foot, widgets
from app.shell.parts import part
from backend.answers.meaning import DecodedCode
from backend.answers.stored import CodeStats, Context, How
from backend.explorer import Explorer
from backend.types import CodeRef

AT_ONCE = 24


def gallery(explorer: Explorer, model: str, site: str, codes: pd.DataFrame, names: Names) -> Markup:
    """Draw many codes at a glance: the patch that lies nearest to each."""
    typical = explorer.typical_patches(model, site, list(codes["code"]))
    return patches.code_gallery(codes, typical, names)


def places(explorer: Explorer, model: str, site: str, found: Sequence[Context]) -> Markup:
    """Draw cells of the pictures."""
    return patches.gallery(explorer.patches_at(model, site, [one.pos for one in found]))


def code_page(explorer: Explorer, stats: CodeStats, about: Row, names: Names) -> None:
    """Draw what stands below the figures of a live code; see `any_code.code_page`."""
    ref = stats.ref
    n, seed = address.integer("n", AT_ONCE, 1, 300), address.integer("seed", 0, 0, 10**6)
    around = address.integer("around", 1, 0, 8)
    kinds: list[tuple[How, str, str, str]] = [
        ("random", "At random", f"uniform over all {stats.count:,}, seed {seed}", ""),
        ("top", "Nearest", "smallest distance to the code first", "distance"),
        ("boundary", "At the boundary", "smallest margin to the runner-up first", "margin"),
    ]
    for column, (how, title, note, figure) in zip(st.columns(3, gap="medium"), kinds, strict=True):
        with column:
            widgets.section(title, note)
            found = explorer.patches(ref, how, n=n, seed=seed, around=around)
            widgets.draw(patches.gallery(found, note=figure))
    with st.popover("How many patches"):
        st.number_input("Patches in each column", 1, 300, **address.bound("n", n, AT_ONCE))
        st.number_input("Cells around each", 0, 8, **address.bound("around", around, 1))
        st.number_input("Seed of the random ones", 0, 10**6, **address.bound("seed", seed, 0))

    first, decoding = st.columns([1, 3], gap="medium")
    with first:
        widgets.section("Where in the picture")
        widgets.draw(patches.places(explorer.code_places(ref), html.colour_of(ref.site)))

    truth, tags = explorer.labels_of(ref, 12), explorer.tags_of(ref, 12)
    label_columns(ref, truth, tags, "cell", "picture")

    near = explorer.neighbours(ref, 10)
    typical = explorer.typical_patches(ref.model, ref.site, [one.code for one in near["ref"]])
    together = explorer.together(ref, 10)
    left, right = st.columns(2, gap="medium")
    with left:
        widgets.section("Nearest codes", "by distance of their vectors; the patch that lies nearest to each")
        widgets.draw(patches.code_table(near, typical, names))
    with right:
        if len(together):
            widgets.section("Fires together with", "other codebooks, same cells, by PMI")
            cells = {"PMI, bits": lambda r: html.number(r.pmi, 2), "Together": lambda r: html.compact(r.together)}
            widgets.draw(widgets.chip_table(together, cells, names, "fires together with"))
        widgets.section("What people say", "a label is a claim; its numbers are measured on held-out items")
        people.panel(explorer, ref)
    tables = {"labels": truth, "tags": tags, "neighbours": near, "together": together}
    foot.offer(tables, python(ref, seed) if "decode" in about.capabilities else [])
    with decoding:  # last, because loading the model takes seconds and nothing else should wait for it
        _decoded(explorer, ref, "decode" in about.capabilities, seed)


def python(ref: CodeRef, seed: int) -> list[str]:
    """What is decoded, as Python."""
    code, decode = f"CodeRef.parse({str(ref)!r})", f"explorer.live({ref.model!r}).decode"
    return [
        f"decoded = explorer.decoded({code}, {decode}, seed={seed})",
        'print("spread left to the neighbours, put into other pictures:", decoded.elsewhere_spread)',
        'print("spread left to the neighbours, at its own places:", decoded.own_spread)',
    ]


@part
def _decoded(explorer: Explorer, ref: CodeRef, can_decode: bool, seed: int) -> None:
    widgets.section("Decoded", "what the decoder draws for it, and how much of that its neighbours decide")
    if not can_decode:
        widgets.empty("Not available:", "this model has no decoder.")
        return
    with widgets.guarded(), st.spinner("Decoding ..."):
        widgets.draw(decoded_view(explorer.decoded(ref, explorer.live(ref.model).decode, seed=seed)))


def decoded_view(found: DecodedCode) -> Markup:
    """One decoded code as HTML."""
    figures = [
        (
            "put into other pictures",
            html.share(found.elsewhere_spread),
            "of a cell's usual spread is left to its neighbours",
        ),
        ("at its own places", html.share(found.own_spread), f"the same; usual: {found.cells:,} decoded cells"),
    ]
    groups = [
        ("alone", patches.pictures([found.alone], patches.SIZE, "the code decoded alone")),
        ("everywhere", patches.pictures([found.everywhere], patches.SIZE, "a picture of this code alone")),
        ("at its own places", patches.pictures(found.own, 56, "decoded at one of its places", found.around)),
        ("put into other pictures", patches.pictures(found.elsewhere, 56, "put into another picture", found.around)),
    ]
    body = Markup("").join(
        Markup('<div class="group"><div class="faint">{}</div>{}</div>').format(name, shown) for name, shown in groups
    )
    return html.stats(figures) + Markup('<div class="decoded">{}</div>').format(body)
