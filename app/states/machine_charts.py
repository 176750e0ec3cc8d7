"""Pure functions from state assignments and beliefs of a finite-state machine to charts and matrices.

Right, mistaken and missed transitions differ in colour and in shape, so that nobody has to tell colours apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from app.components.matrix import Kind, largest, matrix_data
from app.draw import html
from app.draw.charts import BLUE, GREEN, ORANGE, PINK
from app.draw.tables import records
from backend.answers.meaning import StateView

GREY = "#8A949E"  # readable on white and on black
VERDICTS = ["right", "mistake", "missed"]
VERDICT_COLOURS = [BLUE, ORANGE, PINK]
VERDICT_SHAPES = ["square", "cross", "diamond"]
SHARES_LIGHT = [(213, 230, 243, 1.0), (61, 143, 198, 1.0), (8, 48, 92, 1.0)]
SHARES_DARK = [(34, 56, 74, 1.0), (88, 169, 224, 1.0), (217, 240, 255, 1.0)]
ROLES = ["of B", "of A and B", "of A", "of neither"]  # whose successor a state is
MAX_STATES = 40  # bars of one distribution
MAX_CIRCLE = 30  # states of a graph that is drawn as a whole
_MONO = "Source Code Pro, monospace"


def state_code_matrix(view: StateView, model: str, site: str, names: Mapping[int, str] | None = None) -> dict[str, Any]:
    """States by codes, ordered so that the codes of one state stand together: what stands for what is the diagonal.

    Args:
        view: of one codebook; the `MAX_CELLS` cells with most activations are drawn.
        model: the model, for the links to the codes.
        site: the codebook.
        names: code -> what it is called, said where it is pointed at.
    """
    names = names or {}
    cells = largest(view.matrix, "count")
    codes = view.codes[view.codes["code"].isin(cells["code"])]
    readings = cells["count"] / cells["share"]
    return matrix_data(
        cells.assign(row=cells["state"], column=cells["code"].astype(str), shade=cells["share"], kind="share"),
        view.states,
        [str(code) for code in codes["code"]],
        {"share": Kind("", "square", SHARES_LIGHT, SHARES_DARK)},
        titles=("state just read", f"{len(codes):,} codes, by the state they stand for"),
        said=("state", "code"),
        counted="readings of the state",
        totals=dict(zip(cells["state"], readings.round().astype(int), strict=True)),
        alt=f"How often each code of {site} fires when each state has just been read",
        height=max(150, min(620, 18 * len(view.states))),
        notes=[
            (f"{names[code.code]}\n" if code.code in names else "")
            + f"the code is given to {f'state {code.owner}' if code.owner else 'no state'}\n"
            f"it fires at {code.at_states:,} readings, {code.purity:.1%} of them of one state"
            for code in records(codes)
        ],
        legend="of the state's readings",
        opens=("column", html.address("code", model=model, site=site) + "&code="),
    )


def adjacency(view: StateView, truth: bool, opens: str = "") -> dict[str, Any]:
    """The transition graph as a matrix: of the machine itself, or as the codes imply it.

    Args:
        view: of one codebook; the machine's transitions and the most frequent mistakes are drawn, `MAX_CELLS` at most.
        truth: draw what the machine has; else what the codes say, with their mistakes.
        opens: the address, to which a state's name is added, of a mark's state; empty: none.
    """
    all_of_them = view.transitions
    table = largest(all_of_them.assign(weight=all_of_them["count"] + all_of_them["machine"] * 1e9), "weight")
    most = np.log1p(max(1, table["count"].max() if len(table) else 1))
    least = 5.8 if (table["verdict"] != "right").sum() < 200 else 3.7  # few mistakes are drawn large
    kinds = {
        "right": Kind("right", "square", [(*_rgb(BLUE), 0.35), (*_rgb(BLUE), 1.0)], fill=0.8),
        "mistake": Kind("mistake", "cross", [(*_rgb(ORANGE), 1.0)], fill=0.8, least=least),
        "missed": Kind("missed", "diamond", [(*_rgb(PINK), 1.0)], fill=0.8, least=least),
    }
    if truth:
        table = table[table["machine"]].assign(verdict="machine")
        kinds = {"machine": Kind("", "square", [(*_rgb(GREY), 1.0)], fill=0.8)}
    shade = np.log1p(table["count"]) / most
    return matrix_data(
        table.assign(row=table["source"], column=table["target"], shade=shade, kind=table["verdict"]),
        view.states,
        view.states,
        kinds,
        titles=("from state", "to state"),
        said=("from", "to"),
        counted="held-out steps from there",
        totals={} if truth else {str(k): int(n) for k, n in all_of_them.groupby("source")["count"].sum().items()},
        alt="the machine's transitions" if truth else "transitions that the codes imply",
        height=430 if len(view.states) <= MAX_CIRCLE else 600,
        square=True,
        opens=("row", opens),
    )


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def successors(transitions: pd.DataFrame, state: str) -> alt.LayerChart:
    """One state's successors: what the machine has and what the codes imply, as a small graph with counts.

    Args:
        transitions: `source, target, count, machine, verdict` of this state.
        state: its name.
    """
    order = {verdict: place for place, verdict in enumerate(VERDICTS)}
    own = transitions.assign(place=transitions["verdict"].map(order)).sort_values(
        ["place", "count"], ascending=[True, False], kind="stable"
    )
    total, n = int(own["count"].sum()), len(own)
    middle = (n - 1) / 2
    nodes = own.assign(
        x=1.0,
        y=-np.arange(n, dtype=np.float64),
        note=[
            f"{target} · {'never seen' if count == 0 else f'{count:,} of {total:,}'}"
            + (" · not in the machine" if verdict == "mistake" else "")
            for target, count, verdict in zip(own["target"], own["count"], own["verdict"], strict=True)
        ],
    )
    wide = 1.5 + 9 * (own["count"] / max(1, own["count"].max())).to_numpy()
    trail = pd.DataFrame(
        {
            "edge": np.repeat(np.arange(n), 2),
            "x": np.tile([0.04, 0.97], n),
            "y": np.stack([np.full(n, -middle), -np.arange(n, dtype=np.float64)], 1).reshape(-1),
            "wide": np.stack([wide, np.full(n, 0.6)], 1).reshape(-1),
            "verdict": np.repeat(own["verdict"].to_numpy(), 2),
        }
    )
    x = alt.X("x:Q", scale=alt.Scale(domain=[-0.1, 2.1]), axis=None)
    y = alt.Y("y:Q", scale=alt.Scale(domain=[-max(n, 2) + 0.4, 0.6]), axis=None)
    colour = alt.Color(
        "verdict:N",
        scale=alt.Scale(domain=VERDICTS, range=VERDICT_COLOURS),
        legend=None,
    )
    shape = alt.Shape("verdict:N", scale=alt.Scale(domain=VERDICTS, range=VERDICT_SHAPES), legend=None)
    tips = [
        alt.Tooltip("target:N", title="to"),
        alt.Tooltip("count:Q", format=",", title="times, held out"),
        alt.Tooltip("verdict:N"),
    ]
    centre = alt.Chart(pd.DataFrame({"x": [0.0], "y": [-middle], "state": [state]}))
    size = alt.Size("wide:Q", scale=None, legend=None)
    edges = alt.Chart(trail).mark_trail(opacity=0.6).encode(x, y, colour, size, alt.Detail("edge:N"))
    ends = alt.Chart(nodes).mark_point(filled=True, size=90, opacity=1).encode(x, y, colour, shape, tooltip=tips)
    text = (
        alt.Chart(nodes)
        .mark_text(align="left", dx=12, font=_MONO, fontSize=12.5, color=GREY)
        .encode(x, y, alt.Text("note:N"))
    )
    here = centre.mark_text(font=_MONO, fontSize=16, fontWeight=700, color=GREY, align="right", dx=-2).encode(
        x, y, alt.Text("state:N")
    )
    return alt.layer(edges, ends, text, here).properties(height=max(120, 24 * n + 20)).configure_view(strokeWidth=0)


def circle(transitions: pd.DataFrame, states: Sequence[str], chosen: str) -> alt.LayerChart:
    """The whole graph that the codes imply, states on a circle; an edge is thick at its start and thin at its end.

    Args:
        transitions: `source, target, count, machine, verdict`.
        states: all names in order, at most `MAX_CIRCLE`.
        chosen: the state whose edges stand out.
    """
    angle = np.pi / 2 - 2 * np.pi * np.arange(len(states)) / len(states)
    place = {name: (float(np.cos(a)), float(np.sin(a))) for name, a in zip(states, angle, strict=True)}
    rows = []
    for number, edge in enumerate(records(transitions)):
        (x0, y0), (x1, y1) = place[edge.source], place[edge.target]
        own = edge.source == chosen
        if edge.source == edge.target:  # a loop is a small stroke outwards
            x1, y1 = 1.09 * x0, 1.09 * y0
        look = (edge.verdict, 0.95 if own else 0.1 if edge.verdict == "missed" else 0.28)
        rows += [(number, x0, y0, 7.0 if own else 3.2, *look), (number, x1, y1, 0.5, *look)]
    trail = pd.DataFrame(rows, columns=["edge", "x", "y", "wide", "verdict", "strength"])
    nodes = pd.DataFrame(
        {
            "state": list(states),
            "x": [place[s][0] for s in states],
            "y": [place[s][1] for s in states],
            "tx": [1.16 * place[s][0] for s in states],
            "ty": [1.16 * place[s][1] for s in states],
            "here": [s == chosen for s in states],
        }
    )
    span = alt.Scale(domain=[-1.25, 1.25])
    x, y = alt.X("x:Q", scale=span, axis=None), alt.Y("y:Q", scale=span, axis=None)
    picked = alt.selection_point(name="node", fields=["state"], on="click", clear=False, empty=True)
    edges = (
        alt.Chart(trail)
        .mark_trail()
        .encode(
            x,
            y,
            alt.Color("verdict:N", scale=alt.Scale(domain=VERDICTS, range=VERDICT_COLOURS), legend=None),
            alt.Size("wide:Q", scale=None, legend=None),
            alt.Opacity("strength:Q", scale=None, legend=None),
            alt.Detail("edge:N"),
        )
    )
    ends = trail.groupby("edge").agg(x0=("x", "first"), x1=("x", "last"), y0=("y", "first"), y1=("y", "last"))
    ends = ends.assign(x=0.15 * ends["x0"] + 0.85 * ends["x1"], y=0.15 * ends["y0"] + 0.85 * ends["y1"])
    wrong = pd.concat([transitions.reset_index(drop=True), ends[["x", "y"]]], axis=1)
    wrong = wrong[(wrong["verdict"] == "mistake") | ((wrong["verdict"] == "missed") & (wrong["source"] == chosen))]
    wrong = wrong.assign(strength=np.where(wrong["source"] == chosen, 1.0, 0.55))
    crosses = (
        alt.Chart(wrong)
        .mark_point(filled=True, size=34)
        .encode(
            x,
            y,
            alt.Color("verdict:N", scale=alt.Scale(domain=VERDICTS, range=VERDICT_COLOURS), legend=None),
            alt.Shape("verdict:N", scale=alt.Scale(domain=VERDICTS, range=VERDICT_SHAPES), legend=None),
            alt.Opacity("strength:Q", scale=None, legend=None),
            tooltip=[
                alt.Tooltip("source:N", title="from"),
                alt.Tooltip("target:N", title="to"),
                alt.Tooltip("count:Q", title="times"),
                alt.Tooltip("verdict:N"),
            ],
        )
    )
    dots = (
        alt.Chart(nodes)
        .mark_circle(color=GREY, opacity=1, cursor="pointer")
        .encode(x, y, alt.Size("here:N", scale=alt.Scale(domain=[False, True], range=[90, 240]), legend=None))
        .add_params(picked)
    )
    names = (
        alt.Chart(nodes)
        .mark_text(font=_MONO, fontSize=12, color=GREY)
        .encode(alt.X("tx:Q", scale=span, axis=None), alt.Y("ty:Q", scale=span, axis=None), alt.Text("state:N"))
    )
    return alt.layer(edges, crosses, dots, names).properties(width=470, height=470).configure_view(strokeWidth=0)


def expected(following: pd.DataFrame, actual: str, target: str) -> list[Any]:
    """The state that comes next: as it is, with the edits, and where the walk really is in B; a chart each, same rows.

    Args:
        following: `state, before, after, target` (probabilities), `from_actual, from_target` (bool).
        actual: A.
        target: B.
    """
    role = np.select(
        [following["from_actual"] & following["from_target"], following["from_target"], following["from_actual"]],
        ["of A and B", "of B", "of A"],
        "of neither",
    )
    table = following.assign(role=role, rank=[ROLES.index(r) for r in role])
    values = table[["before", "after", "target"]]
    table = table[(values.max(axis=1) >= 0.01) | (table["role"] != "of neither")]
    table = table.assign(most=table[["before", "target", "after"]].max(axis=1))
    table = table.nlargest(MAX_STATES, "most") if len(table) > MAX_STATES else table
    table = table.sort_values(["rank", "target", "before"], ascending=[True, False, False], kind="stable")
    marks = {"of B": "B", "of A and B": "AB", "of A": "A", "of neither": "·"}
    table = table.assign(name=[f"{s}  {marks[r]:>2}" for s, r in zip(table["state"], table["role"], strict=True)])
    names, most = list(table["name"]), max(0.1, float(table["most"].max()))
    panels = []
    titles = {
        "before": ("Before", f"it has read {actual} (A)"),
        "after": ("With the edits", f"made to believe {target}"),
        "target": ("True B", f"walks that end in {target}"),
    }
    for column, title in titles.items():
        base = alt.Chart(table).encode(
            alt.Y(
                "name:N",
                sort=names,
                title=None,
                axis=alt.Axis(labelFont=_MONO, ticks=False, domain=False, labelBound=False, labelFlush=False),
            ),
            alt.X(
                f"{column}:Q",
                scale=alt.Scale(domain=[0, 1.18 * most]),
                title=None,
                axis=alt.Axis(format="%", tickCount=4),
            ),
            tooltip=[
                alt.Tooltip("state:N", title="next state"),
                alt.Tooltip("role:N", title="successor"),
                alt.Tooltip("before:Q", format=".2%"),
                alt.Tooltip("after:Q", format=".2%"),
                alt.Tooltip("target:Q", format=".2%", title="true B"),
            ],
        )
        bars = base.mark_bar(height={"band": 0.74}).encode(
            alt.Color("role:N", scale=alt.Scale(domain=ROLES, range=[BLUE, GREEN, ORANGE, GREY]), legend=None)
        )
        text = (
            base.transform_filter(f"datum.{column} >= 0.005")
            .mark_text(align="left", dx=3, color=GREY, fontSize=11)
            .encode(alt.Text(f"{column}:Q", format=".0%"))
        )
        panels.append(
            alt.layer(bars, text).properties(
                height=70 + max(90, 20 * len(table)),
                title=alt.TitleParams(title[0], subtitle=title[1], subtitleColor=GREY, fontSize=13, anchor="start"),
            )
        )
    return panels
