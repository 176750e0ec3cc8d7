"""The States page's parts: which code stands for which state, and the transitions that the codes imply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st
from markupsafe import Markup

from app.components.matrix import MAX_CELLS, matrix
from app.draw import drawing, html
from app.draw.tables import Row, records
from app.shell import address, widgets
from app.states import machine_charts
from backend.answers.meaning import StateView
from backend.data.machines import Machine
from backend.types import CodeRef

MAX_LISTED = 400  # mistakes and missed transitions in a table
MAX_DRAWN = 20  # mistakes of one state in its drawing
SORTS = ("state", "readings", "codes", "precision", "recall", "single_precision", "single_recall")


def figures(view: StateView, machine: Machine) -> Markup:
    """Purity, coverage, mean precision and recall with their denominators."""
    readings = int(view.by_state["readings"].sum())
    owned = int((view.codes["owner"] != "").sum())
    covered = (readings - view.unread) / max(1, readings)
    means = view.by_state[["precision", "recall", "single_precision", "single_recall"]].mean()
    found = int((view.by_state["codes"] > 0).sum())
    return html.stats(
        [
            (
                "states with a code",
                f"{found:,}",
                f"of {machine.states:,}; {owned:,} of {len(view.codes):,} codes belong to one",
            ),
            (
                "pure codes",
                html.share(view.pure_codes),
                f"fire for one state only, of {view.counted_codes:,} that fire twice or more",
            ),
            ("coverage", html.share(covered), f"of {readings:,} held-out readings have a code that stands for a state"),
            (
                "precision",
                html.share(means["precision"]),
                f"mean over {machine.states:,} states, all their codes, held out",
            ),
            ("recall", html.share(means["recall"]), f"mean over {machine.states:,} states, held out"),
            (
                "best single code",
                html.share(means["single_precision"]),
                f"precision; recall {html.share(means['single_recall'])}, held out",
            ),
        ]
    )


def matrix_panel(view: StateView, model: str, site: str, labels: Mapping[CodeRef, str]) -> dict[str, pd.DataFrame]:
    """The state x code matrix and the tables beside it; returns what is on the screen."""
    drawn = min(MAX_CELLS, len(view.matrix))
    note = "columns are codes, rows the state just read; a clear diagonal: one state, one code; a click opens the code"
    if drawn < len(view.matrix):
        note += f"; the {drawn:,} largest of {len(view.matrix):,} cells"
    widgets.section(f"States and codes of {site}", note)
    matrix(machine_charts.state_code_matrix(view, model, site), key=f"matrix-{model}-{site}")
    widgets.section("State by state", "codes are given to states on one half of the items and tested on the other")
    sort = address.choice("sort", SORTS, "state")
    down = address.flag("down", False)
    widgets.draw(scrolling(state_table(view, model, site, sort, down, labels)))
    return {"matrix": view.matrix, "states": view.by_state, "codes": view.codes}


def state_table(view: StateView, model: str, site: str, sort: str, down: bool, labels: Mapping[CodeRef, str]) -> Markup:
    """One row a state: its codes and how well they stand for it; headings sort."""
    titles = {
        "state": "State",
        "main": "Most used code",
        "codes": "Codes",
        "readings": "Readings, held out",
        "precision": "Precision",
        "recall": "Recall",
        "single_precision": "Best code alone: precision",
        "single_recall": "recall",
    }
    heads = []
    for name, title in titles.items():
        if name not in SORTS:
            heads.append(Markup("{}").format(title))
            continue
        turned = name == sort and not down
        mark = "" if name != sort else " ↓" if down else " ↑"
        href = html.address("states", model=model, site=site, sort=name, down="1" if turned else None)
        heads.append(html.link(href, title + mark, title="sort by this column"))
    css = html.colour_of(site)
    counts = dict(zip(view.codes["ref"], view.codes["count"], strict=True))

    def line(row: Row) -> list[Any]:
        main = widgets.chip(CodeRef.parse(row.main), int(counts[row.main]), labels) if row.main else "none"
        onward = html.address("states", model=model, site=site, view="transitions", state=row.state)
        return [
            html.link(onward, Markup('<span class="mono">{}</span>').format(row.state), title="its successors"),
            main,
            f"{int(row.codes):,}",
            f"{int(row.readings):,}",
            *(
                html.coloured(css, html.bar(share))
                for share in (row.precision, row.recall, row.single_precision, row.single_recall)
            ),
        ]

    rows = [line(row) for row in records(view.by_state.sort_values(sort, ascending=not down, kind="stable"))]
    return html.table(heads, rows, right=(2, 3), caption=f"states and their codes in {site}")


def scrolling(content: Markup, height: str = "30rem") -> Markup:
    """Content that scrolls by itself where it is longer than that."""
    return Markup('<div style="max-height:{};overflow-y:auto">{}</div>').format(height, content)


def legend() -> Markup:
    """What the marks of a transition mean, in colour, shape and words."""
    marks = {"right": "■", "mistake": "✚", "missed": "◆"}
    words = {
        "right": "right: the machine has it, and the codes show it (stronger: more often)",
        "mistake": "mistake: the codes show it, the machine has none",
        "missed": "missed: the machine has it, the codes never show it",
    }
    parts = [
        Markup('<span><span style="color:{}">{}</span> {}</span>').format(colour, marks[name], words[name])
        for name, colour in zip(machine_charts.VERDICTS, machine_charts.VERDICT_COLOURS, strict=True)
    ]
    return Markup('<div class="faint" style="display:flex;flex-wrap:wrap;gap:.2rem 1.4rem">{}</div>').format(
        Markup("").join(parts)
    )


def transition_figures(transitions: pd.DataFrame) -> Markup:
    """Right, mistaken and missed transitions, as edges and as steps of the walks."""
    by = {v: transitions.loc[transitions["verdict"] == v, "count"] for v in machine_charts.VERDICTS}
    edges, steps = int(transitions["machine"].sum()), int(transitions["count"].sum())
    implied = int((transitions["count"] > 0).sum())
    return html.stats(
        [
            (
                "right",
                f"{len(by['right']):,}",
                f"of the machine's {edges:,} transitions are implied by the codes",
            ),
            ("missed", f"{len(by['missed']):,}", f"of the machine's {edges:,} are never seen"),
            (
                "mistakes",
                f"{len(by['mistake']):,}",
                f"of {implied:,} implied transitions are none of the machine's",
            ),
            (
                "steps that are right",
                html.share(int(by["right"].sum()) / max(1, steps)),
                f"of {steps:,} held-out steps between two states read through their codes",
            ),
        ]
    )


def transitions_panel(view: StateView, model: str, site: str) -> dict[str, pd.DataFrame]:
    """The machine's graph beside the one the codes imply; returns what is on the screen."""
    chosen = address.choice("state", view.states, view.states[0])
    all_of_them = view.transitions
    note = f"read through the codes of {site} on the held-out half; click a mark to choose its state"
    if len(all_of_them) > MAX_CELLS:
        note += f"; drawn: the machine's and the most frequent mistakes, {MAX_CELLS:,} of {len(all_of_them):,} marks"
    widgets.section("Transitions", note)
    widgets.draw(transition_figures(all_of_them), legend())
    small = len(view.states) <= machine_charts.MAX_CIRCLE
    columns = st.columns(3 if small else 2, gap="medium")
    with columns[0]:
        widgets.section("The machine's", f"{int(all_of_them['machine'].sum()):,} transitions")
        matrix(machine_charts.adjacency(view, True), key=f"machine-{model}")
    with columns[1]:
        widgets.section("Implied by the codes", f"{int((all_of_them['count'] > 0).sum()):,} seen")
        onward = html.address("states", model=model, site=site, view="transitions") + "&state="
        matrix(machine_charts.adjacency(view, False, onward), key=f"implied-{model}-{site}")
    if small:
        with columns[2]:
            widgets.section("The same as a graph", "an edge is thick where it starts and thin where it ends")
            _graph(view, chosen, f"graph-{model}-{site}")
    first, second = st.columns([1, 1], gap="medium")
    own = all_of_them[all_of_them["source"] == chosen]
    extra = own[own["verdict"] == "mistake"].sort_values("count", ascending=False, kind="stable").iloc[MAX_DRAWN:]
    with first:
        note = f"; {len(extra)} rarer mistakes are not drawn" if len(extra) else ""
        widgets.section(f"Successors of {chosen}", f"times seen on the held-out half{note}")
        st.selectbox("State", view.states, **address.bound("state", chosen))
        drawing.draw(machine_charts.successors, own.drop(extra.index), chosen, alt=f"successors of state {chosen}")
    with second:
        wrong = all_of_them[all_of_them["verdict"] != "right"].sort_values(
            ["verdict", "count"], ascending=False, kind="stable"
        )
        note = "mistakes first, most frequent on top"
        if len(wrong) > MAX_LISTED:
            note += f"; {MAX_LISTED} of {len(wrong):,}, all of them in the download"
        widgets.section(f"Mistakes and missed transitions ({len(wrong):,})", note)
        if wrong.empty:
            widgets.empty("None.", "The codes imply exactly the machine's graph.")
        else:
            widgets.draw(scrolling(mistake_table(wrong.head(MAX_LISTED), all_of_them, model, site), "24rem"))
    return {"transitions": all_of_them}


