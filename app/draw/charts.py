"""Pure functions from a table to an Altair chart. Tables are reduced first: no chart gets more than some hundred rows.

Colours come from `theme.toml` (Okabe and Ito's, which colour-blind people can tell apart) and follow the theme.
"""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from app.draw.html import visible_text
from backend.analysis.usage import utilization_ceiling

BLUE, ORANGE, GREEN, PINK = "#3D8FC6", "#DB6D1F", "#1FA37E", "#C0639A"  # readable on white and on black


def rank_frequency(codes: pd.DataFrame, positions: int) -> alt.Chart:
    """How often the r-th most used code fires, both axes logarithmic.

    Args:
        codes: column `count`.
        positions: the denominator of the share in the tooltip.
    """
    counts = np.sort(codes["count"].to_numpy(dtype=np.float64))[::-1]
    counts = counts[counts > 0]
    ranks = np.unique(np.geomspace(1, max(1, len(counts)), 400).astype(int)) if len(counts) else np.array([], dtype=int)
    frame = pd.DataFrame({"rank": ranks, "count": counts[ranks - 1], "share": counts[ranks - 1] / max(1, positions)})
    return (
        alt.Chart(frame)
        .mark_line(color=BLUE, strokeWidth=2)
        .encode(
            alt.X("rank:Q", scale=alt.Scale(type="log", nice=False), title="rank of the code"),
            alt.Y("count:Q", scale=alt.Scale(type="log"), title="activations"),
            tooltip=[alt.Tooltip("rank:Q"), alt.Tooltip("count:Q", format=","), alt.Tooltip("share:Q", format=".3%")],
        )
        .properties(height=220)
    )


def usage_histogram(codes: pd.DataFrame) -> alt.Chart:
    """How many codes fire 0, 1, 2-3, 4-7, ... times."""
    counts = codes["count"].to_numpy(dtype=np.int64)
    bins = np.where(counts > 0, np.floor(np.log2(np.maximum(counts, 1))).astype(int), -1)
    rows = []
    for b in range(-1, int(bins.max(initial=-1)) + 1):
        low, high = 2**b if b >= 0 else 0, 2 ** (b + 1) - 1 if b >= 0 else 0
        name = "dead" if b < 0 else f"{low:,}" if low == high else f"{low:,}–{high:,}"
        rows.append({"times": name, "codes": int((bins == b).sum()), "order": b, "dead": b < 0})
    frame = pd.DataFrame(rows)
    return (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            alt.X("times:N", sort=list(frame["times"]), title="activations of the code", axis=alt.Axis(labelAngle=-40)),
            alt.Y("codes:Q", title="codes"),
            alt.Color("dead:N", scale=alt.Scale(domain=[True, False], range=[ORANGE, BLUE]), legend=None),
            tooltip=["times:N", alt.Tooltip("codes:Q", format=",")],
        )
        .properties(height=220)
    )


def effect(frame: pd.DataFrame, most: int = 12) -> alt.Chart:
    """What forcing a code does to the next token: measured and, beside it, the linear estimate.

    Args:
        frame: `token, measured, linear`: mean changes of log-probability.
        most: how many tokens with the largest rise and how many with the largest fall are drawn.
    """
    ordered = frame.sort_values("measured", ascending=False, kind="stable")
    shown = ordered if len(ordered) <= 2 * most else pd.concat([ordered.head(most), ordered.tail(most)])
    names = [visible_text(str(t)) for t in shown["token"]]
    table = pd.DataFrame(
        {
            "token": names * 2,
            "estimate": ["measured"] * len(shown) + ["linear"] * len(shown),
            "change": np.concatenate(
                [shown["measured"].to_numpy(dtype=np.float64), shown["linear"].to_numpy(dtype=np.float64)]
            ),
        }
    )
    return (
        alt.Chart(table)
        .mark_bar()
        .encode(
            alt.Y("token:N", sort=names, title=None, axis=alt.Axis(labelFont="Source Code Pro, monospace")),
            alt.X("change:Q", title="mean change of log-probability (nats)"),
            alt.YOffset("estimate:N", sort=["measured", "linear"]),
            alt.Color(
                "estimate:N",
                sort=["measured", "linear"],
                scale=alt.Scale(domain=["measured", "linear"], range=[BLUE, ORANGE]),
                legend=alt.Legend(orient="top", title=None),
            ),
            tooltip=["token:N", "estimate:N", alt.Tooltip("change:Q", format="+.3f")],
        )
        .properties(height=max(80, 24 * len(shown) + 50))
    )


