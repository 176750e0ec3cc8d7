"""Everything about one code of items that have no picture and perhaps no text: labels stand where a token would.

What pages of texts and pictures have in common with it stands here too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import pandas as pd
import streamlit as st
from markupsafe import Markup

from app.code import codes, people
from app.draw import html
from app.draw.tables import Row
from app.shell import address, foot, widgets
from backend.answers.stored import CodeStats, Context, Example, How, Token
from backend.explorer import Explorer
from backend.types import CodeRef

Place = TypeVar("Place", bound=Context)
Names = Mapping[CodeRef, str]


def chips(explorer: Explorer, model: str, site: str, codes: pd.DataFrame, names: Names) -> Markup:
    """Draw many codes at a glance."""
    return widgets.code_chips(codes, model, names, site)


def labelled(token: Token) -> Token:
    """Return a position with its first label, else its number, where its text would stand; one with a text as it is."""
    if token.text:
        return token
    label = next((value for value in token.labels.values() if value), "")
    return token._replace(text=label or str(token.place), gap=" ")


def place(context: Place) -> Place:
    """Return a place whose positions show their labels."""
    changed: dict[str, Any] = {
        "before": [labelled(token) for token in context.before],
        "token": labelled(context.token),
        "after": [labelled(token) for token in context.after],
    }
    return type(context)(**{**context.__dict__, **changed})


def places(explorer: Explorer, model: str, site: str, found: Sequence[Context]) -> Markup:
    """Draw places of the build."""
    return widgets.context_list([place(one) for one in found], model, site)


def code_page(explorer: Explorer, stats: CodeStats, about: Row, names: Names) -> None:
    """Draw what stands below the figures of a live code.

    Args:
        explorer: the explorer.
        stats: figures of the code.
        about: its model's row of `Explorer.models`.
        names: what codes are called.
    """
    ref = stats.ref
    example_columns(explorer, stats)
    truth, tags = explorer.labels_of(ref, 12), explorer.tags_of(ref, 12)
    label_columns(ref, truth, tags)
    near = code_tables(explorer, stats, names)
    foot.offer({"labels": truth, "tags": tags, **near})


def example_columns(
    explorer: Explorer, stats: CodeStats, field: str = "", shown: Callable[[Example], Example] = place
) -> None:
    """Draw examples of a code in three columns: strongest, random, at the boundary; how many stands in the address.

    Args:
        explorer: the explorer.
        stats: figures of the code.
        field: the label field whose value stands at the end of each line.
        shown: how a place is changed before it is drawn.
    """
    n = address.integer("n", 8, 1, 100)
    around = address.integer("context", 10, 0, 100)
    seed = address.integer("seed", 0, 0, 10**6)
    kinds: list[tuple[How, str, str]] = [
        ("top", "Strongest", "highest score"),
        ("random", "At random", f"uniform over all {stats.count:,}, seed {seed}"),
        ("boundary", "At the boundary", "smallest margin to the runner-up"),
    ]
    for column, (how, title, note) in zip(st.columns(3, gap="medium"), kinds, strict=True):
        with column:
            widgets.section(title, note)
            found = explorer.examples(stats.ref, how, n=n, seed=seed, context=around)
            widgets.draw(widgets.example_list([shown(one) for one in found], stats.ref, field=field))
    with st.popover("How many examples"):
        st.number_input("Examples in each column", 1, 100, **address.bound("n", n, 8))
        st.number_input("Positions before and after", 0, 100, **address.bound("context", around, 10))
        st.number_input("Seed of the random ones", 0, 10**6, **address.bound("seed", seed, 0))


def label_columns(
    ref: CodeRef, truth: pd.DataFrame, tags: pd.DataFrame, position: str = "position", item: str = "item"
) -> None:
    """Draw the labels of the positions under a code, and the tags of the items that it fires in.

    Args:
        ref: the code.
        truth: what `Explorer.labels_of` says.
        tags: what `Explorer.tags_of` says.
        position: what a position is called.
        item: what an item is called.
    """
    shown = [
        ("Labels under it", f"precision: of its activations; recall: of the {position}s with that label", truth),
        (
            f"Tags of its {item}s",
            f"precision: of its activations; recall: of the {position}s of such {item}s",
            tags.assign(field="item:" + tags["field"]),
        ),
    ]
    for column, (title, note, table) in zip(st.columns(2, gap="medium"), shown, strict=True):
        with column:
            widgets.section(title, note)
            widgets.draw(Markup('<div class="narrow">{}</div>').format(codes.label_table(table, ref)))


def code_tables(explorer: Explorer, stats: CodeStats, names: Names) -> dict[str, pd.DataFrame]:
    """Draw the codes that stand near a code, and what people say of it; return the tables."""
    ref = stats.ref
    together, alike, near = explorer.together(ref, 10), explorer.alike(ref, 10), explorer.neighbours(ref, 10)
    before, after = explorer.beside(ref, -1, 10), explorer.beside(ref, 1, 10)
    cells = {"PMI, bits": lambda r: html.number(r.pmi, 2), "Together": lambda r: html.compact(r.together)}
    for column, title, note, found in zip(
        st.columns(3, gap="medium"),
        ("Fires together with", "Fires just before it", "Fires just after it"),
        ("same position", "one position earlier", "one position later"),
        (together, before, after),
        strict=True,
    ):
        with column:
            widgets.section(title, f"{note}, by PMI")
            widgets.draw(widgets.chip_table(found, cells, names, title))
    first, second, third = st.columns(3, gap="medium")
    with first:
        measure = "distance" if stats.info.similarity == "euclidean" else "cosine"
        widgets.section("Nearest vectors", f"same codebook, by {measure}")
        cells = {"Distance": lambda r: html.number(r.distance), "Cosine": lambda r: html.number(r.cosine)}
        widgets.draw(widgets.chip_table(near, cells, names, "nearest vectors"))
    with second:
        widgets.section("Alike in other codebooks", "overlap (Jaccard) of the positions")
        widgets.draw(widgets.chip_table(alike, {"Overlap": lambda r: html.bar(r.jaccard)}, names, "alike codes"))
    with third:
        widgets.section("What people say", "a label is a claim, measured on held-out items")
        people.panel(explorer, ref)
    return {"neighbours": near, "together": together, "alike": alike, "before": before, "after": after}