def mistake_table(wrong: pd.DataFrame, transitions: pd.DataFrame, model: str, site: str) -> Markup:
    """Transitions that only one of the two graphs has: source, target, count with its denominator."""
    leaving = transitions.groupby("source")["count"].sum()
    colours = dict(zip(machine_charts.VERDICTS, machine_charts.VERDICT_COLOURS, strict=True))
    mark = {"mistake": "✚ mistake", "missed": "◆ missed"}

    def name(value: str) -> Markup:
        href = html.address("states", model=model, site=site, view="transitions", state=value)
        return html.link(href, Markup('<span class="mono">{}</span>').format(value))

    rows = [
        [
            Markup('<span style="color:{}">{}</span>').format(colours[row.verdict], mark[row.verdict]),
            name(row.source),
            name(row.target),
            f"{int(row.count):,}",
            f"of {int(leaving[row.source]):,}",
        ]
        for row in records(wrong)
    ]
    return html.table(["", "From", "To", "Times", "of all from there"], rows, right=(3, 4), caption="wrong transitions")


def _graph(view: StateView, chosen: str, key: str) -> None:
    """The graph that the codes imply; a click on a node chooses its state, which then stands in the address."""

    def choose() -> None:
        if selected := st.session_state[key]["selection"].get("node"):
            address.write(state=selected[0]["state"])

    drawing.draw(
        machine_charts.circle,
        view.transitions,
        view.states,
        chosen,
        key=key,
        on_select=choose,
        width="content",
        alt="the graph that the codes imply",
    )