def held_out_use(metrics: pd.DataFrame, codes: int) -> pd.DataFrame:
    """How a codebook filled up when its model was measured on held-out items: `chosen, share, ceiling`; often empty.

    Args:
        metrics: of the model's card; `utilization` and `utilization_at_N` are looked for.
        codes: K.
    """
    found = metrics[metrics["name"].str.fullmatch(r"utilization(_at_\d+)?")].sort_values("n")
    ceiling = utilization_ceiling(found["n"], codes)
    return pd.DataFrame({"chosen": found["n"], "share": found["value"], "ceiling": ceiling})


def utilization(frame: pd.DataFrame, held_out: pd.DataFrame) -> alt.Chart:
    """How a codebook fills up as more is read, beside what equally likely codes would do.

    Args:
        frame: `chosen, codes, share, ceiling`; drawn from where half a per cent is to be expected.
        held_out: `chosen, share, ceiling` of held-out items.
    """
    frame = frame[frame["ceiling"] >= 0.005]
    read, new, even = "read in this build", "held out (model card)", "equally likely codes"
    parts = [
        frame.assign(line=read, value=frame["share"]),
        held_out.assign(line=new, value=held_out["share"]),
        pd.concat([frame, held_out]).sort_values("chosen").assign(line=even, value=lambda found: found["ceiling"]),
    ]
    table = pd.concat([part[["chosen", "value", "line"]] for part in parts])
    shown = {read: BLUE, new: GREEN, even: ORANGE}
    lines = [line for line in shown if (table["line"] == line).any()]
    return (
        alt.Chart(table)
        .mark_line(strokeWidth=2)
        .encode(
            alt.X("chosen:Q", scale=alt.Scale(type="log", nice=False), title="codes chosen (T)"),
            alt.Y("value:Q", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%"), title="used at least once"),
            alt.StrokeDash("line:N", sort=list(shown), legend=None),
            alt.Color(
                "line:N",
                scale=alt.Scale(domain=lines, range=[shown[line] for line in lines]),
                legend=alt.Legend(orient="top", title=None, labelLimit=300, symbolType="stroke"),
            ),
            tooltip=["line:N", alt.Tooltip("chosen:Q", format=","), alt.Tooltip("value:Q", format=".2%")],
        )
        .properties(height=280)
    )


def training_curve(frame: pd.DataFrame) -> alt.TopLevelMixin:
    """How much of the codebook was used along the training.

    Args:
        frame: `step`, `utilization` and, where it is known, its `ceiling` for as many tokens.
    """
    x = alt.X("step:Q", title="training step", scale=alt.Scale(nice=False))
    y = alt.Y("utilization:Q", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%"), title="utilization then")
    columns = [name for name in ("utilization", "ceiling") if name in frame]
    tooltip = [alt.Tooltip("step:Q", format=","), *(alt.Tooltip(f"{name}:Q", format=".2%") for name in columns)]
    used = alt.Chart(frame).mark_line(color=GREEN, strokeWidth=2, point=len(frame) <= 30).encode(x, y, tooltip=tooltip)
    if "ceiling" not in frame:
        return alt.layer(used).properties(height=280)
    ceiling = (
        alt.Chart(frame)
        .mark_line(color=ORANGE, strokeDash=[4, 3])
        .encode(x, alt.Y("ceiling:Q", title="utilization then"), tooltip=tooltip)
    )
    return alt.layer(ceiling, used).properties(height=280)
